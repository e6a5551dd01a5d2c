//! `outrider classify`: which classes of data parameters carry, a line of JSON for each, without a configuration or a running outrider.
//!
//! The value of a parameter is read and not written: an answer says where in it something stands, and not what.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use outrider_classify::{Classified, CustomClass, CustomClasses, Reason};
use serde::{Deserialize, Serialize};

use crate::cli::ClassifyArguments;
use crate::terminal;

/// The exit status where a line could not be read.
const HAS_WARNINGS: u8 = 4;
/// Longest line that is read: a value of 64 KiB with all of it escaped, and what is around it.
const LINE_BYTES_MAX: usize = 512 * 1024;
/// Lines that are named as none.
const NAMED_MAX: u64 = 20;
/// Longest file of classes.
const CLASSES_BYTES_MAX: u64 = 1024 * 1024;

/// A line that is asked about.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    #[serde(default)]
    name: String,
    value: String,
    #[serde(default)]
    context: Vec<String>,
}

/// The answer to it.
#[derive(Serialize)]
struct Answer<'a> {
    name: &'a str,
    /// The likeliest class, if one is decided.
    class: Option<&'a str>,
    confidence: Option<f32>,
    /// All that may be in it.
    found: Vec<FoundRow<'a>>,
}

#[derive(Serialize)]
struct FoundRow<'a> {
    class: &'a str,
    family: Option<&'static str>,
    confidence: f32,
    /// Offsets in bytes of the value.
    start: usize,
    end: usize,
    because: Vec<&'static str>,
}

/// The file of `--classes`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClassesFile {
    #[serde(default, rename = "class")]
    classes: Vec<CustomClass>,
}

/// Answers all files, in order.
pub fn classify(arguments: &ClassifyArguments) -> anyhow::Result<ExitCode> {
    let classes = arguments.classes.as_deref().map_or(Ok(CustomClasses::none()), load)?;
    let mut out = BufWriter::new(io::stdout().lock());
    let mut bad = 0;
    for path in &arguments.files {
        let name = path.display().to_string();
        let input: Box<dyn Read> = match path == Path::new("-") {
            true => Box::new(io::stdin().lock()),
            false => Box::new(File::open(path).with_context(|| format!("cannot open {name}"))?),
        };
        let answered = answer(input, &mut out, &classes, |line, why| {
            bad += 1;
            if bad <= NAMED_MAX {
                terminal::note(&format!("{name}, line {line}: {why}"));
            }
        });
        match answered {
            // Whoever closed standard output has seen enough.
            Err(Failure::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(ExitCode::SUCCESS),
            Err(Failure::Write(error)) => return Err(error).context("cannot write to standard output"),
            Err(Failure::Read(error)) => return Err(error).with_context(|| format!("cannot read {name}")),
            Ok(()) => {}
        }
    }
    if bad > NAMED_MAX {
        terminal::note(&format!("{} more lines could not be read", bad - NAMED_MAX));
    }
    Ok(if bad == 0 { ExitCode::SUCCESS } else { ExitCode::from(HAS_WARNINGS) })
}

fn load(path: &Path) -> anyhow::Result<CustomClasses> {
    let name = path.display().to_string();
    let mut text = String::new();
    let file = File::open(path).with_context(|| format!("cannot open {name}"))?;
    file.take(CLASSES_BYTES_MAX + 1).read_to_string(&mut text).with_context(|| format!("cannot read {name}"))?;
    anyhow::ensure!(text.len() as u64 <= CLASSES_BYTES_MAX, "{name} is longer than {CLASSES_BYTES_MAX} bytes");
    let file: ClassesFile = toml::from_str(&text).with_context(|| name.clone())?;
    CustomClasses::new(&file.classes).context(name)
}

/// What ends the reading of a file.
#[derive(Debug)]
enum Failure {
    Read(io::Error),
    Write(io::Error),
}

/// Answers each line of `input`, and hands those that are none to `refuse`, with their number and why.
fn answer(
    input: impl Read,
    mut out: impl Write,
    classes: &CustomClasses,
    mut refuse: impl FnMut(u64, String),
) -> Result<(), Failure> {
    let mut input = BufReader::new(input);
    let mut line = Vec::new();
    let mut number = 0;
    while read_line(&mut input, &mut line).map_err(Failure::Read)? {
        number += 1;
        if line.trim_ascii().is_empty() {
            continue;
        }
        if line.len() > LINE_BYTES_MAX {
            refuse(number, format!("longer than {LINE_BYTES_MAX} bytes"));
            continue;
        }
        match serde_json::from_slice::<Asked>(&line) {
            Ok(asked) => write_answer(&asked, &mut out, classes).map_err(Failure::Write)?,
            // What serde says has line 1 and a column, and of a wrong type the value itself, which may be a secret.
            Err(error) => refuse(number, refusal(&error)),
        }
    }
    out.flush().map_err(Failure::Write)
}

/// Reads a line; of one that is too long one byte more than is read, and no further into memory.
fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let read = input.by_ref().take(LINE_BYTES_MAX as u64 + 1).read_until(b'\n', line)?;
    if read > LINE_BYTES_MAX && line.last() != Some(&b'\n') {
        input.skip_until(b'\n')?;
    }
    Ok(read > 0)
}

fn refusal(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        serde_json::error::Category::Data => {
            "not of the form {\"name\": text, \"value\": text, \"context\": [texts, may be left out]}"
        }
        _ => "no JSON",
    };
    format!("{what}, at column {}", error.column())
}

fn write_answer(asked: &Asked, out: &mut impl Write, classes: &CustomClasses) -> io::Result<()> {
    let context: Vec<&str> = asked.context.iter().map(String::as_str).collect();
    let found = classes.classify(&asked.name, &asked.value, &context);
    let decided = found.iter().filter(|found| found.is_decided());
    // Of several that are as likely the first.
    let best = decided.reduce(|best, found| if found.confidence > best.confidence { found } else { best });
    let answer = Answer {
        name: &asked.name,
        class: best.map(|best| best.class.as_str()),
        confidence: best.map(|best| best.confidence),
        found: found.iter().map(row).collect(),
    };
    serde_json::to_writer(&mut *out, &answer)?;
    out.write_all(b"\n")
}

fn row<'a>(found: &Classified<'a>) -> FoundRow<'a> {
    FoundRow {
        class: found.class.as_str(),
        family: found.class.family().map(outrider_classify::Family::as_str),
        confidence: found.confidence,
        start: found.start,
        end: found.end,
        because: found.because.reasons().map(Reason::as_str).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(input: &str) -> (String, Vec<String>) {
        let mut out = Vec::new();
        let mut refused = Vec::new();
        answer(input.as_bytes(), &mut out, &CustomClasses::none(), |line, why| refused.push(format!("{line}: {why}")))
            .unwrap();
        (String::from_utf8(out).unwrap(), refused)
    }

    #[test]
    fn each_line_has_an_answer_without_its_value() {
        let (out, refused) = answered(concat!(
            "{\"name\":\"mail\",\"value\":\"alice@corp.example\"}\n",
            "\n",
            "{\"name\":\"code\",\"value\":\"E11.9\",\"context\":[\"patients\",\"conditions\"]}\n",
            "{\"name\":\"q\",\"value\":\"shoes\"}",
        ));
        assert_eq!(
            out,
            concat!(
                r#"{"name":"mail","class":"email","confidence":0.98,"found":[{"class":"email","family":"personal","#,
                r#""confidence":0.98,"start":0,"end":18,"because":["form","name"]}]}"#,
                "\n",
                r#"{"name":"code","class":"diagnosis","confidence":0.51,"found":[{"class":"diagnosis","family":"health","#,
                r#""confidence":0.51,"start":0,"end":5,"because":["form","context"]}]}"#,
                "\n",
                r#"{"name":"q","class":null,"confidence":null,"found":[]}"#,
                "\n",
            )
        );
        assert_eq!(refused, [""; 0]);
    }

    #[test]
    fn bad_lines_are_named_and_the_rest_is_answered() {
        let long = "x".repeat(LINE_BYTES_MAX);
        let input = format!(
            "nonsense\n{{\"name\":\"a\",\"value\":4711}}\n{long}{long}\n\u{1}\n{{\"value\":\"10.0.0.1\"}}\n{{\"value\":\"x\",\"nmae\":\"y\"}}\n"
        );
        let (out, refused) = answered(&input);
        assert_eq!(out.lines().count(), 1, "{out}");
        assert!(out.contains("ip_address"), "{out}");
        let lines: Vec<&str> = refused.iter().filter_map(|refusal| refusal.split(':').next()).collect();
        assert_eq!(lines, ["1", "2", "3", "4", "6"]);
        assert!(refused[0].contains("no JSON") && refused[2].contains("longer than"), "{refused:?}");
        assert!(refused.iter().all(|refusal| !refusal.contains("4711")), "{refused:?}");
    }

    #[test]
    fn classes_are_read_from_a_file_or_refused_with_its_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("classes.toml");
        std::fs::write(&path, "[[class]]\nname = \"employee\"\npattern = '\\bE\\d{6}\\b'\nwords = [\"staff\"]\n")
            .unwrap();
        let found = load(&path).unwrap();
        assert_eq!(found.classify("staff", "E123456", &[])[0].class.as_str(), "employee");
        for text in ["[[class]]\nname = \"employee\"\n", "[[class]]\nnmae = \"employee\"\n", "[["] {
            std::fs::write(&path, text).unwrap();
            let error = format!("{:#}", load(&path).unwrap_err());
            assert!(error.contains("classes.toml"), "{error}");
        }
    }
}
