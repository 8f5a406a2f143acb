//! Data like real agents': messages, tool calls and results cut from the project's own prose and code, so that no two
//! bodies are alike and none compresses like a repeated string.

use std::path::Path;

use serde_json::{Value, json};
use tracekeep_core::model::Op;

use crate::Result;
use crate::proto::Message;
use crate::random::Random;

/// Text to cut from.
pub(crate) struct Corpus(Vec<char>);

/// Bytes of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    OneKiB,
    FourKiB,
}

impl Size {
    pub(crate) const ALL: [Self; 2] = [Self::OneKiB, Self::FourKiB];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::OneKiB => "1 KiB",
            Self::FourKiB => "4 KiB",
        }
    }

    const fn bytes(self) -> u64 {
        match self {
            Self::OneKiB => 1_024,
            Self::FourKiB => 4_096,
        }
    }
}

const TAGS: [&str; 20] = [
    "important",
    "prod",
    "search",
    "billing",
    "retry",
    "slow",
    "cached",
    "customer-42",
    "eu-west",
    "beta",
    "planner",
    "executor",
    "critic",
    "tool",
    "llm",
    "retrieval",
    "guardrail",
    "handoff",
    "memory",
    "summary",
];

/// What a trace is to be; the rest of it is cut from the corpus.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Shape<'a> {
    pub(crate) run: &'a str,
    pub(crate) id: &'a str,
    pub(crate) parent: Option<&'a str>,
    pub(crate) tags: &'a [&'a str],
    /// The name of a type of its own; any type where there is none.
    pub(crate) type_name: Option<&'a str>,
    /// When it began; any time but those of [`reserved`] where there is none.
    pub(crate) occurred_at: Option<&'a str>,
    /// What its text begins with.
    pub(crate) words: &'a str,
    /// About so many bytes of text.
    pub(crate) free: u64,
}

/// Minutes that no trace falls into by chance: one in each hour of four weeks.
pub(crate) const RESERVED: u64 = 28 * 24;

/// The `which`th of them, in [begin, close).
pub(crate) fn reserved(which: u64) -> [String; 2] {
    let (day, hour) = (1 + which / 24 % 28, which % 24);
    [30, 31].map(|minute| format!("2026-11-{day:02}T{hour:02}:{minute}:00Z"))
}

/// A time within one of them.
pub(crate) fn reserved_time(random: &mut Random, which: u64) -> String {
    let (day, hour) = (1 + which / 24 % 28, which % 24);
    let (second, nanos) = (random.range(0, 60), random.range(0, 1_000_000_000));
    format!("2026-11-{day:02}T{hour:02}:30:{second:02}.{nanos:09}Z")
}

fn any_time(random: &mut Random) -> String {
    let (day, hour) = (random.range(1, 29), random.range(0, 24));
    let minute = random.range(0, 59);
    let minute = if minute < 30 { minute } else { minute + 1 };
    let (second, nanos) = (random.range(0, 60), random.range(0, 1_000_000_000));
    format!("2026-11-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanos:09}Z")
}

impl Corpus {
    /// Reads the sources and pages of the workspace.
    pub(crate) fn load() -> Result<Self> {
        let mut text = Vec::new();
        collect(Path::new("crates"), &mut text)?;
        collect(Path::new("docs"), &mut text)?;
        if text.len() < 100_000 {
            return Err("run this in the workspace's folder: its texts are what bodies are cut from".into());
        }
        Ok(Self(text))
    }

    /// A window of about so many bytes.
    pub(crate) fn cut(&self, random: &mut Random, bytes: u64) -> String {
        let chars = usize::try_from(bytes).unwrap_or(0).min(self.0.len() / 2);
        let begin = random.range(0, (self.0.len() - chars) as u64) as usize;
        self.0[begin..begin + chars].iter().collect()
    }

    /// A trace as an SDK would send it; its body has about `size` bytes.
    pub(crate) fn trace(&self, random: &mut Random, run: &str, id: &str, parent: Option<&str>, size: Size) -> Op {
        let mut tags: Vec<&str> = Vec::new();
        while tags.len() < 3 {
            let tag = *random.pick(&TAGS);
            if !tags.contains(&tag) {
                tags.push(tag);
            }
        }
        let free = size.bytes() - 480;
        self.trace_of(random, &Shape { run, id, parent, tags: &tags, free, ..Shape::default() })
    }

    /// A trace of a given shape.
    pub(crate) fn trace_of(&self, random: &mut Random, shape: &Shape<'_>) -> Op {
        let Shape { run, id, parent, tags, type_name, occurred_at, words, free } = *shape;
        let free = random.range(free * 7 / 10, free * 13 / 10);
        let usage = json!({"input_tokens": random.range(100, 9_000), "output_tokens": random.range(10, 900)});
        let model = *random.pick(&["gpt-5-mini", "claude-sonnet-4-5", "gemini-2.5-pro"]);
        let said = |random: &mut Random, bytes: u64| {
            let text = self.cut(random, bytes);
            if words.is_empty() { text } else { format!("{words} {text}") }
        };
        let trace_type = match (type_name, random.range(0, 4)) {
            (Some(name), _) => {
                json!({"type": "Custom", "name": name, "data": {"model": model, "usage": usage,
                    "messages": [{"role": "user", "content": said(random, free)}]}})
            }
            (None, 0) => {
                let hits: Vec<Value> = (0..3)
                    .map(|rank| {
                        json!({"rank": rank, "score": f64::from(random.range(0, 10_000) as u32) / 10_000.0,
                            "title": self.cut(random, 30), "snippet": self.cut(random, free / 4)})
                    })
                    .collect();
                json!({"type": "ToolCall", "tool_name": random.pick(&["web_search", "read_file", "run_sql", "http_get"]),
                    "arguments": {"query": said(random, free / 6), "limit": random.range(1, 50)},
                    "result": {"hits": hits}, "duration_ms": random.range(1, 90_000) as f64 / 8.0})
            }
            (None, 1) => json!({"type": "Thought", "content": said(random, free), "confidence": 0.5}),
            (None, 2) => {
                json!({"type": "Decision", "question": said(random, free / 4), "chosen": "search again",
                    "options": ["answer", "search again", "ask the user"], "reasoning": self.cut(random, free * 3 / 4)})
            }
            (None, _) => {
                json!({"type": "Custom", "name": "llm_call", "data": {"model": model, "usage": usage,
                    "messages": [{"role": "system", "content": self.cut(random, free / 3)},
                        {"role": "user", "content": said(random, free / 3)},
                        {"role": "assistant", "content": self.cut(random, free / 3)}]}})
            }
        };
        let occurred_at = occurred_at.map_or_else(|| any_time(random), str::to_owned);
        let op = json!({"op": "record_trace", "run_id": run, "id": id, "parent_id": parent, "tags": tags,
            "occurred_at": occurred_at, "trace_type": trace_type,
            "metadata": {"model": model, "attempt": random.range(0, 3), "latency_ms": random.range(1, 30_000)}});
        Op::from_body(&op.to_string()).expect("invariant: what is made here is an op")
    }

    /// A request of `spans` spans as an OpenTelemetry SDK sends them: one run, children before their parents.
    pub(crate) fn export(&self, random: &mut Random, spans: u64, size: Size) -> Vec<u8> {
        let (high, low) = (random.next() | 1, random.next());
        let trace_id = [high.to_be_bytes(), low.to_be_bytes()].concat();
        let ids: Vec<[u8; 8]> = (0..spans).map(|_| (random.next() | 1).to_be_bytes()).collect();
        let mut scope = Message::default()
            .message(1, Message::default().bytes(1, b"openinference.instrumentation.openai").bytes(2, b"0.1.30"));
        for place in (0..spans).rev() {
            let parent = if place == 0 { None } else { Some(&ids[((place - 1) / 5) as usize][..]) };
            let span = self.span(random, &trace_id, &ids[place as usize], parent, size);
            scope = scope.message(2, span);
        }
        let resource = Message::default()
            .message(1, attribute("service.name", Attribute::Text("planner".to_owned())))
            .message(1, attribute("telemetry.sdk.language", Attribute::Text("python".to_owned())));
        let resource_spans = Message::default().message(1, resource).message(2, scope);
        Message::default().message(1, resource_spans).finish()
    }

    fn span(&self, random: &mut Random, trace_id: &[u8], id: &[u8], parent: Option<&[u8]>, size: Size) -> Message {
        let free = size.bytes() - 700;
        let free = random.range(free * 7 / 10, free * 13 / 10);
        let start = 1_790_000_000_000_000_000 + random.range(0, 1 << 40);
        let mut span = Message::default().bytes(1, trace_id).bytes(2, id);
        if let Some(parent) = parent {
            span = span.bytes(4, parent);
        }
        let messages = |role: &str, text: String| {
            Attribute::Text(json!([{"role": role, "parts": [{"type": "text", "content": text}]}]).to_string())
        };
        let model = random.pick(&["gpt-5-mini", "claude-sonnet-4-5", "gemini-2.5-pro"]).to_string();
        let attributes = [
            ("gen_ai.operation.name", Attribute::Text("chat".to_owned())),
            ("gen_ai.provider.name", Attribute::Text("openai".to_owned())),
            ("gen_ai.conversation.id", Attribute::Text(format!("conv-{}", random.range(0, 1_000)))),
            ("gen_ai.request.model", Attribute::Text(model)),
            ("gen_ai.request.temperature", Attribute::Real(0.2)),
            ("gen_ai.usage.input_tokens", Attribute::Number(random.range(100, 9_000))),
            ("gen_ai.usage.output_tokens", Attribute::Number(random.range(10, 900))),
            ("gen_ai.input.messages", messages("user", self.cut(random, free * 3 / 5))),
            ("gen_ai.output.messages", messages("assistant", self.cut(random, free * 2 / 5))),
            ("server.address", Attribute::Text("api.example.com".to_owned())),
        ];
        span = span.bytes(5, b"chat gpt-5-mini").number(6, 3).fixed64(7, start);
        span = span.fixed64(8, start + random.range(1_000_000, 9_000_000_000));
        for (key, value) in attributes {
            span = span.message(9, attribute(key, value));
        }
        span
    }
}

enum Attribute {
    Text(String),
    Number(u64),
    Real(f64),
}

fn attribute(key: &str, value: Attribute) -> Message {
    let value = match value {
        Attribute::Text(text) => Message::default().bytes(1, text.as_bytes()),
        Attribute::Number(number) => Message::default().number(3, number),
        Attribute::Real(real) => Message::default().fixed64(4, real.to_bits()),
    };
    Message::default().bytes(1, key.as_bytes()).message(2, value)
}

fn collect(directory: &Path, text: &mut Vec<char>) -> Result<()> {
    let mut entries: Vec<_> = std::fs::read_dir(directory)?.collect::<std::io::Result<_>>()?;
    entries.sort_by_key(std::fs::DirEntry::path);
    for entry in entries {
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            collect(&path, text)?;
        } else if path.extension().is_some_and(|extension| extension == "rs" || extension == "md") {
            text.extend(std::fs::read_to_string(&path)?.chars());
        }
    }
    Ok(())
}
