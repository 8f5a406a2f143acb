//! Every receipt's root is still that of a prefix of the log: by proofs that the server makes and the core verifies.

use serde::Deserialize;
use tracekeep_core::hash::Hash;
use tracekeep_core::merkle::{verify_consistency, verify_inclusion};

use super::Result;
use super::campaign::Campaign;
use super::check::{Expected, Finding, Wrong};
use super::log::Log;
use super::server::Server;

/// Proofs of each kind after a restart; at a ledger's end, every receipt's consistency.
const SAMPLE: u64 = 40;

#[derive(Deserialize)]
struct Proof {
    #[serde(deserialize_with = "hashes")]
    hashes: Vec<Hash>,
}

fn hashes<'de, D: serde::Deserializer<'de>>(from: D) -> std::result::Result<Vec<Hash>, D::Error> {
    let texts = Vec::<String>::deserialize(from)?;
    texts.iter().map(|text| text.parse().map_err(|_| serde::de::Error::custom("no hash"))).collect()
}

/// Fetches proofs and verifies them against what receipts stated, and the head.
pub(crate) fn verify(
    campaign: &mut Campaign,
    server: &Server,
    client: &ureq::Agent,
    expected: &Expected,
    log: &Log,
    all: bool,
) -> Result<()> {
    let mut roots: Vec<_> = expected.roots.iter().collect();
    if !all {
        campaign.random.shuffle(&mut roots);
        roots.truncate(SAMPLE as usize);
        // The latest were the last to reach the disk.
        roots.extend(expected.roots.iter().rev().take(SAMPLE as usize));
    }
    for (size, root) in roots {
        let path = format!("/api/v1/log/consistency?from={size}&to={}", log.size);
        let proof: Proof = serde_json::from_slice(&server.get(client, &path)?)?;
        if let Err(error) = verify_consistency(*size, root, log.size, &log.root, &proof.hashes) {
            let detail = format!("from {size} to {}: {error}", log.size);
            campaign.find(Finding::new(Wrong::Hash, detail));
        }
        campaign.figures.consistency += 1;
    }
    let placed: Vec<_> = expected.placed.iter().collect();
    for _ in 0..SAMPLE {
        let Some((log_index, acked)) = campaign.random.pick(&placed) else { break };
        let path = format!("/api/v1/log/proof/{log_index}?size={}", log.size);
        let proof: Proof = serde_json::from_slice(&server.get(client, &path)?)?;
        if let Err(error) = verify_inclusion(&acked.leaf_hash, **log_index, log.size, &proof.hashes, &log.root) {
            campaign.find(Finding::new(Wrong::Hash, format!("{log_index} in {}: {error}", log.size)));
        }
        campaign.figures.inclusion += 1;
    }
    Ok(())
}
