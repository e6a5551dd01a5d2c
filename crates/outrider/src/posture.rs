//! `outrider posture`: what is weak at the APIs behind the gateways, what is left so for a while, and what is checked.
//!
//! It reads the control store on the machine itself, by who may read the data directory, whether outrider runs or not. What is decided
//! here is asked for there, and whoever runs the data directory takes it into the log.

use anyhow::{Context as _, bail, ensure};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use outrider_discover::posture::{UnreadBodies, WeaknessRow, WeaknessState, checks, csv, severity_word, unread_bodies};
use outrider_lake::parse_duration_ms;
use outrider_model::{AuditEntry, WeaknessId};
use outrider_platform::store::{
    AskedException, AuditLog, Gateways, PAGE_MAX, Store, WeaknessFilter, WeaknessOrder, WeaknessStanding,
};

use crate::cli::{ConfigArgument, PostureArguments, PostureCommand, Standing, WeaknessesArguments};
use crate::config::Config;
use crate::service::now_ms;
use crate::tokens::open;
use crate::{local, terminal};

/// Who asks here.
const BY: &str = "command line";
/// How often it is looked whether what was asked is decided, and how many times.
const LOOK_EVERY: std::time::Duration = std::time::Duration::from_millis(250);
const LOOKS_MAX: usize = 60;
/// Endpoints of whose bodies nothing is known that are named.
const UNREAD_NAMED_MAX: usize = 10;

/// Does one of the things with posture.
pub async fn posture(arguments: PostureArguments) -> anyhow::Result<()> {
    match arguments.command {
        None => list(arguments.list).await,
        Some(PostureCommand::Except { config, id, until, reason }) => {
            let until_ms = moment(&until, now_ms())?;
            ensure!(until_ms > now_ms(), "--until `{until}` is over already");
            ensure!(!reason.trim().is_empty(), "say with --reason why it is left");
            decide(&config, asked(id, Some(until_ms), reason)).await
        }
        Some(PostureCommand::Withdraw { config, id }) => decide(&config, asked(id, None, String::new())).await,
        Some(PostureCommand::Checks { check }) => tell_checks(check.as_deref()),
    }
}

fn asked(weakness: WeaknessId, until_ms: Option<i64>, reason: String) -> AskedException {
    AskedException { weakness, until_ms, reason, by: BY.to_owned(), asked_ms: now_ms() }
}

async fn list(arguments: WeaknessesArguments) -> anyhow::Result<()> {
    let store = open(&arguments.config.config).await?;
    note(&store, arguments.service.as_deref().unwrap_or("all services")).await?;
    let standing = |standing: &Standing| match standing {
        Standing::Open => WeaknessStanding::Open,
        Standing::Excepted => WeaknessStanding::Excepted,
        Standing::Fixed => WeaknessStanding::Fixed,
    };
    let filter = WeaknessFilter {
        standings: arguments.state.iter().map(standing).collect(),
        severity_min: arguments.severity,
        check: arguments.check.clone(),
        gateway: arguments.gateway.clone(),
        service: arguments.service.clone(),
        order: WeaknessOrder::Severity,
        ..WeaknessFilter::default()
    };
    let rows = all(&store, &filter).await?;
    let text = match (arguments.json, arguments.csv) {
        (true, _) => {
            let line = |row| serde_json::to_string(row).map(|text| text + "\n");
            rows.iter().map(line).collect::<Result<String, _>>()?
        }
        (false, true) => csv(&rows)?,
        (false, false) => rows.iter().map(told).collect(),
    };
    terminal::out(&text)?;
    if !arguments.json && !arguments.csv {
        terminal::note(&format!("{} weaknesses; `outrider posture checks` says what is checked", rows.len()));
        tell_unread(&store, &arguments).await?;
    }
    Ok(())
}

async fn all(store: &Store, filter: &WeaknessFilter) -> anyhow::Result<Vec<WeaknessRow>> {
    let (mut rows, mut cursor): (Vec<WeaknessRow>, Option<String>) = (Vec::new(), None);
    loop {
        let page = store.weaknesses(filter, PAGE_MAX, cursor.as_deref()).await?;
        rows.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            return Ok(rows);
        }
    }
}

/// A weakness for reading.
fn told(row: &WeaknessRow) -> String {
    let weakness = &row.weakness;
    let place = if row.service_name.is_empty() { &row.gateway } else { &row.service_name };
    let state = match &weakness.state {
        WeaknessState::Open => String::new(),
        WeaknessState::Fixed => "  fixed".to_owned(),
        WeaknessState::Excepted { until_ms, reason, by } => {
            format!("  left until {} by {by}: {reason}", terminal::utc(*until_ms))
        }
    };
    format!(
        "{:<8}  {}  {} {}  {place}{state}\n          {}\n          {}\n",
        severity_word(weakness.severity),
        weakness.id,
        weakness.owasp,
        weakness.check,
        weakness.sentence,
        weakness.fix
    )
}

/// Says of which endpoints nothing can be said but by their paths and headers, and what would change that.
async fn tell_unread(store: &Store, arguments: &WeaknessesArguments) -> anyhow::Result<()> {
    let (mut names, mut shown): (Vec<String>, Option<UnreadBodies>) = (Vec::new(), None);
    for row in store.apis(&Gateways::All).await? {
        let named = arguments.service.as_ref();
        let is_named = named.is_none_or(|name| row.service_name == *name || row.key.service == *name);
        if !is_named || arguments.gateway.as_ref().is_some_and(|name| row.key.gateway != *name) {
            continue;
        }
        for (endpoint, seen) in store.api_inventory(&row.key).await? {
            if let Some(unread) = unread_bodies(&endpoint, &seen) {
                names.push(format!("{} {} of {}", endpoint.key.method, endpoint.key.template, row.service_name));
                shown.get_or_insert(unread);
            }
        }
    }
    let Some(UnreadBodies { why, pre_function, custom_field, mapping, .. }) = shown else { return Ok(()) };
    let named: Vec<&str> = names.iter().take(UNREAD_NAMED_MAX).map(String::as_str).collect();
    let more = names.len() - named.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    terminal::note(&format!(
        "of the bodies of {} endpoints nothing is seen ({}{more}): {why}. What shows a part of a request: Kong's Pre-Function on the \
         route, in `access`:\n\n{pre_function}\nin `custom_fields_by_lua` of the log plugin:\n\n{custom_field}\n\nand in \
         outrider.toml:\n\n{mapping}",
        names.len(),
        named.join(", "),
    ));
    Ok(())
}

async fn decide(config: &ConfigArgument, asked: AskedException) -> anyhow::Result<()> {
    let store = open(&config.config).await?;
    let data_dir = Config::load(&config.config)?.data_dir;
    let id = asked.weakness;
    let before = known(&store, id).await?;
    ensure!(
        asked.until_ms.is_some() || matches!(before.weakness.state, WeaknessState::Excepted { .. }),
        "{id} is not left for a while, so there is nothing to take back"
    );
    store.ask_exception(&asked).await?;
    if local::ask(&data_dir).await?.is_none() {
        terminal::note("no outrider runs here: it is decided when one does");
        return Ok(());
    }
    for _ in 0..LOOKS_MAX {
        tokio::time::sleep(LOOK_EVERY).await;
        if store.asked_exceptions().await?.iter().any(|other| other.weakness == id) {
            continue;
        }
        let row = known(&store, id).await?;
        let is_done = match (&row.weakness.state, asked.until_ms) {
            (WeaknessState::Excepted { until_ms, .. }, Some(wanted)) => *until_ms == wanted,
            // One that is not there now is left as soon as it is again.
            (WeaknessState::Fixed, _) | (WeaknessState::Open, None) => true,
            _ => false,
        };
        ensure!(is_done, "it was refused; the audit log says why");
        return terminal::out(&told(&row));
    }
    bail!("the running outrider has not come to it yet; look again later with `outrider posture --state excepted`")
}

async fn known(store: &Store, id: WeaknessId) -> anyhow::Result<WeaknessRow> {
    store.weakness(&id.to_string()).await?.with_context(|| format!("there is no weakness `{id}`"))
}

fn tell_checks(check: Option<&str>) -> anyhow::Result<()> {
    if let Some(name) = check {
        let names = || terminal::some_of(checks::ALL.iter().map(|check| check.descriptor.name));
        let known =
            checks::named(name).with_context(|| format!("there is no check `{name}`; there are {}", names()))?;
        return terminal::out(known.descriptor.page);
    }
    let line = |check: &checks::Check| {
        let about = check.descriptor;
        format!("{:<38} {:<9} {:<8} {}\n", about.name, about.owasp, severity_word(about.severity), about.summary)
    };
    terminal::out(&checks::ALL.iter().map(line).collect::<String>())
}

/// When somebody means: a day, a moment, or how long from now.
fn moment(text: &str, now_ms: i64) -> anyhow::Result<i64> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at.as_millisecond());
    }
    if let Ok(day) = text.parse::<Date>() {
        return Ok(day.to_zoned(TimeZone::UTC)?.timestamp().as_millisecond());
    }
    let length_ms = parse_duration_ms(text).with_context(|| {
        format!("--until `{text}`: use a day such as 2026-12-31, a moment such as 2026-12-31T12:00:00Z, or a length such as 30d")
    })?;
    Ok(now_ms.saturating_add(length_ms))
}

async fn note(store: &Store, detail: &str) -> anyhow::Result<()> {
    let (by, what) = (BY.to_owned(), "read weaknesses".to_owned());
    let entry = AuditEntry { at_ms: now_ms(), by, what, subject: String::new(), detail: detail.to_owned() };
    Ok(store.note(AuditLog::Reads, &entry).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_day_a_time_or_a_length() {
        for (text, expected) in [
            ("2026-12-31", Some(1_798_675_200_000)),
            ("2026-12-31T12:00:00Z", Some(1_798_718_400_000)),
            ("30d", Some(1_000 + 30 * 86_400_000)),
            ("tomorrow", None),
            ("", None),
        ] {
            assert_eq!(moment(text, 1_000).ok(), expected, "{text}");
        }
    }
}
