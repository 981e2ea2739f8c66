-- +goose Up
-- What is kept of a message beside its content: JSON, NULL for most messages.

ALTER TABLE msg ADD COLUMN facts LONGBLOB;
ALTER TABLE msg ADD COLUMN facts_crc BIGINT NOT NULL DEFAULT 0;
