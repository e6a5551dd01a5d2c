-- Who is still to be told of what. A row is written in the transaction of the change that it tells of, once for each
-- destination and event, however often the log is gone through again.
CREATE TABLE outbox (
    number      INTEGER PRIMARY KEY,
    destination TEXT NOT NULL,
    event       TEXT NOT NULL,
    kind        TEXT NOT NULL,
    state       TEXT NOT NULL,
    at_ms       BIGINT NOT NULL,
    since_ms    BIGINT NOT NULL,
    due_ms      BIGINT NOT NULL,
    attempts    BIGINT NOT NULL,
    last_error  TEXT NOT NULL,
    body        TEXT NOT NULL,
    UNIQUE (destination, event)
);
CREATE INDEX outbox_by_state ON outbox (destination, state, number);

-- What was wrong with outrider's own operation. At most one of a kind and subject is open.
CREATE TABLE notices (
    number    INTEGER PRIMARY KEY,
    kind      TEXT NOT NULL,
    subject   TEXT NOT NULL,
    is_open   BIGINT NOT NULL,
    opened_ms BIGINT NOT NULL,
    document  TEXT NOT NULL
);
CREATE INDEX notices_by_state ON notices (is_open, number);
