-- +goose Up
-- Devices whose aliases one call has changed, if they are many: as a set, which
-- costs a hundredth of a place in the index device_bound for each. Their rows in
-- device have bound_pos below zero, where the index does not list them.

CREATE TABLE bound_list (
  app  INTEGER NOT NULL,
  pos  INTEGER NOT NULL,
  at   INTEGER NOT NULL, -- Unix milliseconds
  bits BLOB NOT NULL,
  crc  INTEGER NOT NULL, -- CRC-32C of bits
  PRIMARY KEY (app, pos)
) STRICT;
