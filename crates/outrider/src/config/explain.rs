//! Says of a mistake in TOML where it is, and what was probably meant.

/// Says the line of an error, and for an unknown key or word the nearest known one.
pub fn explain(text: &str, error: &toml::de::Error) -> anyhow::Error {
    let start = error.span().map(|span| unknown_key(&text[span.start..], error.message()) + span.start);
    let line = start.map(|start| 1 + text[..start].matches('\n').count());
    let place = line.map_or_else(String::new, |line| format!("line {line}: "));
    let hint = nearest(error.message()).map_or_else(String::new, |known| format!("; did you mean `{known}`?"));
    anyhow::anyhow!("{place}{}{hint}", error.message().trim())
}

/// Where the unknown key of an error stands in the text that it is about: for a table that is chosen by a key such as
/// `kind`, the error speaks of the whole table.
fn unknown_key(text: &str, message: &str) -> usize {
    let Some(key) = message.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next()) else { return 0 };
    let is_of_key =
        |line: &str| line.trim_start().strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with('='));
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        if is_of_key(line) {
            return start;
        }
        start += line.len();
    }
    0
}

/// The known word that is nearest to the unknown one of a message like "unknown field `x`, expected one of `a`, `b`".
fn nearest(message: &str) -> Option<&str> {
    let mut words = message.split('`').skip(1).step_by(2);
    let unknown = message.starts_with("unknown").then(|| words.next()).flatten()?;
    let (distance, word) = words.map(|known| (strsim::damerau_levenshtein(unknown, known), known)).min()?;
    (distance <= 1 + unknown.len() / 3).then_some(word)
}
