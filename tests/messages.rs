//! What is shown to people: every error says what is wrong, with its numbers, and nothing that is shown needs keys, values or changes
//! that can be shown themselves.

use std::error::Error;

use tierstack::{
    BudgetError, BuildError, Capacity, Change, ChangesetId, Digest, EventKind, MAX_BYTES, NotOpen, PlanContext,
    PromoteError, RecordError, RecordRefusal, Refusal, ReplaceIfRefusal, ReplayRefusal, SavepointError, Sequence,
    StoreError, StoreIfAbsentRefusal, TierStore, UpdateRefusal,
};

/// Cannot be shown.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Opaque;

type Store = TierStore<Opaque, Opaque>;

#[track_caller]
fn says<E: Error>(error: E, message: &str) {
    assert_eq!(error.to_string(), message);
}

#[test]
fn what_a_store_refuses_is_explained() {
    let too_much = MAX_BYTES + 1;
    let message = "a hot budget of 1099511627777 bytes is above the limit of 1099511627776 bytes";
    says(Store::new(too_much).unwrap_err(), message);
    says(BuildError::BudgetTooLarge { budget: too_much }, message);
    says(BudgetError { budget: too_much }, message);

    let store = Store::builder(7).weigher(move |_, _| too_much).build().unwrap();
    let refused = store.store(Opaque, Opaque).err().unwrap();
    assert_eq!(format!("{refused:?}"), "StoreError { reason: TooHeavy { weight: 1099511627777 }, .. }");
    let message =
        "the fragment was not stored: a weight of 1099511627777 bytes is above the limit of 1099511627776 bytes";
    says(refused, message);
    let reason = Refusal::ClockExhausted;
    let message = "the fragment was not stored: the store's clock has no ticks left";
    says(StoreError { key: Opaque, value: Opaque, reason }, message);
    let message = "the allocator has placed the fragment at too high an address";
    assert_eq!(Refusal::AddressTooHigh.to_string(), message);
}

#[test]
fn what_is_not_stored_for_what_is_there_is_explained() {
    let store = Store::builder(7).weigher(|_, _| 1).build().unwrap();
    let refused = store.update(Opaque, |_| Opaque).err().unwrap();
    assert_eq!(format!("{refused:?}"), "StoreError { reason: NotFound, .. }");
    says(refused, "the fragment was not stored: no fragment has that key");
    let first = store.store(Opaque, Opaque).ok().unwrap().version;
    let refused = store.store_if_absent(Opaque, Opaque).err().unwrap();
    says(refused, "the fragment was not stored: the key has a fragment already, in hot");
    assert!(store.store(Opaque, Opaque).is_ok());
    let refused = store.replace_if(Opaque, &first, Opaque).err().unwrap();
    says(refused, "the fragment was not stored: the key's fragment has another version");
    store.remove(&Opaque);
    let refused = store.replace_if(Opaque, &first, Opaque).err().unwrap();
    says(refused, "the fragment was not stored: no fragment has that key");
    let other = Store::new(7).unwrap();
    let refused = other.replace_if(Opaque, &first, Opaque).err().unwrap();
    says(refused, "the fragment was not stored: the version is of another store");

    let message = "a weight of 1099511627777 bytes is above the limit of 1099511627776 bytes";
    let refusal = Refusal::TooHeavy { weight: MAX_BYTES + 1 };
    assert_eq!(StoreIfAbsentRefusal::from(refusal).to_string(), message);
    assert_eq!(ReplaceIfRefusal::from(refusal).to_string(), message);
    assert_eq!(UpdateRefusal::from(refusal).to_string(), message);
    assert_eq!(format!("{first:?}").split_once(':').map(|(store, _)| store.starts_with("Version(")), Some(true));
}

#[test]
fn what_is_not_promoted_is_explained() {
    let store = Store::builder(7).weigher(|_, _| 8).build().unwrap();
    says(store.promote(&Opaque).unwrap_err(), "no fragment has that key");
    assert!(store.store(Opaque, Opaque).is_ok());
    says(store.promote(&Opaque).unwrap_err(), "the fragment's 8 bytes are more than the hot budget of 7 bytes");
    let message = "operations in flight hold the room that the fragment's 8 bytes need";
    says(PromoteError::Contended { weight: 8 }, message);
    says(PromoteError::ClockExhausted, "the store's clock has no ticks left");
}

#[test]
fn what_a_plan_refuses_is_explained() {
    let plan = PlanContext::<Opaque>::new();
    let refused = plan.record_change(Opaque).unwrap_err();
    assert_eq!(format!("{refused:?}"), "RecordError { reason: NoActiveChangeset, .. }");
    says(refused, "the change was not recorded: no changeset is open");

    let id = "changeset-3".parse().unwrap();
    let reasons = [
        (NotOpen::Unknown(id), "the plan has no changeset-3"),
        (NotOpen::Closed(id), "changeset-3 is closed"),
        (NotOpen::Aborted(id), "changeset-3 is aborted"),
        (NotOpen::RolledBack(id), "changeset-3 is rolled back"),
    ];
    for (reason, message) in reasons {
        says(reason, message);
        assert_eq!(RecordRefusal::from(reason).to_string(), message);
        let error = RecordError { refused: Opaque, reason: reason.into() };
        says(error, &format!("the change was not recorded: {message}"));
        assert_eq!(ReplayRefusal::NotOpen(reason).to_string(), message);
    }
    says(SavepointError::OtherPlan, "the savepoint is of another plan");
    says(SavepointError::RolledBack, "the savepoint is of a part of the plan that was rolled back");
}

#[test]
fn what_is_not_replayed_is_explained() {
    let plan = PlanContext::new();
    plan.start_changeset();
    plan.record_change(Opaque).unwrap();
    let snapshot = plan.snapshot();
    // Without the first.
    let events = snapshot.audit().map(tierstack::Event::cloned).skip(1);
    let refused = PlanContext::replay(events).unwrap_err();
    assert!(matches!(refused.event.kind, EventKind::Recorded { .. }));
    let message = "event 2 does not follow from those before it: its sequence number should be 1";
    assert_eq!(
        format!("{refused:?}"),
        format!("ReplayError {{ event: {:?}, reason: {:?}, .. }}", refused.event.sequence, refused.reason)
    );
    says(refused, message);
    let expected = "changeset-3".parse().unwrap();
    assert_eq!(ReplayRefusal::Started { expected }.to_string(), "the changeset should be changeset-3");
    assert_eq!(ReplayRefusal::Savepoint.to_string(), "the plan has nothing in force to roll back to there");
    assert_eq!(ReplayRefusal::Sequence { expected: Sequence::ORIGIN }.to_string(), "its sequence number should be 0");
}

#[test]
fn what_cannot_be_read_is_shown_in_part() {
    says("xy".parse::<Digest>().unwrap_err(), "\"xy\" is not a digest: two hexadecimal digits for each byte");
    says("x\"".parse::<ChangesetId>().unwrap_err(), r#""x\"" is not the name of a changeset, such as "changeset-1""#);
    // However long it is.
    for length in [64, 65, 1_000_000] {
        let text = "\u{e9}".repeat(length);
        let end = if length > 64 { "…" } else { "" };
        let shown = format!("\"{}\"{end} is not", "\u{e9}".repeat(64));
        let errors =
            [text.parse::<Digest>().unwrap_err().to_string(), text.parse::<ChangesetId>().unwrap_err().to_string()];
        assert!(errors.iter().all(|error| error.starts_with(&shown) && error.len() < 200), "{errors:?}");
    }
}

#[test]
fn stores_are_shown_without_what_is_in_them() {
    let builder = Store::builder(12).warm_capacity(Capacity::bytes(34).and_entries(56));
    let shown = format!("{builder:?}");
    assert!(["12", "34", "56"].iter().all(|number| shown.contains(number)), "{shown}");
    let store = builder.build().unwrap();
    assert!(store.store(Opaque, Opaque).is_ok());
    assert!(format!("{store:?}").contains("TierStore"));
    assert_eq!(format!("{:?}", store.pin()), format!("View({store:?})"));
}

#[test]
fn plans_are_shown_by_their_numbers() {
    let plan = PlanContext::<Opaque>::default();
    let changeset = plan.start_changeset();
    plan.record_change(Opaque).unwrap();
    let (id, last) = (changeset.id(), plan.sequence());
    let shown = format!("sequence: {last:?}, current: Some({id:?}), started: 1, ..");
    let snapshot = plan.snapshot();
    assert_eq!(format!("{snapshot:?}"), format!("Snapshot {{ {shown} }}"));
    let bare = shown.replace(&format!("{last:?}"), "2");
    assert_eq!(format!("{plan:?}"), format!("PlanContext {{ {bare} }}"));
    assert_eq!(format!("{changeset:?}"), format!("ChangesetHandle {{ id: {id:?}, .. }}"));
    let view = snapshot.changeset(id).unwrap();
    assert_eq!(format!("{view:?}"), format!("ChangesetView {{ id: {id:?}, status: Open, .. }}"));
}

#[test]
fn records_are_shown_and_compared_by_all_that_they_say() {
    let plan = PlanContext::new();
    let changeset = plan.start_changeset();
    let change = || Change::create("a", None);
    changeset.record_all([change(), change()]).unwrap();
    let snapshot = plan.snapshot();
    let [first, second] = snapshot.changes().collect::<Vec<_>>()[..] else { panic!("two changes") };
    assert_eq!(first, first.clone());
    assert_ne!(first, second, "the same change elsewhere");
    let shown =
        format!("Record {{ sequence: {:?}, changeset: {:?}, change: {:?} }}", first.sequence, changeset.id(), change());
    assert_eq!(format!("{first:?}"), shown);
}
