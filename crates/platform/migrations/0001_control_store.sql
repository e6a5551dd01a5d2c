-- The control store: what people and responders ask for. Everything but tokens and access is a projection of the log and
-- can be written again. SQL in the subset that SQLite and PostgreSQL share.

CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE endpoints (
    id           TEXT PRIMARY KEY,
    gateway      TEXT NOT NULL,
    service_name TEXT NOT NULL,
    method       TEXT NOT NULL,
    template     TEXT NOT NULL,
    merged_into  TEXT,
    calls        BIGINT NOT NULL,
    last_seen_ms BIGINT NOT NULL,
    document     TEXT NOT NULL
);
CREATE INDEX endpoints_by_calls ON endpoints (calls, id);

CREATE TABLE findings (
    id           TEXT PRIMARY KEY,
    alert        TEXT,
    detector     TEXT NOT NULL,
    entity_kind  TEXT NOT NULL,
    entity_value TEXT NOT NULL,
    raised_ms    BIGINT NOT NULL,
    document     TEXT NOT NULL
);
CREATE INDEX findings_by_time ON findings (raised_ms, id);
CREATE INDEX findings_by_alert ON findings (alert, raised_ms, id);

CREATE TABLE alerts (
    id              TEXT PRIMARY KEY,
    detector        TEXT NOT NULL,
    state           TEXT NOT NULL,
    severity        BIGINT NOT NULL,
    entity_kind     TEXT NOT NULL,
    entity_value    TEXT NOT NULL,
    entity_label    TEXT NOT NULL,
    service_name    TEXT NOT NULL,
    opened_ms       BIGINT NOT NULL,
    last_finding_ms BIGINT NOT NULL,
    document        TEXT NOT NULL
);
CREATE INDEX alerts_by_time ON alerts (last_finding_ms, id);

CREATE TABLE actions (
    id           TEXT PRIMARY KEY,
    alert        TEXT,
    gateway      TEXT NOT NULL,
    state        TEXT NOT NULL,
    target_value TEXT NOT NULL,
    target_label TEXT NOT NULL,
    created_ms   BIGINT NOT NULL,
    document     TEXT NOT NULL
);
CREATE INDEX actions_by_time ON actions (created_ms, id);

CREATE TABLE policies (
    name     TEXT PRIMARY KEY,
    document TEXT NOT NULL
);

-- What was decided and done, by the number that the desk gives each line.
CREATE TABLE audit (
    number  BIGINT PRIMARY KEY,
    at_ms   BIGINT NOT NULL,
    by_whom TEXT NOT NULL,
    what    TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail  TEXT NOT NULL
);

-- Who was let in and who was no longer: this does not come from the log.
CREATE TABLE access (
    number  INTEGER PRIMARY KEY,
    at_ms   BIGINT NOT NULL,
    by_whom TEXT NOT NULL,
    what    TEXT NOT NULL,
    subject TEXT NOT NULL
);

-- Tokens are known by their SHA-256 alone.
CREATE TABLE tokens (
    name         TEXT PRIMARY KEY,
    role         TEXT NOT NULL,
    hash         TEXT NOT NULL UNIQUE,
    created_ms   BIGINT NOT NULL,
    created_by   TEXT NOT NULL,
    revoked_ms   BIGINT,
    last_used_ms BIGINT
);
