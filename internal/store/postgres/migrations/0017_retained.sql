-- +goose Up
-- The last publication of each topic that asked to be kept for who subscribes
-- later. expires is 0 for one that stays.

CREATE TABLE retained (
  app BIGINT NOT NULL,
  topic TEXT COLLATE "C" NOT NULL,
  sender TEXT COLLATE "C" NOT NULL,
  client TEXT COLLATE "C" NOT NULL,
  at BIGINT NOT NULL,
  expires BIGINT NOT NULL,
  body BYTEA NOT NULL,
  crc BIGINT NOT NULL,
  PRIMARY KEY (app, topic)
);

CREATE INDEX retained_expires ON retained (expires);
CREATE INDEX retained_sender ON retained (app, sender);
