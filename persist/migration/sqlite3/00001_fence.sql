-- +goose Up
CREATE TABLE IF NOT EXISTS firefly_fence (
	role TEXT NOT NULL,
	shard INTEGER NOT NULL,
	epoch INTEGER NOT NULL,
	holder TEXT NOT NULL,
	PRIMARY KEY (role, shard)
) WITHOUT ROWID;
