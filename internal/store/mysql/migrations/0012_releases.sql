-- +goose Up
-- Messages that are released in steps (docs/design/022-releases-over-time.md):
-- what is left of them, the devices of their parts, and the steps they made.

CREATE TABLE plan (
  app BIGINT NOT NULL,
  msg BIGINT NOT NULL,
  data LONGBLOB NOT NULL,
  crc BIGINT NOT NULL,
  parts LONGBLOB NOT NULL,
  parts_crc BIGINT NOT NULL,
  PRIMARY KEY (app, msg)
) ENGINE=InnoDB;

CREATE TABLE plan_chunk (
  app BIGINT NOT NULL,
  msg BIGINT NOT NULL,
  slab BIGINT NOT NULL,
  part BIGINT NOT NULL,
  bits LONGBLOB NOT NULL,
  crc BIGINT NOT NULL,
  PRIMARY KEY (app, msg, slab, part)
) ENGINE=InnoDB;

CREATE TABLE plan_step (
  app BIGINT NOT NULL,
  msg BIGINT NOT NULL,
  pos BIGINT NOT NULL,
  part BIGINT NOT NULL,
  first_ord BIGINT NOT NULL,
  last_ord BIGINT NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (app, msg, pos, part)
) ENGINE=InnoDB;
