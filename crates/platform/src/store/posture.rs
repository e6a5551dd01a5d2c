//! What is weak, and how risky endpoints and services are: rows that the analysis tells of.
//!
//! It leaves out documents of services but for one thing: which of them the log was told of, because posture reads what they say.

use std::collections::{BTreeMap, HashMap};

use outrider_discover::posture::{RiskScore, ScoreSubject, WeakSubject, Weakness, WeaknessRow, severity_word};
use outrider_model::{EndpointId, EntityKind, Severity, Subject, WeaknessId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sqlx::{QueryBuilder, Sqlite, Transaction};

use super::apply::json;
use super::listing::Listing;
use super::{Gateways, Page, ServiceKey, Store, StoreError};

const WEAKNESSES: &str = "weaknesses";
const SCORES: &str = "risk_scores";

/// How it stands with a weakness, as a filter says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WeaknessStanding {
    /// It is there.
    Open,
    /// It is there, and left for a while.
    Excepted,
    /// It is there no longer.
    Fixed,
}

impl WeaknessStanding {
    /// The word in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            WeaknessStanding::Open => "open",
            WeaknessStanding::Excepted => "excepted",
            WeaknessStanding::Fixed => "fixed",
        }
    }
}

/// By what weaknesses are sorted, the highest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WeaknessOrder {
    /// When they opened the last time.
    #[default]
    Opened,
    /// How bad they are: one that changes while pages are turned may be missed or come twice.
    Severity,
}

/// Which weaknesses.
#[derive(Debug, Clone, Default)]
pub struct WeaknessFilter {
    /// That stand so; empty for any.
    pub standings: Vec<WeaknessStanding>,
    /// At least so bad.
    pub severity_min: Option<Severity>,
    /// Of this check.
    pub check: Option<String>,
    /// With this id in the OWASP API Security Top 10.
    pub owasp: Option<String>,
    /// At this gateway.
    pub gateway: Option<String>,
    /// At the service with this id or name.
    pub service: Option<String>,
    /// That list this endpoint.
    pub endpoint: Option<EndpointId>,
    /// At these gateways.
    pub gateways: Gateways,
    /// In which order.
    pub order: WeaknessOrder,
}

/// How many weaknesses there are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct WeaknessCounts {
    /// By how they stand.
    pub by_state: BTreeMap<String, u64>,
    /// Open ones by how bad they are.
    pub open_by_severity: BTreeMap<String, u64>,
    /// Open ones by check.
    pub open_by_check: BTreeMap<String, u64>,
}

impl Store {
    /// Weaknesses, in the order of the filter.
    pub async fn weaknesses(
        &self,
        filter: &WeaknessFilter,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Page<WeaknessRow>, StoreError> {
        let mut query = Listing::new(
            WEAKNESSES,
            match filter.order {
                WeaknessOrder::Opened => "opened_ms",
                WeaknessOrder::Severity => "severity",
            },
        );
        filter.narrow(&mut query);
        query.page(self, limit, cursor).await
    }

    /// How many weaknesses there are of those that a filter lets through.
    pub async fn weakness_counts(&self, filter: &WeaknessFilter) -> Result<WeaknessCounts, StoreError> {
        let mut query = Listing::counting(WEAKNESSES, "state, severity, check_name, COUNT(*)");
        filter.narrow(&mut query);
        let groups: Vec<(String, i64, String, i64)> = query.grouped(self, "state, severity, check_name").await?;
        let mut counts = WeaknessCounts::default();
        let add = |counts: &mut BTreeMap<String, u64>, name: String, number: i64| {
            *counts.entry(name).or_default() += number.cast_unsigned();
        };
        for (state, severity, check, number) in groups {
            if state == WeaknessStanding::Open.as_str() {
                add(&mut counts.open_by_severity, severity_of(severity).to_owned(), number);
                add(&mut counts.open_by_check, check, number);
            }
            add(&mut counts.by_state, state, number);
        }
        Ok(counts)
    }

    /// One weakness by its id.
    pub async fn weakness(&self, id: &str) -> Result<Option<WeaknessRow>, StoreError> {
        self.document(WEAKNESSES, "id", id).await
    }

    /// How risky an endpoint is; none before that is known.
    pub async fn endpoint_score(&self, id: EndpointId) -> Result<Option<RiskScore>, StoreError> {
        self.document(SCORES, "subject", &id.to_string()).await
    }

    /// The scores of endpoints, by their ids.
    pub async fn endpoint_scores(&self, ids: &[String]) -> Result<BTreeMap<String, RiskScore>, StoreError> {
        self.scores(ids).await
    }

    /// How risky endpoints are, in tenths, by their ids. Those of services are there, too, by other names.
    pub async fn score_tenths(&self) -> Result<HashMap<String, i64>, StoreError> {
        let rows: Vec<(String, i64)> = sqlx::query_as("SELECT subject, tenths FROM risk_scores")
            .fetch_all(&self.readers)
            .await
            .map_err(StoreError::query("read scores"))?;
        Ok(rows.into_iter().collect())
    }

    /// The scores of services.
    pub async fn service_scores(&self, keys: &[ServiceKey]) -> Result<BTreeMap<ServiceKey, RiskScore>, StoreError> {
        let subjects = keys.iter().map(service_subject).collect::<Result<Vec<_>, _>>()?;
        let mut found = self.scores(&subjects).await?;
        let known = keys.iter().zip(subjects).filter_map(|(key, subject)| Some((key.clone(), found.remove(&subject)?)));
        Ok(known.collect())
    }

    async fn scores(&self, subjects: &[String]) -> Result<BTreeMap<String, RiskScore>, StoreError> {
        /// SQLite takes so many values of one statement, and more.
        const AT_A_TIME: usize = 500;
        let mut found = BTreeMap::new();
        for some in subjects.chunks(AT_A_TIME) {
            let mut query: QueryBuilder<Sqlite> =
                QueryBuilder::new("SELECT subject, document FROM risk_scores WHERE subject IN (");
            let mut list = query.separated(", ");
            for subject in some {
                list.push_bind(subject.clone());
            }
            query.push(")");
            let rows: Vec<(String, String)> =
                query.build_query_as().fetch_all(&self.readers).await.map_err(StoreError::query("read scores"))?;
            for (subject, text) in rows {
                found.insert(subject, serde_json::from_str(&text).map_err(StoreError::document(SCORES))?);
            }
        }
        Ok(found)
    }
}

/// Documents of which the log is still to be told.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct UntoldDocuments {
    /// Those that are new or changed, with when that was.
    pub changed: Vec<(ServiceKey, i64)>,
    /// Services that have none any more.
    pub gone: Vec<ServiceKey>,
}

impl Store {
    /// The documents of which the log is still to be told.
    pub async fn untold_documents(&self) -> Result<UntoldDocuments, StoreError> {
        let doing = "read documents";
        let changed: Vec<(String, String, String, i64)> = sqlx::query_as(
            "SELECT given.gateway, given.workspace, given.service, given.changed_ms FROM api_documents AS given
             LEFT JOIN api_documents_told AS told
               ON told.gateway = given.gateway AND told.workspace = given.workspace AND told.service = given.service
             WHERE told.changed_ms IS NULL OR told.changed_ms <> given.changed_ms ORDER BY 1, 2, 3",
        )
        .fetch_all(&self.readers)
        .await
        .map_err(StoreError::query(doing))?;
        let gone: Vec<(String, String, String)> = sqlx::query_as(
            "SELECT told.gateway, told.workspace, told.service FROM api_documents_told AS told
             LEFT JOIN api_documents AS given
               ON told.gateway = given.gateway AND told.workspace = given.workspace AND told.service = given.service
             WHERE given.gateway IS NULL ORDER BY 1, 2, 3",
        )
        .fetch_all(&self.readers)
        .await
        .map_err(StoreError::query(doing))?;
        let key = |gateway, workspace, service| ServiceKey { gateway, workspace, service };
        Ok(UntoldDocuments {
            changed: changed.into_iter().map(|(one, two, three, at_ms)| (key(one, two, three), at_ms)).collect(),
            gone: gone.into_iter().map(|(one, two, three)| key(one, two, three)).collect(),
        })
    }

    /// Notes that the log was told of a document, as of when it was given, or that there is none any more.
    pub async fn told_document(&self, key: &ServiceKey, changed_ms: Option<i64>) -> Result<(), StoreError> {
        let doing = "note that a document was told of";
        let mut transaction = self.begin(doing).await?;
        let query = match changed_ms {
            Some(changed_ms) => sqlx::query(
                "INSERT INTO api_documents_told (gateway, workspace, service, changed_ms) VALUES ($1, $2, $3, $4)
                 ON CONFLICT (gateway, workspace, service) DO UPDATE SET changed_ms = excluded.changed_ms",
            )
            .bind(&key.gateway)
            .bind(&key.workspace)
            .bind(&key.service)
            .bind(changed_ms),
            None => {
                sqlx::query("DELETE FROM api_documents_told WHERE gateway = $1 AND workspace = $2 AND service = $3")
                    .bind(&key.gateway)
                    .bind(&key.workspace)
                    .bind(&key.service)
            }
        };
        query.execute(&mut *transaction).await.map_err(StoreError::query(doing))?;
        transaction.commit().await.map_err(StoreError::query(doing))
    }
}

/// What the command line wants to be decided about a weakness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedException {
    /// The weakness.
    pub weakness: WeaknessId,
    /// Until when it is to be left; none for not any more.
    pub until_ms: Option<i64>,
    /// Why.
    pub reason: String,
    /// Who asks.
    pub by: String,
    /// When.
    pub asked_ms: i64,
}

impl Store {
    /// Asks for a decision about a weakness, in the place of what was asked of it before and is not decided yet.
    pub async fn ask_exception(&self, asked: &AskedException) -> Result<(), StoreError> {
        let doing = "ask for an exception";
        let mut transaction = self.begin(doing).await?;
        sqlx::query(
            "INSERT INTO exceptions_asked (weakness, until_ms, reason, by_whom, asked_ms) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (weakness) DO UPDATE SET until_ms = excluded.until_ms, reason = excluded.reason,
               by_whom = excluded.by_whom, asked_ms = excluded.asked_ms",
        )
        .bind(asked.weakness.to_string())
        .bind(asked.until_ms)
        .bind(&asked.reason)
        .bind(&asked.by)
        .bind(asked.asked_ms)
        .execute(&mut *transaction)
        .await
        .map_err(StoreError::query(doing))?;
        transaction.commit().await.map_err(StoreError::query(doing))
    }

    /// What is asked and not decided yet, the oldest first.
    pub async fn asked_exceptions(&self) -> Result<Vec<AskedException>, StoreError> {
        const ASKED: &str =
            "SELECT weakness, until_ms, reason, by_whom, asked_ms FROM exceptions_asked ORDER BY asked_ms, weakness";
        let rows: Vec<(String, Option<i64>, String, String, i64)> =
            sqlx::query_as(ASKED).fetch_all(&self.readers).await.map_err(StoreError::query("read asked exceptions"))?;
        let asked = rows.into_iter().filter_map(|(weakness, until_ms, reason, by, asked_ms)| {
            Some(AskedException { weakness: weakness.parse().ok()?, until_ms, reason, by, asked_ms })
        });
        Ok(asked.collect())
    }

    /// What was asked is decided, unless something else was asked meanwhile.
    pub async fn decided_exception(&self, asked: &AskedException) -> Result<(), StoreError> {
        let doing = "note a decided exception";
        let mut transaction = self.begin(doing).await?;
        sqlx::query("DELETE FROM exceptions_asked WHERE weakness = $1 AND asked_ms = $2")
            .bind(asked.weakness.to_string())
            .bind(asked.asked_ms)
            .execute(&mut *transaction)
            .await
            .map_err(StoreError::query(doing))?;
        transaction.commit().await.map_err(StoreError::query(doing))
    }
}

impl WeaknessFilter {
    fn narrow(&self, query: &mut Listing) {
        query.any_of("state", self.standings.iter().map(|standing| standing.as_str()));
        if let Some(severity) = self.severity_min {
            query.and().push("severity >= ").push_bind(severity as i64);
        }
        query.equal("check_name", self.check.as_deref());
        query.equal("owasp", self.owasp.as_deref());
        query.equal("gateway", self.gateway.as_deref());
        query.either("service", "service_name", self.service.as_deref());
        if let Some(endpoint) = self.endpoint {
            let query = query.and();
            query.push("id IN (SELECT weakness FROM weakness_endpoints WHERE endpoint = ");
            query.push_bind(endpoint.to_string()).push(")");
        }
        query.at(&self.gateways);
    }
}

fn severity_of(number: i64) -> &'static str {
    let all = [Severity::Info, Severity::Low, Severity::Medium, Severity::High, Severity::Critical];
    severity_word(all.into_iter().find(|severity| *severity as i64 == number).unwrap_or(Severity::Info))
}

fn service_subject(key: &ServiceKey) -> Result<String, StoreError> {
    json(SCORES, key)
}

/// What a weakness is about, as columns.
fn subject_of(weakness: &Weakness) -> (&'static str, &str) {
    match &weakness.subject {
        WeakSubject::Endpoint(_) => ("endpoint", ""),
        WeakSubject::Service(_) => ("service", ""),
        WeakSubject::Route { .. } => ("route", ""),
        WeakSubject::Gateway { .. } => ("gateway", ""),
        WeakSubject::Consumer { consumer, .. } => ("consumer", consumer),
        WeakSubject::Credential { credential, .. } => ("credential", credential),
    }
}

/// Writes what is weak now.
pub(super) async fn write_weaknesses(
    transaction: &mut Transaction<'_, Sqlite>,
    rows: &[WeaknessRow],
    gone: &[WeaknessId],
) -> Result<(), StoreError> {
    let doing = "write a weakness";
    for id in gone {
        delete(transaction, &id.to_string()).await?;
    }
    for row in rows {
        let weakness = &row.weakness;
        let (kind, subject) = subject_of(weakness);
        sqlx::query(
            "INSERT INTO weaknesses (id, check_name, owasp, state, severity, subject_kind, subject, gateway, workspace, service,
               service_name, opened_ms, document)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
             ON CONFLICT (id) DO UPDATE SET owasp = excluded.owasp, state = excluded.state, severity = excluded.severity,
               gateway = excluded.gateway, workspace = excluded.workspace, service = excluded.service,
               service_name = excluded.service_name, opened_ms = excluded.opened_ms, document = excluded.document",
        )
        .bind(weakness.id.to_string())
        .bind(&weakness.check)
        .bind(&weakness.owasp)
        .bind(weakness.state.as_str())
        .bind(weakness.severity as i64)
        .bind(kind)
        .bind(subject)
        .bind(&row.gateway)
        .bind(&row.workspace)
        .bind(&row.service)
        .bind(&row.service_name)
        .bind(weakness.opened_ms)
        .bind(json(WEAKNESSES, row)?)
        .execute(&mut **transaction)
        .await
        .map_err(StoreError::query(doing))?;
        let listed = sqlx::query("DELETE FROM weakness_endpoints WHERE weakness = $1").bind(weakness.id.to_string());
        listed.execute(&mut **transaction).await.map_err(StoreError::query(doing))?;
        for endpoint in &weakness.endpoints {
            sqlx::query("INSERT INTO weakness_endpoints (endpoint, weakness) VALUES ($1, $2) ON CONFLICT DO NOTHING")
                .bind(endpoint.to_string())
                .bind(weakness.id.to_string())
                .execute(&mut **transaction)
                .await
                .map_err(StoreError::query(doing))?;
        }
    }
    Ok(())
}

async fn delete(transaction: &mut Transaction<'_, Sqlite>, id: &str) -> Result<(), StoreError> {
    let doing = "forget a weakness";
    for statement in ["DELETE FROM weaknesses WHERE id = $1", "DELETE FROM weakness_endpoints WHERE weakness = $1"] {
        sqlx::query(statement).bind(id).execute(&mut **transaction).await.map_err(StoreError::query(doing))?;
    }
    Ok(())
}

/// Writes how risky endpoints and services are.
pub(super) async fn write_scores(
    transaction: &mut Transaction<'_, Sqlite>,
    scores: &[RiskScore],
) -> Result<(), StoreError> {
    for score in scores {
        let subject = match &score.subject {
            ScoreSubject::Endpoint(id) => id.to_string(),
            ScoreSubject::Service(key) => service_subject(key)?,
        };
        sqlx::query(
            "INSERT INTO risk_scores (subject, tenths, document) VALUES ($1, $2, $3)
             ON CONFLICT (subject) DO UPDATE SET tenths = excluded.tenths, document = excluded.document",
        )
        .bind(subject)
        .bind((f64::from(score.score) * 10.0).round() as i64)
        .bind(json(SCORES, score)?)
        .execute(&mut **transaction)
        .await
        .map_err(StoreError::query("write a score"))?;
    }
    Ok(())
}

/// Forgets the score of an endpoint that was merged into another, or is ignored.
pub(super) async fn forget_score(transaction: &mut Transaction<'_, Sqlite>, id: EndpointId) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM risk_scores WHERE subject = $1")
        .bind(id.to_string())
        .execute(&mut **transaction)
        .await
        .map(drop)
        .map_err(StoreError::query("forget a score"))
}

/// Forgets what is weak about somebody; says how many rows that were.
pub(super) async fn erase(transaction: &mut Transaction<'_, Sqlite>, subject: &Subject) -> Result<u64, StoreError> {
    if !matches!(subject.kind, EntityKind::Consumer | EntityKind::Credential) {
        return Ok(0);
    }
    let about: Vec<(String,)> = sqlx::query_as("SELECT id FROM weaknesses WHERE subject_kind = $1 AND subject = $2")
        .bind(subject.kind.as_str())
        .bind(&subject.value)
        .fetch_all(&mut **transaction)
        .await
        .map_err(StoreError::query("erase a subject"))?;
    for (id,) in &about {
        delete(transaction, id).await?;
    }
    Ok(about.len() as u64)
}
