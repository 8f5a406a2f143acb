//! Proofs from a tree of ten million entries on disk, and what signing costs those who record.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension as _};
use tracekeep::{KeyFolder, Signer};
use tracekeep_core::hash::{Hash, sha256};
use tracekeep_core::merkle::{
    Edge, TILE_WIDTH, Tile, TileReader, consistency_proof, inclusion_proof, multiproof, root_at, verify_inclusion,
};
use tracekeep_core::model::{Op, StartRun};
use tracekeep_store::{Batch, LedgerStore};
use tracekeep_store_sqlite::{Options, SqliteLedger};

use crate::measure::{Spread, paired, ratio, us, whole};
use crate::report::{Bar, Report, judged};
use crate::{Asked, Result};

/// Entries of the run that is proven at once.
const RUN: u64 = 1_000;
/// Microseconds.
const PROOF: Bar = Bar::AtMost(1_000.0);
const SIGNING: Bar = Bar::AtLeast(0.9);
/// Rounds with a checkpoint each second, and as many without.
const ROUNDS: usize = 5;
const CHECKPOINT_EVERY: Duration = Duration::from_secs(1);
const WRITERS: usize = 4;

/// The table of tiles as a ledger has it, and nothing else of a ledger.
struct Tiles {
    conn: Connection,
    edge: Edge,
}

impl Tiles {
    fn filled(asked: &Asked, entries: u64) -> Result<Self> {
        let mut conn = Connection::open(asked.directory.join("tiles.db"))?;
        conn.execute_batch(
            "CREATE TABLE tile (level INTEGER NOT NULL, n INTEGER NOT NULL, root BLOB NOT NULL, hashes BLOB NOT NULL,
             PRIMARY KEY (level, n)) STRICT",
        )?;
        let (mut edge, mut full) = (Edge::new(), Vec::new());
        let filling = conn.transaction()?;
        {
            let mut put = filling.prepare("INSERT INTO tile (level, n, root, hashes) VALUES (?1, ?2, ?3, ?4)")?;
            for entry in 0..entries {
                edge.push(leaf(entry), &mut full);
                for tile in full.drain(..) {
                    let (root, hashes) = (&tile.root.as_bytes()[..], tile.hashes_bytes());
                    put.execute((tile.level, i64::try_from(tile.index)?, root, hashes))?;
                }
            }
        }
        filling.commit()?;
        Ok(Self { conn, edge })
    }
}

impl TileReader for Tiles {
    type Error = rusqlite::Error;

    fn tile(&self, level: u8, index: u64, width: u16) -> std::result::Result<Cow<'_, [Hash]>, Self::Error> {
        let full = self.edge.size() >> (8 * u32::from(level));
        if (index + 1) * TILE_WIDTH > full {
            return Ok(Cow::Borrowed(&self.edge.partial(level)[..usize::from(width)]));
        }
        let mut read = self.conn.prepare_cached("SELECT hashes FROM tile WHERE level = ?1 AND n = ?2")?;
        let hashes: Option<Vec<u8>> = read.query_row((level, index.cast_signed()), |row| row.get(0)).optional()?;
        let hashes = hashes.as_deref().and_then(Tile::hashes_from_bytes).ok_or(rusqlite::Error::QueryReturnedNoRows)?;
        Ok(Cow::Owned(hashes.into_iter().take(usize::from(width)).collect()))
    }
}

fn leaf(entry: u64) -> Hash {
    sha256(&[&entry.to_be_bytes()])
}

pub(crate) fn proofs(asked: &Asked, report: &mut Report) -> Result<()> {
    let entries: u64 = if asked.quick { 1_000_000 } else { 10_000_000 };
    let tiles = Tiles::filled(asked, entries)?;
    let root = tiles.edge.root();
    // Spread over the whole log, each in another tile.
    let place = |key: u64| (key * 1_000_003) % (entries - RUN);
    let one = |key| {
        let hashes = inclusion_proof(&tiles, place(key), entries).map_err(|error| error.to_string())?;
        verify_inclusion(&leaf(place(key)), place(key), entries, &hashes, &root)
            .map_err(|error| error.to_string().into())
    };
    let run = |key| {
        let indices: Vec<u64> = (place(key)..place(key) + RUN).collect();
        multiproof(&tiles, &indices, entries).map(drop).map_err(|error| error.to_string().into())
    };
    let consistency = |key| {
        let hashes = consistency_proof(&tiles, place(key) + 1, entries).map_err(|error| error.to_string())?;
        if hashes.is_empty() { Err("no proof".into()) } else { Ok(()) }
    };
    if root_at(&tiles, entries).map_err(|error| error.to_string())? != root {
        return Err("the tiles have another root".into());
    }
    let tile = |key| tiles.tile(0, place(key) / TILE_WIDTH, 256).map(drop).map_err(Into::into);
    let title = format!("Proofs in a log of {} entries, warm, us", whole(entries as f64));
    report.table(&title, &["what", "took", "bar", "one tile read", "times a tile"]);
    let mut row = |what: &str, [took, alone]: [Spread; 2]| {
        let bar = report.judge(what, took.median, PROOF, us);
        let times = ratio(took.median / alone.median);
        report.row(&[what.to_owned(), took.show(us), bar, alone.show(us), times]);
    };
    row("an entry, with its verification", paired(asked.rounds, 150, one, tile)?);
    row("a run of 1,000 entries, one proof", paired(asked.rounds, 150, run, tile)?);
    row("consistency with an earlier size", paired(asked.rounds, 150, consistency, tile)?);
    Ok(())
}

pub(crate) fn signing(asked: &Asked, report: &mut Report) -> Result<()> {
    let each = Duration::from_secs(if asked.quick { 3 } else { 10 });
    let path = asked.directory.join("signing.db");
    let ledger = Arc::new(SqliteLedger::open(&path, Options::default())?);
    let signer = Signer::new(Arc::clone(&ledger) as Arc<dyn LedgerStore>, Arc::new(KeyFolder::beside(&path)));
    signer.checkpoint()?;
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        // Each begins in turn, so that a ledger that grows favours neither.
        for signs in [round % 2 == 0, round % 2 != 0] {
            let rate = recorded(&*ledger, signs.then_some(&signer), each)?;
            if signs { with.push(rate) } else { without.push(rate) }
        }
    }
    let ratios = Spread::of(with.iter().zip(&without).map(|(with, without)| with / without));
    let title = format!("{WRITERS} writers, records a second, with a checkpoint signed each second and without");
    report.table(&title, &["with", "without", "ratio", "bar"]);
    let [shown, bar] = judged(report, "records a second with a checkpoint each second", ratios, SIGNING);
    report.row(&[Spread::of(with).show(whole), Spread::of(without).show(whole), shown, bar]);
    Ok(())
}

/// Records a second, of writers that each wait for their own.
fn recorded(ledger: &dyn LedgerStore, signer: Option<&Signer>, time: Duration) -> Result<f64> {
    let (stop, began) = (AtomicBool::new(false), Instant::now());
    std::thread::scope(|scope| {
        let write = || -> tracekeep_store::Result<u64> {
            let mut count = 0;
            while !stop.load(Ordering::Relaxed) {
                let start = Batch::one(Op::StartRun(StartRun::default()));
                ledger.commit_blocking(vec![start]).into_iter().try_for_each(|answer| answer.map(drop))?;
                count += 1;
            }
            Ok(count)
        };
        let writers: Vec<_> = (0..WRITERS).map(|_| scope.spawn(write)).collect();
        let mut signed = Ok(());
        while began.elapsed() < time && signed.is_ok() {
            std::thread::sleep(CHECKPOINT_EVERY.min(time.saturating_sub(began.elapsed())));
            signed = signer.map_or(Ok(()), |signer| signer.checkpoint().map(drop));
        }
        stop.store(true, Ordering::Relaxed);
        let mut count = 0;
        for writer in writers {
            count += writer.join().map_err(|_| "a writer panicked")??;
        }
        signed?;
        Ok(count as f64 / began.elapsed().as_secs_f64())
    })
}
