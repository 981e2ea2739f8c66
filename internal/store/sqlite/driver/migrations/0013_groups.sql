-- +goose Up
-- Groups of apps, what was sent to them, and templates.

CREATE TABLE app_group (
  grp  TEXT NOT NULL PRIMARY KEY, -- the group key
  data BLOB NOT NULL,             -- JSON: name, hashes of secrets, app keys
  crc  INTEGER NOT NULL
) STRICT;

CREATE TABLE app_group_msg (
  grp      TEXT NOT NULL,
  id       INTEGER NOT NULL,
  idem_key TEXT NOT NULL,    -- '' for none
  expires  INTEGER NOT NULL, -- when the row may be deleted
  data     BLOB NOT NULL,    -- JSON: hash of the request, what came of it by app
  crc      INTEGER NOT NULL,
  PRIMARY KEY (grp, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX app_group_msg_key ON app_group_msg (grp, idem_key);

CREATE TABLE template (
  app     INTEGER NOT NULL,
  name    TEXT NOT NULL,
  version INTEGER NOT NULL, -- goes up with each change
  data    BLOB NOT NULL,    -- JSON: contents by language, defaults
  crc     INTEGER NOT NULL,
  created INTEGER NOT NULL,
  updated INTEGER NOT NULL,
  PRIMARY KEY (app, name)
) STRICT, WITHOUT ROWID;
