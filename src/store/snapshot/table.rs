//! The table of a snapshot: finds the numbers of items by hashes.

#[cfg(feature = "serde")]
use crate::store::fragment::Item;

/// Where the search for a hash begins, in a table of that many places, a power of two; there may be none.
pub fn home(hash: u64, places: usize) -> Option<usize> {
    #[expect(clippy::cast_possible_truncation, reason = "below the number of places")]
    let home = |bits| hash.unbounded_shr(u64::BITS - bits) as usize;
    (places > 0).then(|| home(places.trailing_zeros()))
}

/// An empty one for so many items.
fn with_room_for(items: usize) -> Vec<usize> {
    if items == 0 { Vec::new() } else { vec![0; (items * 2).next_power_of_two()] }
}

/// The place for an item of that hash: the first one that is free, unless one before it holds what `is_same` says.
fn place_for(hash: u64, numbers: &[usize], mut is_same: impl FnMut(usize) -> bool) -> Option<usize> {
    let mut place = home(hash, numbers.len())?;
    while let Some(number) = numbers[place].checked_sub(1) {
        if is_same(number) {
            return None;
        }
        place = (place + 1) % numbers.len();
    }
    Some(place)
}

/// The table of items whose keys are known to differ, by their hashes.
pub fn of(hashes: impl ExactSizeIterator<Item = u64>) -> Vec<usize> {
    let mut numbers = with_room_for(hashes.len());
    for (number, hash) in hashes.enumerate() {
        if let Some(place) = place_for(hash, &numbers, |_| false) {
            numbers[place] = number + 1;
        }
    }
    numbers
}

/// The table of items, unless two of them have the same key.
#[cfg(feature = "serde")]
pub fn of_distinct<K: Eq, V>(items: &[Item<K, V>], hash: impl Fn(&K) -> u64) -> Option<Vec<usize>> {
    let mut numbers = with_room_for(items.len());
    for (number, item) in items.iter().enumerate() {
        let place = place_for(hash(&item.key), &numbers, |other| items[other].key == item.key)?;
        numbers[place] = number + 1;
    }
    Some(numbers)
}
