//! Spans as both decoders hand them over: borrowed from the body where that is possible.

use std::borrow::Cow;

use crate::attributes::KeyValue;
use crate::map::Rejected;

/// A decoded request.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Request<'a> {
    pub(crate) resources: Vec<ResourceSpans<'a>>,
}

/// The spans of one resource.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct ResourceSpans<'a> {
    pub(crate) attributes: Vec<KeyValue<'a>>,
    pub(crate) schema_url: Cow<'a, str>,
    pub(crate) scopes: Vec<ScopeSpans<'a>>,
    /// What is wrong with the resource, and so with each of its spans.
    pub(crate) fault: Option<Rejected>,
}

/// The spans of one instrumentation scope.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct ScopeSpans<'a> {
    pub(crate) name: Cow<'a, str>,
    pub(crate) version: Cow<'a, str>,
    pub(crate) attributes: Vec<KeyValue<'a>>,
    pub(crate) dropped_attributes_count: u32,
    pub(crate) schema_url: Cow<'a, str>,
    pub(crate) spans: Vec<Span<'a>>,
    /// What is wrong with the scope, and so with each of its spans.
    pub(crate) fault: Option<Rejected>,
}

/// One span.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Span<'a> {
    pub(crate) trace_id: Vec<u8>,
    pub(crate) span_id: Vec<u8>,
    pub(crate) trace_state: Cow<'a, str>,
    pub(crate) parent_span_id: Vec<u8>,
    pub(crate) flags: u32,
    pub(crate) name: Cow<'a, str>,
    pub(crate) kind: i32,
    pub(crate) start_time_unix_nano: u64,
    pub(crate) end_time_unix_nano: u64,
    pub(crate) attributes: Vec<KeyValue<'a>>,
    pub(crate) dropped_attributes_count: u32,
    pub(crate) events: Vec<Event<'a>>,
    pub(crate) dropped_events_count: u32,
    pub(crate) links: Vec<Link<'a>>,
    pub(crate) dropped_links_count: u32,
    pub(crate) status: Status<'a>,
    /// What is wrong with the span, where the decoder saw it.
    pub(crate) fault: Option<Rejected>,
}

/// Something that happened during a span.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Event<'a> {
    pub(crate) time_unix_nano: u64,
    pub(crate) name: Cow<'a, str>,
    pub(crate) attributes: Vec<KeyValue<'a>>,
    pub(crate) dropped_attributes_count: u32,
}

/// A pointer to another span.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Link<'a> {
    pub(crate) trace_id: Vec<u8>,
    pub(crate) span_id: Vec<u8>,
    pub(crate) trace_state: Cow<'a, str>,
    pub(crate) attributes: Vec<KeyValue<'a>>,
    pub(crate) dropped_attributes_count: u32,
    pub(crate) flags: u32,
}

/// How a span went.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Status<'a> {
    pub(crate) message: Cow<'a, str>,
    pub(crate) code: i32,
}

impl Status<'_> {
    /// `STATUS_CODE_ERROR`.
    pub(crate) const ERROR: i32 = 2;
}

impl Span<'_> {
    /// Sorts the attributes of the span, its events and its links by key, so that look-ups can halve and the order of
    /// an exporter's map never shows.
    pub(crate) fn sort(&mut self) {
        crate::attributes::sort(&mut self.attributes);
        for event in &mut self.events {
            crate::attributes::sort(&mut event.attributes);
        }
        for link in &mut self.links {
            crate::attributes::sort(&mut link.attributes);
        }
    }
}
