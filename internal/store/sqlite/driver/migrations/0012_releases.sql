-- +goose Up
-- Messages that are released in steps (docs/design/022-releases-over-time.md):
-- what is left of them, the devices of their parts, and the steps they made.

CREATE TABLE plan (
  app       INTEGER NOT NULL,
  msg       INTEGER NOT NULL,
  data      BLOB NOT NULL,    -- JSON
  crc       INTEGER NOT NULL,
  parts     BLOB NOT NULL,    -- the devices of each part; empty: they are in plan_chunk
  parts_crc INTEGER NOT NULL,
  PRIMARY KEY (app, msg)
) STRICT;

CREATE TABLE plan_chunk (
  app  INTEGER NOT NULL,
  msg  INTEGER NOT NULL,
  slab INTEGER NOT NULL,
  part INTEGER NOT NULL,
  bits BLOB NOT NULL,
  crc  INTEGER NOT NULL,
  PRIMARY KEY (app, msg, slab, part)
) STRICT;

CREATE TABLE plan_step (
  app       INTEGER NOT NULL,
  msg       INTEGER NOT NULL,
  pos       INTEGER NOT NULL,
  part      INTEGER NOT NULL,
  first_ord INTEGER NOT NULL,
  last_ord  INTEGER NOT NULL,
  at        INTEGER NOT NULL, -- Unix milliseconds
  PRIMARY KEY (app, msg, pos, part)
) STRICT, WITHOUT ROWID;
