//! The log against a model of it: a list of what was acknowledged.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use rand::{Rng as _, SeedableRng as _};

use super::super::record::CallsHeader;
use super::faults::{Fault, Faulty, Operation};
use super::*;

#[derive(Debug, Clone)]
enum Step {
    Append(Vec<Option<u64>>, u16),
    Sync,
    Cut(u8),
    Arm(Operation, u8, Fault),
    Reopen,
    LosePower(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let operation = prop_oneof![
        Just(Operation::Create),
        Just(Operation::Write),
        Just(Operation::Sync),
        Just(Operation::SetLen),
        Just(Operation::Rename),
        Just(Operation::SyncDir),
    ];
    let fault = prop_oneof![(0..3000usize).prop_map(Fault::Full), Just(Fault::Device)];
    let record = prop_oneof![Just(None), (0..3u64).prop_map(Some)];
    prop_oneof![
        8 => (prop::collection::vec(record, 1..4), 0..1500u16).prop_map(|(records, bytes)| Step::Append(records, bytes)),
        6 => Just(Step::Sync),
        1 => any::<u8>().prop_map(Step::Cut),
        2 => (operation, 0..3u8, fault).prop_map(|(operation, nth, fault)| Step::Arm(operation, nth, fault)),
        1 => Just(Step::Reopen),
        1 => any::<u64>().prop_map(Step::LosePower),
    ]
}

type Content = (RecordKind, Vec<u8>);

#[derive(Default)]
struct Model {
    /// What was acknowledged, by position.
    stored: BTreeMap<u64, Content>,
    pending: Vec<Content>,
    /// The last call by epoch, with and without what is pending.
    marks: BTreeMap<u64, u64>,
    pending_marks: BTreeMap<u64, u64>,
    serial: u64,
}

impl Model {
    fn last(&self) -> u64 {
        self.stored.last_key_value().map_or(0, |(position, _)| *position)
    }

    fn acknowledge(&mut self) {
        for content in std::mem::take(&mut self.pending) {
            self.stored.insert(self.last() + 1, content);
        }
        self.marks = self.pending_marks.clone();
    }

    fn forget_pending(&mut self) {
        self.pending.clear();
        self.pending_marks = self.marks.clone();
    }

    fn records(&mut self, what: &[Option<u64>], bytes: u16) -> Vec<NewRecord> {
        what.iter()
            .map(|epoch| {
                self.serial += 1;
                let Some(epoch) = *epoch else {
                    let record = numbered(self.serial, bytes.into());
                    let payload = serde_json::to_vec(&format!("{}:{}", self.serial, "x".repeat(bytes.into()))).unwrap();
                    self.pending.push((RecordKind::Settings, payload));
                    return record;
                };
                let first = self.pending_marks.get(&epoch).copied().unwrap_or(0) + 1;
                let last = first + u64::from(bytes % 7);
                self.pending_marks.insert(epoch, last);
                let batch = vec![self.serial as u8; bytes.into()];
                let header = CallsHeader { epoch, first, last, count: 1, plain_bytes: 0 }.encode();
                self.pending.push((RecordKind::Calls, [&header[..], &batch].concat()));
                NewRecord::calls(0, CallBatch { epoch, first, last, count: 1, batch })
            })
            .collect()
    }

    /// After a crash the log may hold records that were written and never acknowledged. They count from now on.
    fn adopt(&mut self, log: &Log) {
        self.forget_pending();
        let mut reader = log.reader(Position(self.last() + 1));
        for (position, kind, payload) in read_all(&mut reader).unwrap() {
            if let Some((calls, _)) = CallsHeader::decode(&payload).filter(|_| kind == RecordKind::Calls) {
                self.marks.insert(calls.epoch, calls.last);
            }
            self.stored.insert(position, (kind, payload));
        }
        self.pending_marks = self.marks.clone();
    }

    fn check(&self, log: &Log) {
        let first = log.stats().first.0;
        let read: BTreeMap<u64, Content> = read_all(&mut log.reader(Position::ZERO))
            .unwrap()
            .into_iter()
            .map(|(position, kind, payload)| (position, (kind, payload)))
            .collect();
        let expected: BTreeMap<u64, Content> = self.stored.range(first..).map(|(p, c)| (*p, c.clone())).collect();
        assert_eq!(read, expected);
        for (epoch, last) in &self.pending_marks {
            assert_eq!(log.marks().last(*epoch), Some(*last), "epoch {epoch}");
        }
        assert_eq!(log.marks().len(), self.pending_marks.len());
    }
}

fn run(steps: &[Step]) {
    let dir = tempfile::tempdir().unwrap();
    let faulty = Faulty::default();
    let open = |faulty: &Faulty| Log::open_on(dir.path(), small(), Arc::new(faulty.clone())).unwrap();
    let mut model = Model::default();
    let (mut log, _) = open(&faulty);
    let mut follower = log.reader(Position::ZERO);
    let mut followed = 0;
    for step in steps {
        match step {
            Step::Append(what, bytes) => {
                let (pending, marks) = (model.pending.clone(), model.pending_marks.clone());
                let records = model.records(what, *bytes);
                match log.append(&records) {
                    Ok(stored) => assert_eq!(stored.last.0, model.last() + model.pending.len() as u64),
                    Err(LogError::Full { .. }) => (model.pending, model.pending_marks) = (pending, marks),
                    Err(error) => panic!("{error}"),
                }
            }
            Step::Sync => match log.sync() {
                Ok(position) => {
                    model.acknowledge();
                    assert_eq!(position.0, model.last());
                }
                Err(_) => model.forget_pending(),
            },
            Step::Cut(part) => {
                let below = model.last() * u64::from(*part) / 255;
                let first = log.stats().first.0;
                // It may meet an armed fault; what is deleted by then stays deleted.
                let _ = log.cut_below(Position(below));
                assert!(log.stats().first.0 <= below.max(first));
            }
            Step::Arm(operation, nth, fault) => faulty.arm(*operation, (*nth).into(), *fault),
            Step::Reopen | Step::LosePower(_) => {
                faulty.disarm();
                drop(log);
                if let Step::LosePower(seed) = step {
                    let mut rng = rand_pcg::Pcg64::seed_from_u64(*seed);
                    faulty.lose_power(|| rng.random());
                }
                let opened;
                (log, opened) = open(&faulty);
                assert!(opened.last.0 >= model.last(), "acknowledged records are gone: {opened:?}");
                model.adopt(&log);
                follower = log.reader(Position(followed + 1));
            }
        }
        // The follower never sees anything that is taken back.
        match read_all(&mut follower) {
            Ok(records) => {
                for (position, kind, payload) in records {
                    assert_eq!(Some(&(kind, payload)), model.stored.get(&position), "record {position}");
                    followed = position;
                }
            }
            Err(LogError::Cut { first, .. }) => follower = log.reader(first),
            Err(error) => panic!("{error}"),
        }
        model.check(&log);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn nothing_acknowledged_is_lost_changed_or_doubled(steps in prop::collection::vec(step(), 1..60)) {
        run(&steps);
    }
}
