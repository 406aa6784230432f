//! Ids, events and snapshots, written as JSON and read back; and what is malformed, which is an error.

use proptest::prelude::*;
use serde_json::{Value, from_str, from_value, json, to_string, to_value};
use tierstack::{ChangesetId, Event, PlanContext, Sequence, Snapshot, Status};

use crate::portrait::{Portrait, id, trail};
use crate::program::{config, program, run};

/// A plan with a changeset of each status.
fn plan() -> PlanContext<String> {
    let plan = PlanContext::new();
    let [closed, aborted] = [(); 2].map(|()| plan.start_changeset());
    closed.record_all(["a".into(), "b".into()]).unwrap();
    aborted.record("c".into()).unwrap();
    closed.close().unwrap();
    aborted.abort().unwrap();
    let savepoint = plan.savepoint();
    plan.start_changeset().record("d".into()).unwrap();
    plan.roll_back_to(&savepoint).unwrap();
    plan.start_changeset().record("e".into()).unwrap();
    plan
}

/// What [`plan`] is written as.
fn written() -> Value {
    json!({
        "format": 1,
        "changesets": [
            {"id": "changeset-1", "status": "closed", "changes": [3, 4]},
            {"id": "changeset-2", "status": "aborted", "changes": [5]},
            {"id": "changeset-3", "status": "rolled_back", "changes": []},
            {"id": "changeset-4", "status": "open", "changes": [12]},
        ],
        "events": [
            {"sequence": 1, "kind": {"started": {"changeset": "changeset-1"}}},
            {"sequence": 2, "kind": {"started": {"changeset": "changeset-2"}}},
            {"sequence": 3, "kind": {"recorded": {"changeset": "changeset-1", "change": "a"}}},
            {"sequence": 4, "kind": {"recorded": {"changeset": "changeset-1", "change": "b"}}},
            {"sequence": 5, "kind": {"recorded": {"changeset": "changeset-2", "change": "c"}}},
            {"sequence": 6, "kind": {"closed": {"changeset": "changeset-1"}}},
            {"sequence": 7, "kind": {"aborted": {"changeset": "changeset-2"}}},
            {"sequence": 8, "kind": {"started": {"changeset": "changeset-3"}}},
            {"sequence": 9, "kind": {"recorded": {"changeset": "changeset-3", "change": "d"}}},
            {"sequence": 10, "kind": {"rolled_back": {"to": 7}}},
            {"sequence": 11, "kind": {"started": {"changeset": "changeset-4"}}},
            {"sequence": 12, "kind": {"recorded": {"changeset": "changeset-4", "change": "e"}}},
        ],
    })
}

fn read(value: Value) -> Result<Snapshot<String>, serde_json::Error> {
    from_value(value)
}

#[test]
fn an_id_is_written_as_its_name() {
    assert_eq!(to_string(&id(1)).unwrap(), r#""changeset-1""#);
    assert_eq!(to_string(&id(u64::MAX)).unwrap(), r#""changeset-18446744073709551615""#);
    assert_eq!(from_str::<ChangesetId>(r#""changeset-7""#).unwrap(), id(7));
    // With an escape in it the text cannot be lent by what is read.
    assert_eq!(from_str::<ChangesetId>(r#""\u0063hangeset-7""#).unwrap(), id(7));
    let names =
        ["\"changeset-0\"", "\"changeset-01\"", "\"changeset--1\"", "\"\"", "\"changeset-18446744073709551616\""];
    for text in names.into_iter().chain(["1", "null", "[]", "{}"]) {
        assert!(from_str::<ChangesetId>(text).is_err(), "{text}");
    }
    let error = from_str::<ChangesetId>("\"changeset-0\"").unwrap_err().to_string();
    assert!(error.starts_with(r#""changeset-0" is not the name of a changeset"#), "{error}");
}

#[test]
fn numbers_and_statuses_are_written_plainly() {
    let plan = plan();
    assert_eq!(to_string(&plan.sequence()).unwrap(), "12");
    assert_eq!(from_str::<Sequence>("12").unwrap(), plan.sequence());
    assert_eq!(from_str::<Sequence>("18446744073709551615").unwrap().number(), u64::MAX);
    for text in ["-1", "1.5", "\"1\"", "18446744073709551616", "null"] {
        assert!(from_str::<Sequence>(text).is_err(), "{text}");
    }
    let statuses = [Status::Open, Status::Closed, Status::Aborted, Status::RolledBack];
    let text = r#"["open","closed","aborted","rolled_back"]"#;
    assert_eq!(to_string(&statuses).unwrap(), text);
    assert_eq!(from_str::<[Status; 4]>(text).unwrap(), statuses);
    assert!(from_str::<Status>("\"Open\"").is_err());

    let snapshot = plan.snapshot();
    let record = snapshot.changes().next_back().unwrap();
    assert_eq!(to_value(record).unwrap(), json!({"sequence": 12, "changeset": "changeset-4", "change": "e"}));
}

#[test]
fn a_snapshot_is_written_as_its_events_and_what_they_come_to() {
    assert_eq!(to_value(plan().snapshot()).unwrap(), written());
    let small: PlanContext<u32> = PlanContext::new();
    assert_eq!(to_string(&small.snapshot()).unwrap(), r#"{"format":1,"changesets":[],"events":[]}"#);
    small.start_changeset().record(5).unwrap();
    let text = concat!(
        r#"{"format":1,"changesets":[{"id":"changeset-1","status":"open","changes":[2]}],"#,
        r#""events":[{"sequence":1,"kind":{"started":{"changeset":"changeset-1"}}},"#,
        r#"{"sequence":2,"kind":{"recorded":{"changeset":"changeset-1","change":5}}}]}"#,
    );
    assert_eq!(to_string(&small.snapshot()).unwrap(), text);
    assert_eq!(Portrait::of(&read(written()).unwrap()), Portrait::of_plan(&plan()));
}

#[test]
fn a_snapshot_that_was_read_can_be_replayed_and_gone_on_with() {
    let read = read(written()).unwrap();
    let copy = PlanContext::replay(trail(&read)).unwrap();
    drop(read);
    let open = copy.handle(copy.current().unwrap()).unwrap();
    assert_eq!(open.record("f".into()).unwrap().sequence.number(), 13);
    assert_eq!(copy.start_changeset().id(), id(5));
    let original = plan();
    original.record_change("f".into()).unwrap();
    original.start_changeset();
    assert_eq!(Portrait::of_plan(&copy), Portrait::of_plan(&original));
}

/// The error for what is written with something else at a place.
#[track_caller]
fn error_with(pointer: &str, other: Value) -> String {
    let mut value = written();
    *value.pointer_mut(pointer).unwrap() = other;
    read(value).unwrap_err().to_string()
}

#[test]
fn events_that_do_not_follow_upon_one_another_are_an_error() {
    let names = [
        (
            "/events/0/sequence",
            json!(2),
            "event 2 does not follow from those before it: its sequence number should be 1",
        ),
        (
            "/events/5/sequence",
            json!(7),
            "event 7 does not follow from those before it: its sequence number should be 6",
        ),
        ("/events/5/sequence", json!(u64::MAX), "its sequence number should be 6"),
        ("/events/0/sequence", json!(0), "its sequence number should be 1"),
        ("/events/1/kind/started/changeset", json!("changeset-3"), "the changeset should be changeset-2"),
        ("/events/2/kind/recorded/changeset", json!("changeset-9"), "the plan has no changeset-9"),
        ("/events/11/kind/recorded/changeset", json!("changeset-3"), "changeset-3 is rolled back"),
        ("/events/6/kind/aborted/changeset", json!("changeset-1"), "changeset-1 is closed"),
        ("/events/9/kind/rolled_back/to", json!(10), "nothing in force to roll back to"),
        ("/events/9/kind/rolled_back/to", json!(u64::MAX), "nothing in force to roll back to"),
    ];
    for (pointer, other, expected) in names {
        let error = error_with(pointer, other);
        assert!(error.contains(expected), "{pointer}: {error}");
    }
    for at in 0..11 {
        let mut value = written();
        value["events"].as_array_mut().unwrap().remove(at);
        let error = read(value).unwrap_err().to_string();
        let gap =
            format!("event {} does not follow from those before it: its sequence number should be {}", at + 2, at + 1);
        assert!(error.contains(&gap), "{error}");
    }
}

#[test]
fn changesets_that_do_not_follow_from_the_events_are_an_error() {
    let told = "the changesets are not what the events come to";
    for (pointer, other) in [
        ("/changesets/0/status", json!("open")),
        ("/changesets/1/status", json!("closed")),
        ("/changesets/2/status", json!("aborted")),
        ("/changesets/3/status", json!("rolled_back")),
        ("/changesets/0/id", json!("changeset-2")),
        ("/changesets/0/changes", json!([4, 3])),
        ("/changesets/0/changes", json!([3])),
        ("/changesets/1/changes", json!([])),
        ("/changesets/2/changes", json!([9])),
        ("/changesets/3/changes", json!([12, 13])),
        ("/changesets", json!([])),
        // The last event is gone: what is left holds together, but makes less.
        ("/events/11/kind", json!({"closed": {"changeset": "changeset-4"}})),
    ] {
        let error = error_with(pointer, other);
        assert!(error.contains(told), "{pointer}: {error}");
    }
    let changes: [fn(&mut Vec<Value>); 3] =
        [|all| drop(all.pop()), |all| all.push(all[0].clone()), |all| all.swap(0, 1)];
    for change in changes {
        let mut value = written();
        change(value["changesets"].as_array_mut().unwrap());
        assert!(read(value).unwrap_err().to_string().contains(told));
    }
    let mut value = written();
    value["events"].as_array_mut().unwrap().pop();
    assert!(read(value).unwrap_err().to_string().contains(told));
}

#[test]
fn another_format_is_an_error_that_says_so() {
    for other in [0, 2, 65_535] {
        let error = error_with("/format", json!(other));
        assert!(error.contains(&format!("integer `{other}`, expected 1, the format of this version")), "{error}");
    }
    let mut value = written();
    value.as_object_mut().unwrap().remove("format");
    assert!(read(value).unwrap_err().to_string().contains("missing field `format`"));
}

#[test]
fn what_is_no_snapshot_at_all_is_an_error() {
    for (pointer, other) in [
        ("", json!(null)),
        ("", json!([])),
        ("", json!({"events": []})),
        ("", json!({"changesets": []})),
        ("/events", json!({})),
        ("/events/0", json!("started")),
        ("/events/0/kind", json!("started")),
        ("/events/0/kind", json!({"begun": {"changeset": "changeset-1"}})),
        ("/events/0/kind", json!({"started": {}})),
        ("/events/2/kind", json!({"recorded": {"changeset": "changeset-1"}})),
        ("/events/2/kind/recorded/change", json!(7)),
        ("/events/0/kind/started/changeset", json!("changeset-0")),
        ("/events/0/kind/started/changeset", json!(1)),
        ("/events/9/kind/rolled_back/to", json!(-1)),
        ("/events/0/sequence", json!(1.0)),
        ("/changesets/0/status", json!("done")),
        ("/changesets/0/id", json!("changeset-0")),
        ("/changesets/0/changes", json!(["3"])),
    ] {
        let error = error_with(pointer, other);
        let of_the_plan = ["does not follow", "come to"].map(|text| error.contains(text));
        assert_eq!(of_the_plan, [false, false], "{pointer}: it comes before that: {error}");
    }
    let text = to_string(&written()).unwrap();
    for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)) {
        assert!(from_str::<Snapshot<String>>(&text[..end]).is_err(), "{}", &text[..end]);
    }
}

/// The places of a value where something else could stand.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                places(item, &format!("{at}/{index}"), found);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                places(field, &format!("{at}/{name}"), found);
            }
        }
        _ => {}
    }
}

/// What could stand there instead.
fn other() -> impl Strategy<Value = Value> {
    prop_oneof![
        (0..14_u64).prop_map(Value::from),
        (0..6_u64).prop_map(|number| json!(format!("changeset-{number}"))),
        prop::sample::select(vec!["open", "closed", "aborted", "rolled_back", "done"]).prop_map(Value::from),
        prop::sample::select(vec!["started", "closed", "aborted"]).prop_flat_map(
            |kind| (1..5_u64).prop_map(move |number| json!({kind: {"changeset": format!("changeset-{number}")}}))
        ),
        (0..14_u64).prop_map(|to| json!({"rolled_back": {"to": to}})),
        prop::sample::select(vec![
            json!(null),
            json!(u64::MAX),
            json!(-1),
            json!(0.5),
            json!([]),
            json!({}),
            json!(true)
        ]),
    ]
}

proptest! {
    #![proptest_config(config(300))]

    #[test]
    fn events_are_read_back_as_they_were(program in program()) {
        let plan = PlanContext::new();
        run(&plan, &program);
        let events = trail(&plan.snapshot());
        for event in &events {
            prop_assert_eq!(&from_str::<Event<String>>(&to_string(event).unwrap()).unwrap(), event);
        }
        // What is lent is written the same.
        let snapshot = plan.snapshot();
        let lent: Vec<Event<&String>> = snapshot.audit().collect();
        prop_assert_eq!(to_string(&lent).unwrap(), to_string(&events).unwrap());
    }

    #[test]
    fn snapshots_are_read_back_as_they_were(program in program()) {
        let plan = PlanContext::new();
        for snapshot in run(&plan, &program).into_iter().step_by(7).chain([plan.snapshot()]) {
            let text = to_string(&snapshot).unwrap();
            let read: Snapshot<String> = from_str(&text).unwrap();
            prop_assert_eq!(Portrait::of(&read), Portrait::of(&snapshot));
            prop_assert_eq!(to_string(&read).unwrap(), text);
        }
    }

    /// Whatever stands in any place: it is an error, or what was read is just what stands there.
    #[test]
    fn nothing_is_read_into_a_snapshot_that_is_not_written(at in any::<prop::sample::Index>(), other in other()) {
        let mut value = written();
        let mut found = Vec::new();
        places(&value, "", &mut found);
        let at: &String = at.get(&found);
        *value.pointer_mut(at).unwrap() = other;
        if let Ok(snapshot) = read(value.clone()) {
            prop_assert_eq!(to_value(snapshot).unwrap(), value);
        }
    }
}
