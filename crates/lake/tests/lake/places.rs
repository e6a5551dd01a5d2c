//! Where a text is on the disk, for tests of more than this room.

use std::path::Path;

use outrider_lake::arrow::util::pretty::pretty_format_batches;
use outrider_lake::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// The files below a directory that have a text in them, as it is or in the rows of a Parquet file.
pub fn places_of(directory: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(places_of(&path, text));
            continue;
        }
        // A socket is no file.
        let Ok(bytes) = std::fs::read(&path) else { continue };
        let mut is_there = bytes.windows(text.len()).any(|window| window == text.as_bytes());
        if path.extension().is_some_and(|extension| extension == "parquet") {
            let rows = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(&path).unwrap()).unwrap();
            let rows: Vec<_> = rows.build().unwrap().map(Result::unwrap).collect();
            is_there |= pretty_format_batches(&rows).unwrap().to_string().contains(text);
        }
        if is_there {
            found.push(path.display().to_string());
        }
    }
    found
}
