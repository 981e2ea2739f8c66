-- +goose Up
-- The messages that were sent by alias and have not ended: of what waits for a
-- device, only these end when its alias changes. The columns of the index are
-- all that has to be known of them.

CREATE INDEX msg_by_alias ON msg (app, id, eval_pos, ends) WHERE by_alias = 1 AND ended = 0;
