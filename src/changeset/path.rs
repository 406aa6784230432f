//! Paths, and the folders that they name: a file cannot stand at a path and others beneath it.
//!
//! A path is taken as it is, but for the `/` in it: what stands before one is a folder, also where that is the end of the path. Nothing else is known
//! of paths, not even `.`.

use core::cmp::Ordering;

/// The names of the folders from the outermost on, and the last name, whether or not that is a folder's.
pub fn names(path: &str) -> impl Iterator<Item = &str> + Clone {
    path.trim_end_matches('/').split('/')
}

/// The order in which each path comes after its folders, and before all that is not beneath them: that of the names, one after the other.
///
/// It is that of the bytes, were `/` the least of them. A path that ends in it comes after the one that does not, as any that is longer.
pub fn compare(path: &str, other: &str) -> Ordering {
    let (path, other) = (path.as_bytes(), other.as_bytes());
    let same = path.iter().zip(other).take_while(|(byte, other)| byte == other).count();
    let next = |path: &[u8]| path.get(same).map(|byte| (*byte != b'/', *byte));
    next(path).cmp(&next(other))
}

/// Whether the folder is one of the path's; or whether the path is the folder's with more of `/` behind it, which says that it is one.
pub fn is_beneath(path: &str, folder: &str) -> bool {
    let rest = path.strip_prefix(folder.trim_end_matches('/'));
    rest.is_some_and(|rest| rest.starts_with('/')) && (path.len() > folder.len() || !names(path).eq(names(folder)))
}

#[cfg(all(test, not(any(tierstack_loom, tierstack_shuttle))))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_beneath() {
        for (path, folder) in [
            ("a/b", "a"),
            ("a/b/c", "a"),
            ("a/b", "a/"),
            ("a/b/", "a"),
            ("/a", "/"),
            ("/a", ""),
            ("a//b", "a"),
            ("a/", "a"),
            ("a//", "a/"),
            ("/", ""),
            ("a/b", "a///"),
        ] {
            assert!(is_beneath(path, folder) && !is_beneath(folder, path), "{path} {folder}");
        }
        for (path, other) in [("a", "a"), ("a/", "a/"), ("ab", "a"), ("a-b", "a"), ("a", "b"), ("a", ""), ("./a", "a")]
        {
            assert!(!is_beneath(path, other) && !is_beneath(other, path), "{path} {other}");
        }
    }

    proptest! {
        #[test]
        fn in_order_what_is_beneath_follows(mut paths in prop::collection::vec("[a-b/!]{0,5}", 0..12)) {
            paths.sort_by(|path, other| compare(path, other));
            for (path, next) in paths.iter().zip(&paths[1.min(paths.len())..]) {
                let by_names = names(path).cmp(names(next)).then(path.len().cmp(&next.len()));
                prop_assert!(by_names.is_le() && (by_names.is_eq() == (path == next)), "{:?} {:?}", path, next);
            }
            for (at, path) in paths.iter().enumerate() {
                let beneath: Vec<usize> = (0..paths.len()).filter(|other| is_beneath(&paths[*other], path)).collect();
                prop_assert!(beneath.iter().all(|other| *other > at));
                if let Some(last) = beneath.last() {
                    prop_assert!(paths[at..*last].iter().all(|other| other == path || is_beneath(other, path)));
                }
                for other in &paths {
                    let depth = names(path).count();
                    let is_folder = depth < names(other).count() && names(path).eq(names(other).take(depth));
                    let is_longer = names(path).eq(names(other)) && other.len() > path.len();
                    prop_assert_eq!(is_beneath(other, path), is_folder || is_longer);
                }
            }
        }
    }
}
