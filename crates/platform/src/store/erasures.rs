//! Erasures: who is to be forgotten, how far that is in each place, and the receipt that stays.
//!
//! An erasure is asked for here and carried out elsewhere: the analysis forgets at a record of the log (`erase` beside this
//! writes what that means for the store), the lake, the log and the snapshots follow. As long as it goes on its row names whom
//! it is about. Then the name goes, and a keyed reference is left. The key is in this store: who has the store can say
//! whether somebody was erased, and can try out whom a receipt is about where there are few to try, such as IPv4 addresses.

use outrider_model::{ActionState, AuditEntry, EntityKind, Subject};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sqlx::{QueryBuilder, Sqlite, Transaction};

use super::apply::{action_state_word, json};
use super::erase::check_id;
use super::tokens::{hash, random_secret};
use super::trail::{AuditLog, append_one};
use super::{Page, Store, StoreError};
use crate::log::Position;
use crate::store::query::PAGE_MAX;

/// Erasures under way at most.
pub const ERASURES_OPEN_MAX: i64 = 100;
/// Receipts kept at most; beyond that the oldest go.
pub const ERASURES_KEPT_MAX: u32 = 10_000;
/// The row of `meta` with the key of references.
const KEY: &str = "erasure_key";
const TABLE: &str = "erasures";

/// An erasure: its receipt, as far as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Erasure {
    /// Its id.
    pub id: String,
    /// What kind of entity it is about.
    pub kind: EntityKind,
    /// Who it is about, as a keyed hash: the same subject of the same installation has the same one.
    pub reference: String,
    /// Who asked for it.
    pub asked_by: String,
    /// When.
    pub asked_ms: i64,
    /// How far it is.
    pub state: ErasureState,
    /// Why it was refused, where it was.
    pub reason: Option<String>,
    /// The record of the log at which it was carried out. Everything up to it is covered; what came later is new data.
    pub position: Option<u64>,
    /// When that was, in log time.
    pub forgotten_ms: Option<i64>,
    /// When everything that it covers was gone.
    pub done_ms: Option<i64>,
    /// Where there was something, or may be: each by itself.
    pub places: Vec<ErasurePlace>,
}

/// How far an erasure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErasureState {
    /// It waits for the analysis.
    Asked,
    /// It cannot be carried out; ask again when the reason is gone.
    Refused,
    /// The analysis has forgotten, and the other places follow.
    UnderWay,
    /// Every place that it covers is done.
    Done,
}

/// A place of an erasure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErasurePlace {
    /// Which.
    pub place: Place,
    /// How far it is.
    pub state: PlaceState,
    /// When it was done.
    pub done_ms: Option<i64>,
    /// What went, in numbers.
    pub counts: Vec<ErasedCount>,
    /// What that means, and what is to be done where it is not covered.
    pub words: String,
}

/// A number of an erasure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErasedCount {
    /// Of what, such as `calls`.
    pub what: String,
    /// How many.
    pub count: u64,
}

/// Where data is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// Profiles, alerts and actions that the analysis holds.
    Analysis,
    /// Findings, alerts, actions, messages and configurations of gateways in the control store.
    ControlStore,
    /// The words of the audit log.
    AuditLog,
    /// Both tables of the lake, and their files.
    Lake,
    /// Snapshots of the analysis.
    Snapshots,
    /// The log.
    Log,
    /// Calls of others, what is made of them, and what people wrote.
    EvidenceOfOthers,
    /// What collectors elsewhere have not shipped yet.
    Spools,
    /// Copies.
    Backups,
}

/// How far a place is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlaceState {
    /// It is being done.
    Pending,
    /// Nothing is left there.
    Done,
    /// An erasure does not reach it; the words say what to do.
    NotCovered,
}

impl Erasure {
    /// A place of it.
    pub fn place(&self, place: Place) -> Option<&ErasurePlace> {
        self.places.iter().find(|known| known.place == place)
    }

    /// Whether a place of it is still to be done.
    pub(crate) fn is_pending(&self, place: Place) -> bool {
        self.place(place).is_some_and(|place| place.state == PlaceState::Pending)
    }

    /// Whether the lake may still have calls of whom it is about.
    pub(crate) fn has_calls_left(&self) -> bool {
        self.state == ErasureState::Asked || self.is_pending(Place::Lake)
    }

    /// Says that a place is done.
    pub(crate) fn done(&mut self, place: Place, now_ms: i64) {
        if let Some(place) = self.places.iter_mut().find(|known| known.place == place) {
            (place.state, place.done_ms) = (PlaceState::Done, Some(now_ms));
        }
    }

    /// Says that a place is not covered, and what to do about that.
    pub(crate) fn not_covered(&mut self, place: Place, words: &str) {
        if let Some(place) = self.places.iter_mut().find(|known| known.place == place) {
            (place.state, place.words) = (PlaceState::NotCovered, words.to_owned());
        }
    }

    /// Adds to a number of a place.
    pub(crate) fn count(&mut self, place: Place, what: &str, count: u64) {
        let Some(place) = self.places.iter_mut().find(|known| known.place == place) else { return };
        match place.counts.iter_mut().find(|known| known.what == what) {
            Some(known) => known.count += count,
            None => place.counts.push(ErasedCount { what: what.to_owned(), count }),
        }
    }

    /// A number of a place.
    pub fn counted(&self, place: Place, what: &str) -> Option<u64> {
        let place = self.place(place)?;
        place.counts.iter().find(|known| known.what == what).map(|known| known.count)
    }

    fn asked(id: String, subject: &Subject, reference: String, by: &str, now_ms: i64) -> Erasure {
        Erasure {
            id,
            kind: subject.kind,
            reference,
            asked_by: by.to_owned(),
            asked_ms: now_ms,
            state: ErasureState::Asked,
            reason: None,
            position: None,
            forgotten_ms: None,
            done_ms: None,
            places: Vec::new(),
        }
    }
}

/// What can be said of somebody before they are erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Known {
    /// Alerts about them.
    pub alerts: u64,
    /// Findings about them.
    pub findings: u64,
    /// Actions against them.
    pub actions: u64,
}

impl Store {
    /// Asks for an erasure. It is carried out by the platform that has this store, now or when it runs again.
    pub async fn ask_erasure(&self, subject: &Subject, by: &str, now_ms: i64) -> Result<Erasure, StoreError> {
        let doing = "ask for an erasure";
        let reference = self.reference(subject).await?;
        let id = format!("er_{}", &random_secret("")?.reveal()[..16]);
        let mut transaction = self.begin(doing).await?;
        check_open(&mut transaction, subject).await?;
        check_id(&mut transaction, subject).await?;
        check_actions(&mut transaction, subject).await?;
        let erasure = Erasure::asked(id, subject, reference, by, now_ms);
        put(&mut transaction, &erasure, Some(subject)).await?;
        let (what, detail) = ("asked to erase a subject".to_owned(), erasure.reference.clone());
        let entry = AuditEntry { at_ms: now_ms, by: by.to_owned(), what, subject: erasure.id.clone(), detail };
        append_one(&mut transaction, AuditLog::Decisions, &entry).await?;
        transaction.commit().await.map_err(StoreError::query(doing))?;
        Ok(erasure)
    }

    /// What the store knows of somebody.
    pub async fn known_of(&self, subject: &Subject) -> Result<Known, StoreError> {
        let count = async |table: &'static str, kind: &'static str, value: &'static str| {
            let mut query: QueryBuilder<Sqlite> = QueryBuilder::new("SELECT COUNT(*) FROM ");
            query.push(table).push(" WHERE ").push(value).push(" = ").push_bind(subject.value.clone());
            query.push(" AND ").push(kind).push(" = ").push_bind(subject.kind.as_str());
            let (count,): (i64,) =
                query.build_query_as().fetch_one(&self.readers).await.map_err(StoreError::query("count"))?;
            Ok::<_, StoreError>(count.cast_unsigned())
        };
        Ok(Known {
            alerts: count("alerts", "entity_kind", "entity_value").await?,
            findings: count("findings", "entity_kind", "entity_value").await?,
            actions: count("actions", "document -> 'target' ->> 'kind'", "target_value").await?,
        })
    }

    /// All erasures, the newest first.
    pub async fn erasures(&self, limit: u32, cursor: Option<&str>) -> Result<Page<Erasure>, StoreError> {
        let limit = limit.clamp(1, PAGE_MAX);
        let mut query: QueryBuilder<Sqlite> = QueryBuilder::new("SELECT document FROM erasures WHERE 1 = 1");
        if let Some(cursor) = cursor {
            let wrong = || StoreError::Cursor(cursor.to_owned());
            let (asked_ms, id) = cursor.split_once('.').ok_or_else(wrong)?;
            let asked_ms: i64 = asked_ms.parse().map_err(|_| wrong())?;
            query.push(" AND (asked_ms, id) < (").push_bind(asked_ms).push(", ").push_bind(id.to_owned()).push(")");
        }
        query.push(" ORDER BY asked_ms DESC, id DESC LIMIT ").push_bind(i64::from(limit) + 1);
        let rows: Vec<(String,)> =
            query.build_query_as().fetch_all(&self.readers).await.map_err(StoreError::query("list erasures"))?;
        let items: Result<Vec<Erasure>, _> = rows.iter().map(|(text,)| parse(text)).collect();
        let mut items = items?;
        let next = (items.len() > limit as usize).then(|| {
            items.truncate(limit as usize);
            items.last().map(|erasure| format!("{}.{}", erasure.asked_ms, erasure.id))
        });
        Ok(Page { items, next: next.flatten() })
    }

    /// One erasure.
    pub async fn erasure(&self, id: &str) -> Result<Option<Erasure>, StoreError> {
        let row: Option<(String,)> = sqlx::query_as("SELECT document FROM erasures WHERE id = $1")
            .bind(id)
            .fetch_optional(&self.readers)
            .await
            .map_err(StoreError::query("read an erasure"))?;
        row.map(|(text,)| parse(&text)).transpose()
    }

    /// The erasures that are not over, the oldest first, with whom each is about while that is known.
    pub(crate) async fn open_erasures(&self) -> Result<Vec<(Erasure, Option<Subject>)>, StoreError> {
        let rows: Vec<(String, Option<String>)> =
            sqlx::query_as("SELECT document, value FROM erasures WHERE is_open = 1 ORDER BY asked_ms, id")
                .fetch_all(&self.readers)
                .await
                .map_err(StoreError::query("read erasures"))?;
        let with_subject = |(text, value): &(String, Option<String>)| {
            let erasure = parse(text)?;
            let subject = value.clone().map(|value| Subject { kind: erasure.kind, value });
            Ok((erasure, subject))
        };
        rows.iter().map(with_subject).collect()
    }

    /// Stores how far an erasure is. Without a subject, whom it is about is forgotten here, too.
    pub(crate) async fn put_erasure(&self, erasure: &Erasure, subject: Option<&Subject>) -> Result<(), StoreError> {
        let doing = "write an erasure";
        let mut transaction = self.begin(doing).await?;
        put(&mut transaction, erasure, subject).await?;
        let over = "DELETE FROM erasures WHERE is_open = 0 AND (asked_ms, id) <=
                      (SELECT asked_ms, id FROM erasures WHERE is_open = 0 ORDER BY asked_ms DESC, id DESC LIMIT 1 OFFSET $1)";
        let over = sqlx::query(over).bind(i64::from(ERASURES_KEPT_MAX)).execute(&mut *transaction);
        over.await.map_err(StoreError::query(doing))?;
        transaction.commit().await.map_err(StoreError::query(doing))
    }

    /// Writes the whole file anew, so that nothing of what was deleted is left in it or beside it. Says `false` where somebody
    /// who reads meanwhile keeps the old pages; then it is to be done again.
    pub(crate) async fn compact(&self) -> Result<bool, StoreError> {
        let doing = "take what was erased out of the control store's file";
        sqlx::query("VACUUM").execute(&self.writer).await.map_err(StoreError::query(doing))?;
        let (busy, _, _): (i64, i64, i64) = sqlx::query_as("PRAGMA wal_checkpoint(TRUNCATE)")
            .fetch_one(&self.writer)
            .await
            .map_err(StoreError::query(doing))?;
        Ok(busy == 0)
    }

    /// Who somebody is to those who have the key.
    pub async fn reference(&self, subject: &Subject) -> Result<String, StoreError> {
        let doing = "read the key of references";
        let made = random_secret("")?;
        let insert = "INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
        let insert = sqlx::query(insert).bind(KEY).bind(made.reveal()).execute(&self.writer);
        insert.await.map_err(StoreError::query(doing))?;
        let (key,): (String,) = sqlx::query_as("SELECT value FROM meta WHERE name = $1")
            .bind(KEY)
            .fetch_one(&self.writer)
            .await
            .map_err(StoreError::query(doing))?;
        // Hashed twice, as HMAC does, so that nothing can be added to what was hashed.
        let inner = hash(&format!("{key}\n{subject}"));
        Ok(format!("subject_{}", &hash(&format!("{key}\n{inner}"))[..32]))
    }
}

async fn check_open(transaction: &mut Transaction<'_, Sqlite>, subject: &Subject) -> Result<(), StoreError> {
    let doing = "ask for an erasure";
    let same: Option<(String,)> =
        sqlx::query_as("SELECT id FROM erasures WHERE is_open = 1 AND kind = $1 AND value = $2")
            .bind(subject.kind.as_str())
            .bind(&subject.value)
            .fetch_optional(&mut **transaction)
            .await
            .map_err(StoreError::query(doing))?;
    if let Some((id,)) = same {
        return Err(StoreError::ErasureUnderWay(id));
    }
    let (open,): (i64,) = sqlx::query_as("SELECT COUNT(*) FROM erasures WHERE is_open = 1")
        .fetch_one(&mut **transaction)
        .await
        .map_err(StoreError::query(doing))?;
    if open >= ERASURES_OPEN_MAX { Err(StoreError::TooManyErasures(ERASURES_OPEN_MAX)) } else { Ok(()) }
}

/// Says at once what the analysis would say: nobody is erased against whom something goes on.
async fn check_actions(transaction: &mut Transaction<'_, Sqlite>, subject: &Subject) -> Result<(), StoreError> {
    use ActionState::{Approved, InForce, Pending, Proposed, Releasing, Stored};
    let mut query: QueryBuilder<Sqlite> = QueryBuilder::new("SELECT id FROM actions WHERE target_value = ");
    query.push_bind(subject.value.clone());
    query.push(" AND document -> 'target' ->> 'kind' = ").push_bind(subject.kind.as_str()).push(" AND state IN (");
    let mut states = query.separated(", ");
    for state in [Proposed, Approved, Pending, Stored, InForce, Releasing] {
        states.push_bind(action_state_word(state));
    }
    query.push(") ORDER BY id LIMIT 1");
    let active: Option<(String,)> = query
        .build_query_as()
        .fetch_optional(&mut **transaction)
        .await
        .map_err(StoreError::query("ask for an erasure"))?;
    active.map_or(Ok(()), |(id,)| Err(StoreError::ErasureBlocked(id)))
}

pub(super) async fn put(
    transaction: &mut Transaction<'_, Sqlite>,
    erasure: &Erasure,
    subject: Option<&Subject>,
) -> Result<(), StoreError> {
    let is_open = matches!(erasure.state, ErasureState::Asked | ErasureState::UnderWay);
    sqlx::query(
        "INSERT INTO erasures (id, asked_ms, is_open, kind, value, document) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (id) DO UPDATE SET is_open = excluded.is_open, value = excluded.value, document = excluded.document",
    )
    .bind(&erasure.id)
    .bind(erasure.asked_ms)
    .bind(i64::from(is_open))
    .bind(erasure.kind.as_str())
    .bind(subject.map(|subject| subject.value.clone()))
    .bind(json(TABLE, erasure)?)
    .execute(&mut **transaction)
    .await
    .map(drop)
    .map_err(StoreError::query("write an erasure"))
}

/// The erasure that a record of the log is about, as it is stored; as if it was asked for then where the store is newer.
pub(super) async fn stored(
    transaction: &mut Transaction<'_, Sqlite>,
    erased: &super::ErasedSubject,
) -> Result<Erasure, StoreError> {
    let row: Option<(String,)> = sqlx::query_as("SELECT document FROM erasures WHERE id = $1")
        .bind(&erased.erasure)
        .fetch_optional(&mut **transaction)
        .await
        .map_err(StoreError::query("read an erasure"))?;
    match row {
        Some((text,)) => parse(&text),
        None => {
            let reference = "unknown: the control store was made anew since it was asked for".to_owned();
            Ok(Erasure::asked(erased.erasure.clone(), &erased.subject, reference, &erased.by, erased.at_ms))
        }
    }
}

pub(super) fn parse(text: &str) -> Result<Erasure, StoreError> {
    serde_json::from_str(text).map_err(StoreError::document(TABLE))
}

/// Where an erasure has something to do, and what it does not reach, when the analysis has forgotten.
pub(super) fn places(position: Position, at_ms: i64) -> Vec<ErasurePlace> {
    let place = |place, state, words: &str| ErasurePlace {
        place,
        state,
        done_ms: (state == PlaceState::Done).then_some(at_ms),
        counts: Vec::new(),
        words: words.to_owned(),
    };
    use PlaceState::{Done, NotCovered, Pending};
    let log = format!("segments with record {position} or older are deleted; calls that came later are new data");
    vec![
        place(
            Place::Analysis,
            Done,
            "profiles and what was open are forgotten; counts of the last hour have no names in them",
        ),
        place(
            Place::ControlStore,
            Pending,
            "the rows are gone; the file is written anew when nothing else is left to do",
        ),
        place(
            Place::AuditLog,
            Pending,
            "the words of entries about decisions and reads that name the subject are gone, by its id or by a name that all but \
             calls had; an entry says of which",
        ),
        place(Place::Lake, Pending, "calls, their rows in the timeline, former files and statistics are deleted"),
        place(Place::Snapshots, Pending, "snapshots of the analysis from before are deleted"),
        place(Place::Log, Pending, &log),
        place(
            Place::EvidenceOfOthers,
            NotCovered,
            "calls of others in the lake, which may have the id in a path or query, what alerts and findings about others say and \
             show, such as their address, whose sample calls may be the same calls, or columns of a hunt; path templates and the \
             analysis's tree of paths, what people wrote into policies, hunts, reasons and comments, errors of hunts, and who was let in are \
             not looked through",
        ),
        place(
            Place::Spools,
            NotCovered,
            "what a collector elsewhere had not shipped by then arrives as new data: when nothing waited there once, erase again. \
             What it has shipped stays in the last segment of its spool until that is full",
        ),
        place(
            Place::Backups,
            NotCovered,
            "backups, exports, messages and traces that left outrider are the operator's; a restored backup brings the data back",
        ),
    ]
}
