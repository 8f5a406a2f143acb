//! A bundle of a run of 10,000 steps of 1 KiB, built from values and verified; beside it SHA-256 alone over the same bytes.

use tracekeep_core::Timestamp;
use tracekeep_core::body::Body;
use tracekeep_core::hash::{Salt, sha256};
use tracekeep_core::id::LedgerId;
use tracekeep_core::json::Json;
use tracekeep_core::merkle::{MemoryTiles, multiproof, root_at};
use tracekeep_core::model::JsonObject;
use tracekeep_core::remainder::Remainder;
use tracekeep_evidence::bundle::{Contents, Kind, Options, Outcome, Record, build, verify};
use tracekeep_evidence::{Checkpoint, SigningKey};

use crate::measure::{ms, paired, ratio};
use crate::report::{Bar, Report};
use crate::{Asked, Result};

const VERIFY: Bar = Bar::AtMost(1_000_000.0);
const STEPS: u64 = 10_000;

pub(crate) fn bundle(asked: &Asked, report: &mut Report) -> Result<()> {
    let ledger = LedgerId::from_bytes([7; 16]);
    let key = SigningKey::from_seed(Checkpoint::origin_of(ledger), [7; 32])?;
    let contents = contents(ledger, &key)?;
    let bundle = build(&contents, &key)?;
    let keys = [key.public().clone()];
    let title = format!("A bundle of 10,000 steps of 1 KiB, {} bytes, in memory, ms (median of a pass)", bundle.len());
    report.table(&title, &["what", "took", "bar", "SHA-256 of its bytes", "times SHA-256"]);
    let mut hashed = |_| if sha256(&[&bundle]) == sha256(&[]) { Err("no hash".into()) } else { Ok(()) };
    let verified = |_| match verify(&bundle, &keys, &Options::default()).outcome() {
        Outcome::Pass => Ok(()),
        _ => Err("the bundle does not verify".into()),
    };
    let [took, alone] = paired(asked.rounds, 1, verified, &mut hashed)?;
    let bar = report.judge("verify a bundle of 10,000 steps", took.median, VERIFY, ms);
    report.row(&["verify".to_owned(), took.show(ms), bar, alone.show(ms), ratio(took.median / alone.median)]);
    let built = |_| if build(&contents, &key)? == bundle { Ok(()) } else { Err("it is another each time".into()) };
    let [took, alone] = paired(asked.rounds, 1, built, &mut hashed)?;
    let times = ratio(took.median / alone.median);
    report.row(&["build, from values".to_owned(), took.show(ms), String::new(), alone.show(ms), times]);
    Ok(())
}

fn contents(ledger: LedgerId, key: &SigningKey) -> Result<Contents> {
    let mut tiles = MemoryTiles::new();
    let mut records = Vec::new();
    let text = "0123456789abcdef".repeat(64);
    for log_index in 0..=STEPS {
        let (kind, body) = match log_index {
            0 => ("run_started", r#"{"op":"start_run","run_id":"run-1"}"#.to_owned()),
            at => ("step", step(at - 1, &text)),
        };
        let body = Body::from_recorded(Json::parse(&body)?.as_str()).map_err(|error| error.to_string())?;
        let salt = Salt::of_entry(&[0; 32], log_index);
        let record = Record {
            log_index,
            run: "run-1".to_owned(),
            seq: log_index,
            kind: kind.to_owned(),
            recorded_at: Timestamp::from_nanos(i64::try_from(log_index)?),
            commit: body.commitment(&salt),
            left: Some(Remainder::whole(log_index, &body, &salt)),
        };
        tiles.push(record.leaf(ledger).hash());
        records.push(record);
    }
    let size = STEPS + 1;
    let indices: Vec<u64> = (0..size).collect();
    let root = root_at(&tiles, size).map_err(|error| error.to_string())?;
    Ok(Contents {
        kind: Kind::Evidence,
        ledger,
        tenant_id: "bench".to_owned(),
        exported_by: "bench".to_owned(),
        run_id: Some("run-1".to_owned()),
        incident_id: None,
        options: JsonObject::default(),
        forced: false,
        checkpoint: Checkpoint { origin: Checkpoint::origin_of(ledger), size, root }.sign(key)?,
        created_at: Timestamp::from_nanos(i64::try_from(STEPS)?),
        records,
        proof: multiproof(&tiles, &indices, size).map_err(|error| error.to_string())?,
        period: None,
        comparison: None,
        controls: None,
        debrief: None,
        report: String::new(),
    })
}

fn step(index: u64, text: &str) -> String {
    format!(
        r#"{{"cost_cents":"0.25","duration_ms":12.5,"index":{index},"occurred_at":"2026-11-20T10:00:01.000000000Z",
        "op":"record_step","outcome_category":"SUCCESS","outcome_data":{{"hits":{index}}},"params":{{"q":"{text}"}},
        "replay_behavior":"execute","retry_count":0,"run_id":"run-1","skill_name":"search","status":"success","tokens":180}}"#
    )
}
