//! The vocabulary of outrider: what every room means by a call, an endpoint, an entity, a finding, an alert, a policy
//! and an action.
//!
//! This crate decides names, shapes and units. It knows nothing of the other rooms, does no IO and reads no clock. It
//! has no type that could hold a raw secret: a credential is either the id that Kong gave it or a [`Pseudonym`].
//!
//! Times are milliseconds since the Unix epoch (UTC) in an `i64` and end in `_ms`; sizes are bytes.

mod action;
mod alert;
pub mod batch;
mod call;
mod command;
mod endpoint;
mod enrichment;
mod entity;
mod exposure;
mod finding;
mod gateway;
mod hunt;
mod ids;
mod network;
mod notice;
mod policy;
mod pseudonym;
mod rate;
mod subject;
mod template;
mod text;

pub use action::{
    Action, ActionKind, ActionReport, ActionScope, ActionState, ActionStep, DesiredAction, DesiredState, FailureReason,
    OWN_REFUSAL_PARAMETER, Origin, ReportedState,
};
pub use alert::{Alert, AlertComment, AlertState, FindingSummary};
pub use call::{
    ACCOUNT_FIELD, AnsweredBy, ApiCall, CLOCK_MS, ClockCheck, Consumer, FORMER_FIELDS, Field, FieldValue, Latency,
    MAPPED_VALUES_MAX, Named, OPERATION_FIELD, SKEW_FUTURE_MS_MAX, SKEW_PAST_MS_MAX, Trust,
};
pub use command::{AuditEntry, Command, CommandRecord, CommandRefused};
pub use endpoint::{Endpoint, EndpointKey};
pub use enrichment::{
    AgentClass, BusinessEntity, Coordinates, CountryCode, ENRICHED_NAME_BYTES_MAX, ENTITIES_MAX,
    ENTITY_VALUE_BYTES_MAX, Enrichment, NetworkClass,
};
pub use entity::{Actor, EntityKey, EntityKind, EntityRef};
pub use exposure::{CLASSES_SEEN_MAX, ClassLocation, ClassSeen, Exposure, Sign, Signs};
pub use finding::{Confidence, Finding, Observation, Outcome, SampleCall, Severity, TargetFacts};
pub use gateway::{
    AclSettings, BasicAuthSettings, CorsSettings, GatewayConfiguration, GatewayConsumer, GatewayCredential,
    GatewayPlugin, GatewayRoute, GatewayService, GatewaySnapshot, HmacAuthSettings, IpRestrictionSettings, JwtSettings,
    KeyAuthSettings, LeftOut, PluginSettings, RateLimitingSettings, RequestSizeSettings,
};
pub use hunt::{
    HUNT_DETECTOR, HUNT_ENTITIES_MAX, HUNT_EVERY_SECONDS, HUNT_LOOK_BACK_SECONDS_MAX, HUNT_TEXT_BYTES_MAX,
    HUNT_THRESHOLD_MAX, Hunt, HuntError, HuntFigures, HuntHit, HuntQuestion, HuntRun, HuntWindow,
};
pub use ids::{
    ActionId, AlertId, EndpointId, FindingId, Fingerprint, HuntId, IdError, PolicyId, TemplateDecisionId, WeaknessId,
};
pub use network::Network;
pub use notice::{Concern, Notice, NoticeKind};
pub use policy::{Condition, Duration, Mode, Policy, PolicyError, PolicyScope, Response};
pub use pseudonym::{KeyId, Pseudonym, PseudonymError};
pub use rate::{RateLimits, RateLimitsError};
pub use subject::{Subject, SubjectError};
pub use template::{DecisionOrigin, TemplateChange, TemplateDecision, TemplateEffect};
pub use text::Text;
