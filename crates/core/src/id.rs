//! Ids as newtypes: 1 to 255 visible ASCII characters, neither `.` nor `..` (they stand in URL paths).
//!
//! Ids must hold no personal data: they outlive erasure.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::invalid::{Invalid, InvalidCode};
use crate::limits::ID_BYTES_MAX;

fn check(text: &str) -> Result<(), Invalid> {
    let refuse = |detail: &str| Err(Invalid::new(InvalidCode::InvalidId, "", detail));
    if text.is_empty() || text.len() > ID_BYTES_MAX as usize {
        return refuse("an id has 1 to 255 characters");
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return refuse("an id has visible ASCII characters only");
    }
    if text == "." || text == ".." {
        return refuse("an id is not a dot segment");
    }
    Ok(())
}

macro_rules! id {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks the grammar of the module.
            ///
            /// # Errors
            /// `invalid_id` where the text is outside the grammar.
            pub fn new(text: impl AsRef<str>) -> Result<Self, Invalid> {
                check(text.as_ref())?;
                Ok(Self(Arc::from(text.as_ref())))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = Invalid;
            fn from_str(text: &str) -> Result<Self, Invalid> {
                Self::new(text)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = Invalid;
            fn try_from(text: &str) -> Result<Self, Invalid> {
                Self::new(text)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

id!(
    /// Names one run within its ledger.
    RunId
);
id!(
    /// Names one trace within its run.
    TraceId
);
id!(
    /// Ties runs together that belong to one piece of work.
    CorrelationId
);
id!(
    /// Names one expectation within its run.
    ExpectationId
);
id!(
    /// Names one acknowledgement within its run.
    AckId
);
id!(
    /// The id of a trace, an expectation or an acknowledgement, as a receipt names whatever was recorded.
    ItemId
);
id!(
    /// Names a baseline: a run that others are held to.
    BaselineName
);
id!(
    /// Names one incident within its ledger.
    IncidentId
);
id!(
    /// Names one export within its ledger.
    ExportId
);
id!(
    /// An idempotency key: names one write, or one effect at the gate.
    Key
);

/// Names one ledger: 16 random bytes, made with it, written as 32 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LedgerId([u8; 16]);

impl LedgerId {
    /// Wraps the 16 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl FromStr for LedgerId {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let refused = || Invalid::new(InvalidCode::InvalidId, "", "a ledger's id is 32 lower-case hex digits");
        crate::hash::hex_bytes(text).map(Self).ok_or_else(refused)
    }
}

impl fmt::Display for LedgerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for LedgerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_id(text: &str, ok: bool) {
        assert_eq!(RunId::new(text).is_ok(), ok, "{text:?}");
    }

    #[test]
    fn ids_are_visible_ascii() {
        check_id("run-1", true);
        check_id("!~/%?#", true);
        check_id("...", true);
        check_id(&"x".repeat(255), true);
        check_id(&"x".repeat(256), false);
        for bad in ["", ".", "..", "a b", "a\n", "é", "\u{7f}", "\0"] {
            check_id(bad, false);
        }
    }

    #[test]
    fn an_id_is_its_text_however_it_is_taken() {
        let id = TraceId::try_from("t-1").unwrap();
        assert_eq!("t-1".parse(), Ok(id.clone()));
        assert_eq!((id.to_string(), format!("{id:?}")), ("t-1".to_owned(), "\"t-1\"".to_owned()));
        assert_eq!((Borrow::<str>::borrow(&id), id.as_ref()), ("t-1", "t-1"));
    }

    #[test]
    fn a_ledgers_id_is_16_bytes_in_lower_case_hex() {
        let id = LedgerId::from_bytes([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0xff]);
        assert_eq!(format!("{id:?}"), "000102030405060708090a0b0c0d0eff");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.as_bytes()[15], 0xff);
        for bad in ["", "0", &"0".repeat(31), &"0".repeat(33), &"A".repeat(32), &format!("+{}", "0".repeat(31))] {
            assert!(bad.parse::<LedgerId>().is_err(), "{bad}");
        }
    }
}
