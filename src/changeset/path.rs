//! Paths, and the folders that they name: a file cannot stand at a path and others beneath it.
//!
//! A path is taken as it is, but for the `/` in it: what stands before one is a folder. Nothing else is known of paths, not even `.`, and a `/` at
//! the end adds nothing.

use core::cmp::Ordering;

/// The names of the folders from the outermost on, and the last name.
pub fn names(path: &str) -> impl Iterator<Item = &str> + Clone {
    path.trim_end_matches('/').split('/')
}

/// The order in which each path comes after its folders, and before all that is not beneath them.
pub fn compare(path: &str, other: &str) -> Ordering {
    names(path).cmp(names(other)).then_with(|| path.cmp(other))
}

/// Whether the folder is one of the path's.
pub fn is_beneath(path: &str, folder: &str) -> bool {
    let folder = folder.trim_end_matches('/');
    path.trim_end_matches('/').strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(all(test, not(any(tierstack_loom, tierstack_shuttle))))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_beneath() {
        for (path, folder) in
            [("a/b", "a"), ("a/b/c", "a"), ("a/b", "a/"), ("a/b/", "a"), ("/a", "/"), ("/a", ""), ("a//b", "a")]
        {
            assert!(is_beneath(path, folder) && !is_beneath(folder, path), "{path} {folder}");
        }
        for (path, other) in
            [("a", "a"), ("a/", "a"), ("ab", "a"), ("a-b", "a"), ("a", "b"), ("a", ""), ("./a", "a"), ("/", "")]
        {
            assert!(!is_beneath(path, other) && !is_beneath(other, path), "{path} {other}");
        }
    }

    proptest! {
        #[test]
        fn in_order_what_is_beneath_follows(mut paths in prop::collection::vec("[a-b/!]{0,5}", 0..12)) {
            paths.sort_by(|path, other| compare(path, other));
            for (at, path) in paths.iter().enumerate() {
                let beneath: Vec<usize> = (0..paths.len()).filter(|other| is_beneath(&paths[*other], path)).collect();
                prop_assert!(beneath.iter().all(|other| *other > at));
                // Between them stand only other names of the folder itself.
                if let Some(last) = beneath.last() {
                    let same = |other: &String| names(other).eq(names(path));
                    prop_assert!(paths[at..*last].iter().all(|other| same(other) || is_beneath(other, path)));
                }
                prop_assert!(paths.iter().all(|other| is_beneath(other, path) == (
                    names(path).count() < names(other).count() && names(path).eq(names(other).take(names(path).count()))
                )));
            }
        }
    }
}
