//! What it means for the control store that the analysis has forgotten somebody: rows about them go, and what names them in
//! others does, in the transaction of the log position at which it happened.

use outrider_model::{EntityKind, GatewayConfiguration, Subject};
use sqlx::{QueryBuilder, Sqlite, Transaction};

use super::apply::json;
use super::effects::ErasedSubject;
use super::erasures::{self, ErasureState, Place};
use super::words::{Named, erase_words};
use super::{Erasure, Store, StoreError, gateways, posture};
use crate::log::Position;

const DOING: &str = "erase a subject";
/// Bytes of a name, other than the id, that is looked for.
const NAME_BYTES_MIN: usize = 3;

/// Erases somebody up to a position.
pub(super) async fn erase(
    transaction: &mut Transaction<'_, Sqlite>,
    position: Position,
    erased: &ErasedSubject,
) -> Result<(), StoreError> {
    let subject = &erased.subject;
    let mut erasure = erasures::stored(transaction, erased).await?;
    // What became known since is new.
    if erasure.state != ErasureState::Asked {
        return Ok(());
    }
    if let Some(reason) = &erased.refused {
        (erasure.state, erasure.reason) = (ErasureState::Refused, Some(reason.clone()));
        // It names whom it is about no longer than it has to.
        return erasures::put(transaction, &erasure, None).await;
    }
    (erasure.state, erasure.reason) = (ErasureState::UnderWay, None);
    (erasure.position, erasure.forgotten_ms) = (Some(position.0), Some(erased.at_ms));
    erasure.places = erasures::places(position, erased.at_ms);
    let labels = labels_of(transaction, subject).await?;
    let of_entity = "entity_kind = $1 AND entity_value = $2";
    let of_target = "document -> 'target' ->> 'kind' = $1 AND target_value = $2";
    for (table, condition) in [("alerts", of_entity), ("findings", of_entity), ("actions", of_target)] {
        let mut query: QueryBuilder<Sqlite> = QueryBuilder::new("DELETE FROM ");
        let query = query.push(table).push(" WHERE ").push(condition).build();
        let deleted = query.bind(subject.kind.as_str()).bind(&subject.value).execute(&mut **transaction);
        let deleted = deleted.await.map_err(StoreError::query(DOING))?.rows_affected();
        erasure.count(Place::ControlStore, table, deleted);
    }
    erasure.count(Place::ControlStore, "weaknesses", posture::erase(transaction, subject).await?);
    erasure.count(Place::ControlStore, "messages", erase_messages(transaction, subject).await?);
    erasure.count(Place::ControlStore, "configurations", erase_configured(transaction, subject).await?);
    // Whom nobody knows, an erasure takes nothing of the audit log for. Whether the lake does, the eraser finds out.
    if let Some(labels) = labels {
        let named = Named::new(subject, &labels);
        let entries = erase_words(transaction, &named, &erased.by, &erasure.id, erased.at_ms).await?;
        erasure.count(Place::AuditLog, "entries", entries);
        erasure.done(Place::AuditLog, erased.at_ms);
    }
    erasures::put(transaction, &erasure, Some(subject)).await
}

impl Store {
    /// Erases the audit log's words about somebody whom only the lake knows.
    pub(crate) async fn erase_words_of(
        &self,
        erasure: &mut Erasure,
        subject: &Subject,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let mut transaction = self.begin(DOING).await?;
        let (by, named) = (erasure.asked_by.clone(), Named::new(subject, &[]));
        let entries = erase_words(&mut transaction, &named, &by, &erasure.id, now_ms).await?;
        erasure.count(Place::AuditLog, "entries", entries);
        erasure.done(Place::AuditLog, now_ms);
        erasures::put(&mut transaction, erasure, Some(subject)).await?;
        transaction.commit().await.map_err(StoreError::query(DOING))
    }
}

/// What somebody is called beside the id: in alerts, findings and actions, and by gateways. None where nobody knows them.
async fn labels_of(
    transaction: &mut Transaction<'_, Sqlite>,
    subject: &Subject,
) -> Result<Option<Vec<String>>, StoreError> {
    let rows: Vec<(Option<String>,)> = sqlx::query_as(
        "SELECT entity_label FROM alerts WHERE entity_kind = $1 AND entity_value = $2
         UNION SELECT document -> 'entity' ->> 'label' FROM findings WHERE entity_kind = $1 AND entity_value = $2
         UNION SELECT target_label FROM actions WHERE document -> 'target' ->> 'kind' = $1 AND target_value = $2",
    )
    .bind(subject.kind.as_str())
    .bind(&subject.value)
    .fetch_all(&mut **transaction)
    .await
    .map_err(StoreError::query(DOING))?;
    let mut is_known = !rows.is_empty();
    let mut labels: Vec<String> = rows.into_iter().filter_map(|(label,)| label).collect();
    if matches!(subject.kind, EntityKind::Consumer | EntityKind::Credential) {
        for (_, configuration) in configurations(transaction, &subject.value).await? {
            is_known |= configuration.credentials.iter().any(|credential| credential.id == subject.value);
            for consumer in configuration.consumers.into_iter().filter(|consumer| consumer.id == subject.value) {
                is_known = true;
                labels.extend([consumer.username, consumer.custom_id].into_iter().flatten());
            }
        }
    }
    // As short a name is a word of many texts that are about something else.
    labels.retain(|name| name.len() >= NAME_BYTES_MIN);
    labels.sort_unstable();
    labels.dedup();
    Ok(is_known.then_some(labels))
}

/// Refuses a consumer's name where an id is meant: it would find nothing, and the receipt would say that nothing is left.
pub(super) async fn check_id(transaction: &mut Transaction<'_, Sqlite>, subject: &Subject) -> Result<(), StoreError> {
    if subject.kind != EntityKind::Consumer {
        return Ok(());
    }
    let named: Vec<(String,)> = sqlx::query_as(
        "SELECT entity_value FROM alerts WHERE entity_kind = 'consumer' AND $1 IN (entity_label, entity_value)
         UNION SELECT entity_value FROM findings
           WHERE entity_kind = 'consumer' AND $1 IN (document -> 'entity' ->> 'label', entity_value)
         UNION SELECT target_value FROM actions
           WHERE document -> 'target' ->> 'kind' = 'consumer' AND $1 IN (target_label, target_value)",
    )
    .bind(&subject.value)
    .fetch_all(&mut **transaction)
    .await
    .map_err(StoreError::query(DOING))?;
    let mut ids: Vec<String> = named.into_iter().map(|(id,)| id).collect();
    for (_, configuration) in configurations(transaction, &subject.value).await? {
        let is_it = |name: &Option<String>| name.as_ref() == Some(&subject.value);
        let named = configuration
            .consumers
            .into_iter()
            .filter(|consumer| consumer.id == subject.value || is_it(&consumer.username) || is_it(&consumer.custom_id));
        ids.extend(named.map(|consumer| consumer.id));
    }
    match ids.first() {
        Some(id) if !ids.contains(&subject.value) => Err(StoreError::ErasureByName(id.clone())),
        _ => Ok(()),
    }
}

/// Messages that name somebody, told or not.
async fn erase_messages(transaction: &mut Transaction<'_, Sqlite>, subject: &Subject) -> Result<u64, StoreError> {
    let subject = Subject { kind: subject.kind, value: in_json(&subject.value) };
    let named = Named::new(&subject, &[]);
    let rows: Vec<(i64, String)> = sqlx::query_as("SELECT number, body FROM outbox WHERE INSTR(body, $1) > 0")
        .bind(&subject.value)
        .fetch_all(&mut **transaction)
        .await
        .map_err(StoreError::query(DOING))?;
    let mut deleted = 0;
    for (number, _) in rows.iter().filter(|(_, body)| named.is_in(body)) {
        let query = sqlx::query("DELETE FROM outbox WHERE number = $1").bind(number).execute(&mut **transaction);
        deleted += query.await.map_err(StoreError::query(DOING))?.rows_affected();
    }
    Ok(deleted)
}

/// A text as it is within a string of a JSON document.
fn in_json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted.trim_matches('"').to_owned()
}

/// What gateways were configured to do about a consumer or a credential. While it is there the responder reports it again.
async fn erase_configured(transaction: &mut Transaction<'_, Sqlite>, subject: &Subject) -> Result<u64, StoreError> {
    if !matches!(subject.kind, EntityKind::Consumer | EntityKind::Credential) {
        return Ok(0);
    }
    let mut changed = 0;
    for (number, before) in configurations(transaction, &subject.value).await? {
        let mut configuration = before.clone();
        let is_it = |id: &str| id == subject.value;
        configuration.consumers.retain(|consumer| !is_it(&consumer.id));
        configuration.credentials.retain(|known| !is_it(&known.id) && !known.consumer_id.as_deref().is_some_and(is_it));
        configuration.plugins.retain(|plugin| !plugin.consumer_id.as_deref().is_some_and(is_it));
        if configuration == before {
            continue;
        }
        let update = sqlx::query("UPDATE gateway_configurations SET document = $1, summary = $2 WHERE number = $3")
            .bind(json("gateway_configurations", &configuration)?)
            .bind(gateways::summary(&configuration)?)
            .bind(number)
            .execute(&mut **transaction);
        changed += update.await.map_err(StoreError::query(DOING))?.rows_affected();
    }
    Ok(changed)
}

/// The configurations of gateways that somebody may be in, by id or name.
async fn configurations(
    transaction: &mut Transaction<'_, Sqlite>,
    name: &str,
) -> Result<Vec<(i64, GatewayConfiguration)>, StoreError> {
    let rows: Vec<(i64, String)> =
        sqlx::query_as("SELECT number, document FROM gateway_configurations WHERE INSTR(document, $1) > 0")
            .bind(in_json(name))
            .fetch_all(&mut **transaction)
            .await
            .map_err(StoreError::query(DOING))?;
    let parsed = |(number, text): &(i64, String)| {
        let configuration = serde_json::from_str(text).map_err(StoreError::document("gateway_configurations"))?;
        Ok((*number, configuration))
    };
    rows.iter().map(parsed).collect()
}
