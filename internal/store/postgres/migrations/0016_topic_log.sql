-- +goose Up
-- Publications that are kept for sessions that persist, and those sessions; what
-- the tables are for is said in the schema of SQLite and in
-- docs/design/028-topic-log.md.

CREATE TABLE topic_log (
  app BIGINT NOT NULL,
  pos BIGINT NOT NULL,
  topic TEXT COLLATE "C" NOT NULL,
  sender TEXT COLLATE "C" NOT NULL,
  client TEXT COLLATE "C" NOT NULL,
  at BIGINT NOT NULL,
  expires BIGINT NOT NULL,
  body BYTEA NOT NULL,
  crc BIGINT NOT NULL,
  PRIMARY KEY (app, pos)
);

CREATE INDEX topic_log_topic ON topic_log (app, topic, pos);

CREATE TABLE topic_share (
  app BIGINT NOT NULL,
  pos BIGINT NOT NULL,
  pattern TEXT COLLATE "C" NOT NULL,
  client TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (app, pos, pattern)
);

CREATE INDEX topic_share_client ON topic_share (app, client, pos);

CREATE TABLE topic_session (
  app BIGINT NOT NULL,
  client TEXT COLLATE "C" NOT NULL,
  ord BIGINT NOT NULL,
  expiry BIGINT NOT NULL,
  run BIGINT NOT NULL,
  ends BIGINT NOT NULL,
  will_at BIGINT NOT NULL,
  read_pos BIGINT NOT NULL,
  dropped BIGINT NOT NULL,
  data BYTEA NOT NULL,
  crc BIGINT NOT NULL,
  PRIMARY KEY (app, client)
);

CREATE INDEX topic_session_ord ON topic_session (app, ord);
CREATE INDEX topic_session_ends ON topic_session (ends, run);
CREATE INDEX topic_session_will ON topic_session (will_at);

CREATE TABLE topic_sub (
  app BIGINT NOT NULL,
  client TEXT COLLATE "C" NOT NULL,
  pattern TEXT COLLATE "C" NOT NULL,
  qos BIGINT NOT NULL,
  flags BIGINT NOT NULL,
  sub BIGINT NOT NULL,
  since BIGINT NOT NULL,
  PRIMARY KEY (app, client, pattern)
);

CREATE INDEX topic_sub_pattern ON topic_sub (app, pattern, client);
