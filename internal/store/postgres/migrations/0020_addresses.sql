-- +goose Up
-- Addresses of devices and recipients; docs/design/031-credentials-and-addresses.md.
-- What the columns are is said in the schema of SQLite.

CREATE TABLE address (
  app BIGINT NOT NULL,
  owner BIGINT NOT NULL,
  kind TEXT COLLATE "C" NOT NULL,
  environment TEXT COLLATE "C" NOT NULL,
  ord BIGINT NOT NULL,
  hash BYTEA NOT NULL,
  token BYTEA NOT NULL,
  crc BIGINT NOT NULL,
  created BIGINT NOT NULL,
  updated BIGINT NOT NULL,
  invalid BIGINT NOT NULL,
  reason TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (app, owner, kind, environment, ord, hash)
);

CREATE INDEX address_of ON address (app, owner, ord, kind);
CREATE INDEX address_token ON address (app, owner, kind, environment, hash) WHERE invalid = 0;
