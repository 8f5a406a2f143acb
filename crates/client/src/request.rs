//! Paths and queries.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tracekeep_core::amount::DurationMs;
use tracekeep_store::{Order, PageRequest, RunFilter};

/// All but the characters that RFC 3986 leaves unreserved.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Words that stand in the API where an id may: `/runs/count`, `/runs/{run_id}/traces/counts`.
const WORDS: [&str; 2] = ["count", "counts"];

/// An id as a segment of a path. Routes are told apart before a segment is decoded, so an id that is such a word is
/// written in another way than the word.
pub(crate) fn segment(text: &str) -> String {
    match text.as_bytes() {
        [first, ..] if WORDS.contains(&text) => format!("%{first:02X}{}", &text[1..]),
        _ => utf8_percent_encode(text, SEGMENT).to_string(),
    }
}

/// A query under way.
pub(crate) struct Query(form_urlencoded::Serializer<'static, String>);

impl Query {
    pub(crate) fn new() -> Self {
        Self(form_urlencoded::Serializer::new(String::new()))
    }

    pub(crate) fn add(mut self, name: &str, value: Option<impl ToString>) -> Self {
        if let Some(value) = value {
            self.0.append_pair(name, &value.to_string());
        }
        self
    }

    pub(crate) fn add_all(self, name: &str, values: &[impl ToString]) -> Self {
        values.iter().fold(self, |query, value| query.add(name, Some(value.to_string())))
    }

    pub(crate) fn page(self, page: &PageRequest) -> Self {
        self.add("limit", Some(page.limit)).add("cursor", page.cursor.as_deref())
    }

    pub(crate) fn order(self, order: Order) -> Self {
        self.add("order", Some(order))
    }

    pub(crate) fn runs(self, filter: &RunFilter) -> Self {
        self.add("status", filter.status)
            .add("agent", filter.agent.as_deref())
            .add("correlation", filter.correlation.as_deref())
            .add("parent", filter.parent.as_deref())
            .add("tag", filter.tag.as_deref())
            .add("from", filter.time.from())
            .add("to", filter.time.to())
            .add("plan_hash", filter.plan_hash)
            .add("seed", filter.seed)
            .add("root_hash", filter.root_hash)
            .add("behaviour_hash", filter.behaviour_hash)
            .add("text", filter.text.as_deref())
            .add("cost_min", filter.cost.least)
            .add("cost_max", filter.cost.most)
            .add("duration_min", filter.duration.least.map(DurationMs::as_ms))
            .add("duration_max", filter.duration.most.map(DurationMs::as_ms))
    }

    /// `path?query`.
    pub(crate) fn on(mut self, path: &str) -> String {
        format!("{path}?{}", self.0.finish())
    }
}
