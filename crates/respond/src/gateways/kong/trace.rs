//! Spans of what is changed at a gateway: one for each action that a change is about, in that action's trace, and below the
//! first of them one for each call of the Admin API. Looks that change nothing have none.

use outrider_model::ActionId;
use reqwest::Method;
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

use super::answer::Answer;
use super::execute::{Deleted, Written};
use super::fold::ACTION_TAGS_MAX;
use crate::gateways::GatewayError;

/// Every span of ours has this target, which the program's log does not show.
const TARGET: &str = "trace";

/// The spans of one change.
pub(super) struct ChangeSpans(Vec<Span>);

impl ChangeSpans {
    /// `change` is `write` or `delete`.
    pub(super) fn new<'a>(
        installation: &str,
        gateway: &str,
        change: &str,
        actions: impl IntoIterator<Item = &'a ActionId>,
    ) -> ChangeSpans {
        let span = |action: &ActionId| {
            tracing::info_span!(
                target: TARGET,
                "reconcile",
                outrider.installation = installation,
                outrider.action.id = %action,
                outrider.gateway = gateway,
                outrider.change = change,
                error = Empty,
            )
        };
        ChangeSpans(actions.into_iter().take(ACTION_TAGS_MAX).map(span).collect())
    }

    /// Carries the change out.
    pub(super) async fn around<T: Outcome>(
        self,
        change: impl Future<Output = Result<T, GatewayError>>,
    ) -> Result<T, GatewayError> {
        let first = self.0.first().cloned().unwrap_or_else(Span::none);
        let changed = change.instrument(first).await;
        let failure = match &changed {
            Ok(ended) => ended.failure(),
            Err(error) => Some(error.to_string()),
        };
        if let Some(failure) = failure {
            for span in &self.0 {
                span.record("error", &failure);
            }
        }
        changed
    }
}

/// How a change ended that the gateway answered.
pub(super) trait Outcome {
    /// Why it was not done, if it was not.
    fn failure(&self) -> Option<String>;
}

impl Outcome for Written {
    fn failure(&self) -> Option<String> {
        match self {
            Written::Stored { .. } => None,
            Written::Trouble(reason) => Some(reason.to_string()),
            Written::Surprise(message) => Some(message.clone()),
        }
    }
}

impl Outcome for Deleted {
    fn failure(&self) -> Option<String> {
        (*self == Deleted::Foreign).then(|| "it lost our tags, so it was left alone".to_owned())
    }
}

/// One call of the Admin API. Names are those of OpenTelemetry's conventions for HTTP; ids are left out of the path.
pub(super) async fn admin_call(
    method: &Method,
    path: &[&str],
    call: impl Future<Output = Result<Answer, GatewayError>>,
) -> Result<Answer, GatewayError> {
    if Span::current().metadata().is_none_or(|around| around.target() != TARGET) {
        return call.await;
    }
    let template: String =
        (0..).zip(path).map(|(at, part)| if at % 2 == 0 { format!("/{part}") } else { "/{id}".to_owned() }).collect();
    let span = tracing::info_span!(
        target: TARGET,
        "admin_api",
        otel.name = format!("{method} {template}"),
        otel.kind = "client",
        http.request.method = method.as_str(),
        url.template = template,
        http.response.status_code = Empty,
        error = Empty,
    );
    let answer = call.instrument(span.clone()).await;
    match &answer {
        Ok(answer) => {
            span.record("http.response.status_code", answer.status);
            if answer.status >= 400 {
                span.record("error", answer.status.to_string());
            }
        }
        Err(error) => {
            span.record("error", error.to_string());
        }
    }
    answer
}
