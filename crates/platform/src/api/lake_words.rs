//! What each table and column that a statement may read means, and its unit.

/// What a column means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ColumnWords {
    pub(super) name: &'static str,
    /// Such as `ms`; none where it has none.
    pub(super) unit: Option<&'static str>,
    /// Without a full stop, on one line.
    pub(super) words: &'static str,
}

/// Tables and what a row of each is, in the order in which people look for them.
const TABLES: &[(&str, &str)] = &[
    ("calls", "every call, with its endpoint as it is known now and how it ended"),
    ("hours", "what the calls of an hour and endpoint add up to, with the endpoint as it is known now"),
    ("events", "every call, as it was known when it was written"),
    ("endpoint_hours", "what the calls of an hour and endpoint add up to; an hour may have several rows, which add up"),
    ("timeline", "a row for each entity of a call, in the order of entity and time"),
    ("alerts", "alerts"),
    ("alert_calls", "the calls of each alert's entity, from its first window to its last finding"),
    ("findings", "what detectors found, whether an alert came of it or not"),
    ("actions", "blocks and limits, from proposed to released"),
    ("endpoints", "endpoints, and the one that each counts as now"),
];

/// What a row of a table is, and its place among the tables.
pub(super) fn table_words(table: &str) -> Option<(usize, &'static str)> {
    let at = TABLES.iter().position(|(name, _)| *name == table)?;
    Some((at, TABLES[at].1))
}

// A name means the same in every table, but for those of `OF_TABLE`, which are looked up first.
pub(super) const COLUMNS: &[ColumnWords] = &[
    of("event_date", "the UTC day of event_time; the table is partitioned by it, so a filter on it is cheap"),
    of(
        "event_time",
        "when the call was over, as its gateway says where its clock is believed, and no later than it was received",
    ),
    of("started_time", "when the call began, by the same clock"),
    of("received_time", "when the collector received its line"),
    of("position", "the record of the platform's log that it came in; with call_index it names the row"),
    of("call_index", "its place in that record"),
    of("gateway", "the gateway's name in the configuration"),
    of("workspace", "the gateway's workspace"),
    of("trusted", "whether the line proved that it is of this gateway"),
    of("clock", "whether the gateway's clock was believed: as_reported, clamped_past, clamped_future or missing"),
    of("request_id", "the gateway's id of the request; empty where it logs none"),
    of("endpoint_id", "the endpoint as it was known then; null where the call belongs to none"),
    of("service_id", "the gateway's id of the service that it matched"),
    of("service_name", "its name"),
    of("route_id", "the gateway's id of the route that it matched"),
    of("route_name", "its name"),
    of("consumer_id", "the gateway's id of the consumer who called; null where it knew none"),
    of("consumer_name", "the consumer's name"),
    of("consumer_custom_id", "the id that the operator gave the consumer"),
    of("consumer_tags", "the consumer's tags at the gateway"),
    of("anonymous_consumer", "whether it is the consumer that stands for everybody without a credential"),
    of("credential_id", "the gateway's id of the credential that it accepted"),
    of("presented_credential", "a pseudonym of the credential that was presented, accepted or not"),
    of("session", "a pseudonym of the session that the source is told to look for"),
    of("client_ip", "the address that called; behind trusted proxies the one that these name"),
    of("host", "the host that was asked for"),
    of("method", "the method"),
    of("path", "the path without the query; personal values in it are pseudonyms"),
    of(
        "query",
        "the fields of the query: name, value, kind (0 a flag, 1 clear, 2 a pseudonym, 3 not kept), hidden_bytes",
    ),
    of("headers", "the request's headers that the gateway logs, as query has its fields"),
    of("status", "the status of the answer; 0 where none is known"),
    of("answered_by", "who gave the answer: upstream or gateway"),
    of("own_refusal", "the installation of outrider whose block or limit refused it; null for every other call"),
    unit("request_bytes", "bytes", "the size of the request"),
    unit("response_bytes", "bytes", "the size of the answer"),
    unit("latency_total_ms", "ms", "from the request to the end of the answer; -1 where it was not measured"),
    unit("latency_gateway_ms", "ms", "of that, spent in the gateway; -1 where it was not measured"),
    unit(
        "latency_upstream_ms",
        "ms",
        "of that, spent waiting for the API; -1 where it was not measured or the API was not asked",
    ),
    of("response_type", "the media type of the answer; empty where it has none"),
    of("country", "ISO 3166-1 code of where the address is"),
    of("city", "its city, which is a guess"),
    unit("latitude_e4", "1/10000°", "its latitude"),
    unit("longitude_e4", "1/10000°", "its longitude"),
    unit("accuracy_km", "km", "how far off the place may be"),
    of("asn", "the number of the autonomous system that the address is in"),
    of("as_name", "who runs that"),
    of("network_class", "the kind of network: private, hosting, vpn, tor, proxy or mobile; null where none is known"),
    of("agent_family", "the client's program by its user-agent, such as Chrome or curl"),
    of("agent_class", "its kind: browser, app, library, tool, bot, monitoring or scanner"),
    of("entities", "the business entities that the call names: name, value"),
    of(
        "fields",
        "what the source's field mapping made of the line, as query has its fields; null where there is nothing",
    ),
    of(
        "signs",
        "what the call shows of how safely its API is offered, such as plain_http; null where there is nothing",
    ),
    unit("jwt_lifetime_s", "s", "how long the JSON Web Token that was presented lives, from its issue to its expiry"),
    of("data_classes", "classes of what was replaced in the call: location, at, class; null where there is nothing"),
    // Of the views.
    of("access", "by what it was known who called: credential, presented, anonymous or nothing"),
    of(
        "outcome",
        "how it ended: served, refused by the gateway, client_error, server_error, blocked by outrider, or unknown",
    ),
    of("current_endpoint_id", "the endpoint as it is known now, after merges"),
    of("endpoint", "its method and template of now, such as GET /orders/{order_id}"),
    // Of timelines and of what is about somebody.
    of("entity_kind", "consumer, credential, ip, network, session or business"),
    of("entity", "its id, such as merchant_id:4711 of a business entity"),
    of("entity_name", "what people call it"),
    // Of hours.
    of("event_hour", "the start of the hour of event_time"),
    of("calls", "how many calls"),
    of("own_refusals", "of them those that a block or limit of outrider refused"),
    of("client_errors", "answers from 400 to 499, without own refusals"),
    of("server_errors", "answers from 500 on, without own refusals"),
    of("first_time", "when the first call was over"),
    of("last_time", "when the last call was over"),
    unit(
        "latency_ms_histogram",
        "ms",
        "distribution of latency_total_ms, without own refusals and times that were not measured; read it with histogram_quantile",
    ),
    unit(
        "request_bytes_histogram",
        "bytes",
        "distribution of request_bytes, without own refusals; read it with histogram_quantile",
    ),
    unit(
        "response_bytes_histogram",
        "bytes",
        "distribution of response_bytes, without own refusals; read it with histogram_quantile",
    ),
    of("consumers_hll", "distinct consumer_id of all calls; read it with hll_count"),
    of("addresses_hll", "distinct client_ip of all calls; read it with hll_count"),
    // Of what outrider knows now.
    of("alert_id", "the alert's id"),
    of("detector", "what found it, such as request_spike; hunt:NAME for a saved hunt"),
    of("severity", "info, low, medium, high or critical"),
    of("confidence", "how sure it is, from 0 to 1"),
    of("sentence", "what happened, in words"),
    of("state_reason", "why it is in this state"),
    of("finding_id", "the finding's id"),
    of("measure", "what was measured"),
    of("observed", "how much of it there was in the window, in the measure's unit"),
    of("expected", "how much would have been normal"),
    of("threshold", "below this nothing would have been said"),
    of("surprise", "-log10 of the probability of as much or more; null where the detector has none"),
    of("window_start", "the beginning of the time that it is about"),
    of("window_end", "its end"),
    of("raised_time", "when it was raised"),
    of("action_id", "the action's id"),
    of("scope", "how much of what the consumer does: consumer, service:NAME or route:NAME"),
    of("asked_by", "who wanted it: person:NAME, policy:NAME, or the name of a token"),
    of("reason", "why"),
    of("created_time", "when it was asked for"),
    of("expires_time", "until when; null where it has no end"),
    of("current_id", "the endpoint that it counts as now"),
    of("template", "the path template that it was made with"),
    of("current_template", "the path template of now"),
    of("provisional", "whether its template is still being learnt"),
    of("first_seen_time", "when it was first called"),
    of("last_seen_time", "when it was last called"),
];

/// Where a name means something else in one table (of `timeline` and `alert_calls` what `events` says of it holds).
pub(super) const OF_TABLE: &[(&str, ColumnWords)] = &[
    (
        "hours",
        of(
            "access",
            "by how it was known who called, how many calls, and how many of those were served: how, calls, served",
        ),
    ),
    (
        "endpoint_hours",
        of(
            "access",
            "by how it was known who called, how many calls, and how many of those were served: how, calls, served",
        ),
    ),
    ("hours", unit("request_bytes", "bytes", "the sum over all calls")),
    ("hours", unit("response_bytes", "bytes", "the sum over all calls")),
    ("endpoint_hours", unit("request_bytes", "bytes", "the sum over all calls")),
    ("endpoint_hours", unit("response_bytes", "bytes", "the sum over all calls")),
    ("alerts", of("state", "open, acknowledged, resolved or false_positive")),
    ("alerts", of("state_by", "who put it into this state")),
    ("alerts", of("findings", "how many findings it has")),
    ("alerts", of("succeeded", "calls of it that were answered with less than 400")),
    ("alerts", of("failed", "calls of it that were answered with 400 or more")),
    ("alerts", of("started_time", "the beginning of the first finding's window")),
    ("alerts", of("opened_time", "when it was opened")),
    ("alerts", of("last_finding_time", "the end of the last finding's window")),
    ("alerts", of("updated_time", "when something of it last changed")),
    ("findings", of("query", "a statement that gives the evidence again")),
    ("actions", of("kind", "block or rate_limit")),
    (
        "actions",
        of("state", "proposed, approved, rejected, pending, stored, in_force, releasing, released, failed or too_late"),
    ),
    ("endpoints", of("calls", "calls since it was first seen, without own refusals")),
];

const fn of(name: &'static str, words: &'static str) -> ColumnWords {
    ColumnWords { name, unit: None, words }
}

const fn unit(name: &'static str, unit: &'static str, words: &'static str) -> ColumnWords {
    ColumnWords { name, unit: Some(unit), words }
}

/// What a column of a table means; `None` for one of somebody else.
pub(super) fn column_words(table: &str, column: &str) -> Option<&'static ColumnWords> {
    let own = OF_TABLE.iter().find(|(of, words)| *of == table && words.name == column).map(|(_, words)| words);
    own.or_else(|| COLUMNS.iter().find(|words| words.name == column))
}
