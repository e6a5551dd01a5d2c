//! Posture as tables: weaknesses as CSV, classes of data with where they go, and what of an endpoint nothing can be said of.
//!
//! The same for the API and the command line.

use std::collections::{BTreeMap, BTreeSet};

use outrider_classify::DataClass;
use outrider_model::{Endpoint, EndpointId, Severity};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::weakness::{Weakness, WeaknessState};
use crate::inventory::{EndpointInventory, Location};

/// Beginnings of a cell that a spreadsheet takes for a formula (OWASP, CSV injection).
const FORMULA: &[char] = &['=', '+', '-', '@', '\t', '\r', '\n'];

/// A weakness with where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WeaknessRow {
    /// The gateway.
    pub gateway: String,
    /// The service's workspace; empty for what is about no service.
    pub workspace: String,
    /// The service's id, or `host:` and the host; empty for what is about a gateway, a consumer or a credential.
    pub service: String,
    /// What people call the service.
    pub service_name: String,
    /// The weakness.
    #[serde(flatten)]
    pub weakness: Weakness,
}

impl WeaknessState {
    /// The word for it in tables and filters.
    pub fn as_str(&self) -> &'static str {
        match self {
            WeaknessState::Open => "open",
            WeaknessState::Excepted { .. } => "excepted",
            WeaknessState::Fixed => "fixed",
        }
    }
}

/// The word for a severity, as in JSON.
pub fn severity_word(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Low => "low",
        Severity::Medium => "medium",
        Severity::High => "high",
        Severity::Critical => "critical",
    }
}

/// A class of data with where it goes, as far as it can be seen: only parameters that were decided to carry it count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClassRow {
    /// The class.
    pub class: String,
    /// Its family: `personal`, `payment`, `credentials`, `health`, `location`, `technical`; `own` for one of the settings.
    pub family: String,
    /// Endpoints whose parameters carry it.
    pub endpoints: Vec<EndpointId>,
    /// Parameters that carry it, by location.
    pub parameters: BTreeMap<String, u64>,
    /// Values of it, of calls whose parameters were read.
    pub values: u64,
    /// Of those the ones that the collector replaced by pseudonyms.
    pub replaced: u64,
    /// Calls of those endpoints.
    pub calls: u64,
    /// Consumers that sent it, of those that each endpoint remembers.
    pub consumers: Vec<String>,
    /// Event time of the latest value.
    pub last_seen_ms: i64,
}

/// Classes of data of endpoints, by family and name.
pub fn class_rows(inventory: &[(Endpoint, EndpointInventory)]) -> Vec<ClassRow> {
    #[derive(Default)]
    struct Sums {
        endpoints: BTreeSet<EndpointId>,
        consumers: BTreeSet<String>,
        parameters: BTreeMap<String, u64>,
        values: u64,
        replaced: u64,
        calls: u64,
        last_seen_ms: i64,
    }
    let mut all: BTreeMap<(String, String), Sums> = BTreeMap::new();
    for (endpoint, seen) in inventory {
        for count in seen.data_classes.iter().filter(|count| count.is_decided) {
            let family = DataClass::named(&count.class).map_or("own", |class| class.family().as_str());
            let sums = all.entry((family.to_owned(), count.class.clone())).or_default();
            if sums.endpoints.insert(endpoint.id) {
                sums.calls += seen.calls;
                let senders = seen.class_senders.iter().filter(|sender| sender.class == count.class);
                sums.consumers.extend(senders.map(|sender| sender.consumer.clone()));
            }
            *sums.parameters.entry(count.location.as_str().to_owned()).or_default() += 1;
            sums.values += count.values;
            sums.replaced += count.replaced;
            sums.last_seen_ms = sums.last_seen_ms.max(count.last_seen_ms);
        }
    }
    let row = |((family, class), sums): ((String, String), Sums)| ClassRow {
        class,
        family,
        endpoints: sums.endpoints.into_iter().collect(),
        parameters: sums.parameters,
        values: sums.values,
        replaced: sums.replaced,
        calls: sums.calls,
        consumers: sums.consumers.into_iter().collect(),
        last_seen_ms: sums.last_seen_ms,
    };
    all.into_iter().map(row).collect()
}

/// Bodies of an endpoint that nothing is known of, because Kong logs none, and what would show some of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnreadBodies {
    /// Whether requests have a body, as their method says.
    pub requests: bool,
    /// Whether answers are JSON, as their media type says.
    pub responses: bool,
    /// Why classes of data and weaknesses in them are not seen.
    pub why: String,
    /// A plugin of Kong's own, to be set on the route, that leaves one named part of a request's body for the log. Put the part in the place
    /// of `email`.
    pub pre_function: String,
    /// What of it goes into `custom_fields_by_lua` of the log plugin.
    pub custom_field: String,
    /// The mapping that takes it, for `outrider.toml`.
    pub mapping: String,
}

/// What of an endpoint's bodies is not seen; none where there are none, or a part of them is mapped.
pub fn unread_bodies(endpoint: &Endpoint, seen: &EndpointInventory) -> Option<UnreadBodies> {
    const METHODS: &[&str] = &["POST", "PUT", "PATCH"];
    let requests = METHODS.contains(&endpoint.key.method.as_str());
    let responses = seen.media_types.iter().any(|media| media.name.contains("json"));
    let is_mapped = seen.parameters.iter().any(|parameter| parameter.location == Location::Field);
    if is_mapped || seen.known == 0 || !(requests || responses) {
        return None;
    }
    let pre_function = "local ok, body = pcall(kong.request.get_body)\n\
        if ok and type(body) == \"table\" and type(body.email) == \"string\" then\n  \
          kong.ctx.shared.email = string.sub(body.email, 1, 200)\nend\n";
    Some(UnreadBodies {
        requests,
        responses,
        why: "Kong logs no bodies, so classes of data in them are not seen until a part of them is mapped".to_owned(),
        pre_function: pre_function.to_owned(),
        custom_field: "\"body.email\": \"return kong.ctx.shared.email\"".to_owned(),
        mapping: "[[collector.sources.fields]]\nname = \"email\"\nvalue = \"line.body.email\"\n".to_owned(),
    })
}

/// Why there is no CSV.
#[derive(Debug, thiserror::Error)]
#[error("weaknesses cannot be written as CSV: {0}")]
pub struct CsvError(String);

/// A weakness as a line of a table.
#[derive(Debug, Serialize)]
struct CsvRow {
    id: String,
    state: &'static str,
    severity: &'static str,
    check: String,
    owasp: String,
    gateway: String,
    service: String,
    service_name: String,
    sentence: String,
    evidence: String,
    fix: String,
    endpoints: String,
    opened_ms: i64,
    last_seen_ms: i64,
    fixed_ms: Option<i64>,
    reopened: u32,
    excepted_until_ms: Option<i64>,
    exception_reason: String,
    exception_by: String,
    query: String,
}

/// The header of a file, which is there without rows, too.
const HEADER: [&str; 20] = [
    "id",
    "state",
    "severity",
    "check",
    "owasp",
    "gateway",
    "service",
    "service_name",
    "sentence",
    "evidence",
    "fix",
    "endpoints",
    "opened_ms",
    "last_seen_ms",
    "fixed_ms",
    "reopened",
    "excepted_until_ms",
    "exception_reason",
    "exception_by",
    "query",
];

/// Weaknesses as CSV (RFC 4180) with a header. A text that a spreadsheet would take for a formula begins with `'`.
pub fn csv(rows: &[WeaknessRow]) -> Result<String, CsvError> {
    let wrong = |error: &dyn std::fmt::Display| CsvError(error.to_string());
    let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    writer.write_record(HEADER).map_err(|error| wrong(&error))?;
    for row in rows {
        writer.serialize(csv_row(row)).map_err(|error| wrong(&error))?;
    }
    let bytes = writer.into_inner().map_err(|error| wrong(&error))?;
    String::from_utf8(bytes).map_err(|error| wrong(&error))
}

fn csv_row(row: &WeaknessRow) -> CsvRow {
    let weakness = &row.weakness;
    let (excepted_until_ms, reason, by) = match &weakness.state {
        WeaknessState::Excepted { until_ms, reason, by } => (Some(*until_ms), reason.as_str(), by.as_str()),
        _ => (None, "", ""),
    };
    let list = |parts: &mut dyn Iterator<Item = String>| parts.collect::<Vec<_>>().join("; ");
    CsvRow {
        id: weakness.id.to_string(),
        state: weakness.state.as_str(),
        severity: severity_word(weakness.severity),
        check: weakness.check.clone(),
        owasp: weakness.owasp.clone(),
        gateway: cell(&row.gateway),
        service: cell(&row.service),
        service_name: cell(&row.service_name),
        sentence: cell(&weakness.sentence),
        evidence: cell(&list(&mut weakness.evidence.iter().map(|one| format!("{}: {}", one.name, one.value)))),
        fix: cell(&weakness.fix),
        endpoints: list(&mut weakness.endpoints.iter().map(ToString::to_string)),
        opened_ms: weakness.opened_ms,
        last_seen_ms: weakness.last_seen_ms,
        fixed_ms: weakness.fixed_ms,
        reopened: weakness.reopened,
        excepted_until_ms,
        exception_reason: cell(reason),
        exception_by: cell(by),
        query: cell(&weakness.query),
    }
}

fn cell(text: &str) -> String {
    if text.starts_with(FORMULA) { format!("'{text}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use outrider_model::{Severity, WeaknessId};

    use super::*;
    use crate::posture::WeakSubject;

    #[test]
    fn a_file_has_a_header_of_its_columns_and_no_formulas() {
        let weakness = Weakness {
            id: WeaknessId(1),
            check: "plain_http".to_owned(),
            owasp: "API8:2023".to_owned(),
            subject: WeakSubject::Gateway { gateway: "kong".to_owned() },
            severity: Severity::Low,
            state: WeaknessState::Open,
            opened_ms: 1,
            last_seen_ms: 2,
            fixed_ms: None,
            reopened: 0,
            sentence: "=1+1".to_owned(),
            evidence: Vec::new(),
            query: "SELECT 1".to_owned(),
            fix: "none".to_owned(),
            endpoints: Vec::new(),
        };
        let (gateway, empty) = ("kong".to_owned(), String::new);
        let row = WeaknessRow { gateway, workspace: empty(), service: empty(), service_name: empty(), weakness };
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.serialize(csv_row(&row)).unwrap();
        let expected = String::from_utf8(writer.into_inner().unwrap()).unwrap();
        assert_eq!(csv(&[row]).unwrap(), expected);
        assert!(expected.contains(",'=1+1,"), "{expected}");
        assert_eq!(csv(&[]).unwrap(), format!("{}\n", expected.lines().next().unwrap()));
    }
}
