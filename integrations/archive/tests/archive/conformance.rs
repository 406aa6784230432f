//! Random batches, reopening, stale ticks, forgetting and compaction in between: every backend does what the model does.

use std::sync::Arc;

use proptest::prelude::*;
use tierstack_archive::object_store::memory::InMemory;
use tierstack_archive::{Archive, ArchiveError, Committed, ErrorKind, Op, Plain, Postcard, Retry, Typed, TypedOp};

use crate::common::{Local, Model, Step, agree, folder_options, ops};

#[derive(Clone, Debug)]
enum Action {
    Commit(Vec<(u8, u64, Option<u8>)>),
    Delete(u8, u64),
    Forget(u64),
    Compact,
    Flush,
    Reopen,
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let step = (0..12_u8, 0..60_u64, proptest::option::weighted(0.7, 0..200_u8));
    let action = prop_oneof![
        8 => proptest::collection::vec(step, 0..12).prop_map(Action::Commit),
        2 => (0..12_u8, 0..60_u64).prop_map(|(key, tick)| Action::Delete(key, tick)),
        1 => (0..30_u64).prop_map(Action::Forget),
        2 => Just(Action::Compact),
        1 => Just(Action::Flush),
        2 => Just(Action::Reopen),
    ];
    proptest::collection::vec(action, 1..30)
}

/// A key of any length, the empty one among them.
fn key(number: u8) -> Vec<u8> {
    vec![number; usize::from(number % 5)].into_iter().chain((number >= 5).then_some(number)).collect()
}

fn conforms<A: Archive>(open: impl Fn() -> A, actions: Vec<Action>) {
    let (mut archive, mut model, mut made) = (open(), Model::default(), 0_u64);
    for action in actions {
        match action {
            Action::Commit(steps) => {
                let steps: Vec<Step> = steps
                    .into_iter()
                    .map(|(number, tick, length)| {
                        made += 1;
                        // Values differ even if key and tick do not, so that it shows which one stays.
                        let value = length.map(|length| made.to_le_bytes().repeat(usize::from(length)));
                        Step { key: key(number), tick, value }
                    })
                    .collect();
                let committed = archive.commit(&ops(&steps)).map_err(|error| error.kind());
                assert_eq!(committed, model.commit(&steps));
            }
            Action::Delete(number, tick) => {
                let step = Step { key: key(number), tick, value: None };
                let deleted = archive.delete(&step.key, tick).map_err(|error| error.kind());
                assert_eq!(deleted, model.commit(&[step]).map(|committed| committed.applied == 1));
            }
            Action::Forget(before) => {
                archive.forget(before).unwrap();
                model.forget(before);
            }
            Action::Compact => {
                archive.compact().unwrap();
            }
            Action::Flush => archive.flush().unwrap(),
            Action::Reopen => {
                // Closing is no crash: also what was not flushed is there.
                archive.flush().unwrap();
                drop(archive);
                archive = open();
            }
        }
        agree(&archive, &model);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, max_shrink_iters: 200, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn segments_in_memory_agree_with_the_model(actions in actions()) {
        let store = Arc::new(InMemory::new());
        conforms(|| folder_options().open_store(store.clone(), "some/prefix").unwrap(), actions);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, max_shrink_iters: 50, ..ProptestConfig::with_cases(12) })]

    #[test]
    fn local_archives_agree_with_the_model(actions in actions()) {
        for local in Local::ALL {
            let folder = tempfile::tempdir().unwrap();
            conforms(|| local.open(folder.path()).unwrap(), actions.clone());
        }
    }
}

fn all(test: impl Fn(&dyn Archive)) {
    for local in Local::ALL {
        let folder = tempfile::tempdir().unwrap();
        test(&local.open(folder.path()).unwrap());
    }
    test(&folder_options().open_store(Arc::new(InMemory::new()), "").unwrap());
}

#[test]
fn a_late_batch_overwrites_nothing_newer_and_brings_nothing_back() {
    all(|archive| {
        let put = |tick, value| Op::Put { key: b"key", tick, value };
        archive.commit(&[put(5, b"five")]).unwrap();
        assert_eq!(archive.commit(&[put(4, b"four")]).unwrap(), Committed { applied: 0, stale: 1 });
        assert_eq!(archive.commit(&[put(5, b"other")]).unwrap().stale, 1);
        assert_eq!(archive.get(b"key").unwrap().unwrap().value, "five");
        // What was overtaken while it was written is taken back with its own tick.
        assert!(archive.delete(b"key", 5).unwrap());
        assert!(!archive.delete(b"key", 5).unwrap());
        assert_eq!(archive.commit(&[put(5, b"five")]).unwrap().stale, 1);
        archive.compact().unwrap();
        assert!(archive.get(b"key").unwrap().is_none());
        assert_eq!(archive.commit(&[put(6, b"six")]).unwrap().applied, 1);
        assert_eq!(archive.get(b"key").unwrap().unwrap().tick, 6);
    });
}

#[test]
fn removals_that_need_not_be_remembered_are_dropped() {
    all(|archive| {
        let keys: Vec<_> = (0..100_u32).map(u32::to_be_bytes).collect();
        let puts: Vec<_> = keys.iter().map(|key| Op::Put { key, tick: 1, value: b"value" }).collect();
        archive.commit(&puts).unwrap();
        let removals: Vec<_> = keys.iter().map(|key| Op::Remove { key, tick: 2 }).collect();
        archive.commit(&removals).unwrap();
        archive.compact().unwrap();
        assert_eq!(archive.status().unwrap().removals, 100);
        archive.forget(3).unwrap();
        archive.compact().unwrap();
        let status = archive.status().unwrap();
        assert_eq!((status.records, status.removals, status.highest_tick, status.horizon), (0, 0, 2, 3));
        let error = archive.commit(&puts).unwrap_err();
        assert_eq!(
            (error.kind(), error.retry(), error.key()),
            (ErrorKind::BelowHorizon, Retry::Never, Some(&keys[0][..]))
        );
    });
}

#[test]
fn what_is_too_large_is_refused_as_a_whole() {
    all(|archive| {
        let long = vec![7; tierstack_archive::MAX_KEY_BYTES + 1];
        let batch = [Op::Put { key: b"small", tick: 1, value: b"" }, Op::Put { key: &long, tick: 1, value: b"" }];
        assert_eq!(archive.commit(&batch).unwrap_err().kind(), ErrorKind::TooLarge);
        assert!(archive.get(b"small").unwrap().is_none());
        let longest = &long[1..];
        archive.commit(&[Op::Put { key: longest, tick: 1, value: &vec![1; 1 << 20] }]).unwrap();
        assert_eq!(archive.get(longest).unwrap().unwrap().value.len(), 1 << 20);
    });
}

#[test]
fn a_visitor_may_panic() {
    all(|archive| {
        archive.commit(&[Op::Put { key: b"key", tick: 1, value: b"value" }]).unwrap();
        let panics = std::panic::AssertUnwindSafe(|| archive.scan(None, &mut |_| panic!("the caller's own")));
        assert!(std::panic::catch_unwind(panics).is_err());
        assert!(archive.get(b"key").unwrap().is_some());
    });
}

#[test]
fn types_go_through_codecs() {
    all(|archive| {
        let typed = Typed::new(archive, Postcard, Postcard);
        let (key, value) = ((7_u32, "seven".to_string()), vec![Some(1_u8), None]);
        typed.commit(&[TypedOp::Put { key: &key, tick: 1, value: &value }]).unwrap();
        assert_eq!(typed.get(&key).unwrap(), Some((1, value)));
        // Read as something else: an error that names the key, and no made-up value.
        let wrong: Result<Option<(u64, String)>, ArchiveError> = typed.get(&key);
        let error = wrong.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Codec);
        assert!(error.key().is_some() && std::error::Error::source(&error).is_some());
        assert!(typed.delete(&key, 2).unwrap());
        let plain: Typed<_, Plain, Plain> = Typed::new(archive, Plain, Plain);
        plain.commit(&[TypedOp::Put { key: &"text".to_string(), tick: 3, value: &vec![0xff_u8] }]).unwrap();
        let text: Result<Option<(u64, String)>, ArchiveError> = plain.get(&"text".to_string());
        assert_eq!(text.unwrap_err().kind(), ErrorKind::Codec);
    });
}

#[test]
fn threads_commit_and_read_at_once() {
    all(|archive| {
        std::thread::scope(|scope| {
            for thread in 0..4_u64 {
                scope.spawn(move || {
                    for tick in 1..12_u64 {
                        let value = [thread.to_le_bytes(), tick.to_le_bytes()].concat();
                        // One key for all, and both keys in each batch.
                        let ops = [(b"one", tick * 4 + thread), (b"two", tick * 4 + thread)];
                        let batch: Vec<_> =
                            ops.iter().map(|(key, tick)| Op::Put { key: *key, tick: *tick, value: &value }).collect();
                        archive.commit(&batch).unwrap();
                        assert!(archive.get(b"one").unwrap().unwrap().tick >= tick * 4 + thread);
                        if tick % 5 == 0 {
                            archive.compact().unwrap();
                        }
                    }
                });
            }
        });
        let (one, two) = (archive.get(b"one").unwrap().unwrap(), archive.get(b"two").unwrap().unwrap());
        assert_eq!((one.tick, &one.value), (two.tick, &two.value));
        assert_eq!(one.tick, 11 * 4 + 3);
    });
}
