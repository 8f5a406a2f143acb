//! `cargo xtask dictionary`: trains the dictionary that bodies are compressed with (docs/format/sqlite.md).
//!
//! It is trained on bodies made here: spans of the known conventions through the mapping of crates/otlp, ops of every
//! kind, the bodies of vectors/, all filled with the texts in this module's folder, which were written for it. Nothing
//! that anybody recorded goes in, and nothing that crates/bench measures with. The same sources give the same bytes.

use serde_json::{Value, json};
use tracekeep_core::model::Op;
use tracekeep_otlp::Encoding;

use crate::sh::{Failed, Outcome, root};

/// Where it lies.
const PATH: &str = "crates/store-sqlite/src/dictionary/1.zstd-dictionary";
/// Its number, which each frame states.
const NUMBER: u32 = 1;
/// More learns these samples by heart, and serves other texts less.
const BYTES_MAX: usize = 12 << 10;
/// Rounds of samples: a few hundred times the dictionary's size in all.
const ROUNDS: usize = 500;

const PROSE: &str = include_str!("dictionary/prose.txt");
const TOOLS: &str = include_str!("dictionary/tools.txt");

pub(crate) fn main(_arguments: &[String]) -> Outcome {
    let samples = samples()?;
    let bytes: usize = samples.iter().map(String::len).sum();
    let trained = zstd::dict::from_samples(&samples, BYTES_MAX);
    let mut dictionary = trained.map_err(|error| Failed::new(format!("the training failed: {error}")))?;
    // RFC 8878 §6: magic number, number, entropy tables, content.
    dictionary[4..8].copy_from_slice(&NUMBER.to_le_bytes());
    let written = std::fs::write(root().join(PATH), &dictionary);
    written.map_err(|error| Failed::new(format!("{PATH}: {error}")))?;
    println!("{PATH}: {} bytes, out of {} samples of {bytes} bytes", dictionary.len(), samples.len());
    Ok(())
}

fn samples() -> Outcome<Vec<String>> {
    let mut texts = Texts::new();
    let mut samples = Vec::new();
    for _ in 0..ROUNDS {
        for op in spans(&mut texts)? {
            samples.push(op.body().as_str().to_owned());
        }
        for op in ops(&mut texts) {
            let op = Op::from_body(&op.to_string()).map_err(|error| Failed::new(format!("a sample: {error}")))?;
            samples.push(op.body().as_str().to_owned());
        }
    }
    for file in ["vectors/body.json", "vectors/seal.json"] {
        let failed = |why: &dyn std::fmt::Display| Failed::new(format!("{file}: {why}"));
        let text = std::fs::read(root().join(file)).map_err(|error| failed(&error))?;
        let vectors: Value = serde_json::from_slice(&text).map_err(|error| failed(&error))?;
        bodies(&vectors, &mut samples);
    }
    Ok(samples)
}

/// Every recorded body in a file of vectors.
fn bodies(value: &Value, samples: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| bodies(item, samples)),
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(body) if name == "body" => samples.push(body.clone()),
                    other => bodies(other, samples),
                }
            }
        }
        _ => {}
    }
}

/// Texts and numbers, in an order that is the same each time (xorshift64*).
struct Texts {
    state: u64,
    sentences: Vec<&'static str>,
    results: Vec<&'static str>,
}

impl Texts {
    fn new() -> Self {
        let sentences = PROSE.lines().flat_map(|line| line.split_inclusive(". ")).map(str::trim).collect();
        Self { state: 0x7261_6365, sentences, results: TOOLS.lines().collect() }
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        (self.state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % bound
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[usize::try_from(self.below(from.len() as u64)).unwrap_or(0)]
    }

    /// One sentence, and up to so many more.
    fn prose(&mut self, more: u64) -> String {
        let sentences: Vec<_> = (0..=self.below(more + 1))
            .map(|_| {
                let at = self.below(self.sentences.len() as u64);
                self.sentences[usize::try_from(at).unwrap_or(0)]
            })
            .collect();
        sentences.join(" ")
    }

    fn result(&mut self) -> &'static str {
        let at = self.below(self.results.len() as u64);
        self.results[usize::try_from(at).unwrap_or(0)]
    }

    fn hex(&mut self, digits: usize) -> String {
        (0..digits).map(|_| self.pick(b"0123456789abcdef") as char).collect()
    }

    fn time(&mut self) -> String {
        let (day, hour, minute) = (self.below(28) + 1, self.below(24), self.below(60));
        let (second, nanos) = (self.below(60), self.below(1_000_000_000));
        format!("2026-{:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanos:09}Z", self.below(12) + 1)
    }

    fn model(&mut self) -> &'static str {
        self.pick(&[
            "gpt-4o-mini",
            "gpt-5",
            "claude-sonnet-4-5",
            "claude-opus-4-1",
            "gemini-2.5-flash",
            "llama-3.3-70b",
        ])
    }

    fn tool(&mut self) -> &'static str {
        self.pick(&["search", "read_file", "write_file", "run_command", "get_weather", "query_database", "fetch_url"])
    }
}

/// Spans as instrumentations send them, mapped.
fn spans(texts: &mut Texts) -> Outcome<Vec<Op>> {
    let (run, mut spans) = (texts.hex(32), Vec::new());
    let root_id = texts.hex(16);
    for place in 0..6 {
        let (name, attributes) = match place {
            0 => agent(texts),
            1 => chat(texts),
            2 => execute_tool(texts),
            3 => openinference_model(texts),
            4 => openinference_other(texts),
            _ => openllmetry(texts),
        };
        let started = 1_760_000_000_000_000_000 + texts.below(1 << 31) * 1_000_003;
        let mut span = json!({"traceId": run, "spanId": if place == 0 { root_id.clone() } else { texts.hex(16) },
            "name": name, "kind": texts.pick(&[1, 3]), "startTimeUnixNano": started.to_string(),
            "endTimeUnixNano": (started + 1_000 * texts.below(9_000_000)).to_string(), "attributes": attributes});
        if place > 0 {
            span["parentSpanId"] = root_id.clone().into();
        }
        if texts.below(8) == 0 {
            let (event, message) = (started.to_string(), texts.prose(1));
            span["status"] = json!({"code": 2, "message": message});
            span["events"] = json!([{"name": "exception", "timeUnixNano": event, "attributes": attributes_of(vec![
                ("exception.type", "TimeoutError".into()), ("exception.message", message.into()),
                ("exception.stacktrace", "Traceback (most recent call last):\n  File \"/app/agent.py\", line ".into()),
                ("exception.escaped", "False".into())])}]);
        }
        spans.push(span);
    }
    let scope = texts.pick(&[
        "openinference.instrumentation.openai",
        "openinference.instrumentation.langchain",
        "opentelemetry.instrumentation.openai.v1",
        "opentelemetry.instrumentation.anthropic",
        "pydantic-ai",
        "ai",
    ]);
    let resource = attributes_of(vec![
        ("service.name", texts.pick(&["agent", "assistant", "support-bot"]).into()),
        ("telemetry.sdk.language", texts.pick(&["python", "nodejs"]).into()),
        ("telemetry.sdk.name", "opentelemetry".into()),
        ("telemetry.sdk.version", "1.38.0".into()),
        ("deployment.environment.name", "production".into()),
    ]);
    let request = json!({"resourceSpans": [{"resource": {"attributes": resource},
        "scopeSpans": [{"scope": {"name": scope, "version": "0.1.40"}, "spans": spans}]}]});
    let export = tracekeep_otlp::decode(request.to_string().as_bytes(), Encoding::Json);
    let export = export.map_err(|error| Failed::new(format!("a sample: {}", error.detail())))?;
    let (batches, _) = export.into_batches();
    Ok(batches.into_iter().flat_map(|batch| batch.ops).collect())
}

type Attributes = Vec<Value>;

fn attributes_of(members: Vec<(&str, Value)>) -> Attributes {
    let value = |value: Value| match value {
        Value::Number(number) if number.is_f64() => json!({"doubleValue": number}),
        Value::Number(number) => json!({"intValue": number.to_string()}),
        Value::Array(items) => {
            json!({"arrayValue": {"values": items.iter().map(|item| json!({"stringValue": item})).collect::<Vec<_>>()}})
        }
        text => json!({"stringValue": text}),
    };
    members.into_iter().map(|(key, member)| json!({"key": key, "value": value(member)})).collect()
}

fn agent(texts: &mut Texts) -> (String, Attributes) {
    let attributes = vec![
        ("gen_ai.operation.name", "invoke_agent".into()),
        ("gen_ai.agent.name", "assistant".into()),
        ("gen_ai.conversation.id", texts.hex(24).into()),
        ("gen_ai.system_instructions", messages(texts, &["system"])),
        ("session.id", texts.hex(12).into()),
        ("user.id", texts.hex(8).into()),
        ("input.value", texts.prose(3).into()),
        ("input.mime_type", "text/plain".into()),
        ("output.value", texts.prose(3).into()),
        ("openinference.span.kind", "AGENT".into()),
    ];
    ("invoke_agent assistant".to_owned(), attributes_of(attributes))
}

/// `[{role, parts: [{type, content}]}]` as JSON in a string.
fn messages(texts: &mut Texts, roles: &[&str]) -> Value {
    let messages: Vec<_> = roles
        .iter()
        .map(|role| match *role {
            "tool" => {
                json!({"role": "tool", "parts": [{"type": "tool_call_response", "id": format!("call_{}", texts.hex(24)),
                "response": texts.result()}]})
            }
            "call" => {
                json!({"role": "assistant", "parts": [{"type": "tool_call", "id": format!("call_{}", texts.hex(24)),
                "name": texts.tool(), "arguments": {"query": texts.prose(0)}}], "finish_reason": "tool_call"})
            }
            role => json!({"role": role, "parts": [{"type": "text", "content": texts.prose(3)}]}),
        })
        .collect();
    Value::Array(messages).to_string().into()
}

fn chat(texts: &mut Texts) -> (String, Attributes) {
    let model = texts.model();
    let answer = if texts.below(2) == 0 { "assistant" } else { "call" };
    let attributes = vec![
        ("gen_ai.operation.name", "chat".into()),
        ("gen_ai.provider.name", texts.pick(&["openai", "anthropic", "gcp.gemini", "aws.bedrock"]).into()),
        ("gen_ai.request.model", model.into()),
        ("gen_ai.response.model", model.into()),
        ("gen_ai.response.id", format!("chatcmpl-{}", texts.hex(28)).into()),
        ("gen_ai.request.temperature", 0.7.into()),
        ("gen_ai.request.top_p", 1.0.into()),
        ("gen_ai.request.max_tokens", 4_096.into()),
        ("gen_ai.usage.input_tokens", texts.below(9_000).into()),
        ("gen_ai.usage.output_tokens", texts.below(900).into()),
        ("gen_ai.response.finish_reasons", json!([if answer == "call" { "tool_calls" } else { "stop" }])),
        ("gen_ai.input.messages", messages(texts, &["system", "user", "call", "tool"])),
        ("gen_ai.output.messages", messages(texts, &[answer])),
        ("server.address", texts.pick(&["api.openai.com", "api.anthropic.com"]).into()),
        ("server.port", 443.into()),
    ];
    (format!("chat {model}"), attributes_of(attributes))
}

fn execute_tool(texts: &mut Texts) -> (String, Attributes) {
    let tool = texts.tool();
    let attributes = vec![
        ("gen_ai.operation.name", "execute_tool".into()),
        ("gen_ai.tool.name", tool.into()),
        ("gen_ai.tool.type", "function".into()),
        ("gen_ai.tool.description", texts.prose(0).into()),
        ("gen_ai.tool.call.id", format!("call_{}", texts.hex(24)).into()),
        ("gen_ai.tool.call.arguments", json!({"query": texts.prose(0), "limit": 10}).to_string().into()),
        ("gen_ai.tool.call.result", texts.result().into()),
    ];
    (format!("execute_tool {tool}"), attributes_of(attributes))
}

fn openinference_model(texts: &mut Texts) -> (String, Attributes) {
    let model = texts.model();
    let parameters = json!({"model": model, "temperature": 0.2, "max_tokens": 1_024, "stream": false}).to_string();
    let (system, user, answer) = (texts.prose(3), texts.prose(2), texts.prose(3));
    let input = json!({"messages": [{"role": "system", "content": system}, {"role": "user", "content": user}],
        "model": model})
    .to_string();
    let attributes = vec![
        ("openinference.span.kind", "LLM".into()),
        ("llm.model_name", model.into()),
        ("llm.provider", "openai".into()),
        ("llm.system", "openai".into()),
        ("llm.invocation_parameters", parameters.into()),
        ("llm.input_messages.0.message.role", "system".into()),
        ("llm.input_messages.0.message.content", system.into()),
        ("llm.input_messages.1.message.role", "user".into()),
        ("llm.input_messages.1.message.content", user.into()),
        ("llm.output_messages.0.message.role", "assistant".into()),
        ("llm.output_messages.0.message.content", answer.into()),
        ("llm.token_count.prompt", texts.below(9_000).into()),
        ("llm.token_count.completion", texts.below(900).into()),
        ("llm.token_count.total", texts.below(9_900).into()),
        ("input.value", input.into()),
        ("input.mime_type", "application/json".into()),
        ("output.mime_type", "application/json".into()),
        ("output.value", texts.result().into()),
    ];
    ("ChatCompletion".to_owned(), attributes_of(attributes))
}

fn openinference_other(texts: &mut Texts) -> (String, Attributes) {
    if texts.below(2) == 0 {
        let attributes = vec![
            ("openinference.span.kind", "RETRIEVER".into()),
            ("input.value", texts.prose(0).into()),
            ("retrieval.documents.0.document.id", texts.hex(8).into()),
            ("retrieval.documents.0.document.content", texts.prose(3).into()),
            ("retrieval.documents.0.document.score", 0.912.into()),
            ("retrieval.documents.0.document.metadata", json!({"source": "docs", "page": 3}).to_string().into()),
            ("retrieval.documents.1.document.id", texts.hex(8).into()),
            ("retrieval.documents.1.document.content", texts.prose(3).into()),
            ("retrieval.documents.1.document.score", 0.874.into()),
        ];
        return ("retrieve".to_owned(), attributes_of(attributes));
    }
    let tool = texts.tool();
    let attributes = vec![
        ("openinference.span.kind", "TOOL".into()),
        ("tool.name", tool.into()),
        ("tool.description", texts.prose(0).into()),
        ("tool.parameters", json!({"query": texts.prose(0)}).to_string().into()),
        ("input.value", json!({"query": texts.prose(0)}).to_string().into()),
        ("input.mime_type", "application/json".into()),
        ("output.value", texts.result().into()),
        (
            "metadata",
            json!({"thread_id": texts.hex(12), "langgraph_step": 3, "langgraph_node": "tools"}).to_string().into(),
        ),
    ];
    (tool.to_owned(), attributes_of(attributes))
}

fn openllmetry(texts: &mut Texts) -> (String, Attributes) {
    let model = texts.model();
    let attributes = vec![
        ("gen_ai.system", "OpenAI".into()),
        ("llm.request.type", "chat".into()),
        ("llm.is_streaming", "false".into()),
        ("gen_ai.request.model", model.into()),
        ("gen_ai.response.model", model.into()),
        ("gen_ai.prompt.0.role", "system".into()),
        ("gen_ai.prompt.0.content", texts.prose(3).into()),
        ("gen_ai.prompt.1.role", "user".into()),
        ("gen_ai.prompt.1.content", texts.prose(2).into()),
        ("gen_ai.completion.0.role", "assistant".into()),
        ("gen_ai.completion.0.content", texts.prose(3).into()),
        ("gen_ai.completion.0.finish_reason", "stop".into()),
        ("gen_ai.usage.prompt_tokens", texts.below(9_000).into()),
        ("gen_ai.usage.completion_tokens", texts.below(900).into()),
        ("llm.usage.total_tokens", texts.below(9_900).into()),
        ("traceloop.workflow.name", "assistant".into()),
        ("traceloop.entity.name", "agent".into()),
        ("traceloop.span.kind", "workflow".into()),
    ];
    ("openai.chat".to_owned(), attributes_of(attributes))
}

/// Ops as a program sends them.
fn ops(texts: &mut Texts) -> Vec<Value> {
    let (run, model) = (format!("run-{}", texts.hex(12)), texts.model());
    let metadata = json!({"model": model, "attempt": texts.below(3), "latency_ms": texts.below(30_000)});
    let mut result = || serde_json::from_str::<Value>(texts.result()).unwrap_or_default();
    let (tool_result, outcome) = (result(), result());
    let types = [
        json!({"type": "ToolCall", "tool_name": texts.tool(), "arguments": {"query": texts.prose(0), "limit": 10},
            "result": tool_result, "duration_ms": texts.below(9_000) as f64 / 8.0}),
        json!({"type": "Thought", "content": texts.prose(4), "confidence": 0.9}),
        json!({"type": "Decision", "question": texts.prose(0), "options": ["yes", "no", "ask the user"], "chosen": "yes",
            "reasoning": texts.prose(2)}),
        json!({"type": "Query", "query_type": "vector", "query": texts.prose(0), "results_count": texts.below(20)}),
        json!({"type": "Error", "error_type": "TimeoutError", "message": texts.prose(0), "recoverable": true}),
        json!({"type": "Custom", "name": "llm_call", "data": {"model": model, "messages": [
            {"role": "system", "content": texts.prose(2)}, {"role": "user", "content": texts.prose(2)},
            {"role": "assistant", "content": texts.prose(2)}],
            "usage": {"input_tokens": texts.below(9_000), "output_tokens": texts.below(900)}}}),
    ];
    let mut ops: Vec<_> = types
        .into_iter()
        .map(|trace_type| {
            json!({"op": "record_trace", "run_id": run, "id": format!("trace-{}", texts.hex(12)),
                "parent_id": format!("trace-{}", texts.hex(12)), "tags": [texts.pick(&["prod", "important", "retry"])],
                "occurred_at": texts.time(), "trace_type": trace_type, "metadata": metadata})
        })
        .collect();
    ops.extend([
        json!({"op": "start_run", "run_id": run, "correlation_id": texts.hex(32), "agent_id": "assistant", "seed": 42,
            "goal": texts.prose(0), "plan": [{"skill": texts.tool(), "params": {"query": texts.prose(0)}}],
            "started_at": texts.time(), "tags": ["prod"], "metadata": metadata}),
        json!({"op": "record_step", "run_id": run, "index": texts.below(40), "skill_name": texts.tool(),
            "params": {"query": texts.prose(0)}, "status": texts.pick(&["success", "failure"]),
            "outcome_category": "SUCCESS", "outcome_data": outcome, "cost_cents": "0.25", "duration_ms": 12.5,
            "tokens": texts.below(9_000), "occurred_at": texts.time(), "trace_id": format!("trace-{}", texts.hex(12))}),
        json!({"op": "end_trace", "run_id": run, "id": format!("trace-{}", texts.hex(12)), "status": "ok",
            "ended_at": texts.time(), "result": outcome, "duration_ms": 150}),
        json!({"op": "complete_run", "run_id": run, "status": "completed", "completed_at": texts.time()}),
    ]);
    ops
}
