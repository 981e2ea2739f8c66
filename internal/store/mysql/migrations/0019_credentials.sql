-- +goose Up
-- What apps have of vendors; docs/design/031-credentials-and-addresses.md. data
-- is JSON; vendor, environment and name stand in it too, and are here so that
-- there is one of each.

CREATE TABLE credential (
  app BIGINT NOT NULL,
  id VARBINARY(64) NOT NULL,
  vendor VARBINARY(64) NOT NULL,
  environment VARBINARY(128) NOT NULL,
  name VARBINARY(512) NOT NULL,
  data LONGBLOB NOT NULL,
  crc BIGINT NOT NULL,
  PRIMARY KEY (app, id)
) ENGINE=InnoDB;
CREATE UNIQUE INDEX credential_place ON credential (app, vendor, environment, name);
