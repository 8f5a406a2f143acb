//! A trace: one node of the agent's reasoning.

use crate::amount::DurationMs;
use crate::id::{RunId, TraceId};
use crate::invalid::{Invalid, InvalidCode};
use crate::json::{Json, Members, Object, Recorded, Value};
use crate::model::{JsonObject, Redacted};
use crate::time::Timestamp;
use crate::wire::{Draft, Field, Member, Path, Shape, object, refuse_rest, take_optional, take_required, words};

words! {
    /// How a trace stands.
    pub enum TraceStatus {
        /// It went well, or nothing says otherwise.
        Ok = "ok",
        /// It failed.
        Error = "error",
        /// It is still under way.
        Open = "open",
    }
}

words! {
    /// How a trace ended.
    pub enum EndStatus {
        /// Well.
        Ok = "ok",
        /// With an error.
        Error = "error",
    }
}

impl From<EndStatus> for TraceStatus {
    fn from(status: EndStatus) -> Self {
        match status {
            EndStatus::Ok => Self::Ok,
            EndStatus::Error => Self::Error,
        }
    }
}

/// What kind of node a trace is, with its members.
#[derive(Clone, Debug, PartialEq)]
pub enum TraceType {
    /// The agent called a tool.
    ToolCall {
        /// The tool, 1 to 256 bytes.
        tool_name: String,
        /// What it was called with.
        arguments: Json,
        /// What it gave back; may be filled in by an end.
        result: Option<Json>,
        /// How long it took; may be filled in by an end.
        duration_ms: Option<DurationMs>,
    },
    /// The agent chose among options.
    Decision {
        /// What was to be decided.
        question: String,
        /// What could be chosen.
        options: Vec<String>,
        /// What was chosen.
        chosen: String,
        /// Why.
        reasoning: Option<String>,
    },
    /// The agent looked something up.
    Query {
        /// What kind of look-up, 1 to 256 bytes.
        query_type: String,
        /// What was asked.
        query: String,
        /// How much was found; may be filled in by an end.
        results_count: Option<u64>,
    },
    /// The agent thought.
    Thought {
        /// What it thought.
        content: String,
        /// How sure it was; finite.
        confidence: Option<f64>,
    },
    /// Something went wrong.
    Error {
        /// What kind of error, 1 to 256 bytes.
        error_type: String,
        /// What it said.
        message: String,
        /// Whether the agent could go on.
        recoverable: bool,
    },
    /// Anything else, under a name of the caller's own.
    Custom {
        /// Its name, 1 to 256 bytes, not that of a built-in type.
        name: String,
        /// Free JSON.
        data: Json,
    },
}

impl TraceType {
    /// The names of the built-in types: a Custom trace may have none of them.
    pub const BUILT_IN: [&'static str; 6] = ["ToolCall", "Decision", "Query", "Thought", "Error", "Custom"];

    /// The name that the type index uses: the variant's, for Custom the caller's.
    #[must_use]
    pub fn type_name(&self) -> &str {
        match self {
            Self::Custom { name, .. } => name,
            other => other.variant(),
        }
    }

    const fn variant(&self) -> &'static str {
        match self {
            Self::ToolCall { .. } => "ToolCall",
            Self::Decision { .. } => "Decision",
            Self::Query { .. } => "Query",
            Self::Thought { .. } => "Thought",
            Self::Error { .. } => "Error",
            Self::Custom { .. } => "Custom",
        }
    }

    /// How a trace of this type stands where nobody stated it: error for Error; open for a ToolCall without result and
    /// duration or a Query without results_count; else ok.
    #[must_use]
    pub const fn implied_status(&self) -> TraceStatus {
        match self {
            Self::Error { .. } => TraceStatus::Error,
            Self::ToolCall { result: None, duration_ms: None, .. } | Self::Query { results_count: None, .. } => {
                TraceStatus::Open
            }
            _ => TraceStatus::Ok,
        }
    }

    fn read_variant(value: Value<'_>, at: &Path<'_>) -> Result<Self, Invalid> {
        let Value::Object(mut object) = value else {
            return Err(at.wrong_type("an object", &value));
        };
        let o = &mut object;
        let variant: String = take_required(o, "type", at)?;
        let read = match variant.as_str() {
            "ToolCall" => Self::ToolCall {
                tool_name: take_required(o, "tool_name", at)?,
                // Any JSON, null included: a call without arguments is a call.
                arguments: take_json(o, "arguments", at)?,
                result: take_optional(o, "result", at)?,
                duration_ms: take_optional(o, "duration_ms", at)?,
            },
            "Decision" => Self::Decision {
                question: take_required(o, "question", at)?,
                options: take_required(o, "options", at)?,
                chosen: take_required(o, "chosen", at)?,
                reasoning: take_optional(o, "reasoning", at)?,
            },
            "Query" => Self::Query {
                query_type: take_required(o, "query_type", at)?,
                query: take_required(o, "query", at)?,
                results_count: take_optional(o, "results_count", at)?,
            },
            "Thought" => Self::Thought {
                content: take_required(o, "content", at)?,
                confidence: take_optional(o, "confidence", at)?,
            },
            "Error" => Self::Error {
                error_type: take_required(o, "error_type", at)?,
                message: take_required(o, "message", at)?,
                recoverable: take_required(o, "recoverable", at)?,
            },
            "Custom" => Self::Custom { name: take_required(o, "name", at)?, data: take_json(o, "data", at)? },
            _ => {
                let detail = "must be one of ToolCall Decision Query Thought Error Custom";
                return Err(at.name("type").refuse(InvalidCode::InvalidMember, detail));
            }
        };
        refuse_rest(o, at)?;
        Ok(read)
    }

    /// Each variant has its members in canonical order, and is known by the first, which is always written.
    fn recorded_variant(text: &mut Recorded<'_>) -> Option<Self> {
        let mut members = text.members()?;
        let m = &mut members;
        let read = match m.name()? {
            "arguments" => Self::ToolCall {
                arguments: optional(m, "arguments")?.unwrap_or_else(Json::null),
                duration_ms: optional(m, "duration_ms")?,
                result: optional(m, "result")?,
                tool_name: required(m, "tool_name")?,
            },
            "chosen" => Self::Decision {
                chosen: required(m, "chosen")?,
                options: required(m, "options")?,
                question: required(m, "question")?,
                reasoning: optional(m, "reasoning")?,
            },
            "query" => Self::Query {
                query: required(m, "query")?,
                query_type: required(m, "query_type")?,
                results_count: optional(m, "results_count")?,
            },
            "confidence" | "content" => {
                Self::Thought { confidence: optional(m, "confidence")?, content: required(m, "content")? }
            }
            "error_type" => Self::Error {
                error_type: required(m, "error_type")?,
                message: required(m, "message")?,
                recoverable: required(m, "recoverable")?,
            },
            "data" => {
                Self::Custom { data: optional(m, "data")?.unwrap_or_else(Json::null), name: required(m, "name")? }
            }
            _ => return None,
        };
        m.read_if("type", |text| (text.string()? == read.variant()).then_some(()))??;
        m.name().is_none().then_some(read)
    }

    fn put(&self, out: &mut Draft, group: Option<&'static str>) {
        let mut put = Group { out, group };
        put.required("type", &self.variant().to_owned());
        match self {
            Self::ToolCall { tool_name, arguments, result, duration_ms } => {
                put.required("tool_name", tool_name);
                put.required("arguments", arguments);
                put.optional("result", result.as_ref());
                put.optional("duration_ms", duration_ms.as_ref());
            }
            Self::Decision { question, options, chosen, reasoning } => {
                put.required("question", question);
                put.required("options", options);
                put.required("chosen", chosen);
                put.optional("reasoning", reasoning.as_ref());
            }
            Self::Query { query_type, query, results_count } => {
                put.required("query_type", query_type);
                put.required("query", query);
                put.optional("results_count", results_count.as_ref());
            }
            Self::Thought { content, confidence } => {
                put.required("content", content);
                put.optional("confidence", confidence.as_ref());
            }
            Self::Error { error_type, message, recoverable } => {
                put.required("error_type", error_type);
                put.required("message", message);
                put.required("recoverable", recoverable);
            }
            Self::Custom { name, data } => {
                put.required("name", name);
                put.required("data", data);
            }
        }
    }
}

/// A required member of free JSON: absent is null, as everywhere.
fn take_json(object: &mut Object<'_>, name: &str, at: &Path<'_>) -> Result<Json, Invalid> {
    Ok(take_optional(object, name, at)?.unwrap_or_else(Json::null))
}

/// The member `name` of recorded text, if it is next and not null.
fn optional<T: Field>(members: &mut Members<'_, '_>, name: &str) -> Option<Option<T>> {
    members
        .read_if(name, |text| if text.eats_null() { Some(None) } else { T::recorded(text).map(Some) })
        .map(Option::flatten)
}

fn required<T: Field>(members: &mut Members<'_, '_>, name: &str) -> Option<T> {
    optional(members, name)?
}

struct Group<'a> {
    out: &'a mut Draft,
    group: Option<&'static str>,
}

impl Group<'_> {
    fn required<T: Field>(&mut self, name: &'static str, value: &T) {
        self.out.put_in(self.group, name, value);
    }
    fn optional<T: Field>(&mut self, name: &'static str, value: Option<&T>) {
        if let Some(value) = value {
            self.required(name, value);
        }
    }
}

impl Field for TraceType {
    fn read(value: Value<'_>, at: &Path<'_>) -> Result<Self, Invalid> {
        Self::read_variant(value, at)
    }
    fn recorded(text: &mut Recorded<'_>) -> Option<Self> {
        Self::recorded_variant(text)
    }
    fn write(&self, out: &mut Vec<u8>) {
        let mut draft = Draft::default();
        self.put(&mut draft, None);
        out.extend_from_slice(draft.finish().as_str().as_bytes());
    }
    fn draft(&self, name: &'static str, out: &mut Draft) {
        self.put(out, Some(name));
    }
    fn shape() -> Shape {
        let required = |name, shape| Member::new(name, "", true, shape);
        let optional = |name, shape| Member::new(name, "", false, shape);
        let text = || Shape::Text("");
        Shape::OneOf(
            "TraceType",
            vec![
                (
                    "ToolCall",
                    vec![
                        required("tool_name", text()),
                        optional("arguments", Shape::Any),
                        optional("result", Shape::Any),
                        optional("duration_ms", Shape::Number),
                    ],
                ),
                (
                    "Decision",
                    vec![
                        required("question", text()),
                        required("options", Shape::Array(Box::new(text()))),
                        required("chosen", text()),
                        optional("reasoning", text()),
                    ],
                ),
                (
                    "Query",
                    vec![
                        required("query_type", text()),
                        required("query", text()),
                        optional("results_count", Shape::Integer),
                    ],
                ),
                ("Thought", vec![required("content", text()), optional("confidence", Shape::Number)]),
                (
                    "Error",
                    vec![
                        required("error_type", text()),
                        required("message", text()),
                        required("recoverable", Shape::Boolean),
                    ],
                ),
                ("Custom", vec![required("name", text()), optional("data", Shape::Any)]),
            ],
        )
    }
}

object! {
    /// Records one trace. First write wins: the same again is a duplicate, other content under the id a conflict.
    pub struct RecordTrace {
        /// Names the run.
        required run_id: RunId,
        /// Names the trace in its run; generated (`trace-` + UUIDv7) where absent.
        generated id: TraceId,
        /// The trace that it hangs on. It must exist in the run, or earlier in the batch, unless `otel` is there.
        optional parent_id: TraceId,
        /// What kind of node it is.
        required trace_type: TraceType,
        /// When it began; now where absent.
        generated occurred_at: Timestamp,
        /// When it ended. A trace without it may be ended once.
        optional ended_at: Timestamp,
        /// How it stands, where that is not what its type implies.
        optional status: TraceStatus,
        /// Words to find it by: at most 64 of 1 to 256 bytes; a repeated one is kept once.
        default tags: Vec<String> = Vec::new(),
        /// Free members.
        default metadata: JsonObject = JsonObject::default(),
        /// Of a span: the canonical OTLP JSON of span and scope.
        optional otel: JsonObject,
        /// What rules took out of it at the door, which alone states it.
        door redacted: Redacted,
    }
}

impl RecordTrace {
    /// A root trace of `run_id` with every default.
    #[must_use]
    pub fn new(run_id: RunId, trace_type: TraceType) -> Self {
        Self {
            run_id,
            id: None,
            parent_id: None,
            trace_type,
            occurred_at: None,
            ended_at: None,
            status: None,
            tags: Vec::new(),
            metadata: JsonObject::default(),
            otel: None,
            redacted: None,
        }
    }

    /// How the trace stands by itself: as stated, else as its type implies.
    #[must_use]
    pub fn status_now(&self) -> TraceStatus {
        self.status.unwrap_or_else(|| self.trace_type.implied_status())
    }
}

object! {
    /// Ends a trace once: fills in what it left absent; a differing value is a conflict.
    pub struct EndTrace {
        /// Names the run.
        required run_id: RunId,
        /// Names the trace.
        required id: TraceId,
        /// How it ended.
        required status: EndStatus,
        /// When; where absent, occurred_at + duration_ms, else the time of recording.
        optional ended_at: Timestamp,
        /// What the tool gave back (ToolCall).
        optional result: Json,
        /// How long it took (ToolCall).
        optional duration_ms: DurationMs,
        /// How much was found (Query).
        optional results_count: u64,
        /// What went wrong.
        optional error: String,
        /// What rules took out of it at the door, which alone states it.
        door redacted: Redacted,
    }
}

impl EndTrace {
    /// Ends `id` with `status` and nothing more.
    #[must_use]
    pub const fn new(run_id: RunId, id: TraceId, status: EndStatus) -> Self {
        Self {
            run_id,
            id,
            status,
            ended_at: None,
            result: None,
            duration_ms: None,
            results_count: None,
            error: None,
            redacted: None,
        }
    }
}
