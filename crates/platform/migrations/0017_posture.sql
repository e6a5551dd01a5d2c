-- What is weak at the APIs, as the analysis told it last.
CREATE TABLE weaknesses (
    id           TEXT PRIMARY KEY,
    check_name   TEXT NOT NULL,
    owasp        TEXT NOT NULL,
    state        TEXT NOT NULL,
    severity     BIGINT NOT NULL,
    subject_kind TEXT NOT NULL,
    -- The consumer or the credential that it is about; empty for none.
    subject      TEXT NOT NULL,
    gateway      TEXT NOT NULL,
    workspace    TEXT NOT NULL,
    service      TEXT NOT NULL,
    service_name TEXT NOT NULL,
    opened_ms    BIGINT NOT NULL,
    document     TEXT NOT NULL
);
CREATE INDEX weaknesses_by_opened ON weaknesses (opened_ms DESC, id DESC);
CREATE INDEX weaknesses_by_service ON weaknesses (gateway, service);
-- The endpoints that each lists.
CREATE TABLE weakness_endpoints (
    endpoint TEXT NOT NULL,
    weakness TEXT NOT NULL,
    PRIMARY KEY (endpoint, weakness)
);
CREATE INDEX weakness_endpoints_by_weakness ON weakness_endpoints (weakness);
-- How risky each endpoint and each service is: `subject` is an endpoint's id, or a service's key as JSON.
CREATE TABLE risk_scores (
    subject  TEXT PRIMARY KEY,
    tenths   BIGINT NOT NULL,
    document TEXT NOT NULL
);
-- The documents of services that the log was told of, as of when each was given.
CREATE TABLE api_documents_told (
    gateway    TEXT NOT NULL,
    workspace  TEXT NOT NULL,
    service    TEXT NOT NULL,
    changed_ms BIGINT NOT NULL,
    PRIMARY KEY (gateway, workspace, service)
);
-- What the command line wants to be decided about weaknesses; whoever runs the log takes it from here. `until_ms` is null where an exception
-- is to be taken back.
CREATE TABLE exceptions_asked (
    weakness TEXT PRIMARY KEY,
    until_ms BIGINT,
    reason   TEXT NOT NULL,
    by_whom  TEXT NOT NULL,
    asked_ms BIGINT NOT NULL
);
