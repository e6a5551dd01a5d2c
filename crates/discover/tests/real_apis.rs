//! The inventory of real APIs' traffic: what it costs, and how it differs from their documents.
//!
//! `OUTRIDER_EXPORTED=FOLDER` writes the documents of what was seen.

#![allow(clippy::unwrap_used, reason = "tests fail where they unwrap")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::{Command, Stdio};

use outrider_discover::Catalogue;
use outrider_discover::inventory::{CheckedBy, EndpointInventory, Inventory, RouteNames, Settings, csv, rows};
use outrider_discover::openapi::{Document, DriftKind, ExportInfo, Limits, Route, RoutesRead, drift, export};
use outrider_model::{ApiCall, Endpoint, EndpointId, Field, FieldValue, Named, Text};
use serde_json::Value;
use support::{Line, json_lines, kong_line, shared};

/// A line of the log, with what the catalogue does not need of it.
struct Logged {
    line: Line,
    route: String,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    response_type: String,
}

/// The lines, and the routes of the services by their names.
fn logged() -> Option<(Vec<Logged>, BTreeMap<String, Route>)> {
    let events = shared("data/discovery/events.jsonl.gz")?;
    let mut routes = BTreeMap::new();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let pairs = |value: &Value| -> Vec<(String, String)> {
        value.as_object().unwrap().iter().map(|(name, value)| (name.clone(), text(value))).collect()
    };
    let logged = json_lines(&events)
        .map(|value| {
            let line = kong_line(&value);
            let route = text(&value["route"]["id"]);
            let paths = value["route"]["paths"].as_array();
            routes.entry(line.service_name.clone()).or_insert_with(|| Route {
                id: route.clone(),
                name: text(&value["route"]["name"]),
                paths: paths.into_iter().flatten().map(text).collect(),
                ..Route::default()
            });
            Logged {
                line,
                route,
                query: pairs(&value["request"]["querystring"]),
                headers: pairs(&value["request"]["headers"]),
                response_type: text(&value["response"]["headers"]["content-type"]),
            }
        })
        .collect();
    Some((logged, routes))
}

impl Logged {
    fn call(&self) -> ApiCall<'_> {
        let field = |(name, value): &'_ (String, String)| -> Field<'_> {
            let value =
                if value == "REDACTED" { FieldValue::Redacted } else { FieldValue::Clear(Text::from(value.clone())) };
            Field { name: Text::from(name.clone()), value }
        };
        ApiCall {
            query: self.query.iter().map(field).collect(),
            headers: self.headers.iter().map(field).collect(),
            route: Some(Named { id: Text::from(self.route.as_str()), name: Text::EMPTY }),
            response_type: Text::from(self.response_type.as_str()),
            ..self.line.call()
        }
    }
}

/// A catalogue that has learned all calls, and to which endpoint with which template each belongs by it.
fn learned(calls: &[ApiCall<'_>]) -> (Catalogue, Vec<Option<(EndpointId, String)>>) {
    let mut catalogue = Catalogue::new(outrider_discover::Settings::default());
    let mut now_ms = i64::MIN;
    for call in calls {
        now_ms = now_ms.max(call.event_ms);
        catalogue.advance(now_ms);
        catalogue.assign(call);
    }
    catalogue.advance(now_ms + 60_000);
    let found = calls
        .iter()
        .map(|call| {
            let service = call.service.as_ref().map(|service| service.id.as_str()).unwrap_or_default();
            let id = catalogue.lookup("kong", "default", service, &call.method, &call.path)?;
            Some((id, catalogue.endpoint(id)?.key.template.clone()))
        })
        .collect();
    (catalogue, found)
}

/// Nanoseconds that this thread has had a processor, so that a busy machine is not in the figure.
fn on_cpu_nanos() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0)
}

/// It prints what a call costs, which depends on the machine, and fails only where endpoints were not learned.
#[test]
fn calls_of_real_apis_are_learned_and_what_that_costs_is_printed() {
    let Some((logged, _)) = logged() else { return };
    let calls: Vec<ApiCall<'_>> = logged.iter().map(Logged::call).collect();
    let (mut catalogue, found) = learned(&calls);
    let mut inventory = Inventory::new(Settings::default());
    // Read as the calls of a new endpoint are, which is all of them, and as those of one that is known.
    for (name, read_calls) in [("while it learns", 1 << 20), ("once it has learned", 16)] {
        inventory = Inventory::new(Settings { read_calls, ..Settings::default() });
        for round in 0..4 {
            let (mut assigning, mut observing) = (0, 0);
            for (calls, found) in calls.chunks(200).zip(found.chunks(200)) {
                // A call comes here from the catalogue, so it is at hand.
                let started = on_cpu_nanos();
                for call in calls {
                    catalogue.assign(call);
                }
                let assigned = on_cpu_nanos();
                for (call, found) in calls.iter().zip(found) {
                    if let Some((id, template)) = found {
                        inventory.observe(call, *id, template, CheckedBy::NotRead);
                    }
                }
                assigning += assigned - started;
                observing += on_cpu_nanos() - assigned;
            }
            let [assigning, observing] = [assigning, observing].map(|nanos| nanos as usize / calls.len());
            println!("{name}, round {round}: {observing} ns a call, beside {assigning} ns for its endpoint");
        }
        println!("{} bytes an endpoint", inventory.memory_bytes() / inventory.len());
    }
    println!(
        "{} endpoints, snapshot {} bytes, {:?}",
        inventory.len(),
        inventory.snapshot().len(),
        inventory.counters()
    );
    assert!(inventory.len() > 1000 && inventory.counters().bytes_max == 0, "{} endpoints", inventory.len());
}

/// What was seen of each service, by its name.
fn seen_by_service(calls: &[ApiCall<'_>]) -> BTreeMap<String, Vec<(Endpoint, EndpointInventory)>> {
    let (catalogue, found) = learned(calls);
    let mut inventory = Inventory::new(Settings::default());
    for (call, found) in calls.iter().zip(&found) {
        if let Some((id, template)) = found {
            inventory.observe(call, *id, template, CheckedBy::NotRead);
        }
    }
    let mut services: BTreeMap<String, Vec<(Endpoint, EndpointInventory)>> = BTreeMap::new();
    for endpoint in catalogue.endpoints() {
        if let Some(seen) = inventory.endpoint(endpoint.id) {
            services.entry(endpoint.service_name.clone()).or_default().push((endpoint.clone(), seen));
        }
    }
    services
}

#[test]
fn traffic_made_of_documents_differs_little_from_them() {
    let Some((logged, routes)) = logged() else { return };
    let Some(folder) = shared("data/discovery/openapi") else { return };
    let calls: Vec<ApiCall<'_>> = logged.iter().map(Logged::call).collect();
    let services = seen_by_service(&calls);
    let (mut endpoints, mut differing) = (0, 0);
    let mut all: BTreeMap<DriftKind, usize> = BTreeMap::new();
    for (service, seen) in &services {
        let document =
            Document::read(&std::fs::read(folder.join(format!("{service}.json"))).unwrap(), &Limits::default());
        let read = RoutesRead { routes: vec![routes[service].clone()], since_ms: 0, are_all: true };
        let started = std::time::Instant::now();
        let found = drift(Some(&document.unwrap()), Some(&read), seen);
        let elapsed = started.elapsed();
        let mut kinds: BTreeMap<DriftKind, usize> = BTreeMap::new();
        for drift in &found {
            *kinds.entry(drift.kind).or_default() += 1;
            *all.entry(drift.kind).or_default() += 1;
        }
        let undocumented: BTreeSet<Option<EndpointId>> = found
            .iter()
            .filter(|drift| matches!(drift.kind, DriftKind::Shadow | DriftKind::UndocumentedMethod))
            .map(|drift| drift.endpoint)
            .collect();
        endpoints += seen.len();
        differing += undocumented.len();
        let mut told = BTreeSet::new();
        for drift in found.iter().filter(|drift| drift.kind != DriftKind::Orphan && told.insert(drift.kind)) {
            println!("    {}", drift.sentence);
        }
        println!("{service:<28} {:>4} endpoints in {elapsed:?}: {kinds:?}", seen.len());
    }
    println!("{endpoints} endpoints, {differing} of them not documented: {all:?}");
    assert_eq!(services.len(), 27);
    assert!(differing * 20 < endpoints, "{differing} of {endpoints} endpoints are found in no document");
}

#[test]
fn documents_of_real_traffic_are_read_again() {
    let Some((logged, _)) = logged() else { return };
    let calls: Vec<ApiCall<'_>> = logged.iter().map(Logged::call).collect();
    for (service, seen) in seen_by_service(&calls) {
        let written = written(&service, &seen);
        let document = Document::read(written.as_bytes(), &Limits::default()).unwrap();
        assert_eq!(document.warnings, [], "{service}");
        let found = drift(Some(&document), None, &seen);
        assert!(found.is_empty(), "{service}: {:#?}", &found[..found.len().min(3)]);
        assert_eq!(csv(&rows(&seen, &RouteNames::new())).unwrap().lines().count(), seen.len() + 1);
        if let Ok(folder) = std::env::var("OUTRIDER_EXPORTED") {
            std::fs::write(format!("{folder}/{service}.json"), written).unwrap();
        }
    }
}

fn written(service: &str, seen: &[(Endpoint, EndpointInventory)]) -> String {
    let servers = vec!["https://api.example.org".to_owned()];
    export(&ExportInfo { title: service.to_owned(), version: "1".to_owned(), servers }, seen)
}

#[test]
#[ignore = "needs the validator that `make engines` installs"]
fn another_validator_accepts_written_documents() {
    let python =
        std::env::var("OUTRIDER_ENGINES").expect("OUTRIDER_ENGINES names the interpreter that has the validator");
    let Some((logged, _)) = logged() else { return };
    let calls: Vec<ApiCall<'_>> = logged.iter().map(Logged::call).collect();
    for (service, seen) in seen_by_service(&calls) {
        let mut validator = Command::new(&python)
            .args(["-m", "openapi_spec_validator", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        validator.stdin.take().unwrap().write_all(written(&service, &seen).as_bytes()).unwrap();
        let output = validator.wait_with_output().unwrap();
        assert!(output.status.success(), "{service}: {}", String::from_utf8_lossy(&output.stdout));
    }
}
