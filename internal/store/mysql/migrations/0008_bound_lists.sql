-- +goose Up
-- Devices whose aliases one call has changed, if they are many; the schema of
-- SQLite says more.

CREATE TABLE bound_list (
  app BIGINT NOT NULL,
  pos BIGINT NOT NULL,
  at BIGINT NOT NULL,
  bits LONGBLOB NOT NULL,
  crc BIGINT NOT NULL,
  PRIMARY KEY (app, pos)
) ENGINE=InnoDB;
