//! What the store promises, checked when all threads are at rest again.

use std::{collections::HashMap, sync::Arc};

use tierstack::{Item, Tier};

use crate::{
    asked::Asked,
    format::{bytes, count, counted},
    fragment::{Key, Snippet, Store},
    load::Ledger,
    prompt::Prompt,
    watch::Watched,
};

/// A promise, and what was found: that it was kept, or how it was not.
pub struct Check {
    pub promise: &'static str,
    pub found: Result<String, String>,
}

impl Check {
    pub fn passed(&self) -> bool {
        self.found.is_ok()
    }
}

/// Checks the store against the ledger of what must be in it, the context that must be in hot, and what the watcher saw.
pub fn run(
    store: &Store,
    asked: &Asked,
    ledger: &Ledger,
    context: &[Key],
    prompt: &Prompt,
    watched: &Watched,
) -> Vec<Check> {
    let met: Vec<_> = Tier::ALL.iter().flat_map(|&tier| store.iter(tier).map(move |item| (tier, item))).collect();
    let budget = store.hot_budget();
    // The question was used before all of the context.
    let question = asked.is_hot.then_some(&asked.key);
    let context: Vec<_> = context.iter().chain(question).collect();
    let watcher = within(watched.highest, budget).map(|seen| format!("{seen} in {} readings", count(watched.readings)));
    let longest = within(watched.longest.max(prompt.bytes), budget);
    let prompts = longest.map(|seen| format!("{seen} in {}", counted(watched.prompts + 1, "prompt")));
    let check = |promise, found| Check { promise, found };
    vec![
        check("every fragment stands in one tier, once", once(&met, ledger)),
        check("asked for one by one, it stands there too", answers(&met, store)),
        check("each is the version that was stored last", latest(&met, ledger)),
        check("counts and bytes are those of a recount", recount(&met, store)),
        check("no reading of the watcher is above budget", watcher),
        check("no prompt that was built is above budget", prompts),
        check("the peak of hot is not above budget", within(store.metrics().peak_hot_bytes, budget)),
        check("hot holds the context, best first", holds(&met, &context)),
        check("the last prompt is that context", reads(prompt, &context)),
        check("the question is in each prompt with room", has_question(asked, watched)),
    ]
}

/// A fragment, and the tier in which it was met.
type Met = (Tier, Item<Key, Arc<Snippet>>);

/// Nothing is lost, nothing is doubled, and nothing is there that was never stored, or was removed.
fn once(met: &[Met], ledger: &Ledger) -> Result<String, String> {
    let mut times: HashMap<&Key, u32> = ledger.keys().map(|key| (key, 0)).collect();
    for (tier, item) in met {
        *times.get_mut(&item.key).ok_or_else(|| format!("{} does not belong in {tier}", item.key))? += 1;
    }
    let those = |wrong: fn(u32) -> bool| times.iter().filter(move |&(_, &times)| wrong(times)).map(|(key, _)| *key);
    let (lost, doubled) = (those(|times| times == 0), those(|times| times > 1));
    match (lost.clone().min(), doubled.clone().min()) {
        (None, None) => Ok(counted(times.len() as u64, "fragment")),
        (Some(key), _) => Err(format!("{} lost, such as {key}", count(lost.count() as u64))),
        (_, Some(key)) => Err(format!("{} doubled, such as {key}", count(doubled.count() as u64))),
    }
}

fn answers(met: &[Met], store: &Store) -> Result<String, String> {
    for (tier, item) in met {
        let answer = store.tier_of(&item.key);
        if answer != Some(*tier) {
            return Err(format!("{} was met in {tier}, but tier_of says {answer:?}", item.key));
        }
    }
    Ok(counted(met.len() as u64, "answer"))
}

/// Not only the same text: the very value that was stored.
fn latest(met: &[Met], ledger: &Ledger) -> Result<String, String> {
    let is_latest =
        |item: &Item<Key, Arc<Snippet>>| ledger.get(&item.key).is_some_and(|last| Arc::ptr_eq(last, &item.value));
    match met.iter().find(|(_, item)| !is_latest(item)) {
        None => Ok(counted(met.len() as u64, "value")),
        Some((tier, item)) => Err(format!("{} in {tier} is not", item.key)),
    }
}

fn recount(met: &[Met], store: &Store) -> Result<String, String> {
    let metrics = store.metrics();
    let mut all = 0;
    for tier in Tier::ALL {
        let here = met.iter().filter(|(of, _)| *of == tier);
        let (fragments, sum) = here.fold((0, 0), |(n, sum), (_, item)| (n + 1, sum + item.value.weight()));
        let told = metrics.tier(tier);
        for (told, counted) in
            [((told.fragments, told.bytes), (fragments, sum)), ((store.len(tier), store.bytes(tier)), (fragments, sum))]
        {
            if told != counted {
                return Err(format!("{tier} says {told:?}, and has {counted:?} (fragments, bytes)"));
            }
        }
        all += sum;
    }
    Ok(bytes(all))
}

fn within(seen: u64, budget: u64) -> Result<String, String> {
    let told = format!("{} of {} bytes", count(seen), count(budget));
    if seen <= budget { Ok(told) } else { Err(told) }
}

fn holds(met: &[Met], context: &[&Key]) -> Result<String, String> {
    let told = counted(context.len() as u64, "fragment");
    let hot = met.iter().filter(|(tier, _)| *tier == Tier::Hot).map(|(_, item)| &item.key);
    if hot.clone().eq(context.iter().copied()) { Ok(told) } else { Err(format!("{} are hot, for {told}", hot.count())) }
}

fn reads(prompt: &Prompt, context: &[&Key]) -> Result<String, String> {
    let told = counted(context.len() as u64, "fragment");
    if prompt.keys.iter().eq(context.iter().copied()) {
        Ok(told)
    } else {
        Err(format!("{} in it, for {told}", prompt.keys.len()))
    }
}

fn has_question(asked: &Asked, watched: &Watched) -> Result<String, String> {
    let told = format!("{} of {}", count(watched.with_question), counted(watched.prompts, "prompt"));
    let expected = if asked.is_hot { watched.prompts } else { 0 };
    if watched.with_question == expected { Ok(told) } else { Err(told) }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn key(first: u32) -> Key {
        Key { path: "a.rs".into(), first, last: first + 9 }
    }

    /// A store with three fragments of 4 bytes, of which two fit into hot.
    fn stored() -> (Store, Ledger, Vec<Met>) {
        let store = crate::load::new_store(9, 3).unwrap();
        let mut ledger = Ledger::new();
        for first in [1, 11, 21] {
            let snippet = Arc::new(Snippet { text: "text".into(), modified: SystemTime::UNIX_EPOCH });
            store.store(key(first), snippet.clone()).unwrap();
            ledger.insert(key(first), snippet);
        }
        let met = Tier::ALL.iter().flat_map(|&tier| store.iter(tier).map(move |item| (tier, item))).collect();
        (store, ledger, met)
    }

    #[test]
    fn a_sound_store_passes() {
        let (store, ledger, met) = stored();
        assert_eq!(once(&met, &ledger), Ok("3 fragments".to_owned()));
        assert_eq!(answers(&met, &store), Ok("3 answers".to_owned()));
        assert_eq!(latest(&met, &ledger), Ok("3 values".to_owned()));
        assert_eq!(recount(&met, &store), Ok("12 B".to_owned()));
        assert_eq!(holds(&met, &[&key(21), &key(11)]), Ok("2 fragments".to_owned()));
    }

    #[test]
    fn what_is_lost_or_doubled_or_strange_or_old_is_noticed() {
        let (store, mut ledger, mut met) = stored();
        let item = met.pop().unwrap();
        assert_eq!(once(&met, &ledger), Err("1 lost, such as a.rs:1-10".to_owned()));
        assert!(recount(&met, &store).unwrap_err().contains("warm says (1, 4), and has (0, 0)"));
        met.extend([item.clone(), (Tier::Cold, item.1)]);
        assert_eq!(once(&met, &ledger), Err("1 doubled, such as a.rs:1-10".to_owned()));
        assert!(answers(&met, &store).unwrap_err().contains("met in cold, but tier_of says Some(Warm)"));
        met.pop();

        let newer = Arc::new(Snippet { text: "text".into(), modified: SystemTime::UNIX_EPOCH });
        let older = ledger.insert(key(11), newer).unwrap();
        assert_eq!(latest(&met, &ledger), Err("a.rs:11-20 in hot is not".to_owned()));
        ledger.insert(key(11), older);
        ledger.remove(&key(21));
        assert_eq!(once(&met, &ledger), Err("a.rs:21-30 does not belong in hot".to_owned()));
    }

    #[test]
    fn a_passed_budget_and_a_wrong_context_are_noticed() {
        assert!(within(9, 9).is_ok());
        assert!(within(10, 9).is_err());
        let (_, _, met) = stored();
        assert!(holds(&met, &[&key(11), &key(21)]).is_err());
        assert!(holds(&met, &[&key(21)]).is_err());
    }
}
