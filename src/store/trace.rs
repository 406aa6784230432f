//! Events for the `tracing` crate, by the feature of that name.
//!
//! A subscriber is a caller's code: it may take its time, panic, and use the store. So events are told as the listener is: they are gathered in the
//! [outflow](super::outflow) while the thread is pinned, with the node held, and told after it is not.
//!
//! Whether anybody asks for them at all is decided while the thread is pinned. So no subscriber is asked then: only the most detailed level goes by, which tracing keeps in an
//! atomic. What is gathered for a subscriber of that level, and is not for it, is filtered when it is told.
//!
//! Without the feature [`is_on`] is a constant, and nothing of this is left. With it, and with no subscriber of that level, it is one load and a compare.

use crate::tier::Tier;

/// What has happened to a fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "tracing"), allow(dead_code, reason = "nobody looks"))]
pub enum Happened {
    Stored {
        to: Tier,
        replaced: bool,
    },
    Promoted {
        from: Tier,
        to: Tier,
    },
    Demoted {
        from: Tier,
        to: Tier,
    },
    Evicted {
        from: Tier,
        to: Option<Tier>,
    },
    Removed {
        from: Tier,
    },
    Expired {
        from: Tier,
    },
    /// In that tier, as operations in flight held the room in hot.
    Contended {
        tier: Tier,
    },
}

/// Whether somebody asks for such events.
#[cfg(not(feature = "tracing"))]
#[inline]
pub const fn is_on(_: Happened) -> bool {
    false
}

#[cfg(feature = "tracing")]
pub use on::{ShowKey, is_on, tell};

#[cfg(feature = "tracing")]
mod on {
    use core::fmt;

    use tracing::level_filters::{LevelFilter, STATIC_MAX_LEVEL};
    use tracing::{Level, event};

    use super::Happened;
    use crate::engine::node::Node;
    use crate::store::version::Version;
    use crate::tier::Tier;

    /// Writes a key.
    pub type ShowKey<K> = fn(&K, &mut fmt::Formatter<'_>) -> fmt::Result;

    /// Whether somebody may ask for such events.
    #[inline]
    pub fn is_on(happened: Happened) -> bool {
        let level = match happened {
            Happened::Contended { .. } => Level::DEBUG,
            _ => Level::TRACE,
        };
        level <= STATIC_MAX_LEVEL && level <= LevelFilter::current()
    }

    struct Key<'a, K>(&'a K, ShowKey<K>);

    impl<K> fmt::Debug for Key<'_, K> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            (self.1)(self.0, f)
        }
    }

    /// Tells the subscriber, who may be any code.
    pub fn tell<K, V>(node: &Node<K, V>, happened: Happened, version: Version, show_key: Option<ShowKey<K>>) {
        let key = show_key.map(|show| tracing::field::debug(Key(node.key(), show)));
        let weight = node.weight();
        let name = |tier: Tier| tracing::field::display(tier);
        macro_rules! tell {
            ($level:ident, $message:literal, $($field:ident = $value:expr),*) => {
                event!(target: "tierstack", Level::$level, key, ?version, weight, $($field = $value,)* $message)
            };
        }
        match happened {
            Happened::Stored { to, replaced } => tell!(TRACE, "store", to = name(to), replaced = replaced),
            Happened::Promoted { from, to } => tell!(TRACE, "promote", from = name(from), to = name(to)),
            Happened::Demoted { from, to } => tell!(TRACE, "demote", from = name(from), to = name(to)),
            Happened::Evicted { from, to } => tell!(TRACE, "evict", from = name(from), to = to.map(name)),
            Happened::Removed { from } => tell!(TRACE, "remove", from = name(from)),
            Happened::Expired { from } => tell!(TRACE, "expire", from = name(from)),
            Happened::Contended { tier } => tell!(DEBUG, "contended", tier = name(tier)),
        }
    }
}
