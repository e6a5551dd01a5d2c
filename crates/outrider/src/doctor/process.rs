//! Judges the running outrider: the process, the platform, and the responders that keep blocks in force.

use super::facts::{Facts, PlatformStatus, ResponderStatus, SourceStatus, Status};
use super::report::{Check, Id};
use crate::config::Role;
use crate::terminal::some_of;

/// How far behind the analysis may be.
const ANALYSIS_BEHIND_MS: i64 = 60_000;

const SUBJECT: &str = "process";
const PLATFORM: [Id; 3] = [Id::ProcessPlatform, Id::ProcessDetectors, Id::ProcessLake];
const RESPONDER: [Id; 3] = [Id::ResponderState, Id::ResponderRepairs, Id::ResponderGuard];

pub fn judge(facts: &Facts) -> Vec<Check> {
    let mut checks = Vec::new();
    match &facts.process {
        Ok(Some(status)) => {
            checks.push(running(status));
            if facts.uplink.is_none() {
                checks.extend(platform(status, facts.now_ms));
            }
            checks.push(drops(status));
        }
        other => {
            let (seen, todo) = match other {
                Err(problem) => {
                    (problem.clone(), "run doctor as the user that outrider runs as, and with the same version of it")
                }
                _ => (
                    format!("no outrider runs with {}", facts.data.path.display()),
                    match facts.role {
                        Role::Run => {
                            "start it: `outrider run`; while it does not run, Kong's log lines are lost, and blocks do not end"
                        }
                        Role::Function => {
                            "a function keeps nothing that doctor could look at; run doctor at the platform"
                        }
                        Role::Collector => {
                            "start it: `outrider collector`; while it does not run, Kong's log lines are lost"
                        }
                        Role::Platform => {
                            "start it: `outrider platform`; while it does not run, nothing is analysed and nobody is blocked"
                        }
                        Role::Responder => "start it: `outrider responder`; while it does not run, blocks do not end",
                    },
                ),
            };
            checks.push(Check::failed(Id::ProcessRunning, SUBJECT, seen, todo));
            let rest = PLATFORM.into_iter().filter(|_| facts.uplink.is_none()).chain([Id::ProcessDrops]);
            checks.extend(rest.map(|id| Check::skipped(id, SUBJECT, "the running outrider could not be asked")));
        }
    }
    for gateway in &facts.gateways {
        let name = &gateway.name;
        let skip = |why: &str| RESPONDER.map(|id| Check::skipped(id, name, why)).to_vec();
        let responder = match &facts.process {
            Ok(Some(status)) => status.responders.iter().find(|responder| responder.gateway == *name).ok_or(
                "the running outrider has no responder for it: it was started with another configuration, or another process is",
            ),
            _ => Err("the running outrider could not be asked"),
        };
        checks.extend(match responder {
            Ok(status) => vec![state(name, status), repairs(name, status), guard(name, status)],
            Err(why) => skip(why),
        });
    }
    checks
}

fn running(status: &Status) -> Check {
    let ours = env!("CARGO_PKG_VERSION");
    if status.version != ours {
        let seen = format!("version {} runs, and this is {ours}", status.version);
        return Check::warning(
            Id::ProcessRunning,
            SUBJECT,
            seen,
            "restart outrider, so that the installed version runs",
        );
    }
    Check::ok(Id::ProcessRunning, SUBJECT, format!("version {} runs", status.version))
}

fn platform(status: &Status, now_ms: i64) -> Vec<Check> {
    let Some(platform) = &status.platform else {
        return PLATFORM.map(|id| Check::skipped(id, SUBJECT, "the process says nothing of a platform")).to_vec();
    };
    vec![analysis(platform, now_ms), detectors(platform), lake(platform)]
}

fn analysis(platform: &PlatformStatus, now_ms: i64) -> Check {
    let progress = &platform.progress;
    let id = Id::ProcessPlatform;
    let behind_ms = now_ms - progress.analysed_at_ms;
    if progress.clock_behind_ms > 0 {
        let seen = format!("this machine's clock is {} s behind what it was", progress.clock_behind_ms / 1000);
        return Check::failed(id, SUBJECT, seen, "let NTP set the clock; calls count as late until it has caught up");
    }
    if !platform.caught_up {
        let seen = "it goes through the log again after a start; no block is changed before it is through";
        return Check::warning(id, SUBJECT, seen, "wait, and ask again");
    }
    if platform.log.last > progress.analysed_position && behind_ms > ANALYSIS_BEHIND_MS {
        let seen = format!("the analysis is {} s behind, so alerts and blocks are as late", behind_ms / 1000);
        return Check::failed(id, SUBJECT, seen, "look at processor load: calls come faster than they can be analysed");
    }
    if progress.store_failures > 0 {
        let seen = format!("{} tries to write the control store failed since the start", progress.store_failures);
        return Check::warning(
            id,
            SUBJECT,
            seen,
            "look at the disk and at outrider's own log; what failed is tried again",
        );
    }
    Check::ok(id, SUBJECT, "the analysis is up to date")
}

fn detectors(platform: &PlatformStatus) -> Check {
    let Some(analysis) = &platform.analysis else {
        return Check::skipped(Id::ProcessDetectors, SUBJECT, "the analysis has just begun");
    };
    let failed = || {
        let detectors = analysis.detectors.iter();
        detectors.filter_map(|detector| Some(format!("{}: {}", detector.name, detector.failure.as_ref()?)))
    };
    if failed().next().is_some() {
        let todo = "restart outrider, and report the message: it is a fault in the detector. The others go on";
        return Check::failed(Id::ProcessDetectors, SUBJECT, format!("out of use: {}", some_of(failed())), todo);
    }
    let names = some_of(analysis.detectors.iter().map(|detector| &detector.name));
    Check::ok(Id::ProcessDetectors, SUBJECT, format!("at work: {names}"))
}

fn lake(platform: &PlatformStatus) -> Check {
    let progress = &platform.progress;
    let seen = format!("{} rows in {} commits since the start", progress.lake_rows, progress.lake_commits);
    let (commits, keeping) = (progress.lake_failures, progress.lake_keeping_failures);
    if commits + keeping > 0 {
        let mut seen = match commits {
            0 => format!("{seen}; {keeping} times something failed that keeps it in shape"),
            _ => format!("{seen}; {commits} times a commit failed"),
        };
        if !progress.lake_error.is_empty() {
            seen = format!("{seen}; the last failure: {}", progress.lake_error);
        }
        let todo = match commits {
            0 => {
                "calls are written nevertheless; `outrider lake check` finds damaged files, and outrider's own log says more"
            }
            _ => {
                "look at the disk or the store, and at outrider's own log; what could not be committed waits in the log"
            }
        };
        return Check::warning(Id::ProcessLake, SUBJECT, seen, todo);
    }
    Check::ok(Id::ProcessLake, SUBJECT, seen)
}

fn drops(status: &Status) -> Check {
    let progress = status.platform.as_ref().map(|platform| &platform.progress);
    let counters = || status.sources.iter().map(|source: &SourceStatus| &source.counters);
    let counts = [
        (counters().map(|counters| counters.dropped_total()).sum(), "calls were given up at the sources"),
        (progress.map_or(0, |progress| progress.dropped_calls), "calls were refused by a full log"),
        (status.platform.as_ref().map_or(0, |platform| platform.log.missing_calls), "calls are missing in the log"),
        (
            status.spool.as_ref().map_or(0, |spool| {
                spool.dropped_calls
                    + spool.given_up_calls.for_room
                    + spool.given_up_calls.for_age
                    + status.refused_calls
            }),
            "calls were given up by the spool, or refused by the platform",
        ),
        (counters().map(|counters| counters.connections_too_many()).sum(), "connections were too many"),
        (counters().map(|counters| counters.accept_errors).sum(), "connections could not be accepted"),
    ];
    let lost = counts.iter().filter(|(count, _): &&(u64, &str)| *count > 0);
    let lost: Vec<String> = lost.map(|(count, what)| format!("{count} {what}")).collect();
    if lost.is_empty() {
        return Check::ok(Id::ProcessDrops, SUBJECT, "nothing was lost since the start");
    }
    let todo = "look at disk space, `log.total_bytes_max`, `connections_max` and `connections_per_address_max` of the source, and \
                the limit of open files; what was dropped is gone";
    Check::warning(Id::ProcessDrops, SUBJECT, format!("since the start: {}", some_of(lost)), todo)
}

fn state(name: &str, responder: &ResponderStatus) -> Check {
    let id = Id::ResponderState;
    if let Some(failure) = &responder.failure {
        let seen = format!("{} tries in a row failed: {failure}", responder.attempt);
        let todo = "see the checks of the Admin API; blocks that are in Kong stay there until it can be reached again";
        return Check::failed(id, name, seen, todo);
    }
    if let Some(held) = &responder.held {
        let seen = format!("it holds back, so nobody is blocked: {held}");
        return Check::warning(id, name, seen, "run `outrider responder resume` when it may act again");
    }
    if responder.listed_ms.is_none() {
        return Check::warning(id, name, "it has not looked at the gateway yet", "wait a few seconds, and ask again");
    }
    let seen = format!("it keeps {} plugins of ours in force", responder.own_plugins);
    match responder.adopted {
        0 => Check::ok(id, name, seen),
        adopted => Check::warning(
            id,
            name,
            format!("{seen}; {adopted} of them hold actions that the platform knows nothing of"),
            "after a restore that is expected: they stay until the end that their tags in Kong tell. To end one before, order the              same for as long and release that, or delete the plugin in Kong",
        ),
    }
}

fn repairs(name: &str, responder: &ResponderStatus) -> Check {
    if responder.repaired == 0 {
        return Check::ok(Id::ResponderRepairs, name, "nobody else has changed our plugins since the start");
    }
    Check::warning(
        Id::ResponderRepairs,
        name,
        format!(
            "our plugins were changed or deleted {} times since the start, and put right again",
            responder.repaired
        ),
        "find the other tool. `deck gateway sync` deletes what its file does not have: give your own objects a tag and let it \
         work on those alone with `--select-tag`; ours carry the tag `outrider`. Until then blocks have gaps",
    )
}

fn guard(name: &str, responder: &ResponderStatus) -> Check {
    match &responder.guard_problem {
        None => Check::ok(Id::ResponderGuard, name, "the guard rails of the premises are in force"),
        Some(problem) => Check::failed(
            Id::ResponderGuard,
            name,
            problem,
            "mend the file; until then nothing new is brought to the gateway",
        ),
    }
}
