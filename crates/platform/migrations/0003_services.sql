-- Collectors and responders that run elsewhere: who they are, what they may speak for, and what they said last. Their
-- tokens are known by their SHA-256 alone.
CREATE TABLE services (
    name       TEXT PRIMARY KEY,
    kind       TEXT NOT NULL,
    gateways   TEXT NOT NULL,
    hash       TEXT NOT NULL UNIQUE,
    created_ms BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    revoked_ms BIGINT,
    seen_ms    BIGINT,
    heartbeat  TEXT
);
