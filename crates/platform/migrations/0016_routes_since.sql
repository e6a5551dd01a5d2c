-- Since when a gateway's routes are as they are: other things of a configuration change more often. Of versions from before this the time is
-- that of the version.
ALTER TABLE gateway_configurations ADD COLUMN routes_since_ms BIGINT NOT NULL DEFAULT 0;
UPDATE gateway_configurations SET routes_since_ms = taken_ms;
