-- +goose Up
-- What is left of a message after its retention: its counts.

CREATE TABLE msg_count (
  app   INTEGER NOT NULL,
  msg   INTEGER NOT NULL,
  until INTEGER NOT NULL,
  data  BLOB NOT NULL,
  crc   INTEGER NOT NULL,
  PRIMARY KEY (app, msg)
) STRICT;

CREATE INDEX msg_count_until ON msg_count (until);
