-- +goose Up
-- Named routes of apps; docs/design/032-routes.md. data is JSON.

CREATE TABLE route (
  app BIGINT NOT NULL,
  name TEXT COLLATE "C" NOT NULL,
  data BYTEA NOT NULL,
  crc BIGINT NOT NULL,
  PRIMARY KEY (app, name)
);
