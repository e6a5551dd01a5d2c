//! Guard rails on the premises (decision 21). The platform has its own; these are the ones that it cannot change.
//!
//! Pure but for [`GuardFile`], which reads them. What is decided here: which of the platform's actions may act at all.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use outrider_model::{ActionId, ActionKind, ActionScope, DesiredAction};
use serde::Deserialize;

use super::wire::Consumer;
use crate::gateways::GatewayError;

/// Actions at one gateway, whoever asked for them. What is beyond is refused.
pub const ACTIONS_MAX: usize = 10_000;

/// A file of guard rails is written by a person.
const GUARD_FILE_BYTES_MAX: u64 = 1024 * 1024;

/// The guard rails of one responder, as the file says them. All keys are optional.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GuardRails {
    /// Everything is taken off the gateway and nothing is brought to it, whoever asks.
    pub kill_switch: bool,
    /// Automatic actions at the gateway at one time. Persons' actions do not count.
    pub active_actions_max: u32,
    /// Consumers that are never blocked, whoever asks.
    pub never_block: NeverBlock,
}

/// Consumers that are never blocked. Names, custom ids and tags are those that the gateway has, not those that the
/// platform says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NeverBlock {
    /// User names; letter case does not matter.
    pub names: Vec<String>,
    /// Kong's ids.
    pub ids: Vec<String>,
    /// The operator's own ids.
    pub custom_ids: Vec<String>,
    /// Tags.
    pub tags: Vec<String>,
}

impl Default for GuardRails {
    fn default() -> Self {
        GuardRails { kill_switch: false, active_actions_max: 1000, never_block: NeverBlock::default() }
    }
}

const TOP_KEYS: &[&str] = &["kill_switch", "active_actions_max", "never_block"];
const NEVER_BLOCK_KEYS: &[&str] = &["names", "ids", "custom_ids", "tags"];

impl GuardRails {
    /// Reads the file's text.
    pub fn parse(text: &str) -> Result<Self, GatewayError> {
        let invalid = |detail: String| GatewayError::Setting { setting: "guard_file", detail };
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| invalid(error.to_string()))?;
        refuse_unknown("", table.keys(), TOP_KEYS)?;
        if let Some(toml::Value::Table(never_block)) = table.get("never_block") {
            refuse_unknown("never_block.", never_block.keys(), NEVER_BLOCK_KEYS)?;
        }
        table.try_into().map_err(|error: toml::de::Error| invalid(error.to_string()))
    }

    /// The consumer itself has to be looked at before it is blocked.
    fn need_consumer(&self) -> bool {
        let NeverBlock { names, ids: _, custom_ids, tags } = &self.never_block;
        !names.is_empty() || !custom_ids.is_empty() || !tags.is_empty()
    }

    /// Why a consumer is never blocked, as far as is known of it.
    fn forbid(&self, action: &DesiredAction, consumer: Option<&Consumer>) -> Option<String> {
        let list = &self.never_block;
        let same = |one: &String, other: &str| one.eq_ignore_ascii_case(other);
        if list.ids.iter().any(|id| same(id, &action.consumer_id)) {
            return Some(format!("never_block.ids has `{}`", action.consumer_id));
        }
        let names = [Some(action.consumer_name.as_str()), consumer.and_then(|consumer| consumer.username.as_deref())];
        // What is said here goes to the platform, where names may be pseudonyms; the file is at hand on the premises.
        if names.into_iter().flatten().any(|name| list.names.iter().any(|one| same(one, name))) {
            return Some("never_block.names has its user name".to_owned());
        }
        let consumer = consumer?;
        if consumer.custom_id.as_ref().is_some_and(|custom_id| list.custom_ids.contains(custom_id)) {
            return Some("never_block.custom_ids has its custom id".to_owned());
        }
        let has_tag = consumer.tags.iter().any(|tag| list.tags.contains(tag));
        has_tag.then(|| "never_block.tags has one of its tags".to_owned())
    }
}

fn refuse_unknown<'a>(place: &str, keys: impl Iterator<Item = &'a String>, known: &[&str]) -> Result<(), GatewayError> {
    for key in keys {
        if !known.contains(&key.as_str()) {
            let nearest = known.iter().min_by_key(|candidate| strsim::levenshtein(key, candidate)).unwrap_or(&"");
            return Err(GatewayError::Setting {
                setting: "guard_file",
                detail: format!("unknown key `{place}{key}`; did you mean `{place}{nearest}`?"),
            });
        }
    }
    Ok(())
}

/// What the guard rails say at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rails {
    /// They are known.
    Known(GuardRails),
    /// They can no longer be read. What they last forbade stays forbidden and nothing is added: the change that cannot be
    /// read may be the very one that forbids it.
    Outdated(GuardRails, String),
    /// They never could be read: what is at the gateway stays until it is over, nothing is added.
    Unreadable(String),
    /// Somebody took everything off the gateway and holds it so: `release-all`.
    Held(String),
}

impl Rails {
    /// Everything is to be taken off the gateway, whoever speaks for it.
    pub fn take_everything_off(&self) -> bool {
        match self {
            Rails::Known(rails) | Rails::Outdated(rails, _) => rails.kill_switch,
            Rails::Held(_) => true,
            Rails::Unreadable(_) => false,
        }
    }
}

fn unreadable(problem: &str) -> Verdict {
    Verdict::Waits(format!("the guard rails cannot be read: {problem}"))
}

/// What the guard rails say of one action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It may act.
    Allowed,
    /// The consumer has to be looked up first.
    NeedsConsumer,
    /// It must not act, and why.
    Refused(String),
    /// It must not act for now, and why; what it already did stays.
    Waits(String),
}

/// Judges actions, in their order.
///
/// `consumers` are those that were looked up (`None` for one that is gone), `held` the actions that the gateway already
/// holds: they come first where a limit has to choose, so that a new action never pushes out an old one.
pub fn judge(
    rails: &Rails,
    actions: &[DesiredAction],
    consumers: &BTreeMap<String, Option<Consumer>>,
    held: &BTreeSet<ActionId>,
) -> Vec<Verdict> {
    let mut verdicts: Vec<Verdict> =
        actions.iter().map(|action| judge_alone(rails, action, consumers.get(&action.consumer_id))).collect();
    if let Rails::Outdated(_, problem) = rails {
        for (action, verdict) in actions.iter().zip(&mut verdicts) {
            if matches!(verdict, Verdict::Allowed | Verdict::NeedsConsumer) && !held.contains(&action.id) {
                *verdict = unreadable(problem);
            }
        }
    }
    let automatic_max = match rails {
        Rails::Known(rails) | Rails::Outdated(rails, _) => rails.active_actions_max as usize,
        Rails::Unreadable(_) | Rails::Held(_) => usize::MAX,
    };
    let (mut all, mut automatic) = (0, 0);
    for already_held in [true, false] {
        for (action, verdict) in actions.iter().zip(&mut verdicts) {
            let counts = matches!(verdict, Verdict::Allowed | Verdict::NeedsConsumer);
            if !counts || held.contains(&action.id) != already_held {
                continue;
            }
            if all >= ACTIONS_MAX {
                *verdict = Verdict::Refused(format!("one gateway holds at most {ACTIONS_MAX} actions"));
            } else if !action.by_person && automatic >= automatic_max {
                *verdict = Verdict::Refused(format!("active_actions_max is {automatic_max}"));
            } else {
                all += 1;
                automatic += usize::from(!action.by_person);
            }
        }
    }
    verdicts
}

fn judge_alone(rails: &Rails, action: &DesiredAction, consumer: Option<&Option<Consumer>>) -> Verdict {
    let rails = match rails {
        Rails::Known(rails) | Rails::Outdated(rails, _) if rails.kill_switch => {
            return Verdict::Refused("kill_switch is on".to_owned());
        }
        Rails::Known(rails) | Rails::Outdated(rails, _) => rails,
        Rails::Unreadable(problem) => return unreadable(problem),
        Rails::Held(reason) => return Verdict::Refused(format!("everything is released and held so: {reason}")),
    };
    let (ActionKind::Block { status, message } | ActionKind::RateLimit { status, message, .. }) = &action.kind;
    // A block that answers 200 would be no refusal but a lie to the client.
    if !(400..=599).contains(status) || message.is_empty() || message.len() > 4000 {
        return Verdict::Refused(format!("status {status} with a message of {} bytes is no refusal", message.len()));
    }
    if let ActionKind::RateLimit { limits, .. } = &action.kind
        && let Err(error) = limits.validate()
    {
        return Verdict::Refused(error.to_string());
    }
    if let Some(id) = ids_of(action).find(|id| !is_uuid(id)) {
        return Verdict::Refused(format!("`{}` is no id of Kong's", super::answer::quote(id)));
    }
    match rails.forbid(action, consumer.and_then(Option::as_ref)) {
        Some(why) => Verdict::Refused(why),
        None if rails.need_consumer() && consumer.is_none() => Verdict::NeedsConsumer,
        None => Verdict::Allowed,
    }
}

/// The ids that an action brings into addresses and plugins.
fn ids_of(action: &DesiredAction) -> impl Iterator<Item = &str> {
    let place = match &action.scope {
        ActionScope::Consumer => None,
        ActionScope::Service { id, .. } | ActionScope::Route { id, .. } => Some(id.as_str()),
    };
    std::iter::once(action.consumer_id.as_str()).chain(place)
}

/// In the one form that Kong itself writes; a name or `..` in its place would be another address.
fn is_uuid(id: &str) -> bool {
    id.len() == 36 && uuid::Uuid::try_parse(id).is_ok()
}

/// The file with the guard rails, read again whenever it says something else.
#[derive(Debug)]
pub struct GuardFile {
    path: Option<PathBuf>,
    text: Option<String>,
    rails: Option<GuardRails>,
    problem: Option<String>,
}

impl GuardFile {
    /// Without a file, the defaults hold.
    pub fn new(path: Option<PathBuf>) -> Self {
        let rails = path.is_none().then(GuardRails::default);
        GuardFile { path, text: None, rails, problem: None }
    }

    /// What the file says now.
    pub fn refresh(&mut self) -> Rails {
        if let Some(path) = &self.path {
            match read_limited(path) {
                Ok(text) if self.text.as_ref() == Some(&text) => {}
                Ok(text) => {
                    match GuardRails::parse(&text) {
                        Ok(rails) => (self.rails, self.problem) = (Some(rails), None),
                        Err(error) => self.problem = Some(format!("{}: {error}", path.display())),
                    }
                    self.text = Some(text);
                }
                Err(error) => (self.text, self.problem) = (None, Some(error.to_string())),
            }
        }
        match (&self.rails, &self.problem) {
            (Some(rails), None) => Rails::Known(rails.clone()),
            (Some(rails), Some(problem)) => Rails::Outdated(rails.clone(), problem.clone()),
            (None, problem) => Rails::Unreadable(problem.clone().unwrap_or_default()),
        }
    }

    /// What is wrong with the file.
    pub fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }
}

fn read_limited(path: &Path) -> Result<String, GatewayError> {
    let failed = |error: std::io::Error| GatewayError::file("read", path, &error);
    let length = std::fs::metadata(path).map_err(failed)?.len();
    if length > GUARD_FILE_BYTES_MAX {
        return Err(failed(std::io::Error::other(format!("{length} bytes, at most {GUARD_FILE_BYTES_MAX}"))));
    }
    std::fs::read_to_string(path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateways::kong::testing::{ALICE, BOB, block};

    #[test]
    fn the_file_is_read_strictly() {
        let good =
            GuardRails::parse("kill_switch = true\nactive_actions_max = 5\n[never_block]\nnames = ['a']").unwrap();
        assert!(good.kill_switch && good.active_actions_max == 5 && good.never_block.names == ["a"]);
        assert_eq!(GuardRails::parse("").unwrap(), GuardRails::default());
        let cases = [
            ("kil_switch = true", "did you mean `kill_switch`?"),
            ("[never_block]\nname = ['a']", "did you mean `never_block.names`?"),
            ("[never_block]\ncustomids = ['a']", "did you mean `never_block.custom_ids`?"),
            ("kill_switch = 'yes'", "kill_switch"),
            ("active_actions_max = -1", "active_actions_max"),
            ("never_block = ['a']", "never_block"),
            ("kill_switch = ", "line 1"),
        ];
        for (text, expected) in cases {
            let error = GuardRails::parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn limits_choose_the_same_whatever_they_have_chosen_before() {
        let rails = Rails::Known(GuardRails { active_actions_max: 2, ..GuardRails::default() });
        let mut actions: Vec<DesiredAction> = (1..=4).map(|id| block(id, ALICE, None)).collect();
        actions[0].by_person = true;
        let allowed = |held: &[u64]| -> Vec<u64> {
            let held = held.iter().map(|id| ActionId(*id)).collect();
            let verdicts = judge(&rails, &actions, &BTreeMap::new(), &held);
            let pairs = actions.iter().zip(verdicts);
            pairs.filter(|(_, verdict)| *verdict == Verdict::Allowed).map(|(action, _)| action.id.0).collect()
        };
        assert_eq!(allowed(&[]), [1, 2, 3]);
        assert_eq!(allowed(&[1, 2, 3]), [1, 2, 3]);
        assert_eq!(allowed(&[4]), [1, 2, 4], "what is there stays");
        assert_eq!(allowed(&[3, 4]), [1, 3, 4]);
        assert_eq!(allowed(&[2, 3, 4]), [1, 2, 3], "a limit that was lowered takes the last ones away");
    }

    #[test]
    fn a_gateway_holds_a_limited_number_of_actions() {
        let mut actions: Vec<DesiredAction> = (0..=ACTIONS_MAX as u64).map(|id| block(id, BOB, None)).collect();
        actions.iter_mut().for_each(|action| action.by_person = true);
        let verdicts = judge(&Rails::Known(GuardRails::default()), &actions, &BTreeMap::new(), &BTreeSet::new());
        assert_eq!(verdicts.iter().filter(|verdict| **verdict == Verdict::Allowed).count(), ACTIONS_MAX);
        assert!(matches!(&verdicts[ACTIONS_MAX], Verdict::Refused(why) if why.contains("10000")));
    }
}
