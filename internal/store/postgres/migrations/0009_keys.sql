-- +goose Up
-- Secrets that are replaced and still good, keys that end, addresses that may
-- use a key, and who changed what.

ALTER TABLE app ADD COLUMN old_hash BYTEA;
ALTER TABLE app ADD COLUMN old_until BIGINT NOT NULL DEFAULT 0;

ALTER TABLE api_key ADD COLUMN old_hash BYTEA;
ALTER TABLE api_key ADD COLUMN old_until BIGINT NOT NULL DEFAULT 0;
ALTER TABLE api_key ADD COLUMN expires BIGINT NOT NULL DEFAULT 0;
ALTER TABLE api_key ADD COLUMN networks TEXT COLLATE "C";

CREATE TABLE audit (
  app BIGINT NOT NULL,
  id BIGINT NOT NULL,
  at BIGINT NOT NULL,
  kind TEXT COLLATE "C" NOT NULL,
  actor TEXT COLLATE "C" NOT NULL,
  name TEXT COLLATE "C" NOT NULL,
  operation TEXT COLLATE "C" NOT NULL,
  object TEXT COLLATE "C" NOT NULL,
  changes TEXT COLLATE "C",
  origin TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (app, id)
);

CREATE INDEX audit_object ON audit (app, object);
