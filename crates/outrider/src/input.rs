//! Reading recorded logs: plain, gzipped or standard input, as chunks of whole lines with progress in bytes.
//!
//! A thread reads and decompresses ahead of the analysis; two chunks wait at most, so memory stays bounded.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use anyhow::Context;

/// How much is read at a time.
const CHUNK_BYTES: usize = 1 << 20;
/// How many chunks wait for the analysis.
const CHUNKS_WAITING: usize = 2;

/// Recorded logs, opened and being read.
pub struct Input {
    chunks: Receiver<anyhow::Result<Vec<u8>>>,
    read_bytes: Arc<AtomicU64>,
    total_bytes: Option<u64>,
}

impl Input {
    /// Opens all files first, so that a wrong name is noticed before any work, and starts reading.
    pub fn open(paths: &[PathBuf]) -> anyhow::Result<Input> {
        let mut total_bytes = Some(0);
        let mut sources = Vec::new();
        let read_bytes = Arc::new(AtomicU64::new(0));
        for path in paths {
            let source: Box<dyn Read + Send> = if path == Path::new("-") {
                total_bytes = None;
                Box::new(io::stdin())
            } else {
                let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
                let metadata = file.metadata().with_context(|| format!("cannot read {}", path.display()))?;
                anyhow::ensure!(!metadata.is_dir(), "{} is a directory; name the files in it", path.display());
                total_bytes = total_bytes.map(|total: u64| total + metadata.len());
                Box::new(file)
            };
            sources.push((path.clone(), Counted { source, read_bytes: Arc::clone(&read_bytes) }));
        }
        let (sender, chunks) = sync_channel(CHUNKS_WAITING);
        std::thread::Builder::new().name("read".to_owned()).spawn(move || {
            for (path, source) in sources {
                if let Err(error) = read_source(source, &sender) {
                    // Nobody listens any more if this fails, and then there is nobody to tell.
                    let _ = sender.send(Err(error.context(format!("cannot read {}", path.display()))));
                    return;
                }
            }
        })?;
        Ok(Input { chunks, read_bytes, total_bytes })
    }

    /// The next bytes; a chunk need not end with a line. `None` at the end.
    pub fn next_chunk(&self) -> Option<anyhow::Result<Vec<u8>>> {
        self.chunks.recv().ok()
    }

    /// Bytes read so far, before decompression.
    pub fn read_bytes(&self) -> u64 {
        self.read_bytes.load(Ordering::Relaxed)
    }

    /// Bytes in all, before decompression; `None` when standard input takes part.
    pub fn total_bytes(&self) -> Option<u64> {
        self.total_bytes
    }
}

struct Counted {
    source: Box<dyn Read + Send>,
    read_bytes: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer)?;
        self.read_bytes.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

fn read_source(source: Counted, sender: &SyncSender<anyhow::Result<Vec<u8>>>) -> anyhow::Result<()> {
    let mut buffered = BufReader::with_capacity(CHUNK_BYTES, source);
    // Two bytes tell gzip from JSON whatever the file is called.
    let is_gzip = buffered.fill_buf()?.starts_with(&[0x1f, 0x8b]);
    if is_gzip { pump(flate2::bufread::MultiGzDecoder::new(buffered), sender) } else { pump(buffered, sender) }
}

/// Sends everything on; a last line without its end gets one, so that files do not run into each other.
fn pump(mut reader: impl Read, sender: &SyncSender<anyhow::Result<Vec<u8>>>) -> anyhow::Result<()> {
    let mut last = b'\n';
    loop {
        let mut chunk = Vec::with_capacity(CHUNK_BYTES);
        let read = reader.by_ref().take(CHUNK_BYTES as u64).read_to_end(&mut chunk)?;
        if read == 0 {
            if last != b'\n' {
                let _ = sender.send(Ok(vec![b'\n']));
            }
            return Ok(());
        }
        last = *chunk.last().unwrap_or(&b'\n');
        if sender.send(Ok(chunk)).is_err() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn read_all(paths: &[PathBuf]) -> anyhow::Result<Vec<u8>> {
        let input = Input::open(paths)?;
        let mut all = Vec::new();
        while let Some(chunk) = input.next_chunk() {
            all.extend(chunk?);
        }
        Ok(all)
    }

    #[test]
    fn plain_and_gzipped_files_follow_each_other_and_keep_their_lines_apart() {
        let directory = tempfile::tempdir().unwrap();
        let plain = directory.path().join("a.ndjson");
        std::fs::write(&plain, "one\ntwo").unwrap();
        let zipped = directory.path().join("b.log");
        let mut encoder = flate2::write::GzEncoder::new(File::create(&zipped).unwrap(), flate2::Compression::fast());
        encoder.write_all(&b"x".repeat(3 * CHUNK_BYTES)).unwrap();
        encoder.write_all(b"\nlast\n").unwrap();
        encoder.finish().unwrap();
        let all = read_all(&[plain, zipped]).unwrap();
        assert!(all.starts_with(b"one\ntwo\nxxx"));
        assert!(all.ends_with(b"x\nlast\n"));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let missing = read_all(&[directory.path().join("missing.gz")]).unwrap_err();
        assert!(format!("{missing:#}").contains("missing.gz"), "{missing:#}");
        let folder = read_all(&[directory.path().to_owned()]).unwrap_err();
        assert!(format!("{folder:#}").contains("is a directory"), "{folder:#}");
        let cut = directory.path().join("cut.gz");
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&b"{}\n".repeat(1000)).unwrap();
        let bytes = encoder.finish().unwrap();
        std::fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
        assert!(format!("{:#}", read_all(&[cut]).unwrap_err()).contains("cut.gz"));
    }
}
