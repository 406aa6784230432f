//! Changes as short texts.

use crate::changeset::change::{Change, Digest};

pub fn digest(byte: u8) -> Digest {
    Digest::from([byte])
}

pub fn byte(digest: &Digest) -> u8 {
    digest.as_bytes()[0]
}

/// Changes as text: `+a` creates, `*a` modifies, `-a` deletes, `a>b` renames. Digests follow a colon, those before and after for `*`
/// and `>`, with `?` for one that is not known; each but a deletion has its last digest as content. As in `*a:1,2`.
pub fn parse(text: &str) -> Change {
    let (what, digests) = text.split_once(':').unwrap_or((text, "?,?"));
    let known: Vec<Option<Digest>> =
        digests.split(',').map(|digest| digest.parse::<u8>().ok().map(self::digest)).collect();
    let (first, last) = (known[0].clone(), known[known.len() - 1].clone());
    let change = match what.split_at(1) {
        ("+", path) => Change::create(path, last.clone()),
        ("*", path) => Change::modify(path, first, last.clone()),
        ("-", path) => return Change::delete(path, first),
        _ => {
            let (from, to) = what.split_once('>').unwrap();
            Change::rename(from, to).with_digests(first, last.clone())
        }
    };
    match last {
        Some(last) => change.with_content(vec![byte(&last)]),
        None => change,
    }
}
