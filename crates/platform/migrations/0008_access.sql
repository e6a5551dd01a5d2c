-- People who sign in, with the argon2id hash of their password. Nobody is deleted: the audit log names them.
CREATE TABLE people (
    name         TEXT PRIMARY KEY,
    display_name TEXT NOT NULL,
    role         TEXT NOT NULL,
    password     TEXT NOT NULL,
    created_ms   BIGINT NOT NULL,
    created_by   TEXT NOT NULL,
    disabled_ms  BIGINT,
    last_seen_ms BIGINT
);

-- Who is signed in. A session is known by its SHA-256 alone.
CREATE TABLE sessions (
    hash         TEXT PRIMARY KEY,
    person       TEXT NOT NULL,
    created_ms   BIGINT NOT NULL,
    last_used_ms BIGINT NOT NULL
);
CREATE INDEX sessions_by_person ON sessions (person, last_used_ms, hash);

-- A token may end by itself.
ALTER TABLE tokens ADD COLUMN description TEXT NOT NULL DEFAULT '';
ALTER TABLE tokens ADD COLUMN expires_ms BIGINT;

-- The audit log: one order of everything, each entry with the SHA-256 over its own content and the hash before. `decision`
-- is the number that the desk gives a line. Entries from before have their hash made when the store is opened.
CREATE TABLE trail (
    number   BIGINT PRIMARY KEY,
    decision BIGINT,
    at_ms    BIGINT NOT NULL,
    log      TEXT NOT NULL,
    by_whom  TEXT NOT NULL,
    what     TEXT NOT NULL,
    subject  TEXT NOT NULL,
    detail   TEXT NOT NULL,
    hash     TEXT NOT NULL
);
INSERT INTO trail (number, decision, at_ms, log, by_whom, what, subject, detail, hash)
SELECT ROW_NUMBER() OVER (ORDER BY at_ms, log, number), decision, at_ms, log, by_whom, what, subject, detail, ''
FROM (SELECT number, number AS decision, at_ms, 'decisions' AS log, by_whom, what, subject, detail FROM audit
      UNION ALL SELECT number, NULL, at_ms, 'access', by_whom, what, subject, '' FROM access) AS lines;
DROP TABLE audit;
DROP TABLE access;
