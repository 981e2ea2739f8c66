-- +goose Up
-- Steps of routes, errands and attempts; what the tables are for is said in the
-- schema of SQLite and in docs/design/033-courier.md.

CREATE TABLE route_step (
  id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  app BIGINT NOT NULL,
  msg BIGINT NOT NULL,
  step BIGINT NOT NULL,
  due BIGINT NOT NULL,
  at BIGINT NOT NULL,
  fence BIGINT NOT NULL
) ENGINE=InnoDB;

CREATE INDEX route_step_at ON route_step (at);
CREATE INDEX route_step_msg ON route_step (app, msg);

CREATE TABLE errand (
  id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  app BIGINT NOT NULL,
  msg BIGINT NOT NULL,
  step BIGINT NOT NULL,
  owner VARBINARY(64) NOT NULL,
  kind VARBINARY(64) NOT NULL,
  vendor VARBINARY(64) NOT NULL,
  env VARBINARY(64) NOT NULL,
  credential VARBINARY(256) NOT NULL,
  slab BIGINT NOT NULL,
  at BIGINT NOT NULL,
  fence BIGINT NOT NULL,
  tries BIGINT NOT NULL,
  todo LONGBLOB NOT NULL,
  todo_crc BIGINT NOT NULL,
  doubt LONGBLOB NOT NULL,
  doubt_crc BIGINT NOT NULL
) ENGINE=InnoDB;

CREATE INDEX errand_lane ON errand (app, vendor, env, credential, at);
CREATE INDEX errand_msg ON errand (app, msg, step, owner, slab);

CREATE TABLE attempt_chunk (
  app BIGINT NOT NULL,
  msg BIGINT NOT NULL,
  step BIGINT NOT NULL,
  owner VARBINARY(64) NOT NULL,
  slab BIGINT NOT NULL,
  vendor VARBINARY(64) NOT NULL,
  fate VARBINARY(64) NOT NULL,
  code VARBINARY(256) NOT NULL,
  at BIGINT NOT NULL,
  bits LONGBLOB NOT NULL,
  crc BIGINT NOT NULL,
  PRIMARY KEY (app, msg, step, owner, slab, vendor, fate, code)
) ENGINE=InnoDB;

CREATE INDEX attempt_chunk_fate ON attempt_chunk (app, fate, at);

CREATE TABLE attempt (
  app BIGINT NOT NULL,
  msg BIGINT NOT NULL,
  step BIGINT NOT NULL,
  owner VARBINARY(64) NOT NULL,
  ord BIGINT NOT NULL,
  vendor VARBINARY(64) NOT NULL,
  reference VARBINARY(256) NOT NULL,
  data LONGBLOB NOT NULL,
  crc BIGINT NOT NULL,
  PRIMARY KEY (app, msg, step, owner, ord, vendor)
) ENGINE=InnoDB;

CREATE INDEX attempt_reference ON attempt (app, vendor, reference);
CREATE INDEX attempt_owner ON attempt (app, owner, ord);
