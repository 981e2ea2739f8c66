-- +goose Up
-- Keys that check JWTs of devices; docs/design/029-device-jwt.md. data is JSON.

CREATE TABLE jwt_key (
  app BIGINT NOT NULL,
  id VARBINARY(64) NOT NULL,
  data LONGBLOB NOT NULL,
  crc BIGINT NOT NULL,
  PRIMARY KEY (app, id)
) ENGINE=InnoDB;
