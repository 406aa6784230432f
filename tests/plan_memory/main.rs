//! What plans, snapshots, diffs and changes keep: what was recorded, and no spare room. Counted by an allocator.

mod counting;
#[cfg(feature = "serde")]
mod read;

use std::mem::size_of;

use counting::{Counting, kept};
use tierstack::{Change, ChangesetHandle, Content, PlanContext};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// For an entry, its box and what the allocator counts for either.
const ENTRY: isize = 128;

fn changeset<C>() -> ChangesetHandle<C> {
    let changeset = PlanContext::new().start_changeset();
    // Whatever a thread's first use of a plan allocates is there now.
    changeset.record_all([]).unwrap();
    changeset
}

#[track_caller]
fn at_most(bytes: isize, most: isize) {
    assert!(bytes <= most, "{bytes} bytes are kept, {most} at most are needed");
}

#[test]
fn a_batch_keeps_the_changes_and_no_spare_room() {
    let changeset = changeset::<u64>();
    // The vector is filtered in place: one element is left in the room of a million.
    let million: Vec<u64> = (0..1_000_000).collect();
    let (recorded, bytes) = kept(|| changeset.record_all(million.clone().into_iter().filter(|n| *n == 7)));
    assert_eq!(recorded.unwrap().len, 1);
    at_most(bytes, ENTRY + 8);
    // Nobody says how many there will be: the vector grows by doubling.
    let (recorded, bytes) = kept(|| changeset.record_all(million.iter().copied().filter(|n| n % 1_000 != 999)));
    assert_eq!(recorded.unwrap().len, 999_000);
    at_most(bytes, ENTRY + 8 * 999_000);
    let mut spare = Vec::with_capacity(1 << 20);
    spare.extend([1, 2, 3]);
    let (recorded, bytes) = kept(|| changeset.plan().record_all(spare.clone().into_iter().chain([4])));
    assert_eq!(recorded.unwrap().len, 4);
    at_most(bytes, ENTRY + 8 * 4);
    let (recorded, bytes) = kept(|| {
        let mut spare = Vec::with_capacity(1 << 20);
        spare.extend([1, 2, 3]);
        changeset.plan().record_all(spare)
    });
    assert_eq!(recorded.unwrap().len, 3);
    at_most(bytes, ENTRY + 8 * 3);
}

#[test]
fn a_batch_that_is_refused_is_the_callers_again() {
    let changeset = changeset::<u64>();
    changeset.close().unwrap();
    let (refused, bytes) = kept(|| changeset.record_all((0..1_000).filter(|n| n % 2 == 0)).unwrap_err().refused);
    assert!(refused.iter().copied().eq((0..1_000).step_by(2)));
    at_most(bytes, 8 * 500);
}

/// The text, in far too much room.
fn roomy(text: &str) -> String {
    let mut string = String::with_capacity(1 << 16);
    string.push_str(text);
    string
}

#[test]
fn a_change_keeps_its_texts_and_no_spare_room() {
    let makes: [fn() -> Change; 9] = [
        || Change::create(roomy("a"), None),
        || Change::modify(roomy("a"), None, None),
        || Change::delete(roomy("a"), None),
        || Change::rename(roomy("a"), roomy("b")),
        || Change::create("a", None).with_content(roomy("text")),
        || Change::create("a", None).with_content(roomy("text").into_bytes()),
        || Change::create("a", None).with_content(Content::Text(roomy("text"))),
        || Change::create("a", None).by(roomy("planner")),
        || Change::create("a", None).with_metadata(roomy("key"), roomy("value")),
    ];
    for (case, make) in makes.iter().enumerate() {
        let (made, bytes) = kept(make);
        let (clone, exact) = kept(|| made.clone());
        assert_eq!((bytes, clone), (exact, made), "case {case}: a clone has no spare room");
    }
    for make in [|| Content::from(roomy("text")), || Content::from(roomy("text").into_bytes())] {
        let (content, bytes) = kept(make);
        assert_eq!((bytes, content.as_bytes()), (4, &b"text"[..]));
    }
}

/// Changesets beside each other, each of which touches each of so many paths.
fn busy(paths: usize) -> PlanContext {
    let plan = PlanContext::new();
    let changesets = [(); 3].map(|()| plan.start_changeset());
    for changeset in &changesets {
        changeset.record_all((0..paths).map(|path| Change::modify(format!("path-{path}"), None, None))).unwrap();
    }
    plan
}

#[test]
fn a_diff_keeps_no_spare_room() {
    // Just above a power of two, where growing by doubling leaves most room.
    let plan = busy(1_025);
    let snapshot = plan.snapshot();
    let (diff, bytes) = kept(|| snapshot.diff());
    let (clone, exact) = kept(|| diff.clone());
    assert_eq!((diff.len(), diff.conflicts().len()), (1_025, 1_025));
    assert!(bytes == exact && clone == diff, "{bytes} bytes, and a clone {exact}");
    let (conflicts, bytes) = kept(|| snapshot.conflicts());
    let (clone, exact) = kept(|| conflicts.clone());
    assert!(bytes == exact && clone == conflicts, "{bytes} bytes, and a clone {exact}");
    let view = snapshot.changesets().next().unwrap();
    assert_eq!(view.len(), 1_025, "the snapshot's index is made now");
    let (diff, bytes) = kept(|| view.diff().into_changes());
    assert_eq!(bytes.cast_unsigned(), diff.len() * size_of_val(&diff[0]));
}

#[test]
fn a_snapshot_keeps_no_spare_room() {
    let plan = busy(1_025);
    let snapshot = plan.snapshot();
    let views: Vec<_> = snapshot.changesets().collect();
    let (len, bytes) = kept(|| views[0].len());
    // Two words for each change, one for each changeset, and a few for the whole.
    assert_eq!(len, 1_025);
    at_most(bytes, (3 * 1_025 * 2 + 3 + 8) * size_of::<usize>().cast_signed());
    // What iterators have gathered, they keep as long as they live.
    let (changes, bytes) = kept(|| snapshot.changes());
    assert_eq!(changes.len(), 3 * 1_025);
    at_most(bytes, 3 * 1_025 * 24);
    drop(changes);
    let mut audit = plan.snapshot().audit().len();
    assert_eq!(audit, 3 * 1_025 + 3);
    for number in 0..1_025_u32 {
        plan.record_change(Change::delete(number.to_string(), None)).unwrap();
        audit += 1;
    }
    let snapshot = plan.snapshot();
    let ((trail, first), bytes) = kept(|| {
        let mut trail = snapshot.audit();
        let first = trail.next().is_some();
        (trail, first)
    });
    assert!(first);
    assert_eq!(trail.count(), audit - 1);
    // One word and a tag for each entry and each version.
    at_most(bytes, (1_025 + 3 + 4) * 32);
}
