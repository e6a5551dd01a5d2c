//! How well classes are told on data of others: precision, recall and F1 by class, and false classes on ids.
//!
//! Reads `../shared/data`, and says so where that is missing. No word, form or weight was chosen by a case that is there, and so that none
//! can be, the output has classes and counts and no value. What is taken for what of the data's labels is in [`truth`] and [`column`].
//!
//! Three ways to ask: *parameters*, a value with the name that its kind is called in an API; *values*, the same without any name; and *texts*,
//! whole sentences.

#![allow(clippy::unwrap_used, reason = "tests fail where they unwrap")]
#![allow(clippy::print_stdout, reason = "figures are what this is for")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use outrider_classify::{CONFIDENCE_DECIDED, Family, classify};
use serde_json::Value;

/// Name of the group of all that is a secret; no data here says which of them a secret is.
const SECRET: &str = "secret";

fn data(folder: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(folder);
    if path.is_dir() {
        return Some(path);
    }
    println!("skipped: {} is not there", path.display());
    None
}

fn read(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap();
    let mut text = String::new();
    if path.extension().is_some_and(|extension| extension == "gz") {
        flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
    } else {
        text.push_str(&String::from_utf8_lossy(&bytes));
    }
    text
}

/// The class and a parameter's name of a kind that the data names; no class where none of ours is meant.
fn truth(entity: &str) -> (Option<&'static str>, &'static str) {
    match entity {
        "EMAIL_ADDRESS" => (Some("email"), "email"),
        "PHONE_NUMBER" | "TR_PHONE_NUMBER" => (Some("phone"), "phone_number"),
        "CREDIT_CARD" => (Some("payment_card"), "card_number"),
        "IBAN_CODE" => (Some("iban"), "iban"),
        "US_SSN" | "US_ITIN" => (Some("us_ssn"), "ssn"),
        "ES_NIF" | "ES_NIE" => (Some("es_dni_nie"), "national_id"),
        "IT_FISCAL_CODE" => (Some("it_codice_fiscale"), "national_id"),
        "FI_PERSONAL_IDENTITY_CODE" => (Some("fi_hetu"), "national_id"),
        "KR_RRN" => (Some("kr_rrn"), "national_id"),
        "TH_TNIN" => (Some("th_national_id"), "national_id"),
        "ZA_ID_NUMBER" => (Some("za_id"), "national_id"),
        "CA_SIN" => (Some("ca_sin"), "national_id"),
        "IP_ADDRESS" => (Some("ip_address"), "ip"),
        "URL" => (Some("url"), "url"),
        "ADDRESS" => (Some("postal_address"), "address"),
        _ => (None, "value"),
    }
}

/// The same for a column of a table; no name where it is not known what is in it.
fn column(name: &str, country: &str) -> Option<Option<&'static str>> {
    match (name, country) {
        ("EmailAddress", _) => Some(Some("email")),
        ("TelephoneNumber", _) => Some(Some("phone")),
        ("CCNumber", _) => Some(Some("payment_card")),
        ("NationalID", "US") => Some(Some("us_ssn")),
        ("NationalID", "ES") => Some(Some("es_dni_nie")),
        ("NationalID", "BR") => Some(Some("br_cpf")),
        ("NationalID", "FI") => Some(Some("fi_hetu")),
        ("NationalID", "SE") => Some(Some("se_personnummer")),
        ("NationalID", "GB") => Some(Some("uk_nino")),
        ("NationalID", "CA") => Some(Some("ca_sin")),
        // That of Italians has ten characters there, which is no codice fiscale.
        ("NationalID" | "Domain" | "BrowserUserAgent" | "Username", _) => None,
        ("Password", _) => Some(Some(SECRET)),
        ("GUID", _) => Some(Some("uuid")),
        ("CVV2", _) => Some(Some("card_security_code")),
        ("GivenName" | "Surname" | "MothersMaiden", _) => Some(Some("person_name")),
        ("StreetAddress", _) => Some(Some("postal_address")),
        ("ZipCode", _) => Some(Some("postal_code")),
        ("Birthday", _) => Some(Some("birth_date")),
        ("BloodType", _) => Some(Some("blood_type")),
        ("Latitude" | "Longitude", _) => Some(Some("coordinates")),
        _ => Some(None),
    }
}

/// The classes that the figure is about.
fn is_measured(class: &str) -> bool {
    let technical = ["ip_address", "url"].contains(&class);
    let personal = ["email", "phone"].contains(&class) || class.get(2..3) == Some("_");
    technical || personal || ["payment_card", "iban", "private_key", SECRET].contains(&class)
}

/// Right and wrong answers of one class.
#[derive(Default, Clone, Copy)]
struct Count {
    hits: usize,
    misses: usize,
    false_ones: usize,
}

impl Count {
    fn precision(self) -> f64 {
        self.hits as f64 / (self.hits + self.false_ones).max(1) as f64
    }

    fn recall(self) -> f64 {
        self.hits as f64 / (self.hits + self.misses).max(1) as f64
    }

    fn f1(self) -> f64 {
        2.0 * self.hits as f64 / (2 * self.hits + self.misses + self.false_ones).max(1) as f64
    }
}

#[derive(Default)]
struct Scores {
    counts: BTreeMap<String, Count>,
    /// What was meant and what was told instead or besides.
    confusions: BTreeMap<(String, String), usize>,
    /// By confidence in tenths: how many were right, of how many.
    reliability: BTreeMap<u32, (usize, usize)>,
}

impl Scores {
    /// `meant` is the class of the value; `other` says what the data calls one that is of none.
    fn add(&mut self, meant: Option<&str>, other: &str, name: &str, value: &str) {
        self.add_only(&[], meant, other, name, value);
    }

    /// As [`Scores::add`], where the data speaks of some classes only.
    fn add_only(&mut self, only: &[&str], meant: Option<&str>, other: &str, name: &str, value: &str) {
        let mut told = BTreeSet::new();
        let all = classify(name, value, &[]);
        for found in &all {
            let class = group(found.class.as_str(), found.class.family(), meant);
            // A URL that holds what is meant, and what stands in one that is meant, are there all the same.
            let is_nested = all.iter().any(|other| {
                let is_url = [found.class.as_str(), other.class.as_str()].contains(&"url");
                is_url && found.class != other.class && found.start < other.end && other.start < found.end
            });
            if !only.is_empty() && !only.contains(&class.as_str()) {
                continue;
            }
            if is_nested && meant != Some(class.as_str()) {
                continue;
            }
            if is_measured(&class) || meant == Some(class.as_str()) {
                let bucket = self.reliability.entry((found.confidence * 10.0) as u32).or_default();
                bucket.0 += usize::from(meant == Some(class.as_str()));
                bucket.1 += 1;
            }
            if found.confidence >= CONFIDENCE_DECIDED {
                told.insert(class);
            }
        }
        if let Some(meant) = meant {
            let count = self.counts.entry(meant.to_owned()).or_default();
            match told.remove(meant) {
                true => count.hits += 1,
                false => {
                    count.misses += 1;
                    if told.is_empty() {
                        self.confuse(meant, "nothing");
                    }
                }
            }
        }
        for class in told {
            self.counts.entry(class.clone()).or_default().false_ones += 1;
            self.confuse(meant.unwrap_or(other), &class);
        }
    }

    fn confuse(&mut self, meant: &str, told: &str) {
        *self.confusions.entry((meant.to_owned(), told.to_owned())).or_default() += 1;
    }

    /// Prints all, and gives the mean of F1 over the measured classes of which there is one.
    fn print(&self, title: &str) -> f64 {
        println!("{title}: class, cases, precision, recall, F1");
        let mut sum = (0.0, 0);
        for (class, count) in &self.counts {
            let cases = count.hits + count.misses;
            let is_in = is_measured(class) && cases > 0;
            let note = if is_in { "" } else { "  (not in the mean)" };
            println!("  {class:<20} {cases:>5} {:.3} {:.3} {:.3}{note}", count.precision(), count.recall(), count.f1());
            if is_in {
                sum = (sum.0 + count.f1(), sum.1 + 1);
            }
        }
        let confusions: Vec<String> =
            self.confusions.iter().map(|((meant, told), count)| format!("{meant} > {told} {count}")).collect();
        println!("  confusions: {}", confusions.join(", "));
        let reliability: Vec<String> =
            self.reliability.iter().map(|(tenth, (right, all))| format!("0.{tenth}: {right} of {all}")).collect();
        println!("  right by confidence: {}", reliability.join(", "));
        let mean = sum.0 / f64::from(sum.1.max(1));
        println!("  macro-F1 over {} classes: {mean:.3}", sum.1);
        mean
    }
}

/// A secret is a secret where the data says no more.
fn group(class: &str, family: Option<Family>, meant: Option<&str>) -> String {
    match family {
        Some(Family::Credentials) if class != "private_key" || meant == Some(SECRET) => SECRET.to_owned(),
        _ => class.to_owned(),
    }
}

/// Whether a text is more than a value: it has words.
fn is_sentence(text: &str) -> bool {
    let is_word = |word: &&str| word.len() > 1 && word.bytes().all(|byte| byte.is_ascii_lowercase());
    text.split_whitespace().filter(is_word).count() > 1
}

/// One way to ask.
#[derive(Clone, Copy, PartialEq)]
enum Ask {
    Named,
    Unnamed,
}

fn recogniser_cases(folder: &Path, ask: Ask, scores: &mut Scores) {
    for line in read(&folder.join("presidio_recognizer_cases.jsonl")).lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let (entity, text) = (case["entity"].as_str().unwrap(), case["text"].as_str().unwrap());
        let (class, name) = truth(entity);
        let name = if ask == Ask::Named && !is_sentence(text) { name } else { "" };
        let is_one = case["positive"].as_bool().unwrap();
        // What is none of a narrower kind may well be of the class.
        if !is_one && ["TR_PHONE_NUMBER", "US_ITIN", "ES_NIF", "ES_NIE"].contains(&entity) {
            continue;
        }
        let other = if class.is_some() { format!("no {entity}") } else { entity.to_owned() };
        scores.add(class.filter(|_| is_one), &other, name, text);
    }
}

fn spans_as_values(folder: &Path, ask: Ask, scores: &mut Scores) {
    let texts: Vec<Value> = serde_json::from_str(&read(&folder.join("presidio_generated_large.json"))).unwrap();
    let mut seen = BTreeSet::new();
    for span in texts.iter().flat_map(|text| text["spans"].as_array().unwrap()) {
        let (entity, value) = (span["entity_type"].as_str().unwrap(), span["entity_value"].as_str().unwrap());
        // A host's name is a URL to one and none to another.
        if entity == "DOMAIN_NAME" || !seen.insert((entity.to_owned(), value.to_owned())) {
            continue;
        }
        let (class, name) = truth(entity);
        scores.add(class, entity, if ask == Ask::Named { name } else { "" }, value);
    }
}

fn table(folder: &Path, ask: Ask, scores: &mut Scores) {
    let text = read(&folder.join("FakeNameGenerator.com_100.csv"));
    let mut reader =
        csv::ReaderBuilder::new().flexible(true).from_reader(text.trim_start_matches('\u{feff}').as_bytes());
    let headers = reader.headers().unwrap().clone();
    let country_at = headers.iter().position(|header| header == "Country").unwrap();
    for record in reader.records() {
        let record = record.unwrap();
        let country = record.get(country_at).unwrap_or_default();
        for (header, value) in headers.iter().zip(&record).filter(|(_, value)| !value.is_empty()) {
            if let Some(class) = column(header, country) {
                // Without its name a word is a word.
                let is_nameless =
                    ask == Ask::Unnamed && class.is_some_and(|class| !is_measured(class) || class == SECRET);
                if !is_nameless {
                    scores.add(class, header, if ask == Ask::Named { header } else { "" }, value);
                }
            }
        }
    }
}

#[test]
fn personal_and_payment_data_is_told() {
    let Some(folder) = data("pii") else { return };
    let mut means = Vec::new();
    for (ask, title) in [(Ask::Named, "parameters"), (Ask::Unnamed, "values")] {
        let mut scores = Scores::default();
        recogniser_cases(&folder, ask, &mut scores);
        spans_as_values(&folder, ask, &mut scores);
        table(&folder, ask, &mut scores);
        if let (Ask::Named, Some(secrets)) = (ask, data("secrets")) {
            lines_with_secrets(&secrets.join("detect-secrets/test_data"), &mut scores);
        }
        means.push(scores.print(title));
    }
    texts(&folder).print("texts");
    assert!(means[0] >= 0.90, "macro-F1 of parameters is {:.3}", means[0]);
}

/// Sentences, in which a value has to be found where the label has it.
fn texts(folder: &Path) -> Scores {
    let mut scores = Scores::default();
    let texts: Vec<Value> = serde_json::from_str(&read(&folder.join("presidio_generated_large.json"))).unwrap();
    for text in &texts {
        let full = text["full_text"].as_str().unwrap();
        // Labels count characters.
        let offsets: Vec<usize> = full.char_indices().map(|(at, _)| at).chain([full.len()]).collect();
        let at = |span: &Value, key: &str| offsets[(span[key].as_u64().unwrap() as usize).min(offsets.len() - 1)];
        let mut told: Vec<(String, usize, usize)> = classify("", full, &[])
            .iter()
            .filter(|found| found.is_decided() && is_measured(found.class.as_str()))
            .map(|found| (found.class.as_str().to_owned(), found.start, found.end))
            .collect();
        for span in text["spans"].as_array().unwrap() {
            let (start, end) = (at(span, "start_position"), at(span, "end_position"));
            let entity = span["entity_type"].as_str().unwrap();
            let overlaps = |found: &(String, usize, usize)| found.1 < end && start < found.2;
            let (Some(class), _) = truth(entity) else {
                for found in told.extract_if(.., |found| overlaps(found)) {
                    if entity != "DOMAIN_NAME" {
                        scores.counts.entry(found.0.clone()).or_default().false_ones += 1;
                        scores.confuse(entity, &found.0);
                    }
                }
                continue;
            };
            let before = told.len();
            told.retain(|found| !(overlaps(found) && found.0 == class));
            let count = scores.counts.entry(class.to_owned()).or_default();
            match told.len() < before {
                true => count.hits += 1,
                false => {
                    count.misses += 1;
                    let instead =
                        told.iter().find(|found| overlaps(found)).map_or("nothing", |found| &found.0).to_owned();
                    scores.confuse(class, &instead);
                }
            }
        }
        for (class, ..) in told {
            scores.confuse("text", &class);
            scores.counts.entry(class).or_default().false_ones += 1;
        }
    }
    scores
}

/// Lines of files with secrets, by the baseline that is with them. A line is a parameter where it assigns something. What is known
/// by nothing but its entropy is left out: a random value under a harmless name is an id to us.
fn lines_with_secrets(folder: &Path, scores: &mut Scores) {
    let baseline: Value = serde_json::from_str(&read(&folder.join("baseline.file"))).unwrap();
    for (file, results) in baseline["results"].as_object().unwrap() {
        let path = folder.join(file.trim_start_matches("test_data/"));
        if !path.is_file() {
            continue;
        }
        let text = read(&path);
        let mut kinds: BTreeMap<usize, BTreeSet<&str>> = BTreeMap::new();
        for result in results.as_array().unwrap() {
            let line = result["line_number"].as_u64().unwrap() as usize;
            kinds.entry(line).or_default().insert(result["type"].as_str().unwrap());
        }
        if kinds.values().any(|kinds| kinds.contains("Private Key")) {
            scores.add(Some("private_key"), "file", "value", &text);
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let kinds = kinds.get(&(number + 1)).cloned().unwrap_or_default();
            let is_secret = kinds.contains("Secret Keyword") || kinds.contains("Basic Auth Credentials");
            if kinds.is_empty() || is_secret {
                let (name, value) = assignment(line);
                // Nothing is said of what else is in them.
                scores.add_only(&[SECRET], is_secret.then_some(SECRET), "line", name, value);
            }
        }
    }
}

fn assignment(line: &str) -> (&str, &str) {
    let is_quote = |character: char| matches!(character, '"' | '\'' | ',' | ';') || character.is_whitespace();
    match line.split_once(['=', ':']) {
        Some((name, value)) if !value.starts_with("//") => {
            let name = name.trim_matches(is_quote);
            (name.rsplit([' ', '+', '-']).next().unwrap_or(name), value.trim_start_matches('=').trim_matches(is_quote))
        }
        _ => ("", line.trim_matches(is_quote)),
    }
}

/// Kinds of generated parameters that are ids, numbers and hashes, and the class that a value of the kind rightly is.
fn right_class(kind: &str) -> Option<Option<&'static str>> {
    match kind {
        "uuid" => Some(Some("uuid")),
        "md5" | "sha1" | "sha256" => Some(Some("hash")),
        "int" | "smallint" | "hex16" | "hex24" | "snowflake" | "prefixed" | "ulid" | "base62_22" | "short11"
        | "year" | "month" | "decimal" => Some(None),
        _ => None,
    }
}

#[test]
fn ids_times_and_hashes_are_of_no_other_class() {
    let Some(folder) = data("discovery") else { return };
    let mut all = 0;
    let mut unnamed: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut named: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut check = |kind: &str, right: Option<&str>, name: &str, value: &str, path: &[&str]| {
        all += 1;
        for found in classify("", value, path).iter().filter(|found| found.is_decided()) {
            if right != Some(found.class.as_str()) {
                *unnamed.entry((kind.to_owned(), found.class.as_str().to_owned())).or_default() += 1;
            }
        }
        for found in classify(name, value, path).iter().filter(|found| found.is_decided()) {
            // What its document says is a password is one, although an id was made up for it.
            if right == Some(found.class.as_str()) || (name, found.class.as_str()) == ("passwd", "password") {
                continue;
            }
            *named.entry((name.to_owned(), found.class.as_str().to_owned())).or_default() += 1;
        }
    };
    for line in read(&folder.join("labels.jsonl.gz")).lines() {
        let label: Value = serde_json::from_str(line).unwrap();
        let template = label["template"].as_str().unwrap_or_default();
        let path: Vec<&str> = template.split('/').filter(|part| !part.is_empty() && !part.contains('{')).collect();
        for parameter in label["params"].as_array().unwrap() {
            let of = |key: &str| parameter[key].as_str().unwrap_or_default();
            if let Some(right) = right_class(of("kind")) {
                check(of("kind"), right, of("name"), of("value"), &path);
            }
        }
    }
    let total = |wrong: &BTreeMap<_, usize>| wrong.values().sum::<usize>();
    println!("{all} ids, numbers and hashes");
    println!("without a name: {} false classes, {:.4} %: {unnamed:?}", total(&unnamed), share(total(&unnamed), all));
    println!("with a name: {} false classes, {:.4} %: {named:?}", total(&named), share(total(&named), all));
    assert!(share(total(&unnamed), all) < 0.3 && share(total(&named), all) < 0.3);
    // Times are apart, as there are so many that they would hide the rest.
    let mut times = 0;
    for line in read(&folder.join("events.jsonl.gz")).lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        let time = event["started_at"].to_string();
        times += 1;
        for name in ["", "started_at", "q"] {
            let is_told = classify(name, &time, &[]).iter().any(|found| found.is_decided());
            assert!(!is_told, "a time under `{name}`");
        }
    }
    println!("{times} times, none of them of any class");
}

fn share(part: usize, all: usize) -> f64 {
    100.0 * part as f64 / all.max(1) as f64
}
