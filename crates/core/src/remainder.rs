//! What is left of an entry of which members are withheld: a text from which anyone recomputes its commitment
//! (docs/format/redaction.md).
//!
//! A member that stays is shown with its own salt, one that is withheld by its commitment alone. The entry's salt is in
//! neither: with it, what a withheld member could have held could be tried out.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::body::Body;
use crate::hash::{Hash, Salt, entry_commitment, member_commitment};
use crate::invalid::{Invalid, InvalidCode};
use crate::json::{Json, Value, write_string};
use crate::wire::{Field, Path, Shape, object, object_field};

/// Members that are never withheld: what the entry is and where it stands, by which everything else finds it.
pub const NEVER_WITHHELD: [&str; 10] = [
    "ended_at",
    "id",
    "index",
    "occurred_at",
    "op",
    "parent_id",
    "run_id",
    "status",
    "trace_type/name",
    "trace_type/type",
];

/// Members of a step that its leaves in the run's two trees are over, or that give such a one away.
pub const HASHED: [&str; 10] = [
    "input_hash",
    "outcome_category",
    "outcome_code",
    "outcome_data",
    "output_hash",
    "params",
    "replay_behavior",
    "retry_count",
    "rng_state_before",
    "skill_name",
];

/// Members of a step that are summed up in the totals of its run.
pub const SUMMED: [&str; 3] = ["cost_cents", "duration_ms", "tokens"];

/// Containers that a member of an entry stands in where what is left of the entry stands in the body of a redaction, beyond
/// those that it stood in before.
pub const LEVELS_AROUND: u32 = 4;

/// The object whose members count by themselves.
const GROUP: &str = "trace_type/";

object! {
    /// What is left of one entry.
    pub struct Remainder {
        /// The entry.
        required log_index: u64,
        /// Its members, sorted by name: all that the recorded body had.
        required members: Vec<Left>,
    }
}

object_field!(Remainder);

/// One member of what is left: `[name, value, salt]`, or `[name, commitment]` where it is withheld.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    name: String,
    says: Says,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Says {
    Stays { value: Json, salt: Hash },
    Withheld(Hash),
}

impl Left {
    /// The member's name; one inside `trace_type` as `trace_type/NAME`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it says; `None` where it is withheld.
    #[must_use]
    pub const fn value(&self) -> Option<&Json> {
        match &self.says {
            Says::Stays { value, .. } => Some(value),
            Says::Withheld(_) => None,
        }
    }

    /// The commitment to it.
    #[must_use]
    pub fn commitment(&self) -> Hash {
        match &self.says {
            Says::Stays { value, salt } => member_commitment(salt, &self.name, value.as_str().as_bytes()),
            Says::Withheld(commitment) => *commitment,
        }
    }
}

impl Remainder {
    /// All of a recorded body, each member with its salt.
    #[must_use]
    pub fn whole(log_index: u64, body: &Body, salt: &Salt) -> Self {
        let members = body.members().map(|(name, value)| Left {
            says: Says::Stays { value: Json::from_canonical(value), salt: salt.of_member(&name) },
            name: name.into_owned(),
        });
        Self { log_index, members: members.collect() }
    }

    /// The same without `names`, and without what would give them away: the hash of a step's input or output with it, and
    /// of a span, with its type's members, tags or metadata, the `otel` that they were copied from. What is withheld
    /// already stays so.
    ///
    /// # Errors
    /// `invalid_member` at `/members/INDEX` for a name that is never withheld, and for one that the entry does not have.
    pub fn without(&self, names: &[&str]) -> Result<Self, Invalid> {
        for (place, name) in names.iter().enumerate() {
            let refuse = |detail| Invalid::new(InvalidCode::InvalidMember, format!("/members/{place}"), detail);
            if NEVER_WITHHELD.contains(name) {
                return Err(refuse("is never withheld"));
            }
            if self.get(name).is_none() {
                return Err(refuse("is no member of what was recorded"));
            }
        }
        let mut going: BTreeSet<&str> = names.iter().copied().collect();
        for name in names {
            match *name {
                "params" => going.insert("input_hash"),
                "outcome_data" => going.insert("output_hash"),
                "metadata" | "tags" => going.insert("otel"),
                inner if inner.starts_with(GROUP) => going.insert("otel"),
                _ => false,
            };
        }
        let members = self.members.iter().map(|left| match going.contains(left.name()) {
            true => Left { name: left.name.clone(), says: Says::Withheld(left.commitment()) },
            false => left.clone(),
        });
        Ok(Self { log_index: self.log_index, members: members.collect() })
    }

    /// The commitment of the entry, from what is left of it.
    #[must_use]
    pub fn commitment(&self) -> Hash {
        entry_commitment(self.members.iter().map(|left| (left.name(), left.commitment())))
    }

    /// A member, withheld or not.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Left> {
        self.members.iter().find(|left| left.name == name)
    }

    /// The names of what is withheld, sorted.
    pub fn withheld(&self) -> impl Iterator<Item = &str> {
        self.members.iter().filter(|left| left.value().is_none()).map(Left::name)
    }

    /// Whether a member was there and is withheld.
    #[must_use]
    pub fn withholds(&self, name: &str) -> bool {
        self.get(name).is_some_and(|left| left.value().is_none())
    }

    /// What stays, in the form of the recorded body: canonical JSON, the members of `trace_type` inside it.
    #[must_use]
    pub fn stays(&self) -> Json {
        self.with(|_| None)
    }

    /// The same as a reader takes it: a member that is withheld and that its op requires has its empty default, any other is
    /// absent.
    #[must_use]
    pub fn reads(&self) -> Json {
        self.with(|name| empty(name).map(Cow::Borrowed))
    }

    /// The same as it is decided again: what counts by being there, whatever it says, is there, too.
    #[must_use]
    pub fn decides(&self) -> Json {
        self.with(|name| match name {
            "tokens" | "trace_type/duration_ms" | "trace_type/results_count" => Some(Cow::Borrowed("0")),
            "trace_type/result" => Some(Cow::Borrowed("{}")),
            // Two spans are told apart by it.
            "otel" => Some(Cow::Owned(format!("{{\"log_index\":{}}}", self.log_index))),
            _ => empty(name).map(Cow::Borrowed),
        })
    }

    /// What stays, and what `other` puts in the place of what is withheld.
    fn with<'a>(&'a self, other: impl Fn(&str) -> Option<Cow<'a, str>>) -> Json {
        let mut out = b"{".to_vec();
        let mut is_inside = false;
        for left in &self.members {
            let value = match left.value() {
                Some(value) => Some(Cow::Borrowed(value.as_str())),
                None => other(left.name()),
            };
            let Some(value) = value else { continue };
            let inner = left.name.strip_prefix(GROUP);
            if is_inside && inner.is_none() {
                out.push(b'}');
                is_inside = false;
            }
            if out.last() != Some(&b'{') {
                out.push(b',');
            }
            if inner.is_some() && !is_inside {
                out.extend_from_slice(b"\"trace_type\":{");
                is_inside = true;
            }
            write_string(&mut out, inner.unwrap_or(&left.name));
            out.push(b':');
            out.extend_from_slice(value.as_bytes());
        }
        out.extend_from_slice(if is_inside { b"}}" } else { b"}" });
        Json::from_canonical(String::from_utf8(out).expect("invariant: the writers write UTF-8"))
    }

    /// Reads what was recorded and holds it against the entry that it takes the place of.
    ///
    /// # Errors
    /// `invalid_member` where its members are not sorted by name, or give another commitment.
    pub fn check(&self, commitment: Hash) -> Result<(), Invalid> {
        if !self.members.is_sorted_by(|a, b| a.name < b.name) {
            return Err(Invalid::new(InvalidCode::InvalidMember, "/members", "must be sorted by name"));
        }
        if self.commitment() != commitment {
            return Err(Invalid::new(InvalidCode::InvalidMember, "/members", "do not give the entry's commitment"));
        }
        Ok(())
    }
}

/// The empty default of a member that its op requires.
fn empty(name: &str) -> Option<&'static str> {
    match name {
        "skill_name"
        | "trace_type/chosen"
        | "trace_type/content"
        | "trace_type/error_type"
        | "trace_type/message"
        | "trace_type/query"
        | "trace_type/query_type"
        | "trace_type/question"
        | "trace_type/tool_name" => Some("\"\""),
        "params" | "trace_type/arguments" => Some("{}"),
        "trace_type/options" => Some("[]"),
        "trace_type/recoverable" => Some("false"),
        "totals" => Some(r#"{"cost_cents":"0","duration_ms":0,"failures":0,"successes":0}"#),
        _ => None,
    }
}

impl Field for Left {
    fn read(value: Value<'_>, at: &Path<'_>) -> Result<Self, Invalid> {
        let Value::Array(parts) = value else { return Err(at.wrong_type("an array", &value)) };
        let mut parts = parts.into_iter();
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(name), Some(commitment), None, None) => {
                let says = Says::Withheld(Hash::read(commitment, &at.index(1))?);
                Ok(Self { name: String::read(name, &at.index(0))?, says })
            }
            (Some(name), Some(value), Some(salt), None) => {
                let says = Says::Stays { value: value.to_json(), salt: Hash::read(salt, &at.index(2))? };
                Ok(Self { name: String::read(name, &at.index(0))?, says })
            }
            _ => Err(at.refuse(InvalidCode::InvalidMember, "must be [name, value, salt] or [name, commitment]")),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(b'[');
        write_string(out, &self.name);
        out.push(b',');
        match &self.says {
            Says::Stays { value, salt } => {
                out.extend_from_slice(value.as_str().as_bytes());
                out.push(b',');
                salt.write(out);
            }
            Says::Withheld(commitment) => commitment.write(out),
        }
        out.push(b']');
    }

    fn shape() -> Shape {
        Shape::Array(Box::new(Shape::Any))
    }
}
