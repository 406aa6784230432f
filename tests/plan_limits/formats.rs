//! Changes, events and snapshots in the formats that people use: what was written is read back equal, or there is an error.

use std::fmt::Debug;

use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tierstack::{Change, ChangesetId, Content, Digest, Event, Operation, PlanContext, Sequence, Snapshot, Status};

use crate::format::Format;
use crate::portrait::{Portrait, trail};
use crate::program::{config, program, program_of, run};

/// Writes and reads it in every format.
fn round_trips<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) -> Result<(), TestCaseError> {
    for format in Format::ALL {
        let bytes = format.write(value).map_err(|error| TestCaseError::fail(format!("{format:?}: {error}")))?;
        let read = format.read::<T>(&bytes);
        prop_assert_eq!(read.as_ref(), Ok(value), "{:?}", format);
    }
    Ok(())
}

fn digest() -> impl Strategy<Value = Option<Digest>> + Clone {
    of(vec(any::<u8>(), 0..4).prop_map(Digest::from))
}

fn operation() -> impl Strategy<Value = Operation> + Clone {
    prop_oneof![
        Just(Operation::Create),
        Just(Operation::Modify),
        Just(Operation::Delete),
        ".{0,3}".prop_map(|from| Operation::Rename { from }),
    ]
}

fn content() -> impl Strategy<Value = Option<Content>> + Clone {
    of(prop_oneof![".{0,5}".prop_map(Content::from), vec(any::<u8>(), 0..5).prop_map(Content::from)])
}

/// Any change that there can be, however little sense it makes; and often with something left out.
fn change() -> impl Strategy<Value = Change> + Clone {
    let metadata = prop_oneof![Just(std::collections::BTreeMap::new()), btree_map(".{0,2}", ".{0,2}", 1..3)];
    (".{0,3}", operation(), digest(), digest(), content(), of(".{0,3}"), metadata).prop_map(
        |(path, operation, before, after, content, recorder, metadata)| {
            let mut change = Change::create(path, after);
            (change.operation, change.before, change.content) = (operation, before, content);
            (change.recorder, change.metadata) = (recorder, metadata);
            change
        },
    )
}

proptest! {
    #![proptest_config(config(if cfg!(debug_assertions) { 100 } else { 400 }))]

    #[test]
    fn changes_are_read_back_as_they_were(change in change()) {
        round_trips(&change)?;
        round_trips(&vec![change.clone(), change])?;
    }

    #[test]
    fn plans_are_read_back_as_they_were(program in program_of(change())) {
        let plan = PlanContext::new();
        run(&plan, &program);
        let snapshot = plan.snapshot();
        round_trips(&trail(&snapshot))?;
        for format in Format::ALL {
            let bytes = format.write(&snapshot).map_err(|error| TestCaseError::fail(format!("{format:?}: {error}")))?;
            let read: Snapshot<Change> = format.read(&bytes).map_err(|error| TestCaseError::fail(format!("{format:?}: {error}")))?;
            prop_assert_eq!(Portrait::of(&read), Portrait::of(&snapshot), "{:?}", format);
            prop_assert_eq!(format.write(&read), Ok(bytes), "{:?}", format);
        }
    }

    #[test]
    fn plans_of_texts_are_read_back_as_they_were(program in program()) {
        let plan = PlanContext::new();
        run(&plan, &program);
        let snapshot = plan.snapshot();
        for format in Format::ALL {
            let read = format.read::<Snapshot<String>>(&format.write(&snapshot).unwrap()).unwrap();
            prop_assert_eq!(Portrait::of(&read), Portrait::of(&snapshot), "{:?}", format);
        }
    }

    /// What was written in one way and is read in another, is read as it was, or not at all.
    #[test]
    fn a_reader_that_takes_it_for_another_kind_is_told_or_right(change in change()) {
        use Format::{MessagePackCompact, MessagePackNamed, MessagePackReadable};
        for written in [MessagePackCompact, MessagePackNamed, MessagePackReadable] {
            let bytes = written.write(&change).unwrap();
            for read in [MessagePackCompact, MessagePackReadable] {
                if let Ok(read) = read.read::<Change>(&bytes) {
                    prop_assert_eq!(&read, &change);
                }
            }
        }
    }

    /// What is cut off at its end is not taken for whole.
    #[test]
    fn what_is_cut_off_is_an_error(program in program_of(change()), at in any::<prop::sample::Index>()) {
        let plan = PlanContext::new();
        run(&plan, &program);
        for format in Format::ALL {
            let bytes = format.write(&plan.snapshot()).unwrap();
            let cut = &bytes[..at.index(bytes.len())];
            prop_assert!(format.read::<Snapshot<Change>>(cut).is_err(), "{:?}: {:?} of {:?}", format, cut, bytes);
        }
    }

    /// Anything at all, and anything with a byte or two changed, is read without a panic; and what is read is a plan.
    #[test]
    fn whatever_is_read_is_an_error_or_a_plan(
        program in program_of(change()),
        changed in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        anything in vec(any::<u8>(), 0..40),
    ) {
        let plan = PlanContext::new();
        run(&plan, &program);
        for format in Format::ALL {
            let mut bytes = format.write(&plan.snapshot()).unwrap();
            for (at, byte) in &changed {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            for bytes in [&bytes, &anything] {
                drop(format.read::<Change>(bytes));
                drop(format.read::<Event<Change>>(bytes));
                if let Ok(snapshot) = format.read::<Snapshot<Change>>(bytes) {
                    let copy = PlanContext::replay(trail(&snapshot)).unwrap();
                    prop_assert_eq!(Portrait::of_plan(&copy), Portrait::of(&snapshot));
                    prop_assert_eq!(snapshot.diff().conflicts().len(), snapshot.conflicts().len());
                }
            }
        }
    }
}

#[test]
fn ids_numbers_and_statuses() {
    let plan: PlanContext<u8> = PlanContext::new();
    let id = plan.start_changeset().id();
    let largest: ChangesetId = "changeset-18446744073709551615".parse().unwrap();
    round_trips(&(id, largest, plan.sequence(), Sequence::ORIGIN)).unwrap();
    round_trips(&[Status::Open, Status::Closed, Status::Aborted, Status::RolledBack]).unwrap();
    round_trips(&vec![Digest::from([]), Digest::from([0, 255])]).unwrap();
}

/// As it was in the place of a struct's fields, with those left out that are empty: which are there cannot be told any more.
#[test]
fn a_sequence_that_lacks_fields_is_an_error() {
    let (digest, text) = ("00ff", "text");
    let short: [Vec<u8>; 4] = [
        rmp_serde::to_vec(&("a", "modify", digest)).unwrap(),
        rmp_serde::to_vec(&("a", "modify", digest, digest)).unwrap(),
        rmp_serde::to_vec(&("a", "create")).unwrap(),
        rmp_serde::to_vec(&("a", "modify", digest, digest, json!({"text": text}), text)).unwrap(),
    ];
    for bytes in short {
        for format in [Format::MessagePackCompact, Format::MessagePackReadable] {
            let read = format.read::<Change>(&bytes);
            assert!(read.as_ref().is_err_and(|error| error.contains("invalid length")), "{read:?}");
        }
    }
    for json in [json!(["a", "modify", digest]), json!(["a", "create"]), json!([])] {
        assert!(serde_json::from_value::<Change>(json).is_err());
    }
    let all = json!(["a", "modify", digest, null, {"text": text}, null, {}]);
    let change = Change::modify("a", Digest::from([0, 255]), None).with_content(text);
    assert_eq!(serde_json::from_value::<Change>(all).unwrap(), change);
}

#[test]
fn json_is_read_with_its_fields_in_any_order() {
    let text = r#"{"operation":{"rename":{"from":"a"}},"path":"b","unknown":[{}],"after":"01FF","recorder":null}"#;
    let change = Change::rename("a", "b").with_digests(None, Digest::from([1, 255]));
    assert_eq!(serde_json::from_str::<Change>(text).unwrap(), change);
    assert_eq!(serde_json::from_value::<Change>(serde_json::from_str(text).unwrap()).unwrap(), change);
    assert_eq!(
        serde_json::to_string(&change).unwrap(),
        r#"{"path":"b","operation":{"rename":{"from":"a"}},"after":"01ff"}"#
    );
    for (text, told) in [
        (r#"{"operation":"create"}"#, "missing field `path`"),
        (r#"{"path":"a"}"#, "missing field `operation`"),
        (r#"{"path":"a","operation":"create","path":"b"}"#, "duplicate field `path`"),
        (r#"{"path":"a","operation":"create","before":"0"}"#, "is not a digest"),
        (r#"{"path":"a","operation":"create","content":{"bytes":"0"}}"#, "is not a digest"),
        (r#""a""#, "invalid type: string \"a\", expected a change"),
        ("7", "expected a change"),
    ] {
        let error = serde_json::from_str::<Change>(text).unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
}

#[test]
fn a_digest_may_come_as_bytes_and_then_is_a_text_still() {
    use serde::de::IntoDeserializer;
    use serde::de::value::{BytesDeserializer, Error};

    let read = |bytes: &'static [u8]| {
        let deserializer: BytesDeserializer<'_, Error> = bytes.into_deserializer();
        Digest::deserialize(deserializer)
    };
    assert_eq!(read(b"00ff"), Ok(Digest::from([0, 255])));
    for bytes in [&b"0"[..], b"0g", b"\xff\xff"] {
        assert!(read(bytes).is_err(), "{bytes:?}");
    }
}

/// Diffs and conflicts are only written: where fields are not named, each has all of its own.
#[test]
fn a_diff_has_the_same_shape_wherever_fields_are_not_named() {
    let plan = PlanContext::new();
    let [one, two] = [(); 2].map(|()| plan.start_changeset());
    one.record(Change::create("a", None)).unwrap();
    two.record(Change::modify("b", Digest::from([1]), Digest::from([2])).with_content("text")).unwrap();
    let snapshot = plan.snapshot();
    let bytes = Format::MessagePackCompact.write(&snapshot.diff().changes()).unwrap();
    let read: Vec<Vec<serde_json::Value>> = rmp_serde::from_slice(&bytes).unwrap();
    assert_eq!(read.iter().map(Vec::len).collect::<Vec<_>>(), [7, 7], "{read:?}");
    for format in Format::ALL {
        assert!(format.write(&snapshot.diff()).is_ok(), "{format:?}");
    }
}
