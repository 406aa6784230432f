//! Following files through changes.
//!
//! The changes are followed in order, file by file and not path by path: a file keeps its identity while it is renamed. It has an
//! *origin*, the path at which it stood before all changes, unless it was created, and a *place*, the path at which it stands, unless
//! it is gone. Each path knows the file that stands there, and the last that did.
//!
//! A path that no change has touched is taken to hold a file, unless the first change there creates one or renames one to it; but what is known of it
//! from changes that are gone goes before (see [`base`](super::super::base)).
//! In the end every file that is not where and what it was is an entry, by its origin and its place. As a file has one origin and one
//! place, and a path holds one file, no two entries have the same source or the same target, whatever the changes were.

use std::collections::HashMap;

use super::{NetChange, NetOperation};
use crate::changeset::base::State;
use crate::changeset::change::{Change, Content, Digest, Operation, differ};
use crate::changeset::event::Record;

/// What the changes, in the order of their sequence numbers, come to, sorted by path.
///
/// For n changes: O(n) expected, and O(c log c) comparisons of paths for the c entries.
pub(in crate::changeset) fn net<'a>(
    records: impl Iterator<Item = Record<'a, Change>>,
    initial: &HashMap<&'a str, State<'a>>,
) -> Vec<NetChange<'a>> {
    let mut tree = Tree { files: Vec::new(), slots: HashMap::new(), initial };
    records.for_each(|record| tree.apply(record));
    let mut changes: Vec<_> = tree.files.iter().filter_map(|file| tree.entry(file)).collect();
    // A deletion stands before what puts another file there.
    changes.sort_unstable_by_key(|change| (change.path, change.target().is_some()));
    changes.shrink_to_fit();
    changes
}

/// The files that the changes touched, and the paths.
struct Tree<'i, 'a> {
    files: Vec<File<'a>>,
    slots: HashMap<&'a str, Slot>,
    /// What is known to have been at paths before all changes.
    initial: &'i HashMap<&'a str, State<'a>>,
}

/// An index into [`Tree::files`].
type FileId = usize;

/// A path that a change touched.
struct Slot {
    /// The file whose origin it is.
    original: Option<FileId>,
    /// The file whose place it is.
    here: Option<FileId>,
    /// The file whose place it is or was last.
    latest: Option<FileId>,
}

/// A file that a change touched.
struct File<'a> {
    /// Where it stood before all changes, if it was there.
    origin: Option<&'a str>,
    /// Where it stands now, if it is there.
    place: Option<&'a str>,
    /// The digest at its origin.
    before: Option<&'a Digest>,
    /// The digest now; the same as `before` until a change changes the content.
    after: Option<&'a Digest>,
    content: Option<&'a Content>,
    /// Whether a change has changed the content.
    changed: bool,
    last: Record<'a, Change>,
}

impl<'a> File<'a> {
    /// One that stood at its origin before all changes.
    fn original(origin: &'a str, last: Record<'a, Change>) -> Self {
        let (origin, place) = (Some(origin), Some(origin));
        Self { origin, place, before: None, after: None, content: None, changed: false, last }
    }

    /// One that the record puts there.
    fn created(record: Record<'a, Change>) -> Self {
        let [before, after] = record.change.digests();
        // A rename without another says what its content is.
        let after = if matches!(record.change.operation, Operation::Rename { .. }) { after.or(before) } else { after };
        let content = record.change.content.as_ref();
        Self { origin: None, place: None, before: None, after, content, changed: true, last: record }
    }

    /// Takes what the record, of a modification or a rename of this file, says about the content.
    fn update(&mut self, record: Record<'a, Change>) {
        let [before, after] = record.change.digests();
        let said = match record.change.operation {
            Operation::Rename { .. } => differ(before, after),
            _ => !(before.is_some() && before == after),
        };
        let now = if said { after } else { after.or(before) };
        // Two records can contradict each other, where neither says that it changed the content.
        let changes = said || differ(self.after, now);
        // What a record says of the content before it is true of the origin, as long as nothing has changed it.
        if !self.changed && self.before.is_none() {
            self.before = if said { before } else { now };
        }
        if changes {
            (self.changed, self.after, self.content) = (true, now, record.change.content.as_ref());
        } else {
            self.after = now.or(self.after);
        }
        self.last = record;
    }

    /// Takes it away. A record of a deletion also says what its content was.
    fn remove(&mut self, record: Record<'a, Change>) {
        if matches!(record.change.operation, Operation::Delete) && !self.changed && self.before.is_none() {
            [self.before, _] = record.change.digests();
        }
        (self.place, self.last) = (None, record);
    }

    /// Whether the content is not that at the origin.
    fn modified(&self) -> bool {
        modified(self.before, self.after, self.changed)
    }
}

/// By the digests where both are known, and else by what the changes said.
fn modified(before: Option<&Digest>, after: Option<&Digest>, changed: bool) -> bool {
    before.zip(after).map_or(changed, |(before, after)| before != after)
}

impl<'a> Tree<'_, 'a> {
    fn apply(&mut self, record: Record<'a, Change>) {
        let path = record.change.path.as_str();
        match &record.change.operation {
            Operation::Create => self.create(path, record),
            Operation::Modify => match self.slot(path, record).here {
                Some(file) => self.files[file].update(record),
                None => self.create(path, record),
            },
            Operation::Delete => {
                if let Some(file) = self.slot(path, record).here.take() {
                    self.files[file].remove(record);
                }
            }
            Operation::Rename { from } => {
                let slot = self.slot(from, record);
                let Some(file) = slot.here.or(slot.latest) else {
                    // None has ever stood there.
                    self.create(path, record);
                    return;
                };
                // That need not be the path it is said to come from.
                if let Some(slot) = self.files[file].place.and_then(|place| self.slots.get_mut(place)) {
                    slot.here = None;
                }
                self.files[file].update(record);
                self.put(file, path, record);
            }
        }
    }

    /// The slot of a path from which something is taken: what no change has touched stands there, unless it is known that it does not.
    fn slot(&mut self, path: &'a str, record: Record<'a, Change>) -> &mut Slot {
        let (files, initial) = (&mut self.files, self.initial.get(path));
        self.slots.entry(path).or_insert_with(|| {
            let file = (initial != Some(&State::Absent)).then(|| {
                files.push(File::original(path, record));
                files.len() - 1
            });
            Slot { original: file, here: file, latest: file }
        })
    }

    fn create(&mut self, path: &'a str, record: Record<'a, Change>) {
        self.files.push(File::created(record));
        self.put(self.files.len() - 1, path, record);
    }

    /// Puts a file that stands nowhere at the path, in the place of any that does. Where no change has touched the path none stands, unless
    /// one is known to.
    fn put(&mut self, file: FileId, path: &'a str, record: Record<'a, Change>) {
        let (files, initial) = (&mut self.files, self.initial.get(path));
        let slot = self.slots.entry(path).or_insert_with(|| {
            let original = if let Some(State::Present(before)) = initial {
                files.push(File { before: *before, after: *before, ..File::original(path, record) });
                Some(files.len() - 1)
            } else {
                None
            };
            Slot { original, here: original, latest: None }
        });
        slot.latest = Some(file);
        if let Some(replaced) = slot.here.replace(file) {
            self.files[replaced].remove(record);
        }
        self.files[file].place = Some(path);
    }

    /// The entry for a file; `None` where nothing has become of it, or where the entry of another says it.
    fn entry(&self, file: &File<'a>) -> Option<NetChange<'a>> {
        let &File { before, after, content, last, .. } = file;
        match (file.origin, file.place) {
            (None, None) => None,
            (None, Some(path)) => match self.original(path).filter(|original| original.place.is_none()) {
                // Another file at the path of one that is gone: to whoever looks at the path, another content.
                Some(gone) => modified(gone.before, after, true).then_some(NetChange {
                    path,
                    operation: NetOperation::Modify,
                    before: gone.before,
                    after,
                    content,
                    last: if gone.last.sequence > last.sequence { gone.last } else { last },
                    modifies: true,
                }),
                None => Some(NetChange {
                    path,
                    operation: NetOperation::Create,
                    before,
                    after,
                    content,
                    last,
                    modifies: true,
                }),
            },
            (Some(path), None) => self.here(path).is_none_or(|other| other.origin.is_some()).then_some(NetChange {
                path,
                operation: NetOperation::Delete,
                before,
                after: None,
                content: None,
                last,
                modifies: false,
            }),
            (Some(from), Some(path)) => {
                let modifies = file.modified();
                let operation = if from == path { NetOperation::Modify } else { NetOperation::Rename { from } };
                let content = content.filter(|_| modifies);
                let entry = NetChange { path, operation, before, after, content, last, modifies };
                (from != path || modifies).then_some(entry)
            }
        }
    }

    /// The file whose origin is the path.
    fn original(&self, path: &str) -> Option<&File<'a>> {
        self.slots.get(path)?.original.map(|file| &self.files[file])
    }

    /// The file that stands at the path.
    fn here(&self, path: &str) -> Option<&File<'a>> {
        self.slots.get(path)?.here.map(|file| &self.files[file])
    }
}
