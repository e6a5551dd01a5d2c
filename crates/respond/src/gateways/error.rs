//! The errors of the edges, and what each means in the vocabulary of action reports. What is done about one is decided
//! where it is handled.

use outrider_model::FailureReason;

/// What goes wrong between outrider and a gateway.
///
/// The texts are for operators. None of them carries a token: what a gateway answered is cut to its beginning, and our
/// own header value is struck out of it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum GatewayError {
    /// The transport failed or the answer did not begin in time. A write may or may not have happened.
    #[error("the Admin API cannot be reached: {detail}")]
    Unreachable {
        /// The transport's own words.
        detail: String,
    },
    /// Something answered, but not as Kong's Admin API does: HTML, a redirect, half a body, another shape. A write may or
    /// may not have happened.
    #[error("the Admin API gave an answer that is not Kong's (status {status}): {detail}")]
    UnexpectedAnswer {
        /// The status.
        status: u16,
        /// What is wrong with it, or its beginning.
        detail: String,
        /// How long it asks to wait, where it says so.
        retry_after_s: Option<u64>,
    },
    /// Kong said no, in its own form.
    #[error("Kong answered {status}: {message}")]
    Kong {
        /// The status.
        status: u16,
        /// Kong's error code, such as 5 for a unique constraint violation.
        code: Option<u32>,
        /// Kong's message.
        message: String,
        /// The fields that it is about.
        fields: Box<serde_json::Value>,
        /// How long it asks to wait, where it says so.
        retry_after_s: Option<u64>,
    },
    /// A setting cannot be meant.
    #[error("setting `{setting}` is not valid: {detail}")]
    Setting {
        /// The setting.
        setting: &'static str,
        /// What is wrong, and what is expected.
        detail: String,
    },
    /// The responder's own files.
    #[error("cannot {operation} {path}: {detail}")]
    File {
        /// What was tried.
        operation: &'static str,
        /// The file.
        path: String,
        /// The system's own words.
        detail: String,
    },
}

impl GatewayError {
    /// The same, as the vocabulary that the platform knows.
    pub fn reason(&self) -> FailureReason {
        match self {
            GatewayError::Unreachable { detail } => FailureReason::Unreachable { detail: detail.clone() },
            GatewayError::UnexpectedAnswer { status, detail, .. } => {
                FailureReason::UnexpectedAnswer { status: *status, detail: detail.clone() }
            }
            GatewayError::Kong { code: Some(12), .. } => FailureReason::ReadOnlyGateway,
            GatewayError::Kong { code: Some(4), message, .. } => FailureReason::TargetGone { detail: message.clone() },
            GatewayError::Kong { status, message, .. } => {
                FailureReason::Refused { status: *status, detail: message.clone() }
            }
            GatewayError::Setting { .. } | GatewayError::File { .. } => {
                FailureReason::Unreachable { detail: self.to_string() }
            }
        }
    }

    /// How long the gateway asked to be left alone, in seconds.
    pub fn retry_after_s(&self) -> Option<u64> {
        match self {
            GatewayError::UnexpectedAnswer { retry_after_s, .. } | GatewayError::Kong { retry_after_s, .. } => {
                *retry_after_s
            }
            _ => None,
        }
    }

    pub(crate) fn file(operation: &'static str, path: &std::path::Path, error: &std::io::Error) -> Self {
        GatewayError::File { operation, path: path.display().to_string(), detail: error.to_string() }
    }
}
