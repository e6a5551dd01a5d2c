//! Where in the file a mistake stands that is found after the file was read, where the error knows what it is about.

use outrider_collect::CollectError;

/// Says the line of an expression of a field mapping that is refused.
pub(super) fn with_line(text: &str, error: anyhow::Error) -> anyhow::Error {
    let Some(CollectError::Mapping { expression, line, .. }) = error.downcast_ref() else { return error };
    match start_of(text, expression) {
        Some(start) => {
            let line = text[..start].matches('\n').count() + line;
            error.context(format!("line {line}"))
        }
        // A basic string with escapes does not stand in the file as it is meant.
        None => error,
    }
}

/// Where a value stands that is a whole string of the file, and no part of a comment.
fn start_of(text: &str, value: &str) -> Option<usize> {
    let is_quote = |character: Option<char>| matches!(character, Some('\'' | '"' | '\n'));
    text.match_indices(value).map(|(start, _)| start).find(|&start| {
        let before = &text[..start];
        let line = before.rsplit('\n').next().unwrap_or_default();
        let is_comment = line.trim_start().starts_with('#');
        is_quote(before.chars().next_back()) && is_quote(text[start + value.len()..].chars().next()) && !is_comment
    })
}

#[cfg(test)]
mod tests {
    use super::super::Config;

    #[test]
    fn a_wrong_expression_is_refused_with_its_line() {
        let source = "[[collector.sources]]\nkind = 'kong_tcp_log'\ngateway = 'k'\n";
        let cases = [
            ("[[collector.sources.fields]]\nname = 'a'\nvalue = 'line.a.'", "line 6: ", "the field `a`: `line.a.` at"),
            (
                "# value = 'line.a.'\n[[collector.sources.fields]]\nname = 'a'\nvalue = 'line.a.'",
                "line 7: ",
                "this is no CEL",
            ),
            (
                "[[collector.sources.fields]]\nname = 'ok'\nvalue = 'line.a.b'\n[[collector.sources.fields]]\n\
                 name = 'a'\nvalue = '''\nline.b ==\n login'''",
                "line 11: ",
                "there is no variable `login`",
            ),
            ("[[collector.sources.fields]]\nname = 'a'\nvalue = \"line['a'].\\\"\"", "", "this is no CEL"),
            ("drop = ['line.client_ip']", "line 4: ", "cannot be dropped"),
            ("[[collector.sources.fields]]\nname = 'a'\nvalu = 'line.a'", "line 6: ", "did you mean `value`?"),
        ];
        for (mapping, place, words) in cases {
            let error = format!("{:#}", Config::parse(&format!("{source}{mapping}")).unwrap_err());
            assert!(error.contains(place) && error.contains(words), "{mapping}\ngave: {error}");
        }
    }
}
