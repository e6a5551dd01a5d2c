//! Lists the files of the built web console, so that the binary has them. It builds nothing: `make console` does, and
//! without it the binary says so where the console would be.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let built = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../../console/dist");
    println!("cargo::rerun-if-changed={}", built.display());
    let mut files = Vec::new();
    if built.join("index.html").exists() {
        collect(&built.canonicalize()?, &mut files)?;
    }
    files.sort();
    let mut list = "&[\n".to_owned();
    for file in files.iter().filter(|file| file.extension().is_none_or(|extension| extension != "gz")) {
        let path = file.strip_prefix(built.canonicalize()?)?.display();
        let compressed = PathBuf::from(format!("{}.gz", file.display()));
        let gzip = if files.contains(&compressed) {
            format!("Some(include_bytes!({:?}))", compressed.display().to_string())
        } else {
            "None".to_owned()
        };
        let bytes = file.display().to_string();
        writeln!(list, "    ConsoleFile {{ path: \"/{path}\", bytes: include_bytes!({bytes:?}), gzip: {gzip} }},")?;
    }
    list.push_str("]\n");
    fs::write(Path::new(&env::var("OUT_DIR")?).join("console.rs"), list)?;
    Ok(())
}

/// All files below a directory but hidden ones.
fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')) {
            continue;
        }
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
