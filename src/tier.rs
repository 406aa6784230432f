//! The three tiers and their order.

use core::fmt;

/// Where a fragment stands.
///
/// Tiers are ordered from the top down: `Tier::Hot < Tier::Warm < Tier::Cold`.
///
/// ```
/// use tierstack::Tier;
///
/// assert_eq!(Tier::Hot.below(), Some(Tier::Warm));
/// assert_eq!(Tier::Hot.above(), None);
/// assert!(Tier::Hot < Tier::Cold);
/// assert_eq!(Tier::Cold.to_string(), "cold");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Tier {
    /// What goes into the next prompt; bounded by the hot budget in bytes.
    Hot = 0,
    /// What overflows from hot; optionally bounded by a [`Capacity`](crate::Capacity).
    Warm = 1,
    /// What overflows from warm; optionally bounded by a [`Capacity`](crate::Capacity).
    Cold = 2,
}

impl Tier {
    /// The tiers from hot to cold.
    pub const ALL: [Self; 3] = [Self::Hot, Self::Warm, Self::Cold];

    /// The tier one step up, or `None` for [`Tier::Hot`].
    #[must_use]
    pub const fn above(self) -> Option<Self> {
        match self {
            Self::Hot => None,
            Self::Warm => Some(Self::Hot),
            Self::Cold => Some(Self::Warm),
        }
    }

    /// The tier one step down, or `None` for [`Tier::Cold`], below which a fragment leaves the store.
    #[must_use]
    pub const fn below(self) -> Option<Self> {
        match self {
            Self::Hot => Some(Self::Warm),
            Self::Warm => Some(Self::Cold),
            Self::Cold => None,
        }
    }

    /// The tier's place among [`Tier::ALL`].
    #[must_use]
    pub(crate) const fn index(self) -> usize {
        self as usize
    }
}

impl Tier {
    /// Its name in lower case.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Hot => "hot",
            Self::Warm => "warm",
            Self::Cold => "cold",
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
