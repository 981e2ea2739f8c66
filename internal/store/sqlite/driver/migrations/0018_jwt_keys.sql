-- +goose Up
-- Keys that check JWTs of devices; docs/design/029-device-jwt.md. data is JSON.

CREATE TABLE jwt_key (
  app INTEGER NOT NULL,
  id TEXT NOT NULL,
  data BLOB NOT NULL,
  crc INTEGER NOT NULL,
  PRIMARY KEY (app, id)
) WITHOUT ROWID;
