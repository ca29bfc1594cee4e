-- +goose Up
ALTER TABLE installations ADD COLUMN received BIGINT NOT NULL DEFAULT 0;
ALTER TABLE installations ADD COLUMN about TEXT NOT NULL DEFAULT '{}';
UPDATE installations SET received = last;
