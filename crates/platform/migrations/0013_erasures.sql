-- Who is erased. What names them goes when nothing is left to do; the receipt stays.
CREATE TABLE erasures (
    id       TEXT PRIMARY KEY,
    asked_ms BIGINT NOT NULL,
    is_open  BIGINT NOT NULL,
    kind     TEXT NOT NULL,
    value    TEXT,
    document TEXT NOT NULL
);
CREATE INDEX erasures_by_age ON erasures (asked_ms, id);
