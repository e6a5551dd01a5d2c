-- What is known of each endpoint, as the analysis told it last; one that was merged into another has none.
CREATE TABLE endpoint_inventory (
    endpoint TEXT PRIMARY KEY,
    document TEXT NOT NULL
);
-- What the owner of an API says of it: one OpenAPI document a service.
CREATE TABLE api_documents (
    gateway    TEXT NOT NULL,
    workspace  TEXT NOT NULL,
    service    TEXT NOT NULL,
    title      TEXT NOT NULL,
    version    TEXT NOT NULL,
    operations BIGINT NOT NULL,
    changed_ms BIGINT NOT NULL,
    changed_by TEXT NOT NULL,
    -- Last, so that the others are read without it.
    text       TEXT NOT NULL,
    PRIMARY KEY (gateway, workspace, service)
);
ALTER TABLE endpoints ADD COLUMN workspace TEXT NOT NULL DEFAULT '';
ALTER TABLE endpoints ADD COLUMN service TEXT NOT NULL DEFAULT '';
-- Ignored by somebody's decision: its calls belong to no endpoint.
ALTER TABLE endpoints ADD COLUMN is_ignored BIGINT NOT NULL DEFAULT 0;
UPDATE endpoints SET workspace = json_extract(document, '$.key.workspace'), service = json_extract(document, '$.key.service');
CREATE INDEX endpoints_by_service ON endpoints (gateway, workspace, service);
-- Decisions about path templates that stand.
CREATE TABLE template_decisions (
    id         TEXT PRIMARY KEY,
    gateway    TEXT NOT NULL,
    workspace  TEXT NOT NULL,
    service    TEXT NOT NULL,
    document   TEXT NOT NULL,
    decided_ms BIGINT NOT NULL
);
