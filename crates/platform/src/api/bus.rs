//! What the API needs of the rest of the platform.

use std::pin::Pin;

use outrider_model::CommandRecord;
use outrider_respond::desk::CommandDone;

pub use crate::commands::CommandError;
use crate::commands::Commands;
pub use crate::copies::{CatalogueCopy, NoCopy};

/// An answer that is on its way.
pub type Answer<'a> = Pin<Box<dyn Future<Output = Result<CommandDone, CommandError>> + Send + 'a>>;

/// A copy of the catalogue that is on its way.
pub type CopyAnswer<'a> = Pin<Box<dyn Future<Output = Result<CatalogueCopy, NoCopy>> + Send + 'a>>;

/// Takes people's decisions.
pub trait CommandBus: Send + Sync {
    /// Stores a decision, waits until it is carried out and its effects are in the control store, and says what came
    /// of it.
    fn submit(&self, record: CommandRecord) -> Answer<'_>;

    /// The catalogue as it is, to see what a decision would do to it.
    fn catalogue(&self) -> CopyAnswer<'_>;
}

impl CommandBus for Commands {
    fn submit(&self, record: CommandRecord) -> Answer<'_> {
        Box::pin(Commands::submit(self, record))
    }

    fn catalogue(&self) -> CopyAnswer<'_> {
        Box::pin(Commands::catalogue(self))
    }
}

/// Says how everything is.
pub trait StatusSource: Send + Sync {
    /// A JSON object for people and scripts.
    fn status(&self) -> serde_json::Value;
}
