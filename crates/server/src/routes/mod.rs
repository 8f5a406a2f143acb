//! The table of routes: what the router serves and the OpenAPI document says.

mod audit;
mod bundles;
mod gate;
mod incidents;
mod log;
mod reads;
mod replay;
mod retention;
mod service;
mod writes;

use std::future::{Future, poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::Poll;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, on};
use tracekeep_core::amount::{Cost, DurationMs};
use tracekeep_core::hash::Hash;
use tracekeep_core::json::Json;
use tracekeep_core::limits::PAGE_ITEMS_MAX;
use tracekeep_core::model::{RunStatus, TraceStatus};
use tracekeep_core::wire::{Field, Fields, Shape, to_json};
use tracekeep_core::{Invalid, InvalidCode};
use tracekeep_store::{Order, Page, RunSort};

use crate::call::Call;
use crate::params;
use crate::problem::{Problem, ServerCode};
use crate::state::App;

type Answering = Pin<Box<dyn Future<Output = Result<Response, Problem>> + Send>>;

/// One route.
pub(crate) struct Route {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) params: &'static [Param],
    pub(crate) takes: Takes,
    pub(crate) gives: Gives,
    handler: fn(Call) -> Answering,
}

impl Route {
    /// Whether it commits one batch, which a key can name.
    pub(crate) fn honours_key(&self) -> bool {
        match self.takes {
            Takes::Op(..) | Takes::Start | Takes::Batch | Takes::Expectations | Takes::Empty => true,
            Takes::Nothing => self.method == Method::DELETE && !self.path.starts_with("/api/v1/idempotency/"),
            Takes::Form(_) | Takes::Otlp => false,
        }
    }
}

/// One query parameter.
pub(crate) struct Param {
    pub(crate) name: &'static str,
    /// What it is.
    pub(crate) doc: &'static str,
    pub(crate) form: Form,
    pub(crate) required: bool,
}

/// The form of a query parameter.
pub(crate) enum Form {
    Text,
    /// May be given several times.
    Texts,
    /// RFC 3339.
    Time,
    /// An integer of at least the first, and of at most the second where there is one.
    Integer(u64, Option<u64>),
    Boolean,
    /// The form of a type of the wire.
    Of(fn() -> Shape),
}

const fn text(name: &'static str, doc: &'static str) -> Param {
    Param { name, doc, form: Form::Text, required: false }
}

const fn texts(name: &'static str, doc: &'static str) -> Param {
    Param { name, doc, form: Form::Texts, required: false }
}

const fn time(name: &'static str, doc: &'static str) -> Param {
    Param { name, doc, form: Form::Time, required: false }
}

const fn integer(name: &'static str, doc: &'static str) -> Param {
    Param { name, doc, form: Form::Integer(0, None), required: false }
}

const fn boolean(name: &'static str, doc: &'static str) -> Param {
    Param { name, doc, form: Form::Boolean, required: false }
}

const fn of(name: &'static str, doc: &'static str, shape: fn() -> Shape) -> Param {
    Param { name, doc, form: Form::Of(shape), required: false }
}

const fn required(param: Param) -> Param {
    Param { required: true, ..param }
}

/// What a route's body holds.
pub(crate) enum Takes {
    Nothing,
    /// The members of an op, without those named: the path says them.
    Op(fn() -> Shape, &'static [&'static str]),
    Batch,
    /// Members of its own: no batch, so it honours no idempotency key.
    Form(fn() -> Shape),
    /// The start of a run, and the name of a contract that is declared with it.
    Start,
    /// What is expected of a run: a list, or the name of a contract.
    Expectations,
    /// A write without members.
    Empty,
    Otlp,
}

/// What a route answers with.
pub(crate) enum Gives {
    Object(fn() -> Shape),
    /// A page: the name of its list, and the form of an item.
    Page(&'static str, fn() -> Shape),
    /// The receipt of a single op.
    OpReceipt,
    /// The receipt of a single fact of an audit; short of its entry where that is held in front of the ledger.
    NotedOp,
    /// The same of several facts.
    Noted,
    Otlp,
    Other(&'static str, &'static str),
}

macro_rules! routes {
    ($($method:ident $path:literal $summary:literal $params:expr, $takes:expr, $gives:expr => $handler:path;)*) => {
        /// Every route.
        pub(crate) fn table() -> Vec<Route> {
            vec![$(Route {
                method: Method::$method,
                path: $path,
                summary: $summary,
                params: const { &$params },
                takes: $takes,
                gives: $gives,
                handler: |call| Box::pin($handler(call)),
            }),*]
        }
    };
}

const LIMIT: Param = Param {
    form: Form::Integer(1, Some(PAGE_ITEMS_MAX as u64)),
    ..integer("limit", "items at most: 1 to 1,000, 50 unless told")
};
const CURSOR: Param = text("cursor", "the next_cursor of the page before, made by the same query");
const ORDER: Param = of("order", "newest or oldest first", <Order as Field>::shape);
const RUN_STATUS: Param = of("status", "where the run stands", <RunStatus as Field>::shape);
const AGENT: Param = text("agent", "the agent_id");
const CORRELATION: Param = text("correlation", "the correlation_id");
const PARENT_RUN: Param = text("parent", "the parent_run_id");
const RUN_TAG: Param = text("tag", "a tag");
const STARTED_FROM: Param = time("from", "started at this time or later, as first recorded");
const STARTED_TO: Param = time("to", "started before this time, as first recorded");
const PLAN_HASH: Param = of("plan_hash", "the hash of the plan", <Hash as Field>::shape);
const SEED: Param = of("seed", "the seed; 0 is one", <i64 as Field>::shape);
const ROOT_HASH: Param = of("root_hash", "the root_hash of the latest seal", <Hash as Field>::shape);
const BEHAVIOUR_HASH: Param = of("behaviour_hash", "the behaviour_hash of the latest seal", <Hash as Field>::shape);
const GOAL_TEXT: Param = text("text", "words that the goal holds, all of them");
const COST_MIN: Param = of("cost_min", "cents that the steps cost at least, of sealed runs", <Cost as Field>::shape);
const COST_MAX: Param = of("cost_max", "cents that the steps cost at most, of sealed runs", <Cost as Field>::shape);
const DURATION_MIN: Param =
    of("duration_min", "milliseconds that the steps took at least, of sealed runs", <DurationMs as Field>::shape);
const DURATION_MAX: Param =
    of("duration_max", "milliseconds that the steps took at most, of sealed runs", <DurationMs as Field>::shape);
const RUN_SORT: Param = of(
    "sort",
    "by start, or sealed runs by cost or duration; by the one that is bounded unless told, else by start",
    <RunSort as Field>::shape,
);
const TRACE_STATUS: Param = of("status", "how the trace stands", <TraceStatus as Field>::shape);
const LEVEL: Param = of(
    "level",
    "behaviour: of runs that diverged, only what of behaviour differs; exact unless told",
    <compare::Level as Field>::shape,
);
const REASON: Param = text("reason", "why: 1 to 1,024 bytes, which outlive the run");
const BY: Param = text("by", "on whose word: 1 to 256 bytes");
const FROM: Param = time("from", "occurred at this time or later");
const TO: Param = time("to", "occurred before this time");

use Gives::{Object, Other};
use Takes::{Batch, Empty, Expectations, Form as Members, Nothing, Op, Otlp, Start};
use tracekeep_audit as audits;
use tracekeep_core::compare;
use tracekeep_core::matches;
use tracekeep_core::model;
use tracekeep_core::view;
use tracekeep_store::replay::ReplayAnswer;
use tracekeep_store::{
    ExportRequest, GcReport, GcRequest, IdempotencyResponse, IdempotencyStatus, ParkedFact, Receipt, Report, RunReport,
};

routes! {
    POST "/api/v1/batches" "Record a batch of 1 to 1,000 ops, all or nothing"
        [], Batch, Object(Shape::of::<Receipt>) => writes::batch;
    POST "/api/v1/runs" "Start a run"
        [], Start, Gives::OpReceipt => writes::start_run;
    GET "/api/v1/runs" "Search runs, newest (or greatest) first"
        [RUN_STATUS, AGENT, CORRELATION, PARENT_RUN, RUN_TAG, STARTED_FROM, STARTED_TO, PLAN_HASH, SEED, ROOT_HASH,
         BEHAVIOUR_HASH, GOAL_TEXT, COST_MIN, COST_MAX, DURATION_MIN, DURATION_MAX, RUN_SORT, LIMIT, CURSOR, ORDER],
        Nothing, Gives::Page("items", Shape::of::<view::Run>) => reads::runs;
    GET "/api/v1/runs/count" "Count runs: all, or of one status, from kept counters; else as far as one page's budget goes"
        [RUN_STATUS, AGENT, CORRELATION, PARENT_RUN, RUN_TAG, STARTED_FROM, STARTED_TO, PLAN_HASH, SEED, ROOT_HASH,
         BEHAVIOUR_HASH, GOAL_TEXT, COST_MIN, COST_MAX, DURATION_MIN, DURATION_MAX],
        Nothing, Object(Shape::of::<view::RunCount>) => reads::run_count;
    GET "/api/v1/runs/{run_id}" "Read a run"
        [], Nothing, Object(Shape::of::<view::Run>) => reads::run;
    POST "/api/v1/runs/{run_id}/steps" "Record a step"
        [], Op(Shape::of::<model::RecordStep>, &["run_id"]), Gives::OpReceipt => writes::record_step;
    GET "/api/v1/runs/{run_id}/steps" "Page through a run's steps by index"
        [LIMIT, CURSOR], Nothing, Gives::Page("items", Shape::of::<view::Step>) => reads::steps;
    GET "/api/v1/runs/{run_id}/steps/{index}" "Read a step"
        [], Nothing, Object(Shape::of::<view::Step>) => reads::step;
    POST "/api/v1/runs/{run_id}/traces" "Record a trace"
        [], Op(Shape::of::<model::RecordTrace>, &["run_id"]), Gives::OpReceipt => writes::record_trace;
    GET "/api/v1/runs/{run_id}/traces" "Query a run's traces, oldest first"
        [texts("id", "the id; given several times, any of them"),
         text("type", "ToolCall, Decision, Query, Thought, Error, or a Custom trace's own name"),
         texts("tag", "a tag; given several times, all of them"), texts("any_tag", "tags, any of them"),
         text("parent", "the id of the parent"), boolean("roots", "true: only those without a parent"),
         TRACE_STATUS, FROM, TO, text("text", "words that the trace's text holds, all of them"), LIMIT, CURSOR, ORDER],
        Nothing, Gives::Page("items", Shape::of::<view::Trace>) => reads::traces;
    GET "/api/v1/runs/{run_id}/traces/counts" "Count a run's traces by type, by tag and by status"
        [text("type", "only the counter of this type"), text("tag", "only the counter of this tag")],
        Nothing, Object(Shape::of::<view::TraceCounts>) => reads::trace_counts;
    GET "/api/v1/runs/{run_id}/traces/{id}" "Read a trace"
        [], Nothing, Object(Shape::of::<view::Trace>) => reads::trace;
    POST "/api/v1/runs/{run_id}/traces/{id}/end" "End a trace"
        [], Op(Shape::of::<model::EndTrace>, &["run_id", "id"]), Gives::OpReceipt => writes::end_trace;
    GET "/api/v1/runs/{run_id}/tree" "Page through a run's forest, or one tree, flat and in pre-order"
        [text("root", "the id of the trace to start from"), integer("depth", "levels below the start"), LIMIT, CURSOR],
        Nothing, Gives::Page("nodes", Shape::of::<view::TreeNode>) => reads::tree;
    GET "/api/v1/runs/{run_id}/entries" "Page through a run's entries in the order of the log"
        [LIMIT, CURSOR], Nothing, Gives::Page("items", Shape::of::<view::LogEntry>) => log::run_entries;
    GET "/api/v1/runs/{run_id}/compare/{other}" "Compare two runs: the verdict, where they part, and what differs"
        [LEVEL, boolean("proof", "true: prove the first divergence"), LIMIT, CURSOR],
        Nothing, Object(Shape::of::<compare::Comparison>) => reads::compare;
    GET "/api/v1/runs/{run_id}/matches" "The runs of the same plan and seed by how they came out, and where they differ"
        [], Nothing, Object(Shape::of::<matches::Matches>) => reads::matches;
    GET "/api/v1/runs/{run_id}/verify" "Recompute a run from the log: hashes, proofs, seals, indices"
        [], Nothing, Object(Shape::of::<RunReport>) => reads::verify;
    GET "/api/v1/runs/{run_id}/indices" "Compare a run's indices with its entries in the log"
        [], Nothing, Object(Shape::of::<Report>) => reads::indices;
    POST "/api/v1/runs/{run_id}/replay" "Claim a step of a replay: its recorded output, or the right to do it again, once in a session"
        [], Members(Shape::of::<replay::ReplayClaim>), Object(Shape::of::<ReplayAnswer>) => replay::claim;
    POST "/api/v1/runs/{run_id}/rebuild" "Rebuild a run's indices from its entries in the log"
        [], Nothing, Object(Shape::of::<Report>) => reads::rebuild;
    POST "/api/v1/runs/{run_id}/complete" "Complete, fail or abort a run: seals it"
        [], Op(Shape::of::<model::CompleteRun>, &["run_id"]), Gives::OpReceipt => writes::complete_run;
    POST "/api/v1/idempotency/{key}" "Ask the gate whether to do what the request says: 201 new, 200 duplicate or failed, \
                                      409 in progress with Retry-After, 422 conflict"
        [], Members(Shape::of::<gate::IdempotencyCheck>), Object(Shape::of::<IdempotencyResponse>) => gate::check;
    GET "/api/v1/idempotency/{key}" "How a key stands at the gate"
        [], Nothing, Object(Shape::of::<IdempotencyStatus>) => gate::status;
    DELETE "/api/v1/idempotency/{key}" "Forget a key at the gate: the same request is new again"
        [], Nothing, Object(Shape::of::<gate::IdempotencyDeleted>) => gate::delete;
    POST "/api/v1/idempotency/{key}/complete" "Say that it is done, with the answer that others get"
        [], Members(Shape::of::<gate::IdempotencyComplete>), Object(Shape::of::<gate::IdempotencyEnded>)
        => gate::complete;
    POST "/api/v1/idempotency/{key}/fail" "Say that it failed, for good or to be tried again"
        [], Members(Shape::of::<gate::IdempotencyFail>), Object(Shape::of::<gate::IdempotencyEnded>) => gate::fail;
    POST "/api/v1/idempotency/{key}/renew" "Hold the lease for longer"
        [], Members(Shape::of::<gate::IdempotencyRenew>), Object(Shape::of::<gate::IdempotencyRenewed>)
        => gate::renew;
    POST "/api/v1/runs/{run_id}/expectations" "Declare what must happen in a run, one by one or by a contract's name"
        [], Expectations, Gives::Noted => audit::expect;
    GET "/api/v1/runs/{run_id}/expectations" "Page through what is expected of a run, each with where it stands"
        [LIMIT, CURSOR], Nothing, Gives::Page("items", Shape::of::<audits::AuditExpectation>)
        => audit::list_expectations;
    POST "/api/v1/runs/{run_id}/expectations/status" "Set by hand where what is expected of an action stands"
        [], Op(Shape::of::<model::SetExpectationStatus>, &["run_id"]), Gives::OpReceipt => audit::set_status;
    POST "/api/v1/runs/{run_id}/acks" "Acknowledge that something was done, failed, or was undone"
        [], Op(Shape::of::<model::Ack>, &["run_id"]), Gives::NotedOp => audit::ack;
    GET "/api/v1/runs/{run_id}/acks" "Page through what was acknowledged in a run"
        [LIMIT, CURSOR], Nothing, Gives::Page("items", Shape::of::<audits::DomainAck>) => audit::list_acks;
    GET "/api/v1/runs/{run_id}/audit" "A run's audit in short: what a verdict would say now, and the latest one"
        [], Nothing, Object(Shape::of::<audits::AuditSummary>) => audit::audit;
    GET "/api/v1/runs/{run_id}/audit/parked" "Page through facts of a run's audit that the ledger refuses for good"
        [LIMIT, CURSOR], Nothing, Gives::Page("items", Shape::of::<ParkedFact>) => audit::parked;
    DELETE "/api/v1/runs/{run_id}/audit" "Watch a run no longer; what was recorded of its audit stays"
        [], Empty, Gives::OpReceipt => audit::clear;
    POST "/api/v1/runs/{run_id}/reconcile" "Compare what should have happened in a run with what did"
        [], Empty, Object(Shape::of::<audits::AuditVerdict>) => audit::reconcile;
    GET "/api/v1/audit/pending" "Page through the runs that wait for something, overdue or not"
        [LIMIT, CURSOR], Nothing, Gives::Page("items", Shape::of::<audits::PendingRun>) => audit::pending;
    GET "/api/v1/audit/due" "Runs with something overdue that no verdict says yet, the earliest first"
        [time("before", "due before this time; now unless told"), LIMIT],
        Nothing, Gives::Page("items", Shape::of::<audits::PendingRun>) => audit::due;
    GET "/api/v1/baselines" "List what names stand for, in the order in which that was said"
        [LIMIT, CURSOR], Nothing, Gives::Page("items", Shape::of::<view::Baseline>) => reads::baselines;
    GET "/api/v1/baselines/{name}" "Read which run a name stands for"
        [], Nothing, Object(Shape::of::<view::Baseline>) => reads::baseline;
    PUT "/api/v1/baselines/{name}" "Make a sealed run the baseline of a name: others are held to it"
        [], Op(Shape::of::<model::SetBaseline>, &["name"]), Gives::OpReceipt => writes::set_baseline;
    DELETE "/api/v1/runs/{run_id}" "Erase a run that has ended: content and index rows go, proofs stay"
        [required(REASON), BY], Nothing, Gives::OpReceipt => retention::erase_run;
    POST "/api/v1/runs/{run_id}/redact" "Withhold members of a step or of a trace: the rest stays readable and proven"
        [], Op(Shape::of::<model::Redact>, &["run_id"]), Gives::OpReceipt => retention::redact;
    PUT "/api/v1/runs/{run_id}/hold" "Hold a run: it is not erased"
        [], Op(Shape::of::<model::Hold>, &["run_id", "tag"]), Gives::OpReceipt => retention::hold_run;
    DELETE "/api/v1/runs/{run_id}/hold" "Let go of a run that is held"
        [required(REASON), BY], Nothing, Gives::OpReceipt => retention::release_run;
    PUT "/api/v1/holds/tags/{tag}" "Hold every run with a tag"
        [], Op(Shape::of::<model::Hold>, &["run_id", "tag"]), Gives::OpReceipt => retention::hold_tag;
    DELETE "/api/v1/holds/tags/{tag}" "Let go of a tag that is held"
        [required(REASON), BY], Nothing, Gives::OpReceipt => retention::release_tag;
    GET "/api/v1/holds" "List what is held, in the order in which it came to be"
        [LIMIT, CURSOR], Nothing, Gives::Page("items", Shape::of::<view::Held>) => retention::holds;
    POST "/api/v1/gc" "Erase the runs that ended long enough ago, some at a time"
        [], Members(Shape::of::<GcRequest>), Object(Shape::of::<GcReport>) => retention::gc;
    POST "/api/v1/incidents" "Open an incident: its run is held"
        [], Op(Shape::of::<model::OpenIncident>, &[]), Object(Shape::of::<incidents::IncidentReceipt>)
        => incidents::open;
    GET "/api/v1/incidents" "Search incidents by when they were opened, newest first"
        [of("status", "where the incident stands", <model::IncidentStatus as Field>::shape),
         of("severity", "how bad it is", <model::Severity as Field>::shape), text("run", "the run_id"),
         time("from", "opened at this time or later"), time("to", "opened before this time"), LIMIT, CURSOR, ORDER],
        Nothing, Gives::Page("items", Shape::of::<view::Incident>) => incidents::list;
    GET "/api/v1/incidents/{incident_id}" "Read an incident"
        [], Nothing, Object(Shape::of::<view::Incident>) => incidents::read;
    POST "/api/v1/incidents/{incident_id}/resolve" "Say how an incident ended"
        [], Op(Shape::of::<model::ResolveIncident>, &["incident_id"]), Gives::OpReceipt => incidents::resolve;
    POST "/api/v1/incidents/{incident_id}/bundle" "Export an incident with its run: a bundle that proves itself"
        [], Members(Shape::of::<ExportRequest>), Other("application/zip", "the bundle; tracekeep-tree-size says its size")
        => bundles::of_incident;
    POST "/api/v1/runs/{run_id}/bundle" "Export a run: a bundle that proves itself"
        [], Members(Shape::of::<ExportRequest>), Other("application/zip", "the bundle; tracekeep-tree-size says its size")
        => bundles::of_run;
    POST "/api/v1/bundles" "Export every run that started in a period, with the proof that none was left out"
        [], Members(Shape::of::<ExportRequest>), Other("application/zip", "the bundle; tracekeep-tree-size says its size")
        => bundles::of_period;
    GET "/api/v1/log" "The ledger's id, size and root"
        [], Nothing, Other("application/json", "{\"ledger\", \"tree_size\", \"root\"}") => log::head;
    GET "/api/v1/log/entries" "Read the raw log"
        [integer("from", "the first log index, 0 unless told"), LIMIT],
        Nothing, Gives::Page("items", Shape::of::<view::LogEntry>) => log::entries;
    GET "/api/v1/log/checkpoint" "The signed checkpoint (c2sp.org/tlog-checkpoint), at the head or at an earlier size"
        [integer("size", "the size to sign again; the head's unless told")],
        Nothing, Other("text/plain", "the signed note") => log::checkpoint;
    GET "/api/v1/log/key" "The public key that signs now, as c2sp.org/signed-note writes it"
        [], Nothing, Other("text/plain", "NAME+ID+BASE64, and a newline") => log::key;
    GET "/api/v1/log/keys" "Page through the keys that sign the log, in the order of their declarations"
        [LIMIT, CURSOR], Nothing, Gives::Page("items", Shape::of::<view::DeclaredKey>) => log::keys;
    GET "/api/v1/log/keys/{log_index}/handover" "Read what shows whoever trusts the key before it that this one took over"
        [], Nothing, Object(Shape::of::<view::SignedProof>) => log::handover;
    GET "/api/v1/log/proof/{log_index}" "Prove that an entry is in the log"
        [integer("size", "the size of the tree to prove it in; the head's unless told"),
         text("format", "tlog-proof: with a signed checkpoint, as text (c2sp.org/tlog-proof)")],
        Nothing, Object(Shape::of::<view::InclusionProof>) => log::proof;
    GET "/api/v1/log/witness" "What a witness is sent that has seen an earlier size (c2sp.org/tlog-witness, add-checkpoint)"
        [required(integer("from", "the size that it has seen"))],
        Nothing, Other("text/plain", "old SIZE, the consistency proof, an empty line, the checkpoint") => log::witness;
    GET "/api/v1/runs/{run_id}/proof" "A run's seal, or one step or trace of it, with its proof and a signed checkpoint"
        [integer("step", "the index of a step"), text("trace", "the id of a trace")],
        Nothing, Object(Shape::of::<view::SignedProof>) => log::run_proof;
    POST "/api/v1/log/multiproof" "Prove that many entries are in the log, by one proof: a question, nothing is written"
        [], Members(Shape::of::<view::MultiproofOf>), Object(Shape::of::<view::Multiproof>) => log::multiproof;
    GET "/api/v1/log/consistency" "Prove that the log extends an earlier one"
        [required(integer("from", "the earlier size")), integer("to", "the later size; the head's unless told")],
        Nothing, Object(Shape::of::<view::ConsistencyProof>) => log::consistency;
    GET "/api/v1/events" "New entries as server-sent events, from the head or from Last-Event-ID"
        [], Nothing, Other("text/event-stream", "id: the log index; data: {log_index, run, seq, kind, recorded_at}")
        => crate::events::events;
    GET "/api/v1/telemetry/unsealed" "Runs from telemetry whose root span has ended and that wait for a seal, the longest quiet first"
        [time("before", "quiet since before this time; now unless told"), LIMIT],
        Nothing, Gives::Page("items", Shape::of::<view::UnsealedRun>) => reads::unsealed;
    POST "/v1/traces" "OTLP/HTTP: export spans, as protobuf or JSON"
        [], Otlp, Gives::Otlp => crate::otlp::traces;
    GET "/healthz" "Whether the process is alive"
        [], Nothing, Other("text/plain", "ok") => service::healthz;
    GET "/readyz" "Whether the ledger answers"
        [], Nothing, Other("text/plain", "ok") => service::readyz;
    GET "/metrics" "Figures for operators"
        [], Nothing, Other("application/openmetrics-text", "metrics") => service::metrics;
    GET "/openapi.json" "This document"
        [], Nothing, Other("application/json", "OpenAPI 3.1") => service::openapi;
    GET "/errors/{code}" "What an error code means and what to do about it"
        [], Nothing, Other("text/markdown", "the page") => service::error_page;
}

/// The router over the table and the page.
pub(crate) fn router(app: App) -> Router {
    let mut router = Router::new();
    for route in table() {
        let filter = MethodFilter::try_from(route.method.clone()).expect("invariant: the table has plain methods");
        let honours_key = route.honours_key();
        let Route { handler, path, params: known, takes, .. } = route;
        let refused = if matches!(takes, Otlp) { crate::otlp::refused } else { |_: &HeaderMap, problem| Err(problem) };
        let serve = move |State(app): State<App>, parts: Result<RawPathParams, _>, request: Request<Body>| async move {
            let parts = parts.map_err(|_: RawPathParamsRejection| {
                Problem::from(Invalid::new(InvalidCode::InvalidUtf8, "", "a part of the path is not UTF-8"))
            });
            let unknown = params::known(request.uri().query(), known).err();
            let answering: Answering = match (parts, unknown) {
                (Err(problem), _) => Box::pin(ready(Err(problem))),
                (Ok(_), Some(unknown)) => Box::pin(ready(refused(request.headers(), unknown.into()))),
                (Ok(_), None) if honours_key && app.requires_keys() && !request.headers().contains_key(KEY) => {
                    let detail = "this server demands the header Idempotency-Key on writes";
                    Box::pin(ready(Err(Problem::new(ServerCode::IdempotencyKeyRequired, detail))))
                }
                (Ok(parts), None) => {
                    let path = parts.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
                    handler(Call { app: app.clone(), path, request })
                }
            };
            let mut response = answer(answering).await;
            response.extensions_mut().insert(Label(path));
            response
        };
        router = router.route(path, on(filter, serve));
    }
    crate::page::add(router)
        .fallback(|| async { Problem::new(ServerCode::RouteNotFound, "no such route").into_response() })
        .method_not_allowed_fallback(|| async {
            Problem::new(ServerCode::MethodNotAllowed, "the route does not know this method").into_response()
        })
        .layer(axum::middleware::from_fn_with_state(app.clone(), guard))
        .with_state(app)
}

/// The header that names a write.
pub(crate) const KEY: &str = "idempotency-key";

/// What an answer is counted under: a fixed word, never what a caller sent.
#[derive(Clone, Copy)]
pub(crate) struct Label(pub(crate) &'static str);

/// What is refused before any route is asked, or comes for none.
const NO_ROUTE: Label = Label("none");

async fn answer(mut answering: Answering) -> Response {
    // A bug in one handler ends its request with an answer, and nothing else.
    let answered = poll_fn(|context| {
        let polled = catch_unwind(AssertUnwindSafe(|| answering.as_mut().poll(context)));
        polled.unwrap_or_else(|_| Poll::Ready(Err(Problem::panicked())))
    });
    answered.await.unwrap_or_else(IntoResponse::into_response)
}

/// Refuses requests under a foreign host name, or sent by a page of one, puts the headers on that every answer has, and
/// counts it.
async fn guard(State(app): State<App>, request: Request<Body>, next: axum::middleware::Next) -> Response {
    let began = Instant::now();
    let refused = |detail| Problem::new(ServerCode::ForbiddenHost, detail).into_response();
    let ours = |value: &HeaderValue| value.to_str().is_ok_and(|host| host.is_empty() || app.knows_host(name(host)));
    // What a page elsewhere may read is the browser's to say; what it makes a browser write is refused here.
    let from_ours = |value: &HeaderValue| {
        let host = value.to_str().ok().map(|origin| origin.split_once("://").map_or(origin, |(_, host)| host));
        host.is_some_and(|host| app.knows_host(name(host)))
    };
    let mut response = if !request.headers().get_all(header::HOST).iter().all(ours) {
        refused("this server does not answer for that host")
    } else if !request.method().is_safe() && !request.headers().get_all(header::ORIGIN).iter().all(from_ours) {
        refused("this server takes nothing from pages of that origin")
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    let Label(route) = response.extensions().get().copied().unwrap_or(NO_ROUTE);
    app.metrics().request(route, response.status(), began.elapsed());
    response
}

/// A host without its port.
fn name(host: &str) -> &str {
    let parts = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    parts.map_or(host, |(name, _)| name)
}

/// A JSON answer.
pub(crate) fn json(status: StatusCode, body: &Json) -> Response {
    let mut response = (status, body.as_str().to_owned()).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A view as the answer.
pub(crate) fn view<T: Fields>(value: &T) -> Response {
    json(StatusCode::OK, &to_json(value))
}

/// A page as the answer.
pub(crate) fn page<T: Fields>(page: &Page<T>) -> Response {
    list("items", page)
}

/// A page of a search in texts: it says whether everything was looked at.
pub(crate) fn searched<T: Fields>(page: &Page<T>) -> Response {
    listed("items", page, true)
}

/// A page whose list is named `member`.
pub(crate) fn list<T: Fields>(member: &str, page: &Page<T>) -> Response {
    listed(member, page, false)
}

fn listed<T: Fields>(member: &str, page: &Page<T>, searched: bool) -> Response {
    let mut out = format!("{{\"{member}\":[");
    for (place, item) in page.items.iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        out.push_str(to_json(item).as_str());
    }
    out.push_str("],\"next_cursor\":");
    match &page.next_cursor {
        Some(cursor) => out.push_str(Json::from(cursor.as_str()).as_str()),
        None => out.push_str("null"),
    }
    if searched {
        out.push_str(&format!(",\"complete\":{}", page.complete));
    }
    out.push('}');
    let mut response = out.into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
