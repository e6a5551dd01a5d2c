//! Calls for the tests, and the lake filled with them.

use std::path::{Path, PathBuf};

use outrider_lake::{Keeper, Kept, Lake, Location, Retention, Rows};
use outrider_model::{
    AgentClass, AnsweredBy, ApiCall, BusinessEntity, ClassLocation, ClassSeen, ClockCheck, Consumer, Coordinates,
    CountryCode, EndpointId, Enrichment, Exposure, Field, FieldValue, KeyId, Latency, Named, NetworkClass, Pseudonym,
    Sign, Text, Trust,
};

/// 2026-11-28 12:00:00 UTC.
pub const NOON_MS: i64 = 1_795_867_200_000;
pub const DAY_MS: i64 = 86_400_000;

/// A call with nothing but a path.
pub fn plain_call(path: &str) -> ApiCall<'_> {
    ApiCall {
        gateway: "kong".into(),
        workspace: Text::EMPTY,
        trust: Trust::Trusted,
        request_id: "r1".into(),
        received_ms: 1_767_571_203_900,
        started_ms: 1_767_571_203_744,
        event_ms: 1_767_571_203_844,
        clock: ClockCheck::AsReported,
        consumer: None,
        anonymous_consumer: false,
        credential_id: None,
        presented_credential: None,
        session: None,
        client_ip: None,
        service: None,
        route: None,
        host: Text::EMPTY,
        method: "GET".into(),
        path: path.into(),
        query: vec![],
        headers: vec![],
        status: 200,
        answered_by: AnsweredBy::Gateway,
        own_refusal: None,
        request_bytes: 0,
        response_bytes: u64::from(u32::MAX) + 1,
        latency: Latency { total_ms: 100, gateway_ms: 3, upstream_ms: -1 },
        response_type: Text::EMPTY,
        fields: vec![],
        enrichment: Enrichment::default(),
        exposure: Exposure::default(),
    }
}

/// A call with everything.
pub fn full_call() -> ApiCall<'static> {
    let pseudonym = Pseudonym { key: KeyId(7), tag: [9; 16] };
    let field = |name: &'static str, value| Field { name: name.into(), value };
    ApiCall {
        workspace: "w".into(),
        trust: Trust::Untrusted,
        clock: ClockCheck::ClampedPast,
        consumer: Some(Consumer {
            id: "c-1".into(),
            username: "alice".into(),
            custom_id: Text::EMPTY,
            tags: vec!["gold".into(), "eu".into()],
        }),
        anonymous_consumer: true,
        credential_id: Some("k-1".into()),
        presented_credential: Some(pseudonym),
        session: Some(pseudonym),
        client_ip: Some("2001:db8::7".parse().unwrap()),
        service: Some(Named { id: "s-1".into(), name: "shop".into() }),
        route: Some(Named { id: "r-1".into(), name: Text::EMPTY }),
        query: vec![
            field("q", FieldValue::Clear("ps_not_one".into())),
            field("flag", FieldValue::Flag),
            field("token", FieldValue::Pseudonym(pseudonym, 40)),
        ],
        headers: vec![field("authorization", FieldValue::Redacted), field("accept", FieldValue::Clear(Text::EMPTY))],
        answered_by: AnsweredBy::Upstream,
        own_refusal: Some("inst".into()),
        fields: vec![
            field("account", FieldValue::Pseudonym(pseudonym, 14)),
            field("tenant", FieldValue::Clear("acme".into())),
            field("tenant", FieldValue::Clear("initech".into())),
        ],
        enrichment: Enrichment {
            country: CountryCode::new("SE"),
            city: "Linköping".into(),
            coordinates: Coordinates::from_degrees(58.4167, -15.6167, Some(76)),
            asn: Some(29518),
            as_name: "Bredband2 AB".into(),
            network: NetworkClass::Mobile,
            agent_family: "curl".into(),
            agent: AgentClass::Tool,
            entities: vec![
                BusinessEntity { name: "merchant_id".into(), value: "4711".into() },
                BusinessEntity { name: "tenant".into(), value: "é:,'".into() },
            ],
        },
        exposure: Exposure {
            signs: [Sign::PlainHttp, Sign::CookieSet, Sign::JwtWithoutExpiry].into_iter().collect(),
            jwt_lifetime_s: Some(u32::MAX),
            classes: vec![
                ClassSeen { location: ClassLocation::Path, at: 1, class: "email".into() },
                ClassSeen { location: ClassLocation::Query, at: 2, class: "api_key".into() },
                ClassSeen { location: ClassLocation::Header, at: u16::MAX, class: "of a later build".into() },
                ClassSeen { location: ClassLocation::Field, at: 0, class: "email".into() },
            ],
        },
        ..plain_call("/shop/\u{f7e9}/\u{0}")
    }
}

/// The call number `number` of a mixed stream: 7 consumers with a credential and 3 sessions each, 5 addresses, a call a
/// second. Every third call has no consumer, every fifth no address.
pub fn mixed_call(number: i64) -> ApiCall<'static> {
    let consumer = number % 7;
    let event_ms = NOON_MS + number * 1000;
    let mut call = ApiCall {
        received_ms: event_ms,
        started_ms: event_ms,
        event_ms,
        client_ip: (number % 5 != 0).then(|| [192, 0, 2, u8::try_from(number % 5).unwrap()].into()),
        status: if number % 11 == 0 { 404 } else { 200 },
        ..plain_call("/orders")
    };
    call.path = format!("/orders/{number}").into();
    call.enrichment.asn = (number % 2 == 0).then_some(64_500 + u32::try_from(number % 4).unwrap());
    for merchant in (number % 10 < 2).then_some(number % 2).into_iter().chain((number % 10 == 0).then_some(7)) {
        let value = merchant.to_string().into();
        call.enrichment.entities.push(BusinessEntity { name: "merchant_id".into(), value });
    }
    if number % 3 != 0 {
        let tag = [u8::try_from(consumer * 3 + number % 3).unwrap(); 16];
        call.consumer = Some(Consumer {
            id: format!("id-{consumer}").into(),
            username: format!("user {consumer}").into(),
            custom_id: Text::EMPTY,
            tags: vec![],
        });
        call.credential_id = Some(format!("key-{consumer}").into());
        call.session = Some(Pseudonym { key: KeyId(1), tag });
    }
    call
}

/// A lake's writer, and the position of the next record.
pub struct Filler {
    pub lake: Lake,
    pub next: u64,
}

impl Filler {
    pub async fn open(lake: impl Into<Location>) -> Filler {
        let lake = Lake::open(lake).await.unwrap();
        let next = lake.position() + 1;
        Filler { lake, next }
    }

    /// The calls as rows of one record each, and the position of the last.
    fn rows(&mut self, calls: &[ApiCall<'_>]) -> (deltalake::arrow::array::RecordBatch, u64) {
        let mut rows = Rows::default();
        for call in calls {
            rows.push(call, Some(EndpointId(5)), self.next, 0);
            self.next += 1;
        }
        (rows.finish().unwrap(), self.next - 1)
    }

    /// Commits calls, one record each.
    pub async fn commit(&mut self, calls: &[ApiCall<'_>]) {
        let (rows, position) = self.rows(calls);
        self.lake.commit(&[rows], position).await.unwrap();
    }

    /// Lets queries see calls that are not committed.
    pub fn show(&mut self, calls: &[ApiCall<'_>]) {
        let (rows, position) = self.rows(calls);
        self.lake.show(rows, position);
    }
}

/// Spoils a data file of a table's day: which, and what it was.
pub fn damage(lake: &Path, table: &str, day: &str) -> (PathBuf, Vec<u8>) {
    let day = lake.join(table).join(format!("event_date={day}"));
    let file = std::fs::read_dir(day).unwrap().map(|entry| entry.unwrap().path()).min().unwrap();
    let sound = std::fs::read(&file).unwrap();
    std::fs::write(&file, b"not a table").unwrap();
    (file, sound)
}

/// The directory of the events.
pub fn events_in(lake: &Lake) -> PathBuf {
    lake.location().as_directory().unwrap().join("events")
}

/// Looks after the lake until nothing is left to do.
pub async fn keep(lake: impl Into<Location>, retention: Retention, now_ms: i64) -> Kept {
    let mut keeper = Keeper::open(lake, retention).await.unwrap();
    let mut all = Kept::default();
    loop {
        let kept = keeper.keep(now_ms).await.unwrap().complete().unwrap();
        all.indexed += kept.indexed;
        all.merges += kept.merges;
        all.days_removed += kept.days_removed;
        if !kept.has_more {
            return all;
        }
    }
}

pub const ALL: Retention = Retention { days: None, bytes_max: None };
