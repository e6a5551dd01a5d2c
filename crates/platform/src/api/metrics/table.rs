//! The list of metrics. Names follow Prometheus: a prefix, a base unit at the end; the encoder adds `_total` to counters.

use super::Kind::{self, Counter, Gauge};

/// A metric.
#[derive(Debug)]
pub(super) struct Metric {
    pub name: &'static str,
    pub help: &'static str,
    pub kind: Kind,
    /// Its unit, or nothing; the encoder adds it to the name.
    pub unit: &'static str,
    /// What the status' number is multiplied by.
    pub scale: f64,
    pub rows: Rows,
}

/// Where in the status the numbers are, as JSON pointers.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rows {
    /// One number.
    One(&'static str),
    /// A number of each item of a list.
    Each { list: &'static str, label: &'static str, name: &'static str, value: &'static str },
    /// Each number of a map of each item of a list.
    Map { list: &'static str, label: &'static str, name: &'static str, by: &'static str, map: &'static str },
    /// Each number of a map.
    Reasons { map: &'static str, by: &'static str },
    /// 1 for each item of a list.
    Present { list: &'static str, labels: &'static [(&'static str, &'static str)] },
    /// Whether each item of a list has a problem.
    Failing { list: &'static str, label: &'static str, name: &'static str, problem: &'static str },
}

const fn metric(name: &'static str, kind: Kind, unit: &'static str, rows: Rows, help: &'static str) -> Metric {
    Metric { name, help, kind, unit, scale: 1.0, rows }
}

const fn scaled(metric: Metric, scale: f64) -> Metric {
    Metric { scale, ..metric }
}

const fn source(value: &'static str) -> Rows {
    Rows::Each { list: "/sources", label: "source", name: "/name", value }
}

const fn source_map(map: &'static str) -> Rows {
    Rows::Map { list: "/sources", label: "source", name: "/name", by: "reason", map }
}

const fn source_fields(map: &'static str) -> Rows {
    Rows::Map { list: "/sources", label: "source", name: "/name", by: "field", map }
}

const fn responder(value: &'static str) -> Rows {
    Rows::Each { list: "/responders", label: "gateway", name: "/gateway", value }
}

const fn destination(value: &'static str) -> Rows {
    Rows::Each { list: "/platform/notify", label: "destination", name: "/name", value }
}

const fn service(value: &'static str) -> Rows {
    Rows::Each { list: "/services", label: "service", name: "/name", value }
}

const fn database(value: &'static str) -> Rows {
    Rows::Each { list: "/enrichment/databases", label: "file", name: "/file", value }
}

use Rows::One;

/// All of them, by part.
#[rustfmt::skip]
pub(super) const METRICS: &[Metric] = &[
    metric("outrider_collector_read", Counter, "bytes", source("/counters/bytes"), "Bytes read from gateways"),
    metric("outrider_collector_records", Counter, "", source("/counters/received"), "Log lines read"),
    metric("outrider_collector_calls", Counter, "", source("/counters/accepted"), "Calls handed on"),
    metric("outrider_collector_rejected", Counter, "", source_map("/counters/rejected"), "Log lines that are no call, by reason"),
    metric("outrider_collector_dropped", Counter, "", source_map("/counters/dropped"), "Good calls given up, by reason"),
    metric("outrider_collector_duplicates", Counter, "", source("/counters/duplicates"), "Calls sent again after they were taken"),
    metric("outrider_collector_file_waiting", Gauge, "bytes", source("/counters/file/waiting_bytes"), "Bytes of a log file, and of those before it, that are not stored yet"),
    metric("outrider_collector_requests_refused", Counter, "", source_map("/counters/refused"), "Requests with log lines that were refused whole, by reason"),
    metric("outrider_collector_truncated", Counter, "", source("/counters/truncated"), "Calls that lost query fields or headers to a limit"),
    metric("outrider_collector_field_values", Counter, "", source_fields("/counters/fields"), "Values that mapped fields had"),
    metric("outrider_collector_field_failures", Counter, "", source_fields("/counters/fields_failed"), "Values that mapped fields should have had, and had not"),
    metric("outrider_collector_untrusted", Counter, "", source("/counters/untrusted"), "Calls without the source's secret"),
    metric("outrider_collector_connections", Gauge, "", source("/counters/connections_open"), "Connections open now"),
    metric("outrider_collector_connections_accepted", Counter, "", source("/counters/connections_total"), "Connections ever accepted"),
    metric("outrider_collector_connections_over_limit", Counter, "", source("/counters/connections_over_limit"), "Connections closed because too many were open"),
    metric("outrider_collector_connections_not_allowed", Counter, "", source("/counters/connections_not_allowed"), "Connections from addresses that are not on the allow-list"),
    metric("outrider_collector_connections_refused", Counter, "", source_map("/counters/connections_refused"), "Connections that outrider closed, by reason: no agreement on TLS, too many from one address, a line that does not end"),
    metric("outrider_log_last_record", Gauge, "", One("/platform/log/last"), "Number of the newest record on stable storage"),
    metric("outrider_log_size", Gauge, "bytes", One("/platform/log/bytes"), "Size of the log"),
    metric("outrider_log_records", Counter, "", One("/platform/log/records"), "Records stored"),
    metric("outrider_log_commits", Counter, "", One("/platform/log/commits"), "Commits, each with one sync"),
    metric("outrider_log_failed_commits", Counter, "", One("/platform/log/failed_commits"), "Commits that failed"),
    metric("outrider_log_missing_calls", Counter, "", One("/platform/log/missing_calls"), "Calls missing between batches"),
    metric("outrider_log_refused_full", Counter, "", One("/platform/log/refused_full"), "Requests refused because the log was at its size limit"),
    metric("outrider_log_refused_busy", Counter, "", One("/platform/log/refused_busy"), "Requests refused because too much waited to be written"),
    metric("outrider_log_damaged_records", Counter, "", One("/platform/log/damaged_records"), "Records that could not be read and were skipped"),
    metric("outrider_calls_dropped", Counter, "", One("/platform/progress/dropped_calls"), "Calls that the log refused"),
    metric("outrider_enrich_calls", Counter, "", One("/enrichment/calls"), "Calls enriched"),
    metric("outrider_enrich_located", Counter, "", One("/enrichment/located_calls"), "Calls enriched with a country"),
    metric("outrider_enrich_lookup_failures", Counter, "", One("/enrichment/lookup_failures"), "Questions that a database could not answer because it is damaged"),
    metric("outrider_enrich_entities", Counter, "", One("/enrichment/entities_found"), "Business entities named by calls"),
    metric("outrider_enrich_entities_left_out", Counter, "", One("/enrichment/entities_left_out"), "Business entities left out because they were too long or too many"),
    metric("outrider_enrich_batches_left", Counter, "", One("/enrichment/batches_not_enriched"), "Batches that would have become too large, stored as they came"),
    scaled(metric("outrider_enrich_database_built", Gauge, "seconds", database("/built_ms"), "When a database was built, since 1970"), 0.001),
    metric("outrider_enrich_database_failing", Gauge, "", Rows::Failing { list: "/enrichment/databases", label: "file", name: "/file", problem: "/problem" }, "Whether the file on the disk cannot be used"),
    metric("outrider_enrich_list_entries", Gauge, "", Rows::Each { list: "/enrichment/lists", label: "file", name: "/file", value: "/entries" }, "Entries of a list of networks"),
    metric("outrider_enrich_list_failing", Gauge, "", Rows::Failing { list: "/enrichment/lists", label: "file", name: "/file", problem: "/problem" }, "Whether the file on the disk cannot be used"),
    metric("outrider_analysis_record", Gauge, "", One("/platform/progress/analysed_position"), "Number of the record that the analysis has come to"),
    scaled(metric("outrider_analysis_log_time", Gauge, "seconds", One("/platform/progress/analysed_at_ms"), "Log time that the analysis has come to, since 1970"), 0.001),
    metric("outrider_analysis_calls", Counter, "", One("/platform/progress/calls"), "Calls analysed since the installation began"),
    metric("outrider_analysis_findings", Counter, "", One("/platform/progress/findings"), "Findings raised"),
    metric("outrider_analysis_discover_over_limit", Counter, "", Rows::Reasons { map: "/platform/analysis/discover", by: "limit" }, "What discovery could not learn, by limit"),
    metric("outrider_analysis_posture_over_limit", Counter, "", Rows::Reasons { map: "/platform/analysis/posture", by: "limit" }, "What posture left out, by limit, since its log began"),
    metric("outrider_posture_weaknesses", Gauge, "", Rows::Reasons { map: "/platform/analysis/weaknesses", by: "severity" }, "Open weaknesses, by severity"),
    metric("outrider_analysis_detect", Counter, "", Rows::Reasons { map: "/platform/analysis/detect", by: "counter" }, "What the detection engine counted"),
    metric("outrider_desk", Counter, "", Rows::Reasons { map: "/platform/analysis/respond", by: "counter" }, "What the desk of alerts and actions counted since its log began"),
    metric("outrider_detector_memory", Gauge, "bytes", Rows::Each { list: "/platform/analysis/detectors", label: "detector", name: "/name", value: "/memory_bytes" }, "Memory of a detector's profiles"),
    metric("outrider_detector_failed", Gauge, "", Rows::Failing { list: "/platform/analysis/detectors", label: "detector", name: "/name", problem: "/failure" }, "Whether a detector is out of use"),
    metric("outrider_detector", Counter, "", Rows::Map { list: "/platform/analysis/detectors", label: "detector", name: "/name", by: "counter", map: "/counters" }, "What a detector counted"),
    metric("outrider_snapshot_record", Gauge, "", One("/platform/progress/snapshot_position"), "Number of the record that the newest snapshot is as of"),
    metric("outrider_snapshot_size", Gauge, "bytes", One("/platform/progress/snapshot_bytes"), "Size of the newest snapshot"),
    scaled(metric("outrider_snapshot_duration", Gauge, "seconds", One("/platform/progress/snapshot_micros"), "How long the newest snapshot took"), 1e-6),
    scaled(metric("outrider_snapshot_stall", Gauge, "seconds", One("/platform/progress/snapshot_stall_micros"), "For how long of that the analysis stood still"), 1e-6),
    metric("outrider_lake_record", Gauge, "", One("/platform/progress/lake_position"), "Number of the record that the lake covers"),
    metric("outrider_lake_rows", Counter, "", One("/platform/progress/lake_rows"), "Calls committed to the lake"),
    metric("outrider_lake_commits", Counter, "", One("/platform/progress/lake_commits"), "Commits to the lake"),
    metric("outrider_lake_failures", Counter, "", One("/platform/progress/lake_failures"), "Commits to the lake that failed"),
    metric("outrider_store_applied", Counter, "", One("/store/applied"), "Stretches of log written to the control store"),
    metric("outrider_store_failures", Counter, "", One("/platform/progress/store_failures"), "Writes to the control store that failed"),
    metric("outrider_store_findings_forgotten", Counter, "", One("/store/findings_forgotten"), "Findings forgotten because there were too many"),
    metric("outrider_store_alerts_forgotten", Counter, "", One("/store/alerts_forgotten"), "Closed alerts forgotten because there were too many"),
    metric("outrider_store_actions_forgotten", Counter, "", One("/store/actions_forgotten"), "Ended actions forgotten because there were too many"),
    metric("outrider_responder_failing", Gauge, "", Rows::Failing { list: "/responders", label: "gateway", name: "/gateway", problem: "/failure" }, "Whether a responder cannot do its work at its gateway"),
    metric("outrider_responder_own_plugins", Gauge, "", responder("/own_plugins"), "Plugins of ours at the gateway"),
    metric("outrider_responder_written", Counter, "", responder("/written"), "Plugins created or replaced"),
    metric("outrider_responder_deleted", Counter, "", responder("/deleted"), "Plugins deleted"),
    metric("outrider_responder_repaired", Counter, "", responder("/repaired"), "Plugins written again because somebody else changed them"),
    metric("outrider_responder_gateway_failures", Counter, "", responder("/gateway_failures"), "Changes and lists that the gateway failed"),
    scaled(metric("outrider_certificate_expiry", Gauge, "seconds", Rows::Each { list: "/certificates", label: "file", name: "/file", value: "/expires_ms" }, "When the certificate of a listener or a source expires, since 1970"), 0.001),
    metric("outrider_service_connected", Gauge, "", service("/is_connected"), "Whether a collector or responder elsewhere was heard from lately"),
    metric("outrider_service_silence", Gauge, "seconds", service("/silent_seconds"), "Time since its last heartbeat"),
    scaled(metric("outrider_service_clock_ahead", Gauge, "seconds", service("/clock_ahead_ms"), "How far its clock is ahead of the platform's"), 0.001),
    metric("outrider_service_spool_size", Gauge, "bytes", service("/status/spool/bytes"), "Size of a collector's spool"),
    metric("outrider_service_spool_waiting_records", Gauge, "", service("/status/spool/records_waiting"), "Records that wait in a collector's spool"),
    metric("outrider_service_lag", Gauge, "seconds", service("/lag_seconds"), "How long the oldest call of a collector's spool has waited"),
    metric("outrider_service_spooled_calls", Gauge, "", service("/status/accounts/spooled"), "Calls that wait in a collector's spool"),
    metric("outrider_service_given_up_for_room_calls", Counter, "", service("/status/spool/given_up_calls/for_room"), "Calls that a full spool gave up for newer ones"),
    metric("outrider_service_given_up_for_age_calls", Counter, "", service("/status/spool/given_up_calls/for_age"), "Calls that became too old in a spool"),
    metric("outrider_service_dropped_calls", Counter, "", service("/status/spool/dropped_calls"), "Calls that a spool refused"),
    metric("outrider_service_refused_calls", Counter, "", service("/status/refused_calls"), "Calls of a collector that the platform refused for good"),
    metric("outrider_premises_connections", Counter, "", One("/premises/connections"), "Connections of collectors and responders"),
    metric("outrider_premises_requests", Counter, "", One("/premises/requests"), "Requests of collectors and responders"),
    metric("outrider_premises_refused", Counter, "", One("/premises/refused"), "Requests of them refused for what they were"),
    metric("outrider_premises_unauthorized", Counter, "", One("/premises/unauthorized"), "Requests there whose token stands for no service"),
    metric("outrider_premises_failed", Counter, "", One("/premises/failed"), "Requests of them that failed through no fault of theirs"),
    metric("outrider_link_connected", Gauge, "", One("/is_linked"), "Of a collector or responder: whether its platform answers"),
    scaled(metric("outrider_link_clock_ahead", Gauge, "seconds", One("/link/clock_ahead_ms"), "Of a collector or responder: how far its clock is ahead of the platform's"), 0.001),
    metric("outrider_spool_size", Gauge, "bytes", One("/spool/bytes"), "Of a collector: size of its spool"),
    metric("outrider_spool_waiting_records", Gauge, "", One("/spool/records_waiting"), "Of a collector: records that wait in its spool"),
    metric("outrider_spool_lag", Gauge, "seconds", One("/spool/lag_seconds"), "Of a collector: how long the oldest call of its spool has waited"),
    metric("outrider_spool_waiting_calls", Gauge, "", One("/accounts/spooled"), "Of a collector: calls that wait in its spool"),
    metric("outrider_spool_received_calls", Counter, "", One("/accounts/received"), "Of a collector: lines received by all sources"),
    metric("outrider_spool_in_hand_calls", Gauge, "", One("/accounts/in_hand"), "Of a collector: lines on the way into the spool"),
    metric("outrider_spool_given_up_for_room_calls", Counter, "", One("/spool/given_up_calls/for_room"), "Of a collector: calls that its full spool gave up for newer ones"),
    metric("outrider_spool_given_up_for_age_calls", Counter, "", One("/spool/given_up_calls/for_age"), "Of a collector: calls that became too old in its spool"),
    metric("outrider_spool_dropped_calls", Counter, "", One("/spool/dropped_calls"), "Of a collector: calls that its spool refused"),
    metric("outrider_spool_shipped_calls", Counter, "", One("/shipped_calls"), "Of a collector: calls that the platform took"),
    metric("outrider_spool_refused_calls", Counter, "", One("/refused_calls"), "Of a collector: calls that the platform refused for good"),
    metric("outrider_notify_delivered", Counter, "", destination("/delivered"), "Messages that arrived"),
    metric("outrider_notify_failures", Counter, "", destination("/failures"), "Tries to deliver a message that failed"),
    metric("outrider_notify_dead", Counter, "", destination("/dead"), "Messages given up"),
    metric("outrider_notify_over_limit", Counter, "", One("/outbox/over_limit"), "Messages given up because too many waited"),
    metric("outrider_notice_open", Gauge, "", Rows::Present { list: "/notices", labels: &[("kind", "/kind"), ("subject", "/subject")] }, "1 for each open notice"),
    metric("outrider_api_connections", Counter, "", One("/api/connections"), "Connections to the API"),
    metric("outrider_api_requests", Counter, "", One("/api/requests"), "Requests answered"),
    metric("outrider_api_refused", Counter, "", One("/api/refused"), "Requests refused for what they were"),
    metric("outrider_api_unauthorized", Counter, "", One("/api/unauthorized"), "Requests without a valid token"),
    metric("outrider_api_forbidden", Counter, "", One("/api/forbidden"), "Requests whose token has too small a role"),
    metric("outrider_api_failed", Counter, "", One("/api/failed"), "Requests that failed through no fault of theirs"),
    metric("outrider_api_streams", Gauge, "", One("/api/streams/open"), "Streams of events that are open"),
    metric("outrider_api_streams_refused", Counter, "", One("/api/streams/refused"), "Streams refused because too many were open"),
    metric("outrider_api_stream_events", Counter, "", One("/api/streams/events"), "Changes told to streams"),
    metric("outrider_api_stream_resets", Counter, "", One("/api/streams/resets"), "How often a stream said that changes may be missing, its beginning included"),
    metric("outrider_tracing_spans_exported", Counter, "", One("/tracing/exported"), "Spans that the OpenTelemetry collector took"),
    metric("outrider_tracing_spans_dropped", Counter, "", One("/tracing/dropped"), "Spans given up: the queue was full, or the collector refused them"),
];
