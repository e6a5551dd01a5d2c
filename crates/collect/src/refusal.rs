//! The reasons for which a request with log lines is refused, whose sender keeps the lines and may send them again, and those
//! for which a connection is closed that its sender would have kept open.

/// Why a request is refused. Nothing of it was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// It is no HTTP: another plugin or program sends here.
    NotHttp,
    /// Lines come with POST, PUT or PATCH.
    Method,
    /// It does not carry the source's secret.
    Unauthorized,
    /// It is packed in a way that is not known here.
    Encoding,
    /// Its body is over the limit.
    TooLarge,
    /// Its body ended early, or cannot be unpacked.
    Unreadable,
    /// Its body took too long.
    Slow,
    /// All the room for bodies, or in the queue, is taken.
    Busy,
    /// Another request brings some of its calls at this moment.
    UnderWay,
    /// Its calls could not be stored.
    NotStored,
}

impl Refusal {
    /// All reasons, in the order of their counters.
    pub const ALL: [Refusal; 10] = [
        Refusal::NotHttp,
        Refusal::Method,
        Refusal::Unauthorized,
        Refusal::Encoding,
        Refusal::TooLarge,
        Refusal::Unreadable,
        Refusal::Slow,
        Refusal::Busy,
        Refusal::UnderWay,
        Refusal::NotStored,
    ];

    /// The reason's name in counters and summaries.
    pub fn as_str(self) -> &'static str {
        match self {
            Refusal::NotHttp => "not_http",
            Refusal::Method => "method",
            Refusal::Unauthorized => "unauthorized",
            Refusal::Encoding => "encoding",
            Refusal::TooLarge => "too_large",
            Refusal::Unreadable => "unreadable",
            Refusal::Slow => "slow",
            Refusal::Busy => "busy",
            Refusal::UnderWay => "under_way",
            Refusal::NotStored => "not_stored",
        }
    }
}

/// Why a connection is closed: the two sides do not agree on TLS, or it takes what others need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConnectionRefusal {
    /// The sender speaks plain, and the source TLS.
    PlainToTls,
    /// The sender speaks TLS, and the source plain.
    TlsToPlain,
    /// The handshake did not come to its end in time.
    HandshakeSlow,
    /// The handshake failed: the sender went away, or speaks another TLS.
    HandshakeFailed,
    /// Its address has as many connections as one may have.
    OverAddressLimit,
    /// A line has begun and did not come to its end in time.
    LineSlow,
}

impl ConnectionRefusal {
    /// All reasons, in the order of their counters.
    pub const ALL: [ConnectionRefusal; 6] = [
        ConnectionRefusal::PlainToTls,
        ConnectionRefusal::TlsToPlain,
        ConnectionRefusal::HandshakeSlow,
        ConnectionRefusal::HandshakeFailed,
        ConnectionRefusal::OverAddressLimit,
        ConnectionRefusal::LineSlow,
    ];

    /// The reason's name in counters and summaries.
    pub fn as_str(self) -> &'static str {
        match self {
            ConnectionRefusal::PlainToTls => "plain_to_tls",
            ConnectionRefusal::TlsToPlain => "tls_to_plain",
            ConnectionRefusal::HandshakeSlow => "handshake_slow",
            ConnectionRefusal::HandshakeFailed => "handshake_failed",
            ConnectionRefusal::OverAddressLimit => "over_address_limit",
            ConnectionRefusal::LineSlow => "line_slow",
        }
    }
}
