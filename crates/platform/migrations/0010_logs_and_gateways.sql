-- Each log of the audit log is a chain of its own, and is looked through and cut by itself.
CREATE INDEX trail_by_log ON trail (log, number);

-- A token may be for some gateways only: their names, as JSON.
ALTER TABLE tokens ADD COLUMN gateways TEXT NOT NULL DEFAULT '[]';

-- Where what an alert or a finding is about was seen; endpoints and actions have it already.
ALTER TABLE alerts ADD COLUMN gateway TEXT NOT NULL DEFAULT '';
UPDATE alerts SET gateway = document -> 'entity' ->> 'gateway';
ALTER TABLE findings ADD COLUMN gateway TEXT NOT NULL DEFAULT '';
UPDATE findings SET gateway = document -> 'entity' ->> 'gateway';
