-- +goose Up
-- Webhooks; docs/design/019-webhooks.md says why. data is JSON, or what kind
-- says; crc is CRC-32C of the bytes beside it; times are Unix milliseconds.

-- One row for each app that has or had webhooks; log says whether events are
-- written down.
CREATE TABLE webhook_head (
  app     INTEGER NOT NULL PRIMARY KEY,
  last    INTEGER NOT NULL, -- row of webhook_log written last
  done    INTEGER NOT NULL, -- row up to which messages that are done were looked for
  hooks   INTEGER NOT NULL, -- how many webhooks there are
  bytes   INTEGER NOT NULL  -- of data in webhook_log
) STRICT;

CREATE TABLE webhook (
  app    INTEGER NOT NULL,
  id     TEXT NOT NULL,
  data   BLOB NOT NULL,
  crc    INTEGER NOT NULL,
  fence  INTEGER NOT NULL,
  owner  TEXT NOT NULL,
  leased INTEGER NOT NULL, -- until when
  PRIMARY KEY (app, id)
) STRICT;

CREATE TABLE webhook_log (
  app    INTEGER NOT NULL,
  n      INTEGER NOT NULL,
  epoch  INTEGER NOT NULL,
  at     INTEGER NOT NULL,
  kind   TEXT NOT NULL,    -- receipts, devices, ends
  ord    INTEGER NOT NULL, -- the one device that it is about; -1 otherwise
  events INTEGER NOT NULL,
  data   BLOB NOT NULL,
  crc    INTEGER NOT NULL,
  PRIMARY KEY (app, n)
) STRICT;

CREATE INDEX webhook_log_at ON webhook_log (app, at);
CREATE INDEX webhook_log_ord ON webhook_log (app, ord);

CREATE TABLE webhook_delivery (
  app     INTEGER NOT NULL,
  hook    TEXT NOT NULL,
  seq     INTEGER NOT NULL,
  id      TEXT NOT NULL,
  waiting INTEGER NOT NULL, -- 1: to be attempted
  at      INTEGER NOT NULL,
  data    BLOB NOT NULL,
  crc     INTEGER NOT NULL,
  PRIMARY KEY (app, hook, seq)
) STRICT;

CREATE INDEX webhook_delivery_waiting ON webhook_delivery (waiting, app, hook);

-- Messages of which it was told that they are done.
CREATE TABLE webhook_done (
  app INTEGER NOT NULL,
  msg INTEGER NOT NULL,
  at  INTEGER NOT NULL,
  PRIMARY KEY (app, msg)
) STRICT, WITHOUT ROWID;
