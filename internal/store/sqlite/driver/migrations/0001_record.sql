-- +goose Up
-- The first schema of the record; docs/design/005-record.md says why it looks
-- like this. Times are Unix milliseconds; crc is CRC-32C of the bytes beside
-- it; app is app.id; a nullable column says what its NULL means.

CREATE TABLE meta (
  name  TEXT NOT NULL PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO meta (name, value) VALUES ('probe', '0');

-- Who exists.

CREATE TABLE app (
  id          INTEGER NOT NULL PRIMARY KEY,
  app_key     TEXT NOT NULL UNIQUE,
  name        TEXT NOT NULL,
  secret_hash BLOB NOT NULL,
  created     INTEGER NOT NULL,
  settings    TEXT NOT NULL
) STRICT;

CREATE TABLE app_head (
  app            INTEGER NOT NULL PRIMARY KEY,
  epoch          INTEGER NOT NULL,
  pos            INTEGER NOT NULL,
  next_ord       INTEGER NOT NULL,
  next_n         INTEGER NOT NULL,
  next_recipient INTEGER NOT NULL
) STRICT;

CREATE TABLE api_key (
  app       INTEGER NOT NULL,
  id        TEXT NOT NULL,
  name      TEXT NOT NULL,
  hash      BLOB NOT NULL,
  scopes    TEXT NOT NULL,
  created   INTEGER NOT NULL,
  last_used INTEGER NOT NULL,
  PRIMARY KEY (app, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE recipient (
  app     INTEGER NOT NULL,
  ord     INTEGER NOT NULL,
  alias   TEXT NOT NULL,
  created INTEGER NOT NULL,
  PRIMARY KEY (app, ord)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX recipient_alias ON recipient (app, alias);

CREATE TABLE device (
  app          INTEGER NOT NULL,
  ord          INTEGER NOT NULL,
  id           TEXT NOT NULL,
  installation BLOB,    -- NULL: it named none
  recipient    INTEGER, -- NULL: no alias is bound
  bound_pos    INTEGER NOT NULL,
  platform     TEXT NOT NULL,
  app_version  TEXT NOT NULL,
  language     TEXT NOT NULL,
  time_zone    TEXT NOT NULL,
  attributes   BLOB,    -- NULL: none
  generation   INTEGER NOT NULL,
  created      INTEGER NOT NULL,
  seen         INTEGER NOT NULL,
  PRIMARY KEY (app, ord)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX device_id ON device (app, id);
CREATE UNIQUE INDEX device_installation ON device (app, installation);
CREATE INDEX device_recipient ON device (app, recipient);

CREATE TABLE removed (
  app INTEGER NOT NULL,
  pos INTEGER NOT NULL,
  ord INTEGER NOT NULL,
  PRIMARY KEY (app, pos)
) STRICT, WITHOUT ROWID;

-- Named sets.

CREATE TABLE set_chunk (
  app  INTEGER NOT NULL,
  name TEXT NOT NULL,
  slab INTEGER NOT NULL,
  upto INTEGER NOT NULL,
  bits BLOB NOT NULL,
  crc  INTEGER NOT NULL,
  PRIMARY KEY (app, name, slab)
) STRICT;

CREATE TABLE set_log (
  app      INTEGER NOT NULL,
  pos      INTEGER NOT NULL,
  next_ord INTEGER NOT NULL,
  changes  BLOB NOT NULL,
  crc      INTEGER NOT NULL,
  PRIMARY KEY (app, pos)
) STRICT, WITHOUT ROWID;

-- Messages and their releases.

CREATE TABLE msg (
  app          INTEGER NOT NULL,
  id           INTEGER NOT NULL,
  state        TEXT NOT NULL,
  ended        INTEGER NOT NULL, -- 0 or 1
  ends         INTEGER NOT NULL, -- ended 0: when its TTL ends; 1: when it ended
  pos          INTEGER NOT NULL, -- 0: not released yet
  end_pos      INTEGER NOT NULL, -- of the withdrawal notice; 0: none
  eval_pos     INTEGER NOT NULL,
  by_alias     INTEGER NOT NULL,
  devices      INTEGER NOT NULL, -- alive in the target; -1: not released yet
  unknown      INTEGER NOT NULL,
  first_n      INTEGER NOT NULL,
  priority     TEXT NOT NULL,
  collapse_key TEXT NOT NULL,
  ordering_key TEXT NOT NULL,
  ttl          INTEGER NOT NULL,
  accepted     INTEGER NOT NULL,
  due          INTEGER NOT NULL,
  audience     TEXT NOT NULL,
  body         BLOB NOT NULL,
  crc          INTEGER NOT NULL, -- of body
  form         INTEGER NOT NULL, -- of target: 0 none, 1 direct, 2 group, 3 group in msg_chunk
  target       BLOB NOT NULL,
  target_crc   INTEGER NOT NULL,
  PRIMARY KEY (app, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX msg_ends ON msg (ended, ends);

CREATE TABLE collapse (
  app          INTEGER NOT NULL,
  collapse_key TEXT NOT NULL,
  msg          INTEGER NOT NULL,
  PRIMARY KEY (app, collapse_key, msg)
) STRICT, WITHOUT ROWID;

CREATE TABLE group_msg (
  app INTEGER NOT NULL,
  pos INTEGER NOT NULL,
  msg INTEGER NOT NULL,
  PRIMARY KEY (app, pos)
) STRICT, WITHOUT ROWID;

CREATE TABLE notice (
  app INTEGER NOT NULL,
  pos INTEGER NOT NULL,
  msg INTEGER NOT NULL,
  PRIMARY KEY (app, pos)
) STRICT, WITHOUT ROWID;

CREATE TABLE release_log (
  app  INTEGER NOT NULL,
  pos  INTEGER NOT NULL,
  kind TEXT NOT NULL,
  msg  INTEGER NOT NULL,
  at   INTEGER NOT NULL,
  PRIMARY KEY (app, pos)
) STRICT, WITHOUT ROWID;

CREATE TABLE entry (
  app INTEGER NOT NULL,
  ord INTEGER NOT NULL,
  pos INTEGER NOT NULL,
  n   INTEGER NOT NULL,
  msg INTEGER NOT NULL,
  PRIMARY KEY (app, ord, pos, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE target_draft (
  app INTEGER NOT NULL,
  msg INTEGER NOT NULL,
  PRIMARY KEY (app, msg)
) STRICT, WITHOUT ROWID;

CREATE TABLE idempotency (
  app      INTEGER NOT NULL,
  idem_key TEXT NOT NULL,
  hash     BLOB NOT NULL,
  answer   BLOB NOT NULL,
  expires  INTEGER NOT NULL,
  PRIMARY KEY (app, idem_key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_expires ON idempotency (expires);

CREATE TABLE job (
  id    INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  app   INTEGER NOT NULL,
  kind  TEXT NOT NULL,
  msg   INTEGER NOT NULL,
  due   INTEGER NOT NULL,
  at    INTEGER NOT NULL, -- when it may be leased: due, or the end of a lease
  fence INTEGER NOT NULL
) STRICT;

CREATE INDEX job_at ON job (at);
CREATE INDEX job_msg ON job (app, msg);

-- Delivery states.

CREATE TABLE msg_chunk (
  app   INTEGER NOT NULL,
  msg   INTEGER NOT NULL,
  state TEXT NOT NULL,
  slab  INTEGER NOT NULL,
  bits  BLOB NOT NULL,
  crc   INTEGER NOT NULL,
  PRIMARY KEY (app, msg, state, slab)
) STRICT;

CREATE TABLE direct_chunk (
  app   INTEGER NOT NULL,
  state TEXT NOT NULL,
  slice INTEGER NOT NULL, -- delivery number divided by 65,536
  bits  BLOB NOT NULL,
  crc   INTEGER NOT NULL,
  PRIMARY KEY (app, state, slice)
) STRICT;

CREATE TABLE receipt_head (
  app  INTEGER NOT NULL PRIMARY KEY,
  last INTEGER NOT NULL, -- batch written last
  upto INTEGER NOT NULL  -- batch folded last
) STRICT;

CREATE TABLE receipt_log (
  app   INTEGER NOT NULL,
  n     INTEGER NOT NULL,
  batch BLOB NOT NULL,
  crc   INTEGER NOT NULL,
  PRIMARY KEY (app, n)
) STRICT;

CREATE TABLE receipt_seg (
  app    INTEGER NOT NULL,
  msg    INTEGER NOT NULL,
  slab   INTEGER NOT NULL,
  from_n INTEGER NOT NULL,
  batch  BLOB NOT NULL,
  crc    INTEGER NOT NULL,
  PRIMARY KEY (app, msg, slab, from_n)
) STRICT;
