-- Each log of the audit log is a chain of its own, and is looked through and cut by itself.
CREATE INDEX trail_by_log ON trail (log, number);
