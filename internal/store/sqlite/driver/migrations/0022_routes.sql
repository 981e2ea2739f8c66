-- +goose Up
-- Named routes of apps; docs/design/032-routes.md. data is JSON.

CREATE TABLE route (
  app INTEGER NOT NULL,
  name TEXT NOT NULL,
  data BLOB NOT NULL,
  crc INTEGER NOT NULL,
  PRIMARY KEY (app, name)
) WITHOUT ROWID;
