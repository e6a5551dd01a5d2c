-- Lists are turned page by page along a key that never changes once its row is there. What an endpoint's document says of
-- when it was first seen may move back; this column does not.
ALTER TABLE endpoints ADD COLUMN first_seen_ms BIGINT NOT NULL DEFAULT 0;
UPDATE endpoints SET first_seen_ms = CAST(document ->> 'first_seen_ms' AS BIGINT);
CREATE INDEX endpoints_by_age ON endpoints (first_seen_ms, id);
CREATE INDEX alerts_by_age ON alerts (opened_ms, id);
