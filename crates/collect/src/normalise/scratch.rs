//! What is kept from one line to the next: memory, and what was counted.

use crate::json::JsonRoom;
use crate::mapping::FieldTally;

/// Buffers that are used again from line to line.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(super) room: JsonRoom,
    pub(super) uri: String,
    pub(super) truncated: u64,
    pub(super) without_secret: u64,
    pub(super) fields: Vec<FieldTally>,
}

impl Scratch {
    /// Gives back the memory that a long line needed.
    pub(crate) fn give_back(&mut self) {
        self.room.give_back();
    }

    /// How many calls lost query fields or headers to a limit since the last time this was asked.
    pub fn take_truncated(&mut self) -> u64 {
        std::mem::take(&mut self.truncated)
    }

    /// How many lines carried no secret at all where the source has one, since the last time this was asked.
    pub fn take_without_secret(&mut self) -> u64 {
        std::mem::take(&mut self.without_secret)
    }

    /// What came of the mapped fields, in the order of the settings, since the last time this was asked.
    pub(crate) fn take_fields(&mut self) -> Vec<FieldTally> {
        std::mem::take(&mut self.fields)
    }
}
