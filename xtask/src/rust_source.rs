//! What the text checks need to know about a Rust file without parsing it: the code without comments and literals,
//! and which lines are test code. A scanner of tokens is enough for that; it understands no grammar.

/// A Rust file prepared for text checks.
#[derive(Debug)]
pub struct RustSource {
    /// The file line by line, with comments and the insides of string and character literals blanked out.
    pub code: Vec<String>,
    /// For each line, whether it belongs to an item under `#[cfg(test)]`.
    pub test: Vec<bool>,
}

impl RustSource {
    /// Prepares a file.
    pub fn new(text: &str) -> Self {
        let blanked = blank_comments_and_literals(text);
        let code: Vec<String> = blanked.lines().map(str::to_owned).collect();
        let test = test_lines(&blanked, code.len());
        RustSource { code, test }
    }

    /// The lines that are not test code, with their numbers from 1.
    pub fn product_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code
            .iter()
            .zip(&self.test)
            .enumerate()
            .filter_map(|(index, (line, &test))| if test { None } else { Some((index + 1, line.as_str())) })
    }
}

/// Whether a path holds test code only: integration tests, micro-benches, and `tests.rs` beside a module.
pub fn is_test_path(path: &str) -> bool {
    let mut parts = path.split('/').rev();
    parts.next() == Some("tests.rs") || parts.any(|part| part == "tests" || part == "benches")
}

/// Whether `word` stands in `line` with no letter, digit or underscore touching it on a side where it ends in one.
pub fn contains_word(line: &str, word: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let opens_with_word = word.starts_with(is_word);
    let closes_with_word = word.ends_with(is_word);
    line.match_indices(word).any(|(at, _)| {
        let touched_before = opens_with_word && line[..at].ends_with(is_word);
        let touched_after = closes_with_word && line[at + word.len()..].starts_with(is_word);
        !touched_before && !touched_after
    })
}

/// Replaces what is not code with spaces and keeps every line break, so that line numbers stay true.
fn blank_comments_and_literals(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < characters.len() {
        let end = literal_or_comment_end(&characters, at);
        if end == at {
            out.push(characters[at]);
            at += 1;
            continue;
        }
        for &character in &characters[at..end] {
            out.push(if character == '\n' { '\n' } else { ' ' });
        }
        at = end;
    }
    out
}

/// Where the comment or literal that starts at `at` ends; `at` itself when none starts there.
fn literal_or_comment_end(characters: &[char], at: usize) -> usize {
    let next = characters.get(at + 1).copied();
    match characters[at] {
        '/' if next == Some('/') => line_end(characters, at),
        '/' if next == Some('*') => block_comment_end(characters, at),
        '"' => quoted_end(characters, at + 1, '"'),
        'r' if !continues_word(characters, at) => raw_string_end(characters, at),
        '\'' => character_literal_end(characters, at),
        _ => at,
    }
}

/// Whether the character before `at` belongs to the same identifier. A `b` or `c` before `r"` does not count.
fn continues_word(characters: &[char], at: usize) -> bool {
    let is_word = |index: usize| characters[index].is_alphanumeric() || characters[index] == '_';
    match at.checked_sub(1) {
        None => false,
        Some(before) if matches!(characters[before], 'b' | 'c') => before > 0 && is_word(before - 1),
        Some(before) => is_word(before),
    }
}

fn line_end(characters: &[char], at: usize) -> usize {
    characters[at..].iter().position(|&c| c == '\n').map_or(characters.len(), |length| at + length)
}

fn block_comment_end(characters: &[char], at: usize) -> usize {
    let mut depth = 0;
    let mut index = at;
    while index + 1 < characters.len() {
        match (characters[index], characters[index + 1]) {
            ('/', '*') => depth += 1,
            ('*', '/') => depth -= 1,
            _ => {
                index += 1;
                continue;
            }
        }
        index += 2;
        if depth == 0 {
            return index;
        }
    }
    characters.len()
}

fn quoted_end(characters: &[char], from: usize, quote: char) -> usize {
    let mut index = from;
    while index < characters.len() {
        match characters[index] {
            '\\' => index += 2,
            c if c == quote => return index + 1,
            _ => index += 1,
        }
    }
    characters.len()
}

fn raw_string_end(characters: &[char], at: usize) -> usize {
    let hashes = characters[at + 1..].iter().take_while(|&&c| c == '#').count();
    let opening = at + 1 + hashes;
    if characters.get(opening) != Some(&'"') {
        return at;
    }
    let mut index = opening + 1;
    while index < characters.len() {
        let closes = characters[index] == '"'
            && characters[index + 1..].iter().take(hashes).filter(|&&c| c == '#').count() == hashes;
        if closes {
            return index + 1 + hashes;
        }
        index += 1;
    }
    characters.len()
}

/// A quote opens a character literal when it closes right after one character or an escape; else it is a lifetime.
fn character_literal_end(characters: &[char], at: usize) -> usize {
    match characters.get(at + 1) {
        Some('\\') => quoted_end(characters, at + 1, '\''),
        Some(_) if characters.get(at + 2) == Some(&'\'') => at + 3,
        _ => at,
    }
}

fn test_lines(code: &str, lines: usize) -> Vec<bool> {
    let mut test = vec![code.contains("#![cfg(test)]"); lines];
    for marker in ["#[cfg(test)]", "#[cfg(all(test"] {
        for (start, _) in code.match_indices(marker) {
            let first = line_of(code, start);
            let last = line_of(code, item_end(code, start + marker.len()).saturating_sub(1));
            for flag in test.iter_mut().take(last + 1).skip(first) {
                *flag = true;
            }
        }
    }
    test
}

/// Where the item that follows an attribute ends: after its `;` or its closing brace.
fn item_end(code: &str, from: usize) -> usize {
    let mut depth = 0_usize;
    for (offset, character) in code[from..].char_indices() {
        match character {
            ';' if depth == 0 => return from + offset + 1,
            '{' => depth += 1,
            '}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return from + offset + 1;
                }
            }
            _ => {}
        }
    }
    code.len()
}

fn line_of(code: &str, offset: usize) -> usize {
    code[..offset].matches('\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blank_and_code_stays() {
        let cases = [
            ("let a = 1; // std::fs", "let a = 1;"),
            ("/* a /* b */ c */ let d;", "let d;"),
            (r#"let s = "std::fs \" std::fs"; call();"#, "let s =   ; call();"),
            (r##"let s = r#"a " b"#; call();"##, "let s =  ; call();"),
            (r#"let s = br"std::fs"; call();"#, "let s = b ; call();"),
            (r"let c = '\''; call();", "let c = ; call();"),
            ("let c = '{'; fn f<'a>(x: &'a str) {}", "let c = ; fn f<'a>(x: &'a str) {}"),
            ("let bar\"x\";", "let bar ;"),
        ];
        for (text, expected) in cases {
            let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert_eq!(words(&blank_comments_and_literals(text)), words(expected), "{text}");
        }
    }

    #[test]
    fn line_numbers_survive_literals_of_several_lines() {
        let source = RustSource::new("let s = \"a\nb\n\";\nuse std::fs;\n");
        let found: Vec<usize> =
            source.product_lines().filter(|(_, line)| line.contains("std::fs")).map(|(number, _)| number).collect();
        assert_eq!(found, [4]);
    }

    #[test]
    fn items_under_cfg_test_are_test_lines() {
        let cases: &[(&str, &[usize])] = &[
            ("fn a() {}\n#[cfg(test)]\nmod tests {\n  fn b() { \"}\"; }\n}\nfn c() {}\n", &[1, 6]),
            ("#[cfg(test)]\nmod tests;\nfn c() {}\n", &[3]),
            ("#[cfg(all(test, unix))]\nfn b() {\n}\nfn c() {}\n", &[4]),
            ("#![cfg(test)]\nfn b() {}\n", &[]),
            ("#[cfg(not(test))]\nfn b() {}\n", &[1, 2]),
        ];
        for (text, expected) in cases {
            let source = RustSource::new(text);
            let product: Vec<usize> = source.product_lines().map(|(number, _)| number).collect();
            assert_eq!(&product, expected, "{text}");
        }
    }

    #[test]
    fn words_are_found_only_whole() {
        let cases = [
            ("std::fs::read", "std::fs", true),
            ("std::fsx", "std::fs", false),
            ("my_tokio::spawn", "tokio::", false),
            ("tokio::spawn", "tokio::", true),
            ("mytime::SystemTimes", "SystemTime", false),
        ];
        for (line, word, expected) in cases {
            assert_eq!(contains_word(line, word), expected, "{word} in {line}");
        }
    }

    #[test]
    fn test_paths() {
        let cases = [
            ("crates/a/src/tests.rs", true),
            ("crates/a/tests/contract.rs", true),
            ("crates/a/benches/speed.rs", true),
            ("crates/a/src/contests.rs", false),
            ("crates/a/src/lib.rs", false),
        ];
        for (path, expected) in cases {
            assert_eq!(is_test_path(path), expected, "{path}");
        }
    }
}
