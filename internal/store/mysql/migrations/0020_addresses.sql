-- +goose Up
-- Addresses of devices and recipients; docs/design/031-credentials-and-addresses.md.
-- What the columns are is said in the schema of SQLite.

CREATE TABLE address (
  app BIGINT NOT NULL,
  owner BIGINT NOT NULL,
  kind VARBINARY(64) NOT NULL,
  environment VARBINARY(512) NOT NULL,
  ord BIGINT NOT NULL,
  hash VARBINARY(32) NOT NULL,
  token LONGBLOB NOT NULL,
  crc BIGINT NOT NULL,
  created BIGINT NOT NULL,
  updated BIGINT NOT NULL,
  invalid BIGINT NOT NULL,
  reason VARBINARY(512) NOT NULL,
  PRIMARY KEY (app, owner, kind, environment, ord, hash)
) ENGINE=InnoDB;

CREATE INDEX address_of ON address (app, owner, ord, kind);
CREATE INDEX address_token ON address (app, owner, invalid, kind, environment, hash);
