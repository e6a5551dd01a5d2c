-- What an entry of the audit log was about, and its details, apart from its chain: `trail` has a commitment to them, the
-- salt of which goes with them when they are erased.
CREATE TABLE trail_words (
    number  BIGINT PRIMARY KEY,
    salt    TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail  TEXT NOT NULL
);

-- Entries from before that were erased: their hash stands, and nothing is left to check it against.
CREATE TABLE trail_erased (
    number BIGINT PRIMARY KEY
);
