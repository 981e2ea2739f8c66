-- +goose Up
-- Secrets that are replaced and still good, keys that end, addresses that may
-- use a key, and who changed what.

ALTER TABLE app ADD COLUMN old_hash BLOB;
ALTER TABLE app ADD COLUMN old_until INTEGER NOT NULL DEFAULT 0;

ALTER TABLE api_key ADD COLUMN old_hash BLOB;
ALTER TABLE api_key ADD COLUMN old_until INTEGER NOT NULL DEFAULT 0;
ALTER TABLE api_key ADD COLUMN expires INTEGER NOT NULL DEFAULT 0; -- 0: never
ALTER TABLE api_key ADD COLUMN networks TEXT; -- a JSON array; NULL: any

CREATE TABLE audit (
  app       INTEGER NOT NULL,
  id        INTEGER NOT NULL, -- microseconds of the time, or one more than the last
  at        INTEGER NOT NULL,
  kind      TEXT NOT NULL,    -- master, key, page, admin
  actor     TEXT NOT NULL,    -- ID of the key; '' for others
  name      TEXT NOT NULL,    -- of the key, then
  operation TEXT NOT NULL,
  object    TEXT NOT NULL,
  changes   TEXT,             -- a JSON object; NULL if none are told
  origin    TEXT NOT NULL,    -- the address
  PRIMARY KEY (app, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX audit_object ON audit (app, object);
