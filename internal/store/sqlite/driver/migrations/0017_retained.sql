-- +goose Up
-- The last publication of each topic that asked to be kept for who subscribes
-- later. expires is 0 for one that stays.

CREATE TABLE retained (
  app INTEGER NOT NULL,
  topic TEXT NOT NULL,
  sender TEXT NOT NULL,
  client TEXT NOT NULL,
  at INTEGER NOT NULL,
  expires INTEGER NOT NULL,
  body BLOB NOT NULL,
  crc INTEGER NOT NULL,
  PRIMARY KEY (app, topic)
) WITHOUT ROWID;

CREATE INDEX retained_expires ON retained (expires);
CREATE INDEX retained_sender ON retained (app, sender);
