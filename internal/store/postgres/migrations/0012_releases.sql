-- +goose Up
-- Messages that are released in steps (docs/design/022-releases-over-time.md):
-- what is left of them, the devices of their parts, and the steps they made.

CREATE TABLE plan (
  app BIGINT NOT NULL,
  msg BIGINT NOT NULL,
  data BYTEA NOT NULL,
  crc BIGINT NOT NULL,
  parts BYTEA NOT NULL,
  parts_crc BIGINT NOT NULL,
  PRIMARY KEY (app, msg)
);

CREATE TABLE plan_chunk (
  app BIGINT NOT NULL,
  msg BIGINT NOT NULL,
  slab BIGINT NOT NULL,
  part BIGINT NOT NULL,
  bits BYTEA NOT NULL,
  crc BIGINT NOT NULL,
  PRIMARY KEY (app, msg, slab, part)
);

CREATE TABLE plan_step (
  app BIGINT NOT NULL,
  msg BIGINT NOT NULL,
  pos BIGINT NOT NULL,
  part BIGINT NOT NULL,
  first_ord BIGINT NOT NULL,
  last_ord BIGINT NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (app, msg, pos, part)
);
