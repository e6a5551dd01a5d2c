use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is wrong with the operation of outrider itself, or with what it depends on. It is not about abuse: that is what
/// alerts are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// A gateway that sends calls has stopped sending any.
    GatewaySilent,
    /// Calls are missing from the log.
    CallsLost,
    /// The log refuses calls, so they are dropped.
    CallsDropped,
    /// The analysis is behind, so alerts and blocks come late.
    AnalysisBehind,
    /// Calls reach the lake late or not at all.
    LakeBehind,
    /// The control store cannot be written, so decisions wait.
    StoreFailing,
    /// Actions wait for longer than they should to be brought to a gateway or taken away again.
    ActionsWaiting,
    /// A responder cannot do its work at its gateway.
    ResponderFailing,
    /// A responder on the premises has not been heard from.
    ResponderSilent,
    /// A collector on the premises has not been heard from.
    CollectorSilent,
    /// A collector turns calls away or cannot hand them on.
    CollectorFailing,
    /// The disk of the data directory is nearly full.
    DiskNearlyFull,
    /// A detector was put out of use.
    DetectorOutOfUse,
    /// The clock was set back, so calls count as late.
    ClockSetBack,
    /// Messages do not get through to somebody who is to be told.
    NotifyFailing,
    /// The certificate of a listener expires soon, or has.
    CertificateExpires,
    /// A saved hunt could not run several times in a row.
    HuntFailing,
}

impl NoticeKind {
    /// All of them.
    pub const ALL: [NoticeKind; 17] = [
        NoticeKind::GatewaySilent,
        NoticeKind::CallsLost,
        NoticeKind::CallsDropped,
        NoticeKind::AnalysisBehind,
        NoticeKind::LakeBehind,
        NoticeKind::StoreFailing,
        NoticeKind::ActionsWaiting,
        NoticeKind::ResponderFailing,
        NoticeKind::ResponderSilent,
        NoticeKind::CollectorSilent,
        NoticeKind::CollectorFailing,
        NoticeKind::DiskNearlyFull,
        NoticeKind::DetectorOutOfUse,
        NoticeKind::ClockSetBack,
        NoticeKind::NotifyFailing,
        NoticeKind::CertificateExpires,
        NoticeKind::HuntFailing,
    ];

    /// The kind's name in JSON, metrics and queries.
    pub fn as_str(self) -> &'static str {
        match self {
            NoticeKind::GatewaySilent => "gateway_silent",
            NoticeKind::CallsLost => "calls_lost",
            NoticeKind::CallsDropped => "calls_dropped",
            NoticeKind::AnalysisBehind => "analysis_behind",
            NoticeKind::LakeBehind => "lake_behind",
            NoticeKind::StoreFailing => "store_failing",
            NoticeKind::ActionsWaiting => "actions_waiting",
            NoticeKind::ResponderFailing => "responder_failing",
            NoticeKind::ResponderSilent => "responder_silent",
            NoticeKind::CollectorSilent => "collector_silent",
            NoticeKind::CollectorFailing => "collector_failing",
            NoticeKind::DiskNearlyFull => "disk_nearly_full",
            NoticeKind::DetectorOutOfUse => "detector_out_of_use",
            NoticeKind::ClockSetBack => "clock_set_back",
            NoticeKind::NotifyFailing => "notify_failing",
            NoticeKind::CertificateExpires => "certificate_expires",
            NoticeKind::HuntFailing => "hunt_failing",
        }
    }
}

/// Something that is wrong at this moment. As long as it is said again, its notice stays open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Concern {
    /// What is wrong.
    pub kind: NoticeKind,
    /// With what: the name of a gateway, a detector, a destination. With the kind it says which notice this is.
    pub subject: String,
    /// Since when.
    pub since_ms: i64,
    /// What was seen, in one sentence with its numbers.
    pub detail: String,
    /// What to do about it.
    pub remedy: String,
}

/// A concern as people are told of it: opened once, and closed by itself when it is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Notice {
    /// Its number, which grows.
    pub id: i64,
    /// What is wrong, as it was said when the notice was opened.
    #[serde(flatten)]
    pub concern: Concern,
    /// When it was opened.
    pub opened_ms: i64,
    /// When it was over; none while it is open.
    pub closed_ms: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_kinds_are_listed_and_named_as_in_json() {
        let schema = serde_json::to_value(schemars::schema_for!(NoticeKind)).unwrap();
        assert_eq!(schema["oneOf"].as_array().unwrap().len(), NoticeKind::ALL.len(), "{schema}");
        for kind in NoticeKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }
}
