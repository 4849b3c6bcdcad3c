-- +goose Up
CREATE TABLE score (
	who TEXT NOT NULL PRIMARY KEY,
	sparks INTEGER NOT NULL
) WITHOUT ROWID;
-- +goose StatementBegin
CREATE INDEX score_best ON score (sparks);
-- +goose StatementEnd
