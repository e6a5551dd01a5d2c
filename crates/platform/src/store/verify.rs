//! Whether the audit log is as it was written: all chains are gone along from their anchors to their heads.

use std::collections::{BTreeMap, BTreeSet};

use super::trail::{AuditMark, CHAINS, Chains, Entry, read, stretch};
use super::{Store, StoreError};

/// What came of checking the chains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditCheck {
    /// They are whole.
    Whole {
        /// How many entries there are.
        entries: u64,
        /// The number of the oldest one; zero without any.
        first: i64,
        /// Entries whose words were erased.
        erased: u64,
        /// The last entry of each log, where there is one.
        heads: Vec<AuditMark>,
    },
    /// One is not.
    Broken {
        /// The first entry that is not as it was written, or follows one that is not.
        number: i64,
        /// What is wrong.
        why: String,
    },
}

impl Store {
    /// Checks all chains, and that entries known from elsewhere are the ones that are there. Takes nothing from those who
    /// write meanwhile.
    pub async fn verify_audit(&self, known: &[AuditMark]) -> Result<AuditCheck, StoreError> {
        // One transaction, so that heads and entries are of one moment.
        let mut transaction = self.readers.begin().await.map_err(StoreError::query("check the audit log"))?;
        let chains: Chains = read(&mut transaction, CHAINS).await?;
        let mut walk = Walk::along(&chains, known);
        loop {
            let entries = stretch(&mut transaction, walk.number).await?;
            if entries.is_empty() {
                return Ok(walk.end());
            }
            for entry in &entries {
                if let Err(broken) = walk.step(entry)? {
                    return Ok(broken);
                }
            }
        }
    }
}

/// A way along all entries, from the anchors of their chains.
struct Walk<'a> {
    chains: &'a Chains,
    /// The last entry of each chain that was seen.
    marks: [AuditMark; 4],
    /// The last entry that was seen.
    number: i64,
    first: i64,
    entries: u64,
    erased: u64,
    /// Those of them that no entry names yet.
    wordless: BTreeSet<i64>,
    /// Those whose hash cannot be checked, and a hash over what is left of each.
    blank: BTreeMap<i64, String>,
    /// What is known from elsewhere and was not met yet.
    known: Vec<&'a AuditMark>,
}

impl<'a> Walk<'a> {
    fn along(chains: &'a Chains, known: &'a [AuditMark]) -> Self {
        let marks = chains.all().map(|chain| chain.anchor.clone());
        let known = known.iter().collect();
        let (wordless, blank) = (BTreeSet::new(), BTreeMap::new());
        Walk { chains, marks, number: 0, first: 0, entries: 0, erased: 0, wordless, blank, known }
    }

    fn step(&mut self, entry: &Entry) -> Result<Result<(), AuditCheck>, StoreError> {
        let Entry { content, hash, .. } = entry;
        let number = content.number;
        let place = self.chains.place(content);
        let is_missing = place == Some(0) && number != self.marks[0].number + 1;
        let Some(mark) = place.filter(|_| !is_missing).map(|place| &mut self.marks[place]) else {
            return Ok(Err(if is_missing {
                broken(self.marks[0].number + 1, "it is missing")
            } else {
                broken(number, "it was changed: there is no such log")
            }));
        };
        // What an erased entry from before words lay apart was hashed of is not there any more.
        if !entry.has_its_words()? || !entry.is_blank() && content.hash_after(&mark.hash)? != *hash {
            let why = "it was changed, or one before it in its log was changed or is missing";
            return Ok(Err(broken(number, why)));
        }
        *mark = AuditMark { number, hash: hash.clone() };
        self.first = if self.entries == 0 { number } else { self.first };
        self.entries += 1;
        self.number = number;
        let mark = mark.clone();
        self.note_erased(entry)?;
        Ok(self.meet(&mark))
    }

    /// Notes that an entry has no words any more, or which others had them erased.
    fn note_erased(&mut self, entry: &Entry) -> Result<(), StoreError> {
        let number = entry.content.number;
        if entry.is_blank() {
            self.erased += 1;
            self.blank.insert(number, entry.rest()?);
        } else if entry.has_no_words() {
            self.erased += 1;
            self.wordless.insert(number);
        } else if let Some(words) = entry.erased_words()? {
            for number in words.numbers {
                self.wordless.remove(&number);
            }
            for (number, rest) in words.blanked {
                if self.blank.get(&number) == Some(&rest) {
                    self.blank.remove(&number);
                }
            }
        }
        Ok(())
    }

    /// Holds a place against what is known of it.
    fn meet(&mut self, mark: &AuditMark) -> Result<(), AuditCheck> {
        if self.known.iter().any(|known| known.number == mark.number && known.hash != mark.hash) {
            return Err(broken(mark.number, "its hash is not the known one: the chain was made anew"));
        }
        self.known.retain(|known| known.number != mark.number);
        Ok(())
    }

    fn end(mut self) -> AuditCheck {
        let unnamed = self.wordless.iter().chain(self.blank.keys()).min();
        if let Some(number) = unnamed {
            let why = "its words were removed, or what was left of it was changed: no entry says that it was erased so";
            return broken(*number, why);
        }
        for (mark, chain) in self.marks.iter().zip(self.chains.all()) {
            if *mark != chain.head {
                let number = mark.number.max(chain.head.number);
                return broken(number, "its log does not end where it was written to end");
            }
        }
        for chain in self.chains.all() {
            if let Err(broken) = self.meet(&chain.anchor) {
                return broken;
            }
        }
        match self.known.first() {
            Some(known) if known.number > self.chains.number => broken(known.number, "it is known and not there"),
            Some(known) => {
                broken(known.number, "it is known and was forgotten, so nothing can be said of it; take a later one")
            }
            None => {
                let mut heads: Vec<_> = self.marks.into_iter().filter(|mark| mark.number > 0).collect();
                heads.sort_by_key(|mark| mark.number);
                heads.dedup();
                AuditCheck::Whole { entries: self.entries, first: self.first, erased: self.erased, heads }
            }
        }
    }
}

fn broken(number: i64, why: &str) -> AuditCheck {
    AuditCheck::Broken { number, why: why.to_owned() }
}
