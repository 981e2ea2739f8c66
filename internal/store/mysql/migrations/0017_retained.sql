-- +goose Up
-- The last publication of each topic that asked to be kept for who subscribes
-- later. expires is 0 for one that stays.

CREATE TABLE retained (
  app BIGINT NOT NULL,
  topic VARBINARY(512) NOT NULL,
  sender VARBINARY(512) NOT NULL,
  client VARBINARY(512) NOT NULL,
  at BIGINT NOT NULL,
  expires BIGINT NOT NULL,
  body LONGBLOB NOT NULL,
  crc BIGINT NOT NULL,
  PRIMARY KEY (app, topic)
) ENGINE=InnoDB;

CREATE INDEX retained_expires ON retained (expires);
CREATE INDEX retained_sender ON retained (app, sender);
