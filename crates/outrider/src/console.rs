//! The web console as `make console` built it; nothing where it was not built.

use outrider_platform::api::ConsoleFile;

/// Its files, found by `build.rs`.
pub const FILES: &[ConsoleFile] = include!(concat!(env!("OUT_DIR"), "/console.rs"));
