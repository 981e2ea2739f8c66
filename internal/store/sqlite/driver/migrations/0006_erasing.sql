-- +goose Up
-- Devices that are being erased; a row goes with the last of what it names.

CREATE TABLE erasing (
  app   INTEGER NOT NULL,
  id    TEXT NOT NULL,
  ord   INTEGER NOT NULL,
  alias TEXT NOT NULL, -- '' if the alias stays
  PRIMARY KEY (app, id)
) STRICT, WITHOUT ROWID;
