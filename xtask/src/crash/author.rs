//! Authors: each writes runs of its own as an agent would, and one that all share. What they write depends on the seed
//! alone; when, on the machine.

use serde_json::{Value, json};

use super::random::Random;
use super::request::{Claim, Door, Request};

/// The run that every author records steps of: their indices leave gaps that close later.
pub(crate) const SHARED_RUN: &str = "shared";

/// Words that bodies are made of.
const WORDS: [&str; 24] = [
    "flight",
    "Lisbon",
    "search",
    "the",
    "result",
    "was",
    "\"quoted\"",
    "line\nbreak",
    "ünïcode",
    "価格",
    "tool",
    "retry",
    "of",
    "an",
    "agent",
    "{brace}",
    "\\path\\to",
    "0.25",
    "because",
    "cheaper",
    "than",
    "planned",
    "then",
    "🙂",
];

/// One writer's state: what it has recorded so far, so that what it writes next makes sense.
#[derive(Debug)]
pub(crate) struct Author {
    number: u64,
    authors: u64,
    random: Random,
    /// Counts what it names.
    named: u64,
    shared_steps: u64,
    run: Option<Run>,
    telemetry: Option<Telemetry>,
}

#[derive(Debug)]
struct Run {
    id: String,
    steps: u64,
    traces: Vec<String>,
    open: Vec<String>,
}

#[derive(Debug)]
struct Telemetry {
    trace_id: String,
    spans: Vec<String>,
    /// Named as parents, still to come.
    promised: Vec<String>,
    /// Recorded without an end: (span id, start, parent).
    open: Vec<(String, u64, Option<String>)>,
    requests: u64,
}

impl Author {
    pub(crate) fn new(number: u64, authors: u64, random: Random) -> Self {
        Self { number, authors, random, named: 0, shared_steps: 0, run: None, telemetry: None }
    }

    /// A third of the authors are telemetry.
    const fn is_telemetry(&self) -> bool {
        self.number % 3 == 2
    }

    /// The next request. It counts as recorded for the ones after it: whoever gets no answer sends it again.
    pub(crate) fn next(&mut self) -> Request {
        if self.is_telemetry() {
            return self.export();
        }
        let Some(run) = self.run.take() else { return self.start() };
        if self.random.percent(4) {
            self.run = Some(run);
            return self.shared_step();
        }
        self.go_on(run)
    }

    fn name(&mut self, what: &str) -> String {
        self.named += 1;
        format!("{what}-{}-{}", self.number, self.named)
    }

    fn nonce(&mut self) -> String {
        let (name, word) = (self.name("n"), self.random.next());
        format!("{name}-{word:016x}.")
    }

    fn text(&mut self) -> String {
        let bytes = match self.random.range(0, 100) {
            0..60 => self.random.range(10, 400),
            60..96 => self.random.range(400, 5_000),
            _ => self.random.range(20_000, 80_000),
        };
        let mut text = String::new();
        while (text.len() as u64) < bytes {
            text.push_str(WORDS[self.random.range(0, WORDS.len() as u64) as usize]);
            text.push(' ');
        }
        text
    }

    fn start(&mut self) -> Request {
        let (id, nonce) = (self.name("run"), self.nonce());
        let mut op = json!({"run_id": id, "goal": self.text(), "agent_id": format!("agent-{}", self.number),
            "tags": ["crash", "prod"], "metadata": {"nonce": nonce}, "plan": [{"skill": "search", "params": {"q": 1}}]});
        let mut claims = vec![Claim { identity: format!("run {id}"), nonce }];
        let mut run = Run { id, steps: 0, traces: Vec::new(), open: Vec::new() };
        if self.random.percent(30) {
            self.run = Some(run);
            return single("/api/v1/runs".to_owned(), &op, claims);
        }
        op["op"] = "start_run".into();
        let mut ops = vec![op];
        for _ in 0..self.random.range(0, 4) {
            let (op, claim) = self.op(&mut run);
            ops.push(op);
            claims.push(claim);
        }
        self.run = Some(run);
        self.batch(ops, claims)
    }

    fn go_on(&mut self, mut run: Run) -> Request {
        let path = format!("/api/v1/runs/{}", run.id);
        let request = match self.random.range(0, 100) {
            0..8 => {
                let nonce = self.nonce();
                let op = json!({"status": "completed", "termination_reason": "done", "metadata": {"nonce": nonce}});
                let claim = Claim { identity: format!("seal {}", run.id), nonce };
                return single(format!("{path}/complete"), &op, vec![claim]);
            }
            8..25 => {
                let (op, claim) = self.step(&mut run);
                single(format!("{path}/steps"), &op, vec![claim])
            }
            25..50 => {
                let (op, claim) = self.trace(&mut run);
                single(format!("{path}/traces"), &op, vec![claim])
            }
            50..58 if !run.open.is_empty() => {
                let (id, (op, claim)) = self.end(&mut run);
                single(format!("{path}/traces/{id}/end"), &op, vec![claim])
            }
            _ => {
                let many = if self.random.percent(5) { 60 } else { 7 };
                let count = self.random.range(1, many);
                let (ops, claims) = (0..count).map(|_| self.op(&mut run)).unzip();
                self.batch(ops, claims)
            }
        };
        self.run = Some(run);
        request
    }

    /// An op in its batch form.
    fn op(&mut self, run: &mut Run) -> (Value, Claim) {
        let (name, (mut op, claim)) = match self.random.range(0, 10) {
            0..4 => ("record_step", self.step(run)),
            4..6 if !run.open.is_empty() => {
                let (id, (mut op, claim)) = self.end(run);
                op["id"] = id.into();
                ("end_trace", (op, claim))
            }
            _ => ("record_trace", self.trace(run)),
        };
        op["op"] = name.into();
        op["run_id"] = run.id.as_str().into();
        (op, claim)
    }

    fn step(&mut self, run: &mut Run) -> (Value, Claim) {
        let index = run.steps;
        run.steps += 1;
        self.step_at(&run.id, index)
    }

    fn step_at(&mut self, run: &str, index: u64) -> (Value, Claim) {
        let nonce = self.nonce();
        let op = json!({"index": index, "skill_name": "search", "params": {"nonce": nonce, "q": self.text()},
            "status": "success", "outcome_data": {"hits": index}, "cost_cents": "0.25", "duration_ms": 12.5,
            "tokens": 180});
        (op, Claim { identity: format!("step {run} {index}"), nonce })
    }

    fn shared_step(&mut self) -> Request {
        let index = self.shared_steps * self.authors + self.number;
        self.shared_steps += 1;
        let (op, claim) = self.step_at(SHARED_RUN, index);
        single(format!("/api/v1/runs/{SHARED_RUN}/steps"), &op, vec![claim])
    }

    fn trace(&mut self, run: &mut Run) -> (Value, Claim) {
        let (id, nonce) = (self.name("t"), self.nonce());
        let parent = if self.random.percent(70) { self.random.pick(&run.traces).cloned() } else { None };
        let trace_type = match self.random.range(0, 4) {
            0 => {
                run.open.push(id.clone());
                json!({"type": "ToolCall", "tool_name": "web_search", "arguments": {"q": self.text()}})
            }
            1 => json!({"type": "Thought", "content": self.text(), "confidence": 0.75}),
            2 => json!({"type": "Error", "error_type": "Timeout", "message": self.text(), "recoverable": true}),
            _ => {
                json!({"type": "Custom", "name": "note", "data": {"text": self.text(), "n": 9_007_199_254_740_993u64}})
            }
        };
        let op = json!({"id": id, "parent_id": parent, "tags": ["important", format!("tag-{}", self.random.range(0, 20))],
            "metadata": {"nonce": nonce}, "trace_type": trace_type});
        let claim = Claim { identity: format!("trace {} {id}", run.id), nonce };
        run.traces.push(id);
        (op, claim)
    }

    fn end(&mut self, run: &mut Run) -> (String, (Value, Claim)) {
        let at = self.random.range(0, run.open.len() as u64) as usize;
        let (id, nonce) = (run.open.swap_remove(at), self.nonce());
        let op = json!({"status": "ok", "result": {"nonce": nonce, "text": self.text()}, "duration_ms": 150});
        let claim = Claim { identity: format!("end {} {id}", run.id), nonce };
        (id, (op, claim))
    }

    fn batch(&mut self, ops: Vec<Value>, mut claims: Vec<Claim>) -> Request {
        let key = self.random.percent(50).then(|| self.name("key"));
        if let Some(key) = &key {
            // The entry of the key comes without a receipt of its own.
            claims.push(Claim { identity: format!("key {key}"), nonce: format!("\"{key}\"") });
        }
        let body = json!({ "ops": ops }).to_string();
        Request { door: Door::Batch, path: "/api/v1/batches".to_owned(), key, body, claims }
    }

    fn export(&mut self) -> Request {
        let telemetry = match self.telemetry.take() {
            Some(telemetry) if telemetry.requests < 12 => telemetry,
            _ => Telemetry {
                trace_id: format!("{:016x}{:016x}", self.random.next() | 1, self.random.next()),
                spans: Vec::new(),
                promised: Vec::new(),
                open: Vec::new(),
                requests: 0,
            },
        };
        let telemetry = self.telemetry.insert(telemetry);
        telemetry.requests += 1;
        let mut of_run = self.telemetry.take().expect("invariant: it was put there just now");
        let (mut spans, mut claims) = (Vec::new(), Vec::new());
        // The open ones of earlier requests: of this one, nobody could say which form comes first.
        let closes = std::mem::take(&mut of_run.open);
        for (id, start, parent) in closes {
            if self.random.percent(50) {
                of_run.open.push((id, start, parent));
            } else {
                spans.push(self.span(&of_run.trace_id, "end", &id, parent.as_deref(), start, true, &mut claims));
            }
        }
        for _ in 0..self.random.range(1, 14) {
            let id = match of_run.promised.pop() {
                Some(id) => id,
                None => format!("{:016x}", self.random.next() | 1),
            };
            let parent = match self.random.range(0, 10) {
                0..7 => self.random.pick(&of_run.spans).cloned(),
                7 => {
                    let id = format!("{:016x}", self.random.next() | 1);
                    of_run.promised.push(id.clone());
                    Some(id)
                }
                _ => None,
            };
            let (start, closed) = (1_790_000_000_000_000_000 + self.random.range(0, 1 << 40), self.random.percent(88));
            spans.push(self.span(&of_run.trace_id, "trace", &id, parent.as_deref(), start, closed, &mut claims));
            if !closed {
                of_run.open.push((id.clone(), start, parent));
            }
            of_run.spans.push(id);
        }
        self.telemetry = Some(of_run);
        // Children before their parents.
        self.random.shuffle(&mut spans);
        let service = json!([{"key": "service.name", "value": {"stringValue": format!("agent-{}", self.number)}}]);
        let body = json!({"resourceSpans": [{"resource": {"attributes": service},
            "scopeSpans": [{"scope": {"name": "crash"}, "spans": spans}]}]});
        Request { door: Door::Telemetry, path: "/v1/traces".to_owned(), key: None, body: body.to_string(), claims }
    }

    #[expect(clippy::too_many_arguments, reason = "a span has that many parts")]
    fn span(
        &mut self,
        trace_id: &str,
        what: &str,
        id: &str,
        parent: Option<&str>,
        start: u64,
        closed: bool,
        claims: &mut Vec<Claim>,
    ) -> Value {
        let nonce = self.nonce();
        claims.push(Claim { identity: format!("{what} {trace_id} {id}"), nonce: nonce.clone() });
        let end = if closed { start + 5_000_000 } else { 0 };
        let text = if closed { self.text() } else { String::new() };
        json!({"traceId": trace_id, "spanId": id, "parentSpanId": parent.unwrap_or_default(), "name": "chat gpt-5",
            "kind": 3, "startTimeUnixNano": start.to_string(), "endTimeUnixNano": end.to_string(),
            "attributes": [{"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
                {"key": "nonce", "value": {"stringValue": nonce}},
                {"key": "gen_ai.output.messages", "value": {"stringValue": text}}]})
    }
}

fn single(path: String, op: &Value, claims: Vec<Claim>) -> Request {
    Request { door: Door::Op, path, key: None, body: op.to_string(), claims }
}

/// The start of the run that all share.
pub(crate) fn start_shared() -> Request {
    let nonce = "n-shared-start.".to_owned();
    let op = json!({"run_id": SHARED_RUN, "metadata": {"nonce": nonce}});
    single("/api/v1/runs".to_owned(), &op, vec![Claim { identity: format!("run {SHARED_RUN}"), nonce }])
}
