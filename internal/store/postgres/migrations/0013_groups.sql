-- +goose Up
-- Groups of apps, what was sent to them, and templates.

CREATE TABLE app_group (
  grp TEXT COLLATE "C" NOT NULL,
  data BYTEA NOT NULL,
  crc BIGINT NOT NULL,
  PRIMARY KEY (grp)
);

CREATE TABLE app_group_msg (
  grp TEXT COLLATE "C" NOT NULL,
  id BIGINT NOT NULL,
  idem_key TEXT COLLATE "C" NOT NULL,
  expires BIGINT NOT NULL,
  data BYTEA NOT NULL,
  crc BIGINT NOT NULL,
  PRIMARY KEY (grp, id)
);

CREATE INDEX app_group_msg_key ON app_group_msg (grp, idem_key);

CREATE TABLE template (
  app BIGINT NOT NULL,
  name TEXT COLLATE "C" NOT NULL,
  version BIGINT NOT NULL,
  data BYTEA NOT NULL,
  crc BIGINT NOT NULL,
  created BIGINT NOT NULL,
  updated BIGINT NOT NULL,
  PRIMARY KEY (app, name)
);
