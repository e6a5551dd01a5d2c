//! The reasons for which a record is no call. What is done with them is up to whoever counts them.

use std::fmt;

/// Why a line is no call. It says nothing of the line's content (decision 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rejection {
    /// Not JSON.
    NotJson,
    /// JSON, but no object.
    NotAnObject,
    /// Nested deeper than a gateway writes.
    TooDeep,
    /// Neither a readable `request` nor a response status: not a line of Kong's log.
    NoRequest,
    /// A connection that Kong passed on as a stream of bytes (TCP, TLS): it has a `session` and no request, and holds no call.
    Stream,
    /// Over the line limit.
    TooLong,
    /// The unfinished lines of all connections of the source took all the room that they have together.
    NoRoom,
    /// The stream ended in the middle of the line.
    Torn,
}

impl Rejection {
    /// All reasons, in the order of their counters.
    pub const ALL: [Rejection; 8] = [
        Rejection::NotJson,
        Rejection::NotAnObject,
        Rejection::TooDeep,
        Rejection::NoRequest,
        Rejection::Stream,
        Rejection::TooLong,
        Rejection::NoRoom,
        Rejection::Torn,
    ];

    /// Somebody should look after it. A stream is what its gateway is meant to log.
    pub fn is_trouble(self) -> bool {
        self != Rejection::Stream
    }

    /// The reason's name in counters and summaries.
    pub fn as_str(self) -> &'static str {
        match self {
            Rejection::NotJson => "not_json",
            Rejection::NotAnObject => "not_an_object",
            Rejection::TooDeep => "too_deep",
            Rejection::NoRequest => "no_request",
            Rejection::Stream => "stream",
            Rejection::TooLong => "too_long",
            Rejection::NoRoom => "no_room",
            Rejection::Torn => "torn",
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
