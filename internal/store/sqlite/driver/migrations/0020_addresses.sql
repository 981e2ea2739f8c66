-- +goose Up
-- Addresses of devices and recipients; docs/design/031-credentials-and-addresses.md.
-- The rows lie as those are read who send to all devices of a kind: by ordinal.

CREATE TABLE address (
  app         INTEGER NOT NULL,
  owner       INTEGER NOT NULL, -- 0: ord is a device, 1: it is a recipient
  kind        TEXT NOT NULL,
  environment TEXT NOT NULL,
  ord         INTEGER NOT NULL,
  hash        BLOB NOT NULL,    -- SHA-256 of the token, which is too long for a key
  token       BLOB NOT NULL,
  crc         INTEGER NOT NULL,
  created     INTEGER NOT NULL,
  updated     INTEGER NOT NULL, -- registered last
  invalid     INTEGER NOT NULL, -- since when it leads to nobody; 0: it is valid
  reason      TEXT NOT NULL,    -- why
  PRIMARY KEY (app, owner, kind, environment, ord, hash)
) STRICT, WITHOUT ROWID;

CREATE INDEX address_of ON address (app, owner, ord, kind);
CREATE INDEX address_token ON address (app, owner, kind, environment, hash) WHERE invalid = 0;
