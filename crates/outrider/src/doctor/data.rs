//! Judges what is on disk: the data directory, its disk, the guard rails' files, the sources' secrets, the files that calls
//! are enriched from.

use outrider_platform::watcher::is_nearly_full;

use super::facts::{DataFacts, EnrichmentFile, EnrichmentSeen, SecretFile, SourceAsked};
use super::report::{Check, Id};

/// Addresses change hands: an older database tells of other people.
const DATABASE_DAYS_MAX: i64 = 60;
const DAY_MS: i64 = 86_400_000;

pub fn judge(data: &DataFacts, sources: &[SourceAsked], now_ms: i64) -> Vec<Check> {
    let mut checks = vec![directory(data), space(data)];
    checks.extend(data.guard_rails.iter().map(|(gateway, path, problem)| match problem {
        None => Check::ok(Id::DataGuardRails, gateway, format!("{} can be read", path.display())),
        Some(problem) => Check::failed(
            Id::DataGuardRails,
            gateway,
            problem,
            "mend the file; until then the responder brings nothing new to the gateway",
        ),
    }));
    checks.extend(sources.iter().filter_map(|source| Some(secret(&source.name, source.secret.as_ref()?))));
    checks.extend(data.enrichment.iter().map(|file| geo(file, now_ms)));
    checks
}

fn geo(file: &EnrichmentFile, now_ms: i64) -> Check {
    let path = file.path.display().to_string();
    match &file.seen {
        Err(problem) => Check::failed(
            Id::DataGeo,
            &path,
            format!("it {problem}"),
            "put a good file there, under another name first and then renamed; until then a running outrider goes on with the \
             one before, or without",
        ),
        Ok(EnrichmentSeen::Database(facts)) => {
            let days = now_ms.saturating_sub(facts.built_ms) / DAY_MS;
            let seen = format!("{}, built {days} days ago", facts.kind);
            if days > DATABASE_DAYS_MAX {
                let todo = "download a newer one where it came from; a running outrider takes it within seconds";
                return Check::warning(Id::DataGeo, &path, seen, todo);
            }
            Check::ok(Id::DataGeo, &path, seen)
        }
        Ok(EnrichmentSeen::List { entries, bad_lines: 0 }) => {
            Check::ok(Id::DataGeo, &path, format!("{entries} networks and systems"))
        }
        Ok(EnrichmentSeen::List { entries, bad_lines }) => Check::warning(
            Id::DataGeo,
            &path,
            format!("{entries} networks and systems, and {bad_lines} lines that are neither"),
            "write one network, address or autonomous system a line, such as `192.0.2.0/24` or `AS64496`",
        ),
    }
}

fn secret(source: &str, file: &SecretFile) -> Check {
    let Some(problem) = &file.problem else {
        return Check::ok(Id::DataSecret, source, format!("{} can be read", file.path.display()));
    };
    let todo = if file.is_there {
        "the file holds 16 to 512 visible characters and is readable by outrider's user alone (chmod 600); `outrider kong setup` \
         makes a new one if you remove it"
    } else {
        "run `outrider kong setup`: it makes the secret and gives it to Kong"
    };
    Check::failed(Id::DataSecret, source, problem, todo)
}

fn directory(data: &DataFacts) -> Check {
    let path = data.path.display().to_string();
    let Some(seen) = &data.directory else {
        return Check::warning(
            Id::DataDirectory,
            &path,
            "it is not there yet",
            "`outrider run` makes it at its first start; if it did, data_dir in the configuration names another one",
        );
    };
    match &seen.content {
        Err(problem) => Check::failed(
            Id::DataDirectory,
            &path,
            problem,
            "data_dir names the wrong directory, or it is damaged: restore it from a backup",
        ),
        Ok(()) if !seen.is_writable => Check::failed(
            Id::DataDirectory,
            &path,
            "this user may not write there",
            "run doctor as the user that outrider runs as; if this is that user, give the directory to it",
        ),
        Ok(()) if seen.mode & 0o077 != 0 => Check::warning(
            Id::DataDirectory,
            &path,
            format!("others on this machine may use it (mode {:o})", seen.mode),
            format!("chmod 700 {path}"),
        ),
        Ok(()) => Check::ok(Id::DataDirectory, &path, "it is this user's alone and its layout is known"),
    }
}

fn space(data: &DataFacts) -> Check {
    let path = data.path.display().to_string();
    let Some((free, all)) = data.disk_bytes else {
        return Check::skipped(Id::DataSpace, &path, "the disk cannot be looked at before the directory is there");
    };
    let seen = format!("{} of {} MiB are free", free >> 20, all >> 20);
    if is_nearly_full(free, all) {
        let todo = "free space, or move data_dir to a larger disk; when it is full, calls are dropped and counted";
        return Check::warning(Id::DataSpace, &path, seen, todo);
    }
    Check::ok(Id::DataSpace, &path, seen)
}
