-- Who looks after an alert; empty for nobody.
ALTER TABLE alerts ADD COLUMN assignee TEXT NOT NULL DEFAULT '';
