-- +goose Up
-- Saved expressions and uploaded lists; docs/design/014-segments-and-files.md
-- says why. Times are Unix milliseconds; crc is CRC-32C of the bytes beside it.

-- Every version of a segment, from a position of the app's log on.
CREATE TABLE segment (
  app      INTEGER NOT NULL,
  name     TEXT NOT NULL,
  pos      INTEGER NOT NULL,
  audience BLOB, -- NULL: deleted
  crc      INTEGER NOT NULL,
  created  INTEGER NOT NULL,
  updated  INTEGER NOT NULL,
  PRIMARY KEY (app, name, pos)
) STRICT;

CREATE TABLE audience_file (
  app        INTEGER NOT NULL,
  id         TEXT NOT NULL,
  name       TEXT NOT NULL,
  kind       TEXT NOT NULL,
  pos        INTEGER NOT NULL,
  lines      INTEGER NOT NULL,
  devices    INTEGER NOT NULL,
  unknown    INTEGER NOT NULL,
  duplicates INTEGER NOT NULL,
  chunks     INTEGER NOT NULL,
  created    INTEGER NOT NULL,
  used       INTEGER NOT NULL,
  ready      INTEGER NOT NULL, -- 0 until its chunks are written
  PRIMARY KEY (app, id)
) STRICT, WITHOUT ROWID;

-- Who changed the alias after a file was uploaded.
CREATE INDEX device_bound ON device (app, bound_pos) WHERE bound_pos > 0;

CREATE TABLE file_chunk (
  app  INTEGER NOT NULL,
  file TEXT NOT NULL,
  slab INTEGER NOT NULL,
  bits BLOB NOT NULL,
  crc  INTEGER NOT NULL,
  PRIMARY KEY (app, file, slab)
) STRICT;
