-- +goose Up
CREATE TABLE hotfixes (
    product      TEXT   NOT NULL,
    version      TEXT   NOT NULL,
    name         TEXT   NOT NULL,
    channel      TEXT   NOT NULL,
    organisation TEXT   NOT NULL REFERENCES organisations (id),
    sequence     BIGINT NOT NULL,
    about        TEXT   NOT NULL,
    zip_sum      TEXT   NOT NULL,
    zip_size     BIGINT NOT NULL,
    registered   BIGINT NOT NULL,
    PRIMARY KEY (product, version, name)
);
CREATE INDEX hotfixes_by_organisation ON hotfixes (organisation);
