-- +goose Up
-- For which of many group messages a device waits, at one place
-- (docs/design/005-record.md). What is here is made of msg_chunk.

-- Up to 64 messages for which there are strips in one slab. msgs begins with a bit
-- for each of which more devices may have it than the strips say.
CREATE TABLE strip_bundle (
  app BIGINT NOT NULL,
  slab BIGINT NOT NULL,
  n BIGINT NOT NULL,
  msgs BYTEA NOT NULL,
  crc BIGINT NOT NULL,
  PRIMARY KEY (app, slab, n)
);

-- 1,024 devices and the messages of a bundle, a word of 64 bits for each device.
CREATE TABLE strip (
  app BIGINT NOT NULL,
  block BIGINT NOT NULL,
  n BIGINT NOT NULL,
  bits BYTEA NOT NULL,
  crc BIGINT NOT NULL,
  PRIMARY KEY (app, block, n)
);
