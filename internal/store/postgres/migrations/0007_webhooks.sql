-- +goose Up
-- Webhooks; what the tables are for is said in the schema of SQLite and in
-- docs/design/019-webhooks.md.

CREATE TABLE webhook_head (
  app BIGINT NOT NULL PRIMARY KEY,
  last BIGINT NOT NULL,
  done BIGINT NOT NULL,
  hooks BIGINT NOT NULL,
  bytes BIGINT NOT NULL
);

CREATE TABLE webhook (
  app BIGINT NOT NULL,
  id TEXT COLLATE "C" NOT NULL,
  data BYTEA NOT NULL,
  crc BIGINT NOT NULL,
  fence BIGINT NOT NULL,
  owner TEXT COLLATE "C" NOT NULL,
  leased BIGINT NOT NULL,
  PRIMARY KEY (app, id)
);

CREATE TABLE webhook_log (
  app BIGINT NOT NULL,
  n BIGINT NOT NULL,
  epoch BIGINT NOT NULL,
  at BIGINT NOT NULL,
  kind TEXT COLLATE "C" NOT NULL,
  ord BIGINT NOT NULL,
  events BIGINT NOT NULL,
  data BYTEA NOT NULL,
  crc BIGINT NOT NULL,
  PRIMARY KEY (app, n)
);

CREATE INDEX webhook_log_at ON webhook_log (app, at);

CREATE INDEX webhook_log_ord ON webhook_log (app, ord);

CREATE TABLE webhook_delivery (
  app BIGINT NOT NULL,
  hook TEXT COLLATE "C" NOT NULL,
  seq BIGINT NOT NULL,
  id TEXT COLLATE "C" NOT NULL,
  waiting BIGINT NOT NULL,
  at BIGINT NOT NULL,
  data BYTEA NOT NULL,
  crc BIGINT NOT NULL,
  PRIMARY KEY (app, hook, seq)
);

CREATE INDEX webhook_delivery_waiting ON webhook_delivery (waiting, app, hook);

CREATE TABLE webhook_done (
  app BIGINT NOT NULL,
  msg BIGINT NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (app, msg)
);
