//! From a request's calls to the platform and back to who waits for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use outrider_collect::{Delivery, MicroBatch};
use outrider_model::ClockCheck;
use outrider_model::batch::{BatchReader, BatchWriter};
use outrider_platform::premises::wire::ShippedBatch;
use sha2::{Digest as _, Sha256};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::task::TaskTracker;

use super::super::uplink::{NotTaken, Uplink};

/// Shipments that are under way at once. What comes beyond waits, and is refused when too much of it does.
const SHIPMENTS_MAX: usize = 64;

/// Sends each delivery once, and says whether it was taken, until no more come. What was not is its sender's to send again.
pub(super) async fn forward(uplink: Arc<Uplink>, mut deliveries: mpsc::Receiver<Delivery>) {
    let (under_way, is_failing) = (TaskTracker::new(), Arc::new(AtomicBool::new(false)));
    let room = Arc::new(Semaphore::new(SHIPMENTS_MAX));
    while let Ok(permit) = Arc::clone(&room).acquire_owned().await
        && let Some(Delivery { batches, are_stored }) = deliveries.recv().await
    {
        let (uplink, is_failing) = (Arc::clone(&uplink), Arc::clone(&is_failing));
        under_way.spawn(async move {
            let taken = ship(&uplink, &shipment(batches)).await;
            let was_failing = is_failing.swap(taken.is_err(), Ordering::Relaxed);
            match &taken {
                Err(not_taken) if !was_failing => {
                    tracing::error!(why = not_taken.why(), "calls are not taken; their sender keeps them");
                }
                Ok(()) if was_failing => tracing::info!("the platform takes calls again"),
                _ => {}
            }
            // Whoever does not wait any more needs no answer.
            let _ = are_stored.send(taken.is_ok());
            drop(permit);
        });
    }
    under_way.close();
    under_way.wait().await;
}

/// Sends all batches, in parts where they are too large together. What was taken of them before one was not is known to the
/// platform when they come again.
async fn ship(uplink: &Uplink, batches: &[ShippedBatch]) -> Result<(), NotTaken> {
    let mut parts = vec![batches];
    while let Some(part) = parts.pop() {
        match uplink.ship(part).await {
            Ok(_) => {}
            Err(NotTaken::Ever(_)) if part.len() > 1 => {
                let (first, second) = part.split_at(part.len() / 2);
                parts.extend([second, first]);
            }
            Err(not_taken) => return Err(not_taken),
        }
    }
    Ok(())
}

/// The batches, numbered by themselves: they are all that there is of their epoch.
fn shipment(batches: Vec<MicroBatch>) -> Vec<ShippedBatch> {
    let (epoch, mut last) = (epoch(&batches), 0);
    let shipped = batches.into_iter().map(|batch| {
        let first = last + 1;
        last += u64::from(batch.count);
        ShippedBatch {
            epoch,
            first,
            last,
            count: batch.count,
            at_ms: batch.last_received_ms,
            lost_before: None,
            calls: batch.calls,
        }
    });
    shipped.collect()
}

/// The same for the same calls, whichever instance they come to and when: so a request that is sent again, because its answer
/// was lost, is known to the platform. A call is known by its id, which is the gateway's own and cannot be made to fit; where
/// there is none, as before Kong 3.5, by all that its line says.
fn epoch(batches: &[MicroBatch]) -> u64 {
    let (mut hash, mut writer) = (Sha256::new(), BatchWriter::default());
    for mut call in batches.iter().flat_map(|batch| BatchReader::new(&batch.calls).into_iter().flatten().flatten()) {
        hash.update((call.request_id.len() as u64).to_le_bytes());
        hash.update(&*call.request_id);
        if !call.request_id.is_empty() {
            continue;
        }
        // When it came is no part of it.
        if call.clock == ClockCheck::Missing {
            call.started_ms = 0;
        }
        (call.received_ms, call.event_ms, call.clock) = (0, 0, ClockCheck::Missing);
        // What was written once can be written again.
        let _ = writer.push(&call);
        hash.update(writer.take());
    }
    let [a, b, c, d, e, f, ..]: [u8; 32] = hash.finalize().into();
    // Odd, as that of everybody who keeps calls until they are stored.
    u64::from_le_bytes([a | 1, b, c, d, e, f, 0, 0])
}

#[cfg(test)]
mod tests {
    use outrider_collect::{Normaliser, NormaliserSettings, PseudonymKey, Scratch};

    use super::*;

    const NOW_MS: i64 = 1_790_000_000_500;
    const LATER_MS: i64 = NOW_MS + 7_000;

    /// A batch of lines, received at a moment.
    fn batch(lines: &[String], received_ms: i64) -> MicroBatch {
        let normaliser = Normaliser::new(NormaliserSettings::new("kong"), PseudonymKey::from_bytes(&[7; 32])).unwrap();
        let (mut writer, mut scratch) = (BatchWriter::default(), Scratch::default());
        for line in lines {
            writer.push(&normaliser.normalise(line.as_bytes(), Some(received_ms), &mut scratch).unwrap()).unwrap();
        }
        let count = writer.calls();
        let (first_received_ms, last_received_ms) = (received_ms, received_ms);
        MicroBatch { source: "test".into(), calls: writer.take(), count, first_received_ms, last_received_ms }
    }

    fn with_ids(ids: &[&str], received_ms: i64) -> MicroBatch {
        let line = |id| format!(r#"{{"request":{{"id":"{id}","method":"GET","uri":"/a"}},"started_at":{NOW_MS}}}"#);
        batch(&ids.iter().map(line).collect::<Vec<_>>(), received_ms)
    }

    #[test]
    fn the_same_calls_are_the_same_shipment_whenever_they_come() {
        let shipped = |at_ms| shipment(vec![with_ids(&["a", "b"], at_ms), with_ids(&["c"], at_ms)]);
        let ranges = |batches: &[ShippedBatch]| -> Vec<_> {
            batches.iter().map(|batch| (batch.epoch, batch.first, batch.last)).collect()
        };
        let first = ranges(&shipped(NOW_MS));
        assert_eq!(first, ranges(&shipped(LATER_MS)));
        let epoch = first[0].0;
        assert_eq!(first, [(epoch, 1, 2), (epoch, 3, 3)]);
        assert_eq!((epoch & 1, epoch >> 48), (1, 0));
        for others in [&["a", "b", "d"][..], &["a", "bc"], &["ab", "c"]] {
            assert_ne!(shipment(vec![with_ids(others, NOW_MS)])[0].epoch, epoch, "{others:?}");
        }
    }

    #[test]
    fn a_call_without_an_id_is_known_by_all_that_its_line_says() {
        let line = |uri: &str, client: &str, more: &str| {
            format!(r#"{{"request":{{"method":"POST","uri":"{uri}"}},"client_ip":"{client}"{more}}}"#)
        };
        let started = format!(r#","started_at":{NOW_MS}"#);
        let lines = [
            line("/login", "192.0.2.1", &started),
            line("/login", "192.0.2.2", &started),
            line("/login?a=1", "192.0.2.1", &started),
            line("/login", "192.0.2.1", &format!(r#"{started},"response":{{"status":401}}"#)),
            line("/login", "192.0.2.1", &format!(r#"{started},"consumer":{{"id":"c"}}"#)),
            line("/login", "192.0.2.1", ""),
            // A clock that is far behind, so that the time of the call depends on when it came.
            line("/login", "192.0.2.1", r#","started_at":1780000000000"#),
        ];
        let epoch_at = |line: &String, at_ms| epoch(&[batch(std::slice::from_ref(line), at_ms)]);
        let mut epochs: Vec<_> = lines.iter().map(|line| epoch_at(line, NOW_MS)).collect();
        assert_eq!(epochs, lines.iter().map(|line| epoch_at(line, LATER_MS)).collect::<Vec<_>>());
        epochs.sort_unstable();
        epochs.dedup();
        assert_eq!(epochs.len(), lines.len());
    }
}
