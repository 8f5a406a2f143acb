//! Redaction at the door: what rules take out of an op before it is hashed (docs/redaction.md).
//!
//! - The same op gives the same bytes: rules have no state, and what they have put in is never taken out again.
//! - Ids, tags, names and times are left alone. Covered are free JSON and free text: the values, not the members' names.
//! - Time is linear in the length of the op. What holds nothing to take out is looked over in place, without being read.

mod card;
mod email;
mod found;
mod json;
mod names;
mod op;
mod secrets;
mod stated;
mod text;

use std::fmt;
use std::sync::Arc;

use tracekeep_core::hash::sha256;
use tracekeep_core::json::Json;
use tracekeep_core::model::{Op, Redacted, RedactedCounts};
use tracekeep_core::wire::words;

use crate::error::{Code, Error, Result};
use names::Names;
use secrets::Anchors;

/// The version of the built-in rules: another one may find other things.
pub const RULES_VERSION: &str = "2";

/// Names of fields in one set of rules beyond the well-known ones.
pub const RULE_FIELDS_MAX: usize = 256;

/// Bytes in the name of a field.
pub const RULE_FIELD_BYTES_MAX: usize = 64;

words! {
    /// What finds secrets and personal data in text.
    pub enum Detector {
        /// API keys by their prefixes, private keys in PEM, passwords in URLs.
        Key = "key",
        /// JSON Web Tokens, and what follows `Bearer`.
        Token = "token",
        /// Payment card numbers: 13 to 19 digits of an issuer, with a right check digit.
        Card = "card",
        /// E-mail addresses.
        Email = "email",
    }
}

/// What is taken out at the door, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedactionRules {
    /// Names of fields whose values are taken out, beside the well-known ones. Letters' case, `_`, `-` and the like make no
    /// difference; a name that ends in these words counts as well.
    pub fields: Vec<String>,
    /// Well-known names of fields that are left alone.
    pub keep: Vec<String>,
    /// What is looked for in text.
    pub detectors: Vec<Detector>,
}

impl Default for RedactionRules {
    /// The well-known secrets: names of fields, keys and tokens.
    fn default() -> Self {
        Self { fields: Vec::new(), keep: Vec::new(), detectors: vec![Detector::Key, Detector::Token] }
    }
}

/// What is taken out of every op at the door of a ledger, before it is hashed. The default takes nothing.
///
/// ```
/// use tracekeep_store::{RedactionRules, Redaction};
///
/// let redaction = Redaction::new(RedactionRules { fields: vec!["iban".into()], ..RedactionRules::default() })?;
/// assert!(redaction.version().is_some_and(|version| version.starts_with("2-")));
/// assert_eq!(Redaction::well_known().version(), Some("2"));
/// assert_eq!(Redaction::none().version(), None);
/// # Ok::<(), tracekeep_store::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Redaction(Option<Arc<Compiled>>);

struct Compiled {
    version: String,
    names: Names,
    anchors: Anchors,
    has_cards: bool,
    has_emails: bool,
}

impl Redaction {
    /// Takes nothing out.
    #[must_use]
    pub const fn none() -> Self {
        Self(None)
    }

    /// Takes the well-known secrets out: what `serve` does unless told.
    #[must_use]
    pub fn well_known() -> Self {
        Self::new(RedactionRules::default()).expect("invariant: the built-in rules are within their limits")
    }

    /// Takes out what `options` say.
    ///
    /// # Errors
    /// `invalid_parameter` for a name of a field without a letter or digit, one of more than 64 bytes, more than 256 of
    /// them, or one to be kept that is not well known.
    pub fn new(options: RedactionRules) -> Result<Self> {
        let refuse = |detail: &str| Err(Error::new(Code::InvalidParameter, detail));
        if options.fields.len() > RULE_FIELDS_MAX {
            return refuse("redaction knows at most 256 names of fields");
        }
        if options.fields.iter().any(|name| name.len() > RULE_FIELD_BYTES_MAX || names::joined(name).is_empty()) {
            return refuse("the name of a field to redact has 1 to 64 bytes and a letter or a digit");
        }
        if options.keep.iter().any(|name| !names::is_well_known(name)) {
            return refuse("a field to keep is none that would be redacted");
        }
        let has = |detector| options.detectors.contains(&detector);
        Ok(Self(Some(Arc::new(Compiled {
            version: version(&options),
            names: Names::new(&options.fields, &options.keep),
            anchors: Anchors::new(has(Detector::Key), has(Detector::Token)),
            has_cards: has(Detector::Card),
            has_emails: has(Detector::Email),
        }))))
    }

    /// What `redacted` will say of these rules; `None` where they take nothing.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.0.as_ref().map(|rules| rules.version.as_str())
    }

    /// Takes out of `op` what the rules find, and states it there, beside what was taken out of it before. An op in which
    /// nothing is found stays as it is.
    pub fn redact(&self, op: &mut Op) {
        let Some(rules) = &self.0 else { return };
        let mut work = Work { rules, counts: RedactedCounts::default() };
        op::redact(op, &mut work);
        let counts = work.counts;
        if let Some(redacted) = op.redacted_mut().filter(|_| !counts.is_empty()) {
            *redacted = Redacted::of_all([redacted.take(), Some(Redacted { rules: rules.version.clone(), counts })]);
        }
    }
}

impl fmt::Debug for Redaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Redaction").field(&self.version()).finish()
    }
}

impl PartialEq for Redaction {
    fn eq(&self, other: &Self) -> bool {
        self.version() == other.version()
    }
}

/// One op being looked over.
struct Work<'r> {
    rules: &'r Compiled,
    counts: RedactedCounts,
}

/// The built-in version; rules that differ from the built-in ones also say which they are.
fn version(options: &RedactionRules) -> String {
    let settled = |names: &[String]| {
        let mut names: Vec<_> = names.iter().map(|name| names::joined(name)).collect();
        names.sort_unstable();
        names.dedup();
        names
    };
    let (fields, keep) = (settled(&options.fields), settled(&options.keep));
    let detectors: Vec<_> = Detector::ALL.iter().filter(|word| options.detectors.contains(word)).collect();
    if fields.is_empty() && keep.is_empty() && detectors == [&Detector::Key, &Detector::Token] {
        return RULES_VERSION.to_owned();
    }
    let texts = |names: Vec<String>| Json::array(names.iter().map(|name| Json::from(name.as_str())));
    let detectors = Json::array(detectors.iter().map(|word| Json::from(word.as_str())));
    let said = Json::array([Json::from(RULES_VERSION), texts(fields), texts(keep), detectors]);
    let digest = sha256(&[said.as_str().as_bytes()]).to_string();
    format!("{RULES_VERSION}-{}", &digest[..8])
}

#[cfg(test)]
mod tests;
