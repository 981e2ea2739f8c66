-- +goose Up
-- Secrets that are replaced and still good, keys that end, addresses that may
-- use a key, and who changed what.

ALTER TABLE app ADD COLUMN old_hash VARBINARY(512);
ALTER TABLE app ADD COLUMN old_until BIGINT NOT NULL DEFAULT 0;

ALTER TABLE api_key ADD COLUMN old_hash VARBINARY(512);
ALTER TABLE api_key ADD COLUMN old_until BIGINT NOT NULL DEFAULT 0;
ALTER TABLE api_key ADD COLUMN expires BIGINT NOT NULL DEFAULT 0;
ALTER TABLE api_key ADD COLUMN networks LONGBLOB;

CREATE TABLE audit (
  app BIGINT NOT NULL,
  id BIGINT NOT NULL,
  at BIGINT NOT NULL,
  kind VARBINARY(512) NOT NULL,
  actor VARBINARY(512) NOT NULL,
  name VARBINARY(512) NOT NULL,
  operation VARBINARY(512) NOT NULL,
  object VARBINARY(512) NOT NULL,
  changes LONGBLOB,
  origin VARBINARY(512) NOT NULL,
  PRIMARY KEY (app, id)
) ENGINE=InnoDB;

CREATE INDEX audit_object ON audit (app, object);
