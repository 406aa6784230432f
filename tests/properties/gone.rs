//! What the listener was told, and is to be told.

use tierstack::Cause;

use crate::model::{Left, Model};
use crate::{Numbered, Value};

/// What has left a store.
#[derive(Clone, Debug)]
pub struct Gone<K> {
    /// In its order.
    ended: Vec<Left<K, Value>>,
    /// What is ended by one operation because it was due is told in any order.
    expired: Vec<Left<K, Value>>,
}

impl<K: Numbered> Gone<K> {
    pub const NOTHING: Self = Self { ended: Vec::new(), expired: Vec::new() };

    /// What has left the model since this was asked before.
    pub fn from(model: &mut Model<K, Value>) -> Self {
        let mut gone = Self::NOTHING;
        model.take_left().into_iter().for_each(|left| gone.push(left));
        gone
    }

    pub fn push(&mut self, left: Left<K, Value>) {
        let list = if left.3 == Cause::Expired { &mut self.expired } else { &mut self.ended };
        list.push(left);
    }

    pub fn append(&mut self, mut other: Self) {
        self.ended.append(&mut other.ended);
        self.expired.append(&mut other.expired);
    }

    #[expect(clippy::type_complexity, reason = "two lists")]
    pub fn sorted(&self) -> (&[Left<K, Value>], Vec<&Left<K, Value>>) {
        let mut expired: Vec<_> = self.expired.iter().collect();
        expired.sort_by(|one, other| (&one.0, &one.1).cmp(&(&other.0, &other.1)));
        (&self.ended, expired)
    }
}
