-- +goose Up
-- For which of many group messages a device waits, at one place
-- (docs/design/005-record.md). What is here is made of msg_chunk.

-- Up to 64 messages for which there are strips in one slab. msgs begins with a bit
-- for each of which more devices may have it than the strips say.
CREATE TABLE strip_bundle (
  app INTEGER NOT NULL,
  slab INTEGER NOT NULL,
  n INTEGER NOT NULL,
  msgs BLOB NOT NULL,
  crc INTEGER NOT NULL,
  PRIMARY KEY (app, slab, n)
) STRICT, WITHOUT ROWID;

-- 1,024 devices and the messages of a bundle, a word of 64 bits for each device.
CREATE TABLE strip (
  app INTEGER NOT NULL,
  block INTEGER NOT NULL,
  n INTEGER NOT NULL,
  bits BLOB NOT NULL,
  crc INTEGER NOT NULL,
  PRIMARY KEY (app, block, n)
) STRICT;
