-- +goose Up
-- Groups of apps, what was sent to them, and templates.

CREATE TABLE app_group (
  grp VARBINARY(512) NOT NULL,
  data LONGBLOB NOT NULL,
  crc BIGINT NOT NULL,
  PRIMARY KEY (grp)
) ENGINE=InnoDB;

CREATE TABLE app_group_msg (
  grp VARBINARY(512) NOT NULL,
  id BIGINT NOT NULL,
  idem_key VARBINARY(512) NOT NULL,
  expires BIGINT NOT NULL,
  data LONGBLOB NOT NULL,
  crc BIGINT NOT NULL,
  PRIMARY KEY (grp, id)
) ENGINE=InnoDB;

CREATE INDEX app_group_msg_key ON app_group_msg (grp, idem_key);

CREATE TABLE template (
  app BIGINT NOT NULL,
  name VARBINARY(512) NOT NULL,
  version BIGINT NOT NULL,
  data LONGBLOB NOT NULL,
  crc BIGINT NOT NULL,
  created BIGINT NOT NULL,
  updated BIGINT NOT NULL,
  PRIMARY KEY (app, name)
) ENGINE=InnoDB;
