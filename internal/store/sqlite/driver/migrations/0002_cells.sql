-- +goose Up
-- The chunks of a group message lie by slab and then by state: what is read
-- together, the target and all states of one slab, is one range of keys.

CREATE TABLE msg_cell (
  app   INTEGER NOT NULL,
  msg   INTEGER NOT NULL,
  slab  INTEGER NOT NULL,
  state TEXT NOT NULL,
  bits  BLOB NOT NULL,
  crc   INTEGER NOT NULL,
  PRIMARY KEY (app, msg, slab, state)
) STRICT;

INSERT INTO msg_cell (app, msg, slab, state, bits, crc)
  SELECT app, msg, slab, state, bits, crc FROM msg_chunk ORDER BY app, msg, slab, state;

DROP TABLE msg_chunk;

ALTER TABLE msg_cell RENAME TO msg_chunk;
