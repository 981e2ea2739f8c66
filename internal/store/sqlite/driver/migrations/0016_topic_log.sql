-- +goose Up
-- Publications that are kept for sessions that persist, and those sessions
-- (docs/design/028-topic-log.md).

-- The topic log. pos is one of the app's log.
CREATE TABLE topic_log (
  app INTEGER NOT NULL,
  pos INTEGER NOT NULL,
  topic TEXT NOT NULL,
  sender TEXT NOT NULL,
  client TEXT NOT NULL,
  at INTEGER NOT NULL,
  expires INTEGER NOT NULL,
  body BLOB NOT NULL,
  crc INTEGER NOT NULL,
  PRIMARY KEY (app, pos)
) WITHOUT ROWID;

CREATE INDEX topic_log_topic ON topic_log (app, topic, pos);

-- Which session of a shared group has an entry.
CREATE TABLE topic_share (
  app INTEGER NOT NULL,
  pos INTEGER NOT NULL,
  pattern TEXT NOT NULL,
  client TEXT NOT NULL,
  PRIMARY KEY (app, pos, pattern)
) WITHOUT ROWID;

CREATE INDEX topic_share_client ON topic_share (app, client, pos);

-- Sessions that outlive their connections. ends is 0 while the client is
-- connected to the process that wrote run.
CREATE TABLE topic_session (
  app INTEGER NOT NULL,
  client TEXT NOT NULL,
  ord INTEGER NOT NULL,
  expiry INTEGER NOT NULL,
  run INTEGER NOT NULL,
  ends INTEGER NOT NULL,
  will_at INTEGER NOT NULL,
  read_pos INTEGER NOT NULL,
  dropped INTEGER NOT NULL,
  data BLOB NOT NULL,
  crc INTEGER NOT NULL,
  PRIMARY KEY (app, client)
) WITHOUT ROWID;

CREATE INDEX topic_session_ord ON topic_session (app, ord);
CREATE INDEX topic_session_ends ON topic_session (ends, run);
CREATE INDEX topic_session_will ON topic_session (will_at);

CREATE TABLE topic_sub (
  app INTEGER NOT NULL,
  client TEXT NOT NULL,
  pattern TEXT NOT NULL,
  qos INTEGER NOT NULL,
  flags INTEGER NOT NULL,
  sub INTEGER NOT NULL,
  since INTEGER NOT NULL,
  PRIMARY KEY (app, client, pattern)
) WITHOUT ROWID;

CREATE INDEX topic_sub_pattern ON topic_sub (app, pattern, client);
