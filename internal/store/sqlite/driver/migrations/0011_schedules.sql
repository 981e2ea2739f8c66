-- +goose Up
-- Schedules; docs/design/021-schedules.md says why. data is JSON; crc is CRC-32C
-- of it; times are Unix milliseconds. The job of a schedule has its ID as msg.

CREATE TABLE schedule (
  app     INTEGER NOT NULL,
  id      INTEGER NOT NULL,
  state   TEXT NOT NULL,    -- active, paused, ended
  next    INTEGER NOT NULL, -- occurrence; 0 if there is none
  ended   INTEGER NOT NULL, -- when it ended; 0 before
  version INTEGER NOT NULL,
  data    BLOB NOT NULL,
  crc     INTEGER NOT NULL,
  PRIMARY KEY (app, id)
) STRICT;

CREATE INDEX schedule_ended ON schedule (ended);

-- What became of each occurrence: there is one row at most.
CREATE TABLE schedule_run (
  app        INTEGER NOT NULL,
  schedule   INTEGER NOT NULL,
  occurrence INTEGER NOT NULL,
  asked      INTEGER NOT NULL, -- 1: somebody asked for it
  data       BLOB NOT NULL,
  crc        INTEGER NOT NULL,
  PRIMARY KEY (app, schedule, occurrence, asked)
) STRICT;

CREATE INDEX schedule_run_occurrence ON schedule_run (occurrence);
