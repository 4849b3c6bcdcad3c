-- +goose Up
CREATE TABLE score (
	who VARCHAR(200) NOT NULL,
	sparks BIGINT NOT NULL,
	PRIMARY KEY (who),
	KEY best (sparks)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
