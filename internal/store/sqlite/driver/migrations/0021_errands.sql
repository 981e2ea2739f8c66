-- +goose Up
-- Steps of routes that fall due, what is to be handed to vendors, and what came
-- of it; docs/design/033-courier.md. Sets are of one slab.

CREATE TABLE route_step (
  id    INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  app   INTEGER NOT NULL,
  msg   INTEGER NOT NULL,
  step  INTEGER NOT NULL,
  due   INTEGER NOT NULL,
  at    INTEGER NOT NULL, -- when it may be leased: due, or the end of a lease
  fence INTEGER NOT NULL
) STRICT;

CREATE INDEX route_step_at ON route_step (at);
CREATE INDEX route_step_msg ON route_step (app, msg);

CREATE TABLE errand (
  id         INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  app        INTEGER NOT NULL,
  msg        INTEGER NOT NULL,
  step       INTEGER NOT NULL,
  owner      TEXT NOT NULL,
  kind       TEXT NOT NULL,
  vendor     TEXT NOT NULL,
  env        TEXT NOT NULL,
  credential TEXT NOT NULL,
  slab       INTEGER NOT NULL,
  at         INTEGER NOT NULL,
  fence      INTEGER NOT NULL,
  tries      INTEGER NOT NULL,
  todo       BLOB NOT NULL,
  todo_crc   INTEGER NOT NULL,
  doubt      BLOB NOT NULL, -- empty: none
  doubt_crc  INTEGER NOT NULL
) STRICT;

CREATE INDEX errand_lane ON errand (app, vendor, env, credential, at);
CREATE INDEX errand_msg ON errand (app, msg, step, owner, slab);

CREATE TABLE attempt_chunk (
  app    INTEGER NOT NULL,
  msg    INTEGER NOT NULL,
  step   INTEGER NOT NULL,
  owner  TEXT NOT NULL,
  slab   INTEGER NOT NULL,
  vendor TEXT NOT NULL,
  fate   TEXT NOT NULL,
  code   TEXT NOT NULL,
  at     INTEGER NOT NULL, -- of the last one
  bits   BLOB NOT NULL,
  crc    INTEGER NOT NULL,
  PRIMARY KEY (app, msg, step, owner, slab, vendor, fate, code)
) STRICT, WITHOUT ROWID;

CREATE INDEX attempt_chunk_fate ON attempt_chunk (app, fate, at);

CREATE TABLE attempt (
  app       INTEGER NOT NULL,
  msg       INTEGER NOT NULL,
  step      INTEGER NOT NULL,
  owner     TEXT NOT NULL,
  ord       INTEGER NOT NULL,
  vendor    TEXT NOT NULL,
  reference TEXT NOT NULL, -- the vendor's; empty: it gave none
  data      BLOB NOT NULL, -- JSON
  crc       INTEGER NOT NULL,
  PRIMARY KEY (app, msg, step, owner, ord, vendor)
) STRICT, WITHOUT ROWID;

CREATE INDEX attempt_reference ON attempt (app, vendor, reference);
CREATE INDEX attempt_owner ON attempt (app, owner, ord);
