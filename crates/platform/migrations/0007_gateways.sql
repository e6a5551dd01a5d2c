-- What gateways were configured to do. A row is written when it differs from the newest of its gateway.
CREATE TABLE gateway_configurations (
    number   INTEGER PRIMARY KEY,
    gateway  TEXT NOT NULL,
    taken_ms BIGINT NOT NULL,
    summary  TEXT NOT NULL,
    document TEXT NOT NULL
);
CREATE INDEX gateway_configurations_by_gateway ON gateway_configurations (gateway, number);
