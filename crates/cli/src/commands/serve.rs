//! `tracekeep serve`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tracekeep::KeyFolder;
use tracekeep_server::{App, AuditOptions, Bound, SealOptions, Webhook, bind};
use tracekeep_store::{
    IdempotencyStore, KeyStore, LedgerStore, MemoryIdempotencyStore, MemoryKeys, MemoryLedger, Signer, Source,
    StoreDurabilityMode, gate::Rules,
};
use tracekeep_store_sqlite::{Options, SqliteLedger};

use crate::args::Serve;
use crate::config::{Config, GateStore, Mode, Switch};
use crate::exit::{Done, Failure, Outcome};
use crate::open;
use crate::print::{plain, talk};

/// Threads that reads may block at once.
const BLOCKING_THREADS_MAX: usize = 16;

/// How often what is overdue, or quiet, is looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

pub(crate) fn serve(config: &Config, args: &Serve) -> Outcome {
    tracing_subscriber::fmt().with_env_filter(config.logs.clone()).with_writer(std::io::stderr).init();
    open::demand_mode(config)?;
    let webhook = config.webhook.told(args.webhook.as_deref(), args.webhook_allow_private)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().max_blocking_threads(BLOCKING_THREADS_MAX).build()?;
    runtime.block_on(run(config, args.listen.as_deref().unwrap_or(&config.listen), webhook))
}

async fn run(config: &Config, listen: &str, webhook: Option<Webhook>) -> Outcome {
    let bound = bind(listen).await.map_err(|error| cannot_listen(config, listen, &error))?;
    let is_loopback = bound.address().ip().is_loopback();
    if !is_loopback && config.mode != Mode::Local {
        let detail = "modes test and prod refuse to serve a network without a key: listen on a loopback address";
        return Err(Failure::Usage(detail.to_owned()));
    }
    let Stores { ledger, gate, keys, path } = stores(config, &bound)?;
    let is_held = config.audit == Switch::On && config.audit_mode()? == StoreDurabilityMode::Redis;
    let held = if is_held { Some(open::held_audit(config, Arc::clone(&ledger))?) } else { None };
    welcome(config, &bound);
    if !is_loopback {
        talk("warning: anyone who reaches this address can read and write the ledger");
    }
    let audit = AuditOptions {
        is_on: config.audit == Switch::On,
        contracts: config.contracts.clone(),
        sweep_every: Some(SWEEP_EVERY),
        held,
        webhook: webhook.map(|webhook| match &path {
            Some(path) => webhook.beside(path),
            None => webhook,
        }),
        ..AuditOptions::default()
    };
    let sealing = SealOptions { every: Some(SWEEP_EVERY), ..SealOptions::default() };
    let signer = Arc::new(Signer::new(Arc::clone(&ledger), keys));
    let app = App::new(ledger, gate, bound.loopback_hosts()).signing(signer);
    let app = app.auditing(audit).sealing_telemetry(sealing).requiring_idempotency_keys(config.requires_keys);
    bound.serve(app, stopped()).await;
    talk(match config.is_volatile() {
        true => "stopped; the ledger was in memory, and is gone",
        false => "stopped; everything acknowledged is on disk",
    });
    Ok(Done::Yes)
}

/// The ledger, and what stands beside it.
struct Stores {
    ledger: Arc<dyn LedgerStore>,
    gate: Arc<dyn IdempotencyStore>,
    keys: Arc<dyn KeyStore>,
    /// Of the ledger's file.
    path: Option<PathBuf>,
}

fn stores(config: &Config, bound: &Bound) -> Result<Stores, Failure> {
    let in_memory = || Arc::new(MemoryIdempotencyStore::new(Source::default(), config.gate_rules(Rules::default())));
    if config.is_volatile() {
        if config.gate == GateStore::Redis {
            let detail = "a ledger in memory has no name that lasts: a gate in Redis needs --ledger PATH";
            return Err(Failure::Usage(detail.to_owned()));
        }
        let ledger = Arc::new(MemoryLedger::default().redacting(config.redact.clone()));
        return Ok(Stores { ledger, gate: in_memory(), keys: Arc::new(MemoryKeys::default()), path: None });
    }
    let own = Options::default();
    let options = Options {
        redact: config.redact.clone(),
        effect_gate: config.effect_gate(),
        gate: config.gate_rules(own.gate.clone()),
        ..own
    };
    let ledger = SqliteLedger::open(&config.ledger, options);
    let ledger = Arc::new(ledger.map_err(Failure::at(config.ledger.display()))?);
    ledger.set_address(Some(bound.address().to_string()))?;
    if config.gate != GateStore::Redis {
        open::demand_own_gate(&ledger)?;
    }
    let gate: Arc<dyn IdempotencyStore> = match config.gate {
        GateStore::Memory => in_memory(),
        GateStore::Sqlite => Arc::clone(&ledger) as Arc<dyn IdempotencyStore>,
        GateStore::Redis => open::in_redis(config, Arc::clone(&ledger))?,
    };
    let keys = Arc::new(KeyFolder::beside(ledger.path()));
    let path = Some(ledger.path().to_owned());
    Ok(Stores { ledger, gate, keys, path })
}

/// Says what else can be done: the ledger may be served already.
fn cannot_listen(config: &Config, listen: &str, error: &std::io::Error) -> Failure {
    let holder = if config.is_volatile() { None } else { SqliteLedger::holder(&config.ledger) };
    let hint = match holder.and_then(|holder| holder.address.map(|address| (holder.pid, address))) {
        Some((pid, address)) => format!("process {pid} serves this ledger already, at http://{address}"),
        None => "choose another address with --listen; port 0 takes a free one".to_owned(),
    };
    Failure::Other(format!("cannot listen on {listen}: {error}; {hint}"))
}

fn welcome(config: &Config, bound: &Bound) {
    let (url, ledger) = (format!("http://{}", bound.address()), config.ledger.display());
    let ledger = plain(&ledger.to_string());
    let redaction = match config.redact.version() {
        Some(version) => format!("secrets are taken out before they are recorded (rules {version})"),
        None => "off".to_owned(),
    };
    talk(&format!(
        "tracekeep {} serves {ledger} at {url}\n\n  \
         page       {url}/\n  \
         telemetry  OTEL_EXPORTER_OTLP_ENDPOINT={url} in the agent\n  \
         by hand    curl {url}/api/v1/runs -H 'content-type: application/json' -d '{{\"goal\":\"try it\"}}'\n  \
         a sample   tracekeep demo\n  \
         redaction  {redaction}\n\nCtrl-C stops it and loses nothing.",
        env!("CARGO_PKG_VERSION")
    ));
}

/// Done at Ctrl-C or SIGTERM.
async fn stopped() {
    let interrupt = tokio::signal::ctrl_c();
    match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = interrupt => {}
            _ = terminate.recv() => {}
        },
        Err(_) => {
            let _ = interrupt.await;
        }
    }
}
