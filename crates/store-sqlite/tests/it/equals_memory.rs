//! The file answers as the executable specification does, to the same batches, whole and after being opened again.

use crate::common::{Dice, any_batch, everything, exact, open, place, same};
use tracekeep_store::{LedgerStore, MemoryLedger, block_on};

#[track_caller]
fn check(seed: u64, breadth: u64, calls: u64, entries_min: u64) {
    let (place, mut dice) = (place(), Dice { breadth, ..Dice::new(seed) });
    let memory = MemoryLedger::new(exact());
    let mut file = open(&place.path);
    assert_eq!(memory.ledger(), file.ledger());
    for call in 0..calls {
        let batches: Vec<_> = (0..1 + dice.below(3)).map(|_| any_batch(&mut dice)).collect();
        let (expected, got) = (memory.commit_blocking(batches.clone()), file.commit_blocking(batches.clone()));
        assert_eq!(format!("{expected:?}"), format!("{got:?}"), "seed {seed}, call {call}: {batches:?}");
    }
    let head = block_on(file.head()).unwrap();
    assert!(head.tree_size >= entries_min, "only {} entries", head.tree_size);
    same(&everything(&memory), &everything(&file));
    drop(file);
    let again = crate::common::open(&place.path);
    same(&everything(&memory), &everything(&again));
    file = again;
    let batch = any_batch(&mut dice);
    // Both sources moved on differently by now; what is refused or a duplicate must still be so.
    let (expected, got) = (memory.commit_blocking(vec![batch.clone()]), file.commit_blocking(vec![batch]));
    assert_eq!(expected[0].is_ok(), got[0].is_ok());
}

#[test]
fn the_same_batches_give_the_same_receipts_and_pages() {
    for seed in 0..6 {
        check(seed, 1, 300, 100);
    }
}

#[test]
fn beyond_several_tiles_too() {
    check(100, 20, 1_200, 1_100);
}
