//! Stores that depend on what is there: of what they take effect, and what they answer where they do not.

use tierstack::{Fragment, GetOrStored, ReplaceIfRefusal, StoreError, StoreIfAbsentRefusal, Stored, UpdateRefusal};

use crate::checker::Checker;
use crate::configuration::{Configuration, Phase};
use crate::model::versions::foreign;
use crate::recorder::{Board, Operation, Outcome, Value};
use crate::steps::Next;

impl Operation {
    /// Whether it stores, and what it asks of its key's fragment is so.
    pub fn applies(&self, board: &Board) -> bool {
        match self {
            Self::Store(..) => true,
            Self::StoreIfAbsent(key, _) | Self::GetOrStoreWith(key, _) => !board.contains(key),
            Self::ReplaceIf(key, old, _) => board.peek(key).is_some_and(|found| found.version == *old),
            Self::Update(key, _) => board.contains(key),
            _ => false,
        }
    }

    /// Whether it may store again after a try that was refused, and ended as any store does.
    pub fn tries_again(&self) -> bool {
        matches!(self, Self::GetOrStoreWith(..) | Self::Update(..))
    }

    /// What it answers when it has stored.
    pub fn done(&self, stored: Stored<Value>) -> Outcome {
        match self {
            Self::StoreIfAbsent(..) => Outcome::StoredIfAbsent(Ok(stored)),
            Self::ReplaceIf(..) => Outcome::ReplacedIf(Ok(stored)),
            Self::Update(..) => Outcome::Updated(Ok(stored)),
            Self::GetOrStoreWith(_, value) => {
                let Stored { tier, version, contended, kept_out, kept, .. } = stored;
                let fragment = Fragment { value: *value, tier, kept, weight: value.weight, version };
                Outcome::GotOrStored(Ok(GetOrStored::Stored { fragment, contended, kept_out }))
            }
            _ => Outcome::Stored(Ok(stored)),
        }
    }
}

impl Checker<'_> {
    /// The call finds that what it asks is not so.
    pub fn decline(&self, now: &Configuration, at: usize, operation: &Operation, next: &mut Next) {
        let flight = &now.flights[at];
        let refuse = |answer, next: &mut Next| {
            self.conclude(now, at, answer, flight.held, next, |then| {
                operation.stores().into_iter().for_each(|(key, _)| then.observe(*key));
            });
        };
        match *operation {
            Operation::StoreIfAbsent(key, value) => {
                let Some(Fragment { tier, version, .. }) = now.board.peek(&key) else { return };
                let reason = StoreIfAbsentRefusal::Present { tier, version };
                refuse(Outcome::StoredIfAbsent(Err(StoreError { key, value, reason })), next);
            }
            Operation::ReplaceIf(key, old, value) => {
                let reason = match now.board.peek(&key) {
                    _ if old == foreign() => ReplaceIfRefusal::OtherStore,
                    None => ReplaceIfRefusal::NotFound,
                    Some(Fragment { tier, version, .. }) => ReplaceIfRefusal::Changed { tier, version },
                };
                refuse(Outcome::ReplacedIf(Err(StoreError { key, value, reason })), next);
            }
            Operation::Update(key, value) => {
                let absent = |value| Err(StoreError { key, value, reason: UpdateRefusal::NotFound });
                refuse(Outcome::Updated(absent(None)), next);
                if self.overlaps(flight.call) {
                    // It was there when the new value was made.
                    refuse(Outcome::Updated(absent(Some(value))), next);
                }
            }
            Operation::GetOrStoreWith(key, _) => {
                let Some(found) = now.board.peek(&key) else { return };
                let answer = Outcome::GotOrStored(Ok(GetOrStored::Found(found)));
                if let Some(answer) = self.admit(flight.call, answer) {
                    let mut then = now.clone();
                    then.observe(key);
                    then.flights[at].answer = answer;
                    then.rest(at, Phase::Read(found.value));
                    next.push(then);
                }
            }
            _ => {}
        }
    }
}
