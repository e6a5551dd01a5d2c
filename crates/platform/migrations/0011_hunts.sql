-- Saved hunts, and how the last run of each went. `covered` is the log record that the last window ended with, as the log
-- says it; a run that failed is in no log.
CREATE TABLE hunts (
    name       TEXT PRIMARY KEY,
    id         TEXT NOT NULL UNIQUE,
    document   TEXT NOT NULL,
    owner      TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    changed_ms BIGINT NOT NULL,
    changed_by TEXT NOT NULL,
    covered    BIGINT,
    covered_ms BIGINT,
    last_run   TEXT,
    failures   BIGINT NOT NULL DEFAULT 0
);
