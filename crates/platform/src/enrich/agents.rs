//! What program the `user-agent` of a call names, and what kind of program that is.
//!
//! The family is found by the rules of uap-core (`agents/README.md`), else it is the name that the client begins with. The
//! class is found by words that programs of a kind have in common. Both are the client's own word and easily forged: they
//! tell honest programs apart and show changes, they prove nothing.

mod words;

use std::sync::Arc;

use outrider_model::{AgentClass, ENRICHED_NAME_BYTES_MAX, Text};
use quick_cache::sync::Cache;
use ua_parser::user_agent::{Builder, Extractor, Parser};

/// Of a longer header only the beginning is looked at.
const HEADER_BYTES_MAX: usize = 512;
/// Headers that are remembered with what they say; at most some 5 MB.
const HEADERS_REMEMBERED: usize = 8192;

const RULES: &str = include_str!("agents/uap-core.json");

/// Knows programs.
pub(super) struct Agents {
    rules: Option<Extractor<'static>>,
    seen: Cache<Box<str>, Arc<Agent>>,
}

struct Agent {
    family: String,
    class: AgentClass,
}

impl Agents {
    pub(super) fn new() -> Agents {
        let rules = rules();
        if let Err(problem) = &rules {
            tracing::error!(problem, "user agents have no family; this is a mistake of ours, please report it");
        }
        Agents { rules: rules.ok(), seen: Cache::new(HEADERS_REMEMBERED) }
    }

    /// Family and class.
    pub(super) fn look_up(&self, header: &str) -> (Text<'static>, AgentClass) {
        let header = &header[..header.floor_char_boundary(HEADER_BYTES_MAX)];
        let agent = self.seen.get(header).unwrap_or_else(|| {
            let agent = Arc::new(self.judge(header));
            self.seen.insert(header.into(), Arc::clone(&agent));
            agent
        });
        (Text::from(agent.family.clone()), agent.class)
    }

    fn judge(&self, header: &str) -> Agent {
        let known = self.rules.as_ref().and_then(|rules| rules.extract(header));
        let known = known.map(|agent| agent.family.into_owned());
        let lower = header.to_ascii_lowercase();
        let class = words::class_of(&lower, known.is_some());
        let product = product(header).map(str::to_owned);
        // The rules know an app by the library that shows its pages; it has a name of its own.
        let family = if class == AgentClass::App { product.or(known) } else { known.or(product) };
        let mut family = family.unwrap_or_default();
        family.truncate(family.floor_char_boundary(ENRICHED_NAME_BYTES_MAX));
        Agent { family, class }
    }
}

/// The rules, compiled: a fifth of a second.
fn rules() -> Result<Extractor<'static>, String> {
    let rules: Vec<Parser<'static>> = serde_json::from_str(RULES).map_err(|error| error.to_string())?;
    let builder = rules.into_iter().try_fold(Builder::new(), Builder::push).map_err(|error| error.to_string())?;
    builder.build().map_err(|error| error.to_string())
}

/// The product that a header begins with (RFC 9110, section 10.1.5), such as `orders-sync` of `orders-sync/1.4 (prod)`. All
/// browsers begin with `Mozilla`, which says nothing.
fn product(header: &str) -> Option<&str> {
    let name = header.split(['/', ' ', '(', ';', ',']).next().unwrap_or_default();
    let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._+".contains(&byte));
    (is_name && name != "Mozilla").then_some(name)
}

#[cfg(test)]
mod tests;
