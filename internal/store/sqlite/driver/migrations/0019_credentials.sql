-- +goose Up
-- What apps have of vendors; docs/design/031-credentials-and-addresses.md. data
-- is JSON; vendor, environment and name stand in it too, and are here so that
-- there is one of each.

CREATE TABLE credential (
  app INTEGER NOT NULL,
  id TEXT NOT NULL,
  vendor TEXT NOT NULL,
  environment TEXT NOT NULL,
  name TEXT NOT NULL,
  data BLOB NOT NULL,
  crc INTEGER NOT NULL,
  PRIMARY KEY (app, id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX credential_place ON credential (app, vendor, environment, name);
