//! What is read keeps no spare room either, and an input that promises more than it holds gets no room for that.

use serde::de::DeserializeOwned;
use tierstack::{Change, Content, Digest, PlanContext, Snapshot};

use crate::counting::{kept, most};

type Read<T> = fn(&[u8]) -> Option<T>;

/// How each format reads.
fn readers<T: DeserializeOwned>() -> [Read<T>; 5] {
    [
        |bytes| serde_json::from_slice(bytes).ok(),
        |bytes| ciborium::from_reader(bytes).ok(),
        |bytes| rmp_serde::from_slice(bytes).ok(),
        |bytes| postcard::from_bytes(bytes).ok(),
        |bytes| bincode::deserialize(bytes).ok(),
    ]
}

/// As each of the readers reads it.
fn written(value: &impl serde::Serialize) -> [Vec<u8>; 5] {
    let mut cbor = Vec::new();
    ciborium::into_writer(value, &mut cbor).unwrap();
    [
        serde_json::to_vec(value).unwrap(),
        cbor,
        rmp_serde::to_vec(value).unwrap(),
        postcard::to_stdvec(value).unwrap(),
        bincode::serialize(value).unwrap(),
    ]
}

#[test]
fn a_change_that_was_read_keeps_no_spare_room() {
    // Too long for what formats read at once.
    let long = "text \u{e9} \"quoted\" ".repeat(1_000);
    let base = Change::rename(&*long, format!("{long}.old")).by(&*long).with_metadata(&*long, &*long);
    let odd: Vec<u8> = (0..1_037_u32).map(|byte| byte.to_le_bytes()[0]).collect();
    let digests = (Digest::from(&odd[..33]), Digest::from(&odd[..65]));
    for content in [Content::from(&*long), Content::from(odd)] {
        let change = base.clone().with_content(content).with_digests(digests.0.clone(), digests.1.clone());
        for (bytes, read) in written(&change).iter().zip(readers::<Change>()) {
            let (read, bytes) = kept(|| read(bytes).unwrap());
            let (clone, exact) = kept(|| {
                let mut clone = read.clone();
                // Cloning a digest shares it.
                clone.before = clone.before.map(|digest| Digest::from(digest.as_bytes()));
                clone.after = clone.after.map(|digest| Digest::from(digest.as_bytes()));
                clone
            });
            assert!(read == change && clone == change);
            assert_eq!(bytes, exact);
        }
    }
}

#[test]
fn no_room_is_made_for_what_is_only_promised() {
    const MOST: isize = 4 << 20;
    // As a format may begin something that is long; the longest first.
    let promises: [&[u8]; 9] = [
        &[0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], // CBOR: a sequence,
        &[0xbb, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], // a map,
        &[0x7b, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], // a text.
        &[0xdd, 0xff, 0xff, 0xff, 0xff],                         // MessagePack: a sequence,
        &[0xdf, 0xff, 0xff, 0xff, 0xff],                         // a map,
        &[0xdb, 0xff, 0xff, 0xff, 0xff],                         // a text.
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f], // Postcard: a length,
        &[0xff, 0xff, 0xff, 0x7f],                               // a shorter one; bincode: that, and more.
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00],
    ];
    let plan = PlanContext::new();
    let change = || Change::rename("a", "b").with_content("text").by("me").with_metadata("key", "value");
    plan.start_changeset().record_all([change(), change().with_content(vec![1, 2])]).unwrap();
    plan.start_changeset().abort().unwrap();
    for ((bytes, read), read_one) in
        written(&plan.snapshot()).iter().zip(readers::<Snapshot<Change>>()).zip(readers::<Change>())
    {
        let had = most(|| assert!(read(bytes).is_some()));
        assert!(had < MOST);
        for promise in promises {
            for at in 0..bytes.len() {
                let mut lie = bytes.clone();
                lie.truncate(at);
                lie.extend(promise);
                let had = most(|| drop((read(&lie), read_one(&lie))));
                assert!(had < MOST, "{had} bytes for {} that were cut at {at}: {promise:x?}", bytes.len());
                lie.extend(bytes.get(lie.len()..).unwrap_or_default());
                let had = most(|| drop((read(&lie), read_one(&lie))));
                assert!(had < MOST, "{had} bytes for {} changed at {at}: {promise:x?}", bytes.len());
            }
        }
    }
}
