-- +goose Up
-- Publications that are kept for sessions that persist, and those sessions; what
-- the tables are for is said in the schema of SQLite and in
-- docs/design/028-topic-log.md.

CREATE TABLE topic_log (
  app BIGINT NOT NULL,
  pos BIGINT NOT NULL,
  topic VARBINARY(512) NOT NULL,
  sender VARBINARY(512) NOT NULL,
  client VARBINARY(512) NOT NULL,
  at BIGINT NOT NULL,
  expires BIGINT NOT NULL,
  body LONGBLOB NOT NULL,
  crc BIGINT NOT NULL,
  PRIMARY KEY (app, pos)
) ENGINE=InnoDB;

CREATE INDEX topic_log_topic ON topic_log (app, topic, pos);

CREATE TABLE topic_share (
  app BIGINT NOT NULL,
  pos BIGINT NOT NULL,
  pattern VARBINARY(512) NOT NULL,
  client VARBINARY(512) NOT NULL,
  PRIMARY KEY (app, pos, pattern)
) ENGINE=InnoDB;

CREATE INDEX topic_share_client ON topic_share (app, client, pos);

CREATE TABLE topic_session (
  app BIGINT NOT NULL,
  client VARBINARY(512) NOT NULL,
  ord BIGINT NOT NULL,
  expiry BIGINT NOT NULL,
  run BIGINT NOT NULL,
  ends BIGINT NOT NULL,
  will_at BIGINT NOT NULL,
  read_pos BIGINT NOT NULL,
  dropped BIGINT NOT NULL,
  data LONGBLOB NOT NULL,
  crc BIGINT NOT NULL,
  PRIMARY KEY (app, client)
) ENGINE=InnoDB;

CREATE INDEX topic_session_ord ON topic_session (app, ord);
CREATE INDEX topic_session_ends ON topic_session (ends, run);
CREATE INDEX topic_session_will ON topic_session (will_at);

CREATE TABLE topic_sub (
  app BIGINT NOT NULL,
  client VARBINARY(512) NOT NULL,
  pattern VARBINARY(512) NOT NULL,
  qos BIGINT NOT NULL,
  flags BIGINT NOT NULL,
  sub BIGINT NOT NULL,
  since BIGINT NOT NULL,
  PRIMARY KEY (app, client, pattern)
) ENGINE=InnoDB;

CREATE INDEX topic_sub_pattern ON topic_sub (app, pattern, client);
