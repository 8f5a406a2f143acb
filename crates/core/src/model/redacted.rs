//! What was taken out of an op before it was hashed.

use crate::wire::{object, object_field};

object! {
    /// What rules took out of an op at the door, before it was hashed: nobody has what stood there.
    #[derive(Eq)]
    pub struct Redacted {
        /// The rules: the version of the built-in ones, and a digest of what was configured beyond them.
        required rules: String,
        /// How often each kind of thing was taken out.
        required counts: RedactedCounts,
    }
}

object! {
    /// How often each kind of thing was taken out; absent is none.
    #[derive(Copy, Default, Eq)]
    pub struct RedactedCounts {
        /// Payment card numbers.
        optional card: u64,
        /// E-mail addresses.
        optional email: u64,
        /// Values under the name of a secret.
        optional field: u64,
        /// API keys, private keys and passwords in URLs.
        optional key: u64,
        /// JSON Web Tokens and bearer tokens.
        optional token: u64,
    }
}

object_field!(Redacted, RedactedCounts);

impl RedactedCounts {
    /// Whether nothing was taken out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The counts of two records, together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let sum = |a: Option<u64>, b: Option<u64>| match (a, b) {
            (Some(a), Some(b)) => Some(a.saturating_add(b)),
            (a, b) => a.or(b),
        };
        Self {
            card: sum(self.card, other.card),
            email: sum(self.email, other.email),
            field: sum(self.field, other.field),
            key: sum(self.key, other.key),
            token: sum(self.token, other.token),
        }
    }
}

impl Redacted {
    /// What was taken out of several entries that read as one thing, by the rules of the latest.
    #[must_use]
    pub fn of_all(entries: impl IntoIterator<Item = Option<Self>>) -> Option<Self> {
        entries
            .into_iter()
            .flatten()
            .reduce(|earlier, later| Self { counts: earlier.counts.and(later.counts), rules: later.rules })
    }
}
