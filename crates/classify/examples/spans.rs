//! Says what is found in texts. Reads lines `name<TAB>text` and writes for each, in one line, `class:start-end` of what is in it,
//! with offsets in bytes. This is how recall and false classes are measured on data that is not here.
//!
//! ```sh
//! printf 'phone\t5550123\n\tmail alice@corp.example\n' | cargo run -p outrider-classify --example spans
//! ```
#![allow(clippy::print_stdout)]

use std::io::BufRead as _;

use outrider_classify::{credential_shape, find_personal, private_key_at};

fn main() -> std::io::Result<()> {
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (name, text) = line.split_once('\t').unwrap_or(("", &line));
        let personal = find_personal(name, text);
        let mut shown: Vec<String> =
            personal.iter().map(|found| format!("{}:{}-{}", found.class.as_str(), found.start, found.end)).collect();
        let key = text.match_indices("-----BEGIN ").find_map(|(start, _)| Some((start, private_key_at(text, start)?)));
        if let Some((start, end)) = key {
            shown.push(format!("private_key:{start}-{end}"));
        } else if let Some(shape) = credential_shape(text) {
            shown.push(format!("{shape:?}:0-{}", text.len()));
        }
        println!("{}", shown.join(" "));
    }
    Ok(())
}
