-- +goose Up
-- What apps have of vendors; docs/design/031-credentials-and-addresses.md. data
-- is JSON; vendor, environment and name stand in it too, and are here so that
-- there is one of each.

CREATE TABLE credential (
  app BIGINT NOT NULL,
  id TEXT COLLATE "C" NOT NULL,
  vendor TEXT COLLATE "C" NOT NULL,
  environment TEXT COLLATE "C" NOT NULL,
  name TEXT COLLATE "C" NOT NULL,
  data BYTEA NOT NULL,
  crc BIGINT NOT NULL,
  PRIMARY KEY (app, id)
);
CREATE UNIQUE INDEX credential_place ON credential (app, vendor, environment, name);
