//! How counts, and what somebody wrote, stand in what is said here.

use tracekeep_core::json::Json;

/// The first characters of a text.
pub(crate) fn beginning(text: &str, characters_max: usize) -> String {
    let mut out: String = text.chars().take(characters_max).collect();
    if text.chars().nth(characters_max).is_some() {
        out.push('…');
    }
    out
}

/// The beginning of a text as JSON quotes it, so that nobody takes it for what is said here.
pub(crate) fn quoted(text: &str, characters_max: usize) -> String {
    Json::from(beginning(text, characters_max)).as_str().to_owned()
}

/// So many of something: `1 step`, `2 steps`.
pub(crate) fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}
