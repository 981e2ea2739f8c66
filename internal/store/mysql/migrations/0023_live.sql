-- +goose Up
-- Messages that their route keeps from connections until a later step
-- (docs/design/022-releases-over-time.md): where in the log each step of their
-- release went to connections, and the direct ones by alias that have not yet,
-- for a change of aliases to find.

ALTER TABLE plan_step ADD COLUMN live BIGINT NOT NULL DEFAULT 0;

CREATE TABLE entry_held (
  app BIGINT NOT NULL,
  ord BIGINT NOT NULL,
  msg BIGINT NOT NULL,
  n BIGINT NOT NULL,
  PRIMARY KEY (app, ord, msg)
) ENGINE=InnoDB;
