-- +goose Up
-- Schedules; what the tables are for is said in the schema of SQLite and in
-- docs/design/021-schedules.md.

CREATE TABLE schedule (
  app BIGINT NOT NULL,
  id BIGINT NOT NULL,
  state VARBINARY(512) NOT NULL,
  next BIGINT NOT NULL,
  ended BIGINT NOT NULL,
  version BIGINT NOT NULL,
  data LONGBLOB NOT NULL,
  crc BIGINT NOT NULL,
  PRIMARY KEY (app, id)
) ENGINE=InnoDB;

CREATE INDEX schedule_ended ON schedule (ended);

CREATE TABLE schedule_run (
  app BIGINT NOT NULL,
  schedule BIGINT NOT NULL,
  occurrence BIGINT NOT NULL,
  asked BIGINT NOT NULL,
  data LONGBLOB NOT NULL,
  crc BIGINT NOT NULL,
  PRIMARY KEY (app, schedule, occurrence, asked)
) ENGINE=InnoDB;

CREATE INDEX schedule_run_occurrence ON schedule_run (occurrence);
