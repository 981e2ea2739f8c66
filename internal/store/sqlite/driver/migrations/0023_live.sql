-- +goose Up
-- Messages that their route keeps from connections until a later step
-- (docs/design/022-releases-over-time.md): where in the log each step of their
-- release went to connections, and the direct ones by alias that have not yet,
-- for a change of aliases to find.

ALTER TABLE plan_step ADD COLUMN live INTEGER NOT NULL DEFAULT 0; -- position; 0: not yet

CREATE TABLE entry_held (
  app INTEGER NOT NULL,
  ord INTEGER NOT NULL,
  msg INTEGER NOT NULL,
  n   INTEGER NOT NULL, -- delivery number
  PRIMARY KEY (app, ord, msg)
) STRICT, WITHOUT ROWID;
