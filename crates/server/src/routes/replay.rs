//! Claims on the steps of a replay.

use axum::response::Response;
use tracekeep_core::id::Key;
use tracekeep_core::wire::{from_text, object};
use tracekeep_store::gate::Terms;
use tracekeep_store::replay;

use super::view;
use crate::body::{self, run_id};
use crate::call::Call;
use crate::problem::Problem;

object! {
    /// A claim on a step of a replay. What was claimed is ended at the gate, under the key and with the token of the answer.
    pub struct ReplayClaim {
        /// The step.
        required index: u32,
        /// Names the replay: what was done again in it is not done once more.
        required session: Key,
        /// Milliseconds that the claim lasts without being renewed: 1 to 86,400,000, 30,000 unless told.
        optional lease_ms: u64,
        /// Seconds that the output is kept: 1 to 31,622,400, 86,400 unless told.
        optional ttl_s: u64,
    }
}

pub(crate) async fn claim(call: Call) -> Result<Response, Problem> {
    let run = run_id(call.part("run_id"))?;
    let (app, gate) = (call.app.clone(), call.app.gate().clone());
    let mut write = body::write(&call.app, call.request).await?;
    let claim: ReplayClaim = write.read(|bytes| Ok(from_text(bytes)?)).await?;
    let unless_told = Terms::default();
    let terms = Terms {
        run_id: Some(run.clone()),
        lease_ms: claim.lease_ms.unwrap_or(unless_told.lease_ms),
        ttl_s: claim.ttl_s.unwrap_or(unless_told.ttl_s),
    };
    let answer = app
        .read(async move |store| replay::claim(store, &*gate, &run, claim.index, &claim.session, &terms).await)
        .await?;
    Ok(view(&answer))
}
