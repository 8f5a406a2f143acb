//! From spans to batches.

use std::collections::{HashMap, HashSet};

use tracekeep_core::amount::DurationMs;
use tracekeep_core::id::{RunId, TraceId};
use tracekeep_core::limits::{JSON_DEPTH_MAX, OP_BYTES_MAX, TAG_BYTES_MAX, TAGS_MAX};
use tracekeep_core::model::{EnsureRun, JsonObject, Op, RecordTrace, Source, TraceStatus};
use tracekeep_core::{Invalid, InvalidCode, Timestamp};
use tracekeep_store::Batch;

use crate::answer::Pending;
use crate::attributes::{AnyValue, Attributes};
use crate::describe::{self, Resource};
use crate::kind;
use crate::metadata::{self, Mark};
use crate::otel::{self, TooDeep};
use crate::plain;
use crate::span::{Request, ResourceSpans, Span, Status};

/// The version of the mapping: it stands in the metadata of each trace that it made, under `mapper`.
pub const MAPPER_VERSION: &str = "1";

/// The spans of a request, mapped, in the order in which they stand in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Export {
    /// One for each span.
    pub spans: Vec<Mapped>,
}

impl Export {
    /// The batches for one commit, and what waits for their results.
    #[must_use]
    pub fn into_batches(self) -> (Vec<Batch>, Pending) {
        let mut batches = Vec::with_capacity(self.spans.len());
        let mut pending = Pending::default();
        for mapped in self.spans {
            pending.expect(mapped.span_id, mapped.mapping.map(|batch| batches.push(batch)));
        }
        (batches, pending)
    }
}

/// One span, mapped.
#[derive(Clone, Debug, PartialEq)]
pub struct Mapped {
    /// The span id in hex, as far as it could be read: for messages.
    pub span_id: String,
    /// `[ensure_run, describe_run…, record_trace]`, or why the span cannot be recorded.
    pub mapping: Result<Batch, Rejected>,
}

/// Why one span cannot be recorded. The others of its request are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    code: InvalidCode,
    detail: String,
}

impl Rejected {
    pub(crate) fn new(code: InvalidCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.code.as_str()
    }

    /// What is wrong, in lower case and without payload.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl From<Invalid> for Rejected {
    fn from(invalid: Invalid) -> Self {
        Self::new(invalid.code(), invalid.detail())
    }
}

impl From<TooDeep> for Rejected {
    fn from(_: TooDeep) -> Self {
        Self::new(InvalidCode::TooDeep, format!("the attributes nest more than {JSON_DEPTH_MAX} containers"))
    }
}

/// Maps every span of a request.
pub(crate) fn map(request: Request<'_>) -> Export {
    let mut mapper = Mapper::default();
    for resource in request.resources {
        mapper.resource(resource);
    }
    Export { spans: mapper.spans }
}

#[derive(Default)]
struct Mapper {
    spans: Vec<Mapped>,
    /// The topics of the resources seen, numbered.
    topics: HashMap<String, usize>,
    /// Which runs were described by which topics in this request: once is enough, since the first wins.
    described: HashSet<(Vec<u8>, usize)>,
}

impl Mapper {
    fn resource(&mut self, mut from: ResourceSpans<'_>) {
        crate::attributes::sort(&mut from.attributes);
        let resource = match from.fault {
            Some(fault) => Err(fault),
            None => Resource::new(&from.attributes, &from.schema_url),
        };
        let topic = resource.as_ref().map_or(0, |resource| {
            let next = self.topics.len();
            *self.topics.entry(resource.topic.clone()).or_insert(next)
        });
        for mut scope in from.scopes {
            crate::attributes::sort(&mut scope.attributes);
            let text = match scope.fault.take() {
                Some(fault) => Err(fault),
                None => otel::scope(&scope).map_err(Rejected::from),
            };
            for mut span in scope.spans {
                let mapping = match (&resource, &text) {
                    (Ok(resource), Ok(text)) => self.span(&mut span, text, resource, topic),
                    (Err(fault), _) | (_, Err(fault)) => Err(fault.clone()),
                };
                let shown = span.span_id.len().min(16);
                self.spans.push(Mapped { span_id: hex(&span.span_id[..shown]), mapping });
            }
        }
    }

    fn span(
        &mut self,
        span: &mut Span<'_>,
        scope: &[u8],
        resource: &Resource,
        topic: usize,
    ) -> Result<Batch, Rejected> {
        if let Some(fault) = span.fault.take() {
            return Err(fault);
        }
        let ids = Ids::of(span)?;
        let times = Times::of(span)?;
        span.sort();
        let trace = record(span, scope, &ids, times)?;
        let mut ops = Vec::with_capacity(4);
        ops.push(Op::EnsureRun(EnsureRun {
            run_id: ids.run_id.clone(),
            source: Source::Otlp,
            idempotency_store: None,
        }));
        if self.described.insert((std::mem::take(&mut span.trace_id), topic)) {
            ops.push(Op::DescribeRun(resource.describe(ids.run_id.clone())));
        }
        if let (None, Some(ended_at)) = (&ids.parent_id, times.ended_at) {
            let attributes = Attributes::sorted(&span.attributes);
            let root = describe::root(ids.run_id, &span.name, times.started_at, ended_at, attributes)?;
            ops.push(Op::DescribeRun(root));
        }
        ops.push(trace);
        Ok(Batch::of(ops))
    }
}

/// The ids of a span.
struct Ids {
    run_id: RunId,
    id: TraceId,
    parent_id: Option<TraceId>,
}

impl Ids {
    fn of(span: &Span<'_>) -> Result<Self, Rejected> {
        let parent = &span.parent_span_id;
        // The Collector's own model has no empty id: it writes one of zeros.
        let is_root = parent.is_empty() || parent.len() == 8 && parent.iter().all(|byte| *byte == 0);
        Ok(Self {
            run_id: RunId::new(id(&span.trace_id, 16, "traceId")?)?,
            id: TraceId::new(id(&span.span_id, 8, "spanId")?)?,
            parent_id: if is_root { None } else { Some(TraceId::new(id(parent, 8, "parentSpanId")?)?) },
        })
    }
}

fn id(bytes: &[u8], length: usize, name: &str) -> Result<String, Rejected> {
    let refuse = |detail| Err(Rejected::new(InvalidCode::InvalidId, detail));
    if bytes.len() != length {
        return refuse(format!("{name} has {} bytes instead of {length}", bytes.len()));
    }
    if bytes.iter().all(|byte| *byte == 0) {
        return refuse(format!("{name} is all zeros"));
    }
    Ok(hex(bytes))
}

fn hex(bytes: &[u8]) -> String {
    let mut out = Vec::with_capacity(2 * bytes.len());
    otel::hex(&mut out, bytes);
    String::from_utf8(out).expect("invariant: hexadecimal digits are ASCII")
}

/// The times of a span, 0 being none.
#[derive(Clone, Copy)]
struct Times {
    started_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
}

impl Times {
    fn of(span: &Span<'_>) -> Result<Self, Rejected> {
        let time = |nanos: u64, name: &str| match (nanos, i64::try_from(nanos)) {
            (0, _) => Ok(None),
            (_, Ok(nanos)) => Ok(Some(Timestamp::from_nanos(nanos))),
            (_, Err(_)) => Err(Rejected::new(InvalidCode::InvalidTime, format!("{name} is beyond the year 2262"))),
        };
        Ok(Self {
            started_at: time(span.start_time_unix_nano, "startTimeUnixNano")?,
            ended_at: time(span.end_time_unix_nano, "endTimeUnixNano")?,
        })
    }

    /// How long the span took, where both ends are known and in order.
    fn duration(self) -> Option<DurationMs> {
        match (self.started_at, self.ended_at) {
            (Some(from), Some(to)) if from <= to => Some(DurationMs::between(from, to)),
            _ => None,
        }
    }

    fn marks(self) -> Vec<Mark> {
        let mut marks = Vec::new();
        if self.started_at.is_none() {
            marks.push(Mark::StartMissing);
        }
        if matches!((self.started_at, self.ended_at), (Some(from), Some(to)) if to < from) {
            marks.push(Mark::EndBeforeStart);
        }
        marks
    }
}

/// The op that records a span (sorted).
fn record(span: &Span<'_>, scope: &[u8], ids: &Ids, times: Times) -> Result<Op, Rejected> {
    let otel = otel::otel(scope, span)?;
    let attributes = Attributes::sorted(&span.attributes);
    let choice = kind::choose(attributes);
    let mut marks = times.marks();
    // A bound on what the rest can add: at worst each byte of the texts is written as six.
    let could_be_large = otel.len() > OP_BYTES_MAX as usize / 8;
    let otel = JsonObject::new(plain::canonical(otel.into_bytes()))?;
    let op = |texts: bool, marks: &[Mark]| -> Result<Op, Rejected> {
        Ok(Op::RecordTrace(RecordTrace {
            run_id: ids.run_id.clone(),
            id: Some(ids.id.clone()),
            parent_id: ids.parent_id.clone(),
            trace_type: kind::trace_type(choice, &span.name, attributes, times.duration(), texts),
            occurred_at: times.started_at,
            ended_at: times.ended_at,
            status: Some(status(span, times)),
            tags: tags(attributes),
            metadata: metadata::of(choice, attributes, marks)?,
            otel: Some(otel.clone()),
            redacted: None,
        }))
    };
    let whole = op(true, &marks)?;
    if !could_be_large || check(&whole).is_ok() {
        return Ok(whole);
    }
    // The texts are in `otel` already: a span is not refused for having them twice.
    marks.push(Mark::TextLeftInOtel);
    let lean = op(false, &marks)?;
    check(&lean)?;
    Ok(lean)
}

fn check(op: &Op) -> Result<(), Invalid> {
    op.body().check_limits()
}

/// Always stated, since what a type implies is about traces without a span.
fn status(span: &Span<'_>, times: Times) -> TraceStatus {
    match (times.ended_at, span.status.code) {
        (None, _) => TraceStatus::Open,
        (Some(_), Status::ERROR) => TraceStatus::Error,
        (Some(_), _) => TraceStatus::Ok,
    }
}

/// The tags of OpenInference, as far as they fit: all of them stay in `otel`.
fn tags(attributes: Attributes<'_, '_>) -> Vec<String> {
    let Some(AnyValue::Array(items)) = attributes.get("tag.tags") else { return Vec::new() };
    let mut tags: Vec<String> = Vec::new();
    for tag in items.iter().filter_map(AnyValue::as_text) {
        if tags.len() == TAGS_MAX as usize {
            break;
        }
        if tag.len() <= TAG_BYTES_MAX as usize && !tags.iter().any(|other| other == tag) {
            tags.push(tag.to_owned());
        }
    }
    tags
}
