//! Figures of the webhook.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

/// Tries by what came of them.
#[derive(Debug)]
pub(crate) struct WebhookMetrics(Family<Outcome, Counter>);

impl WebhookMetrics {
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let family = Family::default();
        let help = "Webhooks: sent and confirmed, tries that failed, and events that were dropped";
        registry.register("webhooks", help, family.clone());
        Self(family)
    }

    pub(super) fn sent(&self) {
        self.count("sent");
    }

    pub(super) fn failed(&self) {
        self.count("failed");
    }

    pub(super) fn dropped(&self) {
        self.count("dropped");
    }

    fn count(&self, outcome: &'static str) {
        self.0.get_or_create(&Outcome { outcome }).inc();
    }
}
