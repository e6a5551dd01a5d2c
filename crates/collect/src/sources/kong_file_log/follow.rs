//! Which files are read: the one at the path, and those that were there before and may still be written to.
//!
//! Kong keeps a log open: after a rotation by renaming, its workers go on writing to the old file until they open it anew
//! (`reopen` of the plugin, `kong reload`). So a renamed file is read on until nothing has come for a while and there is
//! something in its successor. A file that is cut in place (`copytruncate`) begins anew; what of it was not read yet may be in
//! the copy, which is looked for beside it, as is a file that was renamed while nobody watched.

use std::collections::VecDeque;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use super::config::FileStart;
use super::positions::{Place, Positions};
use super::tail::{Cut, Tail};

/// A rotated file to which nothing was written for so long is done with, once its successor has begun. One that cannot be read
/// for so long is given up.
const ROTATED_QUIET: Duration = Duration::from_secs(300);

/// Rotated files that are read at a time. With so many, the path is not looked at until the oldest is read to its end.
const ROTATED_MAX: usize = 16;

/// Names in the log's directory among which a renamed file is looked for.
const NAMES_MAX: usize = 1024;

/// The files that a source reads.
pub(super) struct Follow {
    path: PathBuf,
    line_bytes_max: usize,
    /// Where to begin, as long as nothing was seen at all.
    start: Option<FileStart>,
    rotated: VecDeque<Rotated>,
    current: Option<Tail>,
    /// Places in files that were not there or out of reach when they were looked for, as before a volume is mounted. They are
    /// kept until something is at the path.
    unfound: Vec<Place>,
    /// There is no file at the path, and none is read that was there.
    is_missing: bool,
    /// Why the file at the path cannot be read.
    problem: Option<String>,
    rotations: u64,
    truncations: u64,
    /// Rotated files of which not everything was read.
    given_up: u64,
}

struct Rotated {
    tail: Tail,
    /// When something was last read of it.
    read_at: Instant,
    /// Since when it cannot be read.
    failing_since: Option<Instant>,
}

impl Rotated {
    fn new(tail: Tail, now: Instant) -> Self {
        Rotated { tail, read_at: now, failing_since: None }
    }
}

/// How it is with the files.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) waiting_bytes: u64,
    pub(super) rotated_files: usize,
    pub(super) rotations: u64,
    pub(super) truncations: u64,
    pub(super) given_up: u64,
    pub(super) is_missing: bool,
    pub(super) problem: Option<String>,
}

impl Follow {
    /// Finds the files again where they were left; `start` is for a log that was never followed.
    pub(super) fn resume(
        path: PathBuf,
        line_bytes_max: usize,
        start: FileStart,
        positions: Option<&Positions>,
        now: Instant,
    ) -> Self {
        let mut follow = Follow {
            path,
            line_bytes_max,
            start: positions.is_none().then_some(start),
            rotated: VecDeque::new(),
            current: None,
            unfound: Vec::new(),
            is_missing: false,
            problem: None,
            rotations: 0,
            truncations: 0,
            given_up: 0,
        };
        for place in positions.map_or(&[][..], |positions| &positions.files) {
            follow.find_again(place, now);
        }
        follow
    }

    /// Finds a file where it was, or beside that. As long as nothing can be read at the path it may come there yet; why that is so
    /// the look at the path says.
    fn find_again(&mut self, place: &Place, now: Instant) {
        let at_path = Tail::open(&self.path, self.line_bytes_max);
        match at_path.and_then(|tail| Ok((tail.goes_on(place)?, tail))) {
            Ok((Some(position), tail)) if self.current.is_none() => self.current = Some(tail.from(position)),
            Ok(_) => self.find_rotated(place, now),
            Err(error) if error.kind() == ErrorKind::NotFound => match self.find_beside(place) {
                Some(tail) => self.add_rotated(tail, now),
                None => self.unfound.push(place.clone()),
            },
            Err(_) => self.unfound.push(place.clone()),
        }
    }

    /// Finds a file beside the path, where another one is.
    fn find_rotated(&mut self, place: &Place, now: Instant) {
        match self.find_beside(place) {
            Some(tail) => self.add_rotated(tail, now),
            None => tracing::info!(
                path = %self.path.display(),
                position = place.position,
                "the log was rotated away, and the file that was read last is not beside it any more"
            ),
        }
    }

    /// Takes a rotated file, unless there are too many: somebody who cuts a log again and again would have all copies read.
    fn add_rotated(&mut self, tail: Tail, now: Instant) {
        if self.rotated.len() < ROTATED_MAX {
            self.rotated.push_back(Rotated::new(tail, now));
        } else {
            self.give_up("there are too many rotated files that are still read");
        }
    }

    fn give_up(&mut self, reason: &str) {
        self.given_up += 1;
        let (path, given_up) = (self.path.display(), self.given_up);
        tracing::warn!(%path, reason, given_up, "a rotated log is not read to its end");
    }

    /// Looks for a file beside the path, to go on with it at that place: the very one, or else the longest copy of it.
    fn find_beside(&self, place: &Place) -> Option<Tail> {
        let directory = self.path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut copy: Option<(u64, Tail)> = None;
        for entry in fs::read_dir(directory).ok()?.take(NAMES_MAX).flatten() {
            let path = entry.path();
            let Ok(metadata) = entry.metadata() else { continue };
            let is_it = place.identity.has_inode_of(&metadata);
            // Of a copy that is shorter, another one may have more.
            if path == self.path || !metadata.is_file() || !is_it && metadata.len() < place.position {
                continue;
            }
            let Ok(tail) = Tail::open(&path, self.line_bytes_max) else { continue };
            let Ok(Some(position)) = tail.goes_on(place) else { continue };
            if is_it {
                return Some(tail.from(position));
            }
            if copy.as_ref().is_none_or(|(bytes, _)| metadata.len() > *bytes) {
                copy = Some((metadata.len(), tail.from(position)));
            }
        }
        copy.map(|(_, tail)| tail)
    }

    /// Notices what has become of the files since the last look.
    pub(super) fn look(&mut self, now: Instant) -> io::Result<()> {
        // A file that was cut may have been renamed since.
        let cut = self.look_for_cut(now);
        if self.rotated.len() < ROTATED_MAX {
            let found = self.look_at_path(now);
            self.tell(found.err());
        }
        cut
    }

    fn look_for_cut(&mut self, now: Instant) -> io::Result<()> {
        let Some(current) = &mut self.current else { return Ok(()) };
        let path = self.path.display();
        match current.cut()? {
            Cut::Not => return Ok(()),
            Cut::Shortened(size) => {
                current.shorten(size);
                self.truncations += 1;
                tracing::info!(%path, size, "the log has lost its end, and is read on behind what is left");
                return Ok(());
            }
            Cut::Anew => {}
        }
        let place = current.known_place();
        current.begin_anew()?;
        self.truncations += 1;
        let rest = self.find_beside(&place);
        tracing::info!(path = %self.path.display(), has_copy = rest.is_some(), "the log was cut, and begins anew");
        if let Some(tail) = rest {
            self.add_rotated(tail, now);
        }
        Ok(())
    }

    fn look_at_path(&mut self, now: Instant) -> io::Result<()> {
        let metadata = match fs::metadata(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                // Whatever comes there now is new. A renamed file is still written to.
                self.start = None;
                return if self.files() > 0 { Ok(()) } else { Err(error) };
            }
            metadata => metadata?,
        };
        if self.current.as_ref().is_some_and(|current| current.has(&metadata)) {
            return Ok(());
        }
        let mut found = Tail::open(&self.path, self.line_bytes_max)?;
        if self.start == Some(FileStart::End) {
            found = found.at_last_line()?;
        }
        let found = self.match_unfound(found, now)?;
        self.start = None;
        if let Some(tail) = self.current.replace(found) {
            self.rotations += 1;
            self.rotated.push_back(Rotated::new(tail, now));
        }
        Ok(())
    }

    /// What has come to the path may be what was not found before; then it goes on where that was. The others are looked for
    /// beside it now, for the last time.
    fn match_unfound(&mut self, mut found: Tail, now: Instant) -> io::Result<Tail> {
        let mut places = Vec::new();
        let mut goes_on = None;
        for place in &self.unfound {
            match found.goes_on(place)? {
                Some(position) if goes_on.is_none() => goes_on = Some(position),
                _ => places.push(place.clone()),
            }
        }
        self.unfound.clear();
        if let Some(position) = goes_on {
            found = found.from(position);
        }
        for place in places {
            self.find_rotated(&place, now);
        }
        Ok(found)
    }

    /// Says once that there is nothing to read.
    fn tell(&mut self, error: Option<io::Error>) {
        let path = self.path.display();
        let is_missing = error.as_ref().is_some_and(|error| error.kind() == ErrorKind::NotFound);
        let problem = error.filter(|_| !is_missing).map(|error| error.to_string());
        if is_missing && !self.is_missing {
            // Kong makes it with the first call.
            tracing::info!(%path, "the log is not there yet");
        }
        if let Some(problem) = problem.as_ref().filter(|_| self.problem != problem) {
            tracing::warn!(%path, problem, "the log cannot be read");
        }
        (self.is_missing, self.problem) = (is_missing, problem);
    }

    /// How many files are read.
    pub(super) fn files(&self) -> usize {
        self.rotated.len() + usize::from(self.current.is_some())
    }

    /// One of them, the oldest first.
    pub(super) fn tail(&mut self, file: usize) -> Option<&mut Tail> {
        if file == self.rotated.len() {
            return self.current.as_mut();
        }
        self.rotated.get_mut(file).map(|rotated| &mut rotated.tail)
    }

    /// It is none that will be written to for long.
    pub(super) fn is_rotated(&self, file: usize) -> bool {
        file < self.rotated.len()
    }

    /// A file was read: something, or nothing new.
    pub(super) fn has_read(&mut self, file: usize, is_something: bool, now: Instant) {
        if let Some(rotated) = self.rotated.get_mut(file) {
            rotated.failing_since = None;
            if is_something {
                rotated.read_at = now;
            }
        }
    }

    /// A rotated file could not be read. It is tried again, for it would be lost by a moment's trouble else; and not for ever, for
    /// it may never be read. Says whether it is given up.
    pub(super) fn has_failed(&mut self, file: usize, error: &io::Error, now: Instant) -> bool {
        let Some(rotated) = self.rotated.get_mut(file) else { return false };
        rotated.tail.rewind();
        if rotated.failing_since.is_none() {
            tracing::warn!(path = %self.path.display(), %error, "a rotated log cannot be read, and is tried again");
        }
        let since = *rotated.failing_since.get_or_insert(now);
        let is_given_up = now.duration_since(since) >= ROTATED_QUIET;
        if is_given_up {
            self.give_up("it cannot be read");
        }
        is_given_up
    }

    /// Whether nothing more will come of a file that was read to its end.
    pub(super) fn is_done(&self, file: usize, now: Instant) -> bool {
        let Some(rotated) = self.rotated.get(file) else { return false };
        let mut later = self.rotated.iter().skip(file + 1).map(|rotated| &rotated.tail).chain(&self.current);
        let is_quiet = now.duration_since(rotated.read_at) >= ROTATED_QUIET && later.any(Tail::has_begun);
        is_quiet || file == 0 && self.rotated.len() >= ROTATED_MAX
    }

    /// Lets go of a rotated file.
    pub(super) fn forget(&mut self, file: usize) {
        self.rotated.remove(file);
    }

    /// What was read and is not stored is read again.
    pub(super) fn rewind(&mut self) {
        self.rotated.iter_mut().map(|rotated| &mut rotated.tail).chain(&mut self.current).for_each(Tail::rewind);
    }

    /// Where the files are stored up to, and behind them those that were not found, so that the numbers of the others stay. Nothing
    /// before anything was seen: a source without places is one that begins every file at its beginning.
    pub(super) fn places(&mut self) -> io::Result<Option<Vec<Place>>> {
        if self.start.is_some() {
            return Ok(None);
        }
        let tails = self.rotated.iter_mut().map(|rotated| &mut rotated.tail).chain(&mut self.current);
        let unfound = self.unfound.iter().cloned().map(Ok);
        tails.map(Tail::place).chain(unfound).collect::<io::Result<_>>().map(Some)
    }

    /// How it is with the files.
    pub(super) fn seen(&self) -> io::Result<Seen> {
        let tails = self.rotated.iter().map(|rotated| &rotated.tail).chain(&self.current);
        Ok(Seen {
            waiting_bytes: tails.map(Tail::waiting_bytes).sum::<io::Result<u64>>()?,
            rotated_files: self.rotated.len(),
            rotations: self.rotations,
            truncations: self.truncations,
            given_up: self.given_up,
            is_missing: self.is_missing,
            problem: self.problem.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE_BYTES_MAX: usize = 1024;

    /// With so many rotated files and one at the path, each of them with something in it.
    fn follow(directory: &Path, rotated: usize, now: Instant) -> Follow {
        let path = directory.join("calls.log");
        let mut follow = Follow::resume(path.clone(), LINE_BYTES_MAX, FileStart::Beginning, None, now);
        for number in 0..=rotated {
            fs::write(&path, "a\n").unwrap();
            follow.look(now).unwrap();
            assert_eq!(follow.tail(number).unwrap().read(&mut [0; 64], |_| {}).unwrap(), 2);
            if number < rotated {
                fs::rename(&path, directory.join(format!("calls.log.{number}"))).unwrap();
            }
        }
        follow
    }

    #[test]
    fn a_rotated_file_that_cannot_be_read_is_tried_for_a_while_and_then_given_up() {
        let directory = tempfile::tempdir().unwrap();
        let start = Instant::now();
        let mut follow = follow(directory.path(), 1, start);
        let error = || io::Error::other("it does not answer");
        let mut has_failed = |after: Duration| follow.has_failed(0, &error(), start + after);
        let (before, second) = (ROTATED_QUIET * 7 / 10, Duration::from_secs(1));
        assert!(!has_failed(Duration::ZERO) && !has_failed(before));
        // What was read of it before and is not stored is read again.
        assert_eq!(follow.tail(0).unwrap().read(&mut [0; 64], |_| {}).unwrap(), 2);
        follow.has_read(0, true, start + before);
        let mut has_failed = |after: Duration| follow.has_failed(0, &error(), start + after);
        assert!(!has_failed(before + second) && !has_failed(before + ROTATED_QUIET));
        assert!(has_failed(before + second + ROTATED_QUIET));
        assert_eq!(follow.given_up, 1);
    }

    #[test]
    fn a_copy_beyond_those_that_are_read_is_given_up_and_counted() {
        let directory = tempfile::tempdir().unwrap();
        let now = Instant::now();
        let mut follow = follow(directory.path(), ROTATED_MAX - 1, now);
        for expected in [0, 1, 2] {
            follow.add_rotated(Tail::open(&follow.path, LINE_BYTES_MAX).unwrap(), now);
            assert_eq!((follow.rotated.len(), follow.seen().unwrap().given_up), (ROTATED_MAX, expected));
        }
    }
}
