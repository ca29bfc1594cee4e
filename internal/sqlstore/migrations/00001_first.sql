-- +goose Up
CREATE TABLE organisations (
    id       TEXT   NOT NULL PRIMARY KEY,
    name     TEXT   NOT NULL UNIQUE,
    created  BIGINT NOT NULL,
    revoked  BIGINT NOT NULL
);

CREATE TABLE users (
    id           TEXT   NOT NULL PRIMARY KEY,
    organisation TEXT   REFERENCES organisations (id),
    email        TEXT   NOT NULL UNIQUE,
    role         TEXT   NOT NULL,
    password     TEXT   NOT NULL,
    created      BIGINT NOT NULL,
    revoked      BIGINT NOT NULL
);

CREATE TABLE tokens (
    id       TEXT   NOT NULL PRIMARY KEY,
    user_id  TEXT   NOT NULL REFERENCES users (id),
    name     TEXT   NOT NULL,
    hash     TEXT   NOT NULL UNIQUE,
    scopes   TEXT   NOT NULL,
    created  BIGINT NOT NULL,
    expires  BIGINT NOT NULL,
    last_use BIGINT NOT NULL,
    revoked  BIGINT NOT NULL
);
CREATE INDEX tokens_by_user ON tokens (user_id);
CREATE INDEX tokens_by_end ON tokens (expires);

CREATE TABLE login_failures (
    subject TEXT   NOT NULL PRIMARY KEY,
    count   BIGINT NOT NULL,
    last    BIGINT NOT NULL
);

CREATE TABLE subscriptions (
    id           TEXT   NOT NULL PRIMARY KEY,
    organisation TEXT   NOT NULL REFERENCES organisations (id),
    product      TEXT   NOT NULL,
    version      TEXT   NOT NULL,
    channels     TEXT   NOT NULL,
    kind         TEXT   NOT NULL,
    begins       BIGINT NOT NULL,
    ends         BIGINT NOT NULL,
    grace_days   BIGINT NOT NULL,
    expiry       TEXT   NOT NULL,
    states       TEXT   NOT NULL,
    revoked      BIGINT NOT NULL
);
CREATE INDEX subscriptions_by_organisation ON subscriptions (organisation);
CREATE UNIQUE INDEX one_trial ON subscriptions (organisation, product) WHERE kind = 'trial';

CREATE TABLE eulas (
    version       TEXT   NOT NULL PRIMARY KEY,
    body          TEXT   NOT NULL,
    required_from BIGINT NOT NULL,
    created       BIGINT NOT NULL
);

CREATE TABLE eula_acceptances (
    organisation TEXT   NOT NULL REFERENCES organisations (id),
    version      TEXT   NOT NULL REFERENCES eulas (version),
    accepted_by  TEXT   NOT NULL,
    accepted_at  BIGINT NOT NULL,
    address      TEXT   NOT NULL,
    PRIMARY KEY (organisation, version)
);

CREATE TABLE settings (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE sealed (
    name  TEXT  NOT NULL PRIMARY KEY,
    value BYTEA NOT NULL
);

CREATE TABLE metadata (
    role    TEXT   NOT NULL,
    version BIGINT NOT NULL,
    file    TEXT   NOT NULL,
    body    BYTEA  NOT NULL,
    current BIGINT NOT NULL,
    changed BIGINT NOT NULL,
    PRIMARY KEY (role, version)
);
CREATE UNIQUE INDEX one_current ON metadata (role) WHERE current = 1;
CREATE INDEX metadata_by_file ON metadata (file);

CREATE TABLE levels (
    product       TEXT   NOT NULL,
    version       TEXT   NOT NULL,
    channel       TEXT   NOT NULL,
    level         BIGINT NOT NULL,
    state         TEXT   NOT NULL,
    listing       TEXT   NOT NULL,
    record_sum    TEXT   NOT NULL,
    record_size   BIGINT NOT NULL,
    manifest_sum  TEXT   NOT NULL,
    manifest_size BIGINT NOT NULL,
    notes_sum     TEXT   NOT NULL,
    notes_size    BIGINT NOT NULL,
    PRIMARY KEY (product, version, channel, level)
);

CREATE TABLE installations (
    organisation TEXT   NOT NULL,
    id           TEXT   NOT NULL,
    report       TEXT   NOT NULL,
    first        BIGINT NOT NULL,
    last         BIGINT NOT NULL,
    reports      BIGINT NOT NULL,
    PRIMARY KEY (organisation, id)
);

CREATE TABLE reports (
    id           TEXT   NOT NULL PRIMARY KEY,
    organisation TEXT   NOT NULL,
    installation TEXT   NOT NULL,
    report       TEXT   NOT NULL,
    received     BIGINT NOT NULL
);
CREATE INDEX reports_by_installation ON reports (organisation, installation, received);

CREATE TABLE audit (
    number   BIGINT NOT NULL PRIMARY KEY,
    at       BIGINT NOT NULL,
    actor    TEXT   NOT NULL,
    address  TEXT   NOT NULL,
    action   TEXT   NOT NULL,
    subject  TEXT   NOT NULL,
    before   TEXT   NOT NULL,
    after    TEXT   NOT NULL,
    hash     TEXT   NOT NULL UNIQUE
);
