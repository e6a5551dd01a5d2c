//! `outrider hunt`: saved hunts made, listed, tried and deleted on the machine itself, for whoever may read the data
//! directory. A running outrider takes up what is changed at its next look.

use std::io::{Read as _, Write as _};
use std::path::Path;

use anyhow::Context as _;
use outrider_lake::HuntAnswer;
use outrider_model::{AuditEntry, Hunt};
use outrider_platform::hunts::window_by_hand;
use outrider_platform::store::{AuditLog, HuntRow};

use crate::ask::lake_of;
use crate::cli::HuntCommand;
use crate::config::{self, Config};
use crate::service::now_ms;
use crate::terminal;
use crate::tokens::open;

/// Who the audit log says it was.
const BY: &str = "command line";

/// Runs one of the commands; outrider may be running meanwhile.
pub async fn run(command: HuntCommand) -> anyhow::Result<()> {
    match command {
        HuntCommand::List { config } => {
            let rows = open(&config.config).await?.hunts().await?;
            if rows.is_empty() {
                terminal::note("there are no hunts; `outrider hunt add FILE` saves one");
            }
            let mut out = std::io::stdout().lock();
            for row in rows {
                writeln!(out, "{}", line(&row))?;
            }
        }
        HuntCommand::Show { config, name } => {
            let row = open(&config.config).await?.hunt(&name).await?;
            let row = row.with_context(|| format!("there is no hunt `{name}`"))?;
            writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(&row)?)?;
        }
        HuntCommand::Add { config, file } => {
            let hunt = read(&file)?;
            let store = open(&config.config).await?;
            lake_of(&Config::load(&config.config)?)?
                .check_hunt(&hunt)
                .await
                .with_context(|| format!("hunt `{}`", hunt.name))?;
            store.put_hunt(&hunt, false, BY, now_ms()).await?;
            let state = if hunt.enabled { format!("runs every {}", hunt.every) } else { "is switched off".to_owned() };
            terminal::note(&format!("hunt `{}` is saved and {state}", hunt.name));
        }
        HuntCommand::Remove { config, name } => {
            open(&config.config).await?.delete_hunt(&name, BY, now_ms()).await?;
            terminal::note(&format!("hunt `{name}` is deleted"));
        }
        HuntCommand::Run { config, name, file } => try_out(&config.config, name.as_deref(), file.as_deref()).await?,
    }
    Ok(())
}

async fn try_out(config: &Path, name: Option<&str>, file: Option<&Path>) -> anyhow::Result<()> {
    let store = open(config).await?;
    let hunt = match (name, file) {
        (_, Some(file)) => read(file)?,
        (name, None) => {
            let name = name.unwrap_or_default();
            store.hunt(name).await?.with_context(|| format!("there is no hunt `{name}`"))?.hunt
        }
    };
    let (what, subject) = ("ran a hunt".to_owned(), format!("hunt {}", hunt.name));
    let entry = AuditEntry { at_ms: now_ms(), by: BY.to_owned(), what, subject, detail: hunt.ask.text().to_owned() };
    store.note(AuditLog::Reads, &entry).await?;
    let lake = lake_of(&Config::load(config)?)?;
    lake.check_hunt(&hunt).await.with_context(|| format!("hunt `{}`", hunt.name))?;
    let answer = lake.hunt(&hunt, |to| window_by_hand(&hunt, to, now_ms()), &[]).await?;
    let mut out = std::io::stdout().lock();
    write!(out, "{}", table(&answer))?;
    let figures = &answer.figures;
    let left_out = match figures.entities_left_out {
        0 => String::new(),
        count => format!(", {count} more are left out"),
    };
    terminal::note(&format!(
        "{} found in {} rows{left_out}; {} rows and {} KiB were read",
        figures.entities,
        figures.rows,
        figures.rows_read,
        figures.bytes_read / 1024
    ));
    Ok(())
}

/// Who was found.
fn table(answer: &HuntAnswer) -> String {
    let line = |hit: &outrider_model::HuntHit| {
        let (kind, gateway) = (hit.entity.kind.as_str(), &hit.entity.gateway);
        let line = format!("{kind:<10} {:<36} {gateway:<16} {:>8}  {}", hit.entity.display_name(), hit.rows, hit.shown);
        format!("{}\n", line.trim_end())
    };
    answer.hits.iter().map(line).collect()
}

fn line(row: &HuntRow) -> String {
    let state = if row.hunt.enabled { format!("every {}", row.hunt.every) } else { "off".to_owned() };
    let last = row.last_run.as_ref().map_or_else(
        || "has not run yet".to_owned(),
        |run| match (&run.error, &run.figures) {
            (Some(error), _) => format!("failed {} times: {error}", row.failures),
            (None, figures) => {
                let found = figures.map_or(0, |figures| figures.entities);
                let read = figures.map_or(0, |figures| figures.rows_read);
                format!("found {found}, read {read} rows in {} ms", run.took_ms)
            }
        },
    );
    format!("{:<24} {state:<10} {:<24} {last}", row.hunt.name, row.owner)
}

/// A hunt as a file has it.
fn read(file: &Path) -> anyhow::Result<Hunt> {
    let text = match file.as_os_str() == "-" {
        true => {
            let mut text = String::new();
            std::io::stdin().lock().read_to_string(&mut text).context("cannot read the hunt from standard input")?;
            text
        }
        false => std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?,
    };
    parse(&text).with_context(|| format!("{} is not valid", file.display()))
}

fn parse(text: &str) -> anyhow::Result<Hunt> {
    let hunt: Hunt = toml::from_str(text).map_err(|error| config::explain(text, &error))?;
    hunt.validate()?;
    Ok(hunt)
}

#[cfg(test)]
mod tests {
    use outrider_lake::{Lake, LakeReader, QueryLimits, Rows};
    use outrider_model::{
        AnsweredBy, ApiCall, ClockCheck, Consumer, CountryCode, Enrichment, Exposure, HuntWindow, Latency, Text, Trust,
    };

    use super::*;
    use crate::packaging::{blocks, read as page};

    const NOON_MS: i64 = 1_795_867_200_000;
    const DAY_MS: i64 = 86_400_000;

    fn call(consumer: &'static str, at_ms: i64) -> ApiCall<'static> {
        ApiCall {
            gateway: "kong".into(),
            workspace: Text::EMPTY,
            trust: Trust::Trusted,
            request_id: Text::EMPTY,
            received_ms: at_ms,
            started_ms: at_ms,
            event_ms: at_ms,
            clock: ClockCheck::AsReported,
            consumer: Some(Consumer {
                id: consumer.into(),
                username: consumer.into(),
                custom_id: Text::EMPTY,
                tags: vec![],
            }),
            anonymous_consumer: false,
            credential_id: Some(consumer.into()),
            presented_credential: None,
            session: None,
            client_ip: Some([192, 0, 2, 1].into()),
            service: None,
            route: None,
            host: Text::EMPTY,
            method: "GET".into(),
            path: "/orders".into(),
            query: vec![],
            headers: vec![],
            status: 200,
            answered_by: AnsweredBy::Upstream,
            own_refusal: None,
            request_bytes: 100,
            response_bytes: 1000,
            latency: Latency { total_ms: 1, gateway_ms: 1, upstream_ms: 1 },
            response_type: Text::EMPTY,
            fields: vec![],
            enrichment: Enrichment { country: CountryCode::new("SE"), ..Enrichment::default() },
            exposure: Exposure::default(),
        }
    }

    /// Five who each do what one of the hunts looks for, among others who do nothing of the kind.
    fn calls() -> Vec<ApiCall<'static>> {
        let mut calls = vec![call("traveller", NOON_MS - DAY_MS), call("alice", NOON_MS - DAY_MS)];
        for number in 0..40 {
            let at_ms = NOON_MS + number * 1000;
            calls.push(call("alice", at_ms));
            calls.push(ApiCall { status: 401, ..call("guesser", at_ms) });
            calls.push(ApiCall { response_bytes: 10_000_000, ..call("hoarder", at_ms) });
            let country = ["SE", "BR", "JP", "ZA"][(number % 4).unsigned_abs() as usize];
            let enrichment = Enrichment { country: CountryCode::new(country), ..Enrichment::default() };
            calls.push(ApiCall { enrichment, ..call("shared", at_ms) });
        }
        let enrichment = Enrichment { country: CountryCode::new("BR"), ..Enrichment::default() };
        calls.push(ApiCall { enrichment, ..call("traveller", NOON_MS) });
        calls.push(ApiCall { path: "/admin/users".into(), ..call("intruder", NOON_MS) });
        calls
    }

    #[tokio::test]
    async fn every_hunt_of_the_page_finds_what_it_is_for() {
        let directory = tempfile::tempdir().unwrap();
        let mut lake = Lake::open(directory.path()).await.unwrap();
        let mut rows = Rows::default();
        for (position, call) in (1..).zip(&calls()) {
            rows.push(call, None, position, 0);
        }
        lake.commit(&[rows.finish().unwrap()], 1000).await.unwrap();
        let reader = LakeReader::open(directory.path(), None, QueryLimits::default()).unwrap();
        let page = page("docs/hunts.md");
        let mut found = Vec::new();
        for text in blocks(&page, "toml") {
            let hunt = parse(text).unwrap_or_else(|error| panic!("{text}: {error:#}"));
            reader.check_hunt(&hunt).await.unwrap_or_else(|error| panic!("{text}: {error}"));
            // The two calls of the day before are in no window.
            let window = |to| HuntWindow {
                after: 2,
                to,
                since_ms: NOON_MS,
                until_ms: NOON_MS + 60_000,
                not_before_ms: None,
                again_from_ms: None,
            };
            let answer = reader.hunt(&hunt, window, &[]).await.unwrap();
            let who: Vec<_> = answer.hits.iter().map(|hit| hit.entity.value.clone()).collect();
            found.push((hunt.name, who.join(", ")));
        }
        let expected = [
            ("refused-often", "guesser"),
            ("into-admin", "intruder"),
            ("shared-consumer", "shared"),
            ("new-country", "traveller"),
            ("bulk-reading", "hoarder"),
        ];
        assert_eq!(found, expected.map(|(name, who)| (name.to_owned(), who.to_owned())));
    }

    #[test]
    fn a_file_that_is_wrong_is_refused_with_its_line() {
        let good = "name = 'a'\nevery = '5m'\nask.search = 'status:401'\n";
        assert_eq!(parse(good).unwrap().name, "a");
        for (text, words) in [
            (good.replace("every", "evry"), "line 2: unknown field `evry`"),
            (good.replace("5m", "5 minutes"), "like `15m`"),
            (good.replace("5m", "10s"), "use 1m to 1d"),
            (good.replace("search", "serch"), "serch"),
            ("name = 'a'\nevery = '5m'\n".to_owned(), "missing field `ask`"),
        ] {
            let error = format!("{:#}", parse(&text).unwrap_err());
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
