//! Figures for operators, in the text form of Prometheus / OpenMetrics.

use std::time::Duration;

use axum::http::StatusCode;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use tracekeep_store::gate::GateWord;
use tracekeep_store::{Error, HeldWord, Receipt, Recorded};

use crate::audited::AuditMetrics;
use crate::gated::GateMetrics;
use crate::webhook::WebhookMetrics;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answer {
    route: &'static str,
    status: u16,
}

/// Counters and their registry.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    batches: Family<Outcome, Counter>,
    ops: Counter,
    requests: Family<Answer, Counter>,
    seconds: Histogram,
    spans: Family<Outcome, Counter>,
    audits: AuditMetrics,
    webhooks: WebhookMetrics,
    gate: GateMetrics,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("tracekeep");
        let batches = Family::default();
        let ops = Counter::default();
        let requests = Family::default();
        let spans = Family::default();
        let seconds = Histogram::new(exponential_buckets(0.0005, 2.0, 14));
        registry.register(
            "batches",
            "Batches by outcome: recorded, duplicate, or the code of the error",
            batches.clone(),
        );
        registry.register("ops", "Ops of accepted batches", ops.clone());
        registry.register("http_requests", "Requests by route and status", requests.clone());
        registry.register("http_request_seconds", "Time to answer", seconds.clone());
        registry.register("otlp_spans", "Spans by outcome: accepted or rejected", spans.clone());
        let audits = AuditMetrics::new(&mut registry);
        let webhooks = WebhookMetrics::new(&mut registry);
        let gate = GateMetrics::new(&mut registry);
        Self { registry, batches, ops, requests, seconds, spans, audits, webhooks, gate }
    }
}

impl Metrics {
    pub(crate) const fn webhooks(&self) -> &WebhookMetrics {
        &self.webhooks
    }

    pub(crate) fn batch(&self, result: &Result<Receipt, Error>) {
        let outcome = match result {
            Ok(Receipt { outcome: Recorded::Recorded, .. }) => "recorded",
            Ok(Receipt { outcome: Recorded::Duplicate, .. }) => "duplicate",
            Err(error) => error.code(),
        };
        self.batches.get_or_create(&Outcome { outcome }).inc();
        if let Ok(receipt) = result {
            self.ops.inc_by(receipt.ops.len() as u64);
            receipt.ops.iter().for_each(|op| self.audits.op(op));
        }
    }

    /// Counts what becomes of facts that were held in front of the ledger, and says what was not taken.
    pub(crate) fn held(&self, word: &HeldWord<'_>) {
        self.audits.held(word);
    }

    /// Counts what the gate tells besides its answers.
    pub(crate) fn gate(&self, word: &GateWord<'_>) {
        self.gate.heard(word);
    }

    pub(crate) fn request(&self, route: &'static str, status: StatusCode, took: Duration) {
        self.requests.get_or_create(&Answer { route, status: status.as_u16() }).inc();
        self.seconds.observe(took.as_secs_f64());
    }

    pub(crate) fn spans(&self, results: &[Result<Receipt, Error>], rejected: i64) {
        let accepted = results.iter().filter(|result| result.is_ok()).count() as u64;
        self.spans.get_or_create(&Outcome { outcome: "accepted" }).inc_by(accepted);
        self.spans.get_or_create(&Outcome { outcome: "rejected" }).inc_by(u64::try_from(rejected).unwrap_or(0));
    }

    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        // Writing to a string fails only where a metric's own encoding does.
        if text::encode(&mut out, &self.registry).is_err() {
            tracing::error!("the metrics could not be written");
        }
        out
    }
}
