//! What the disk gives: the limit of any durable write.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use crate::Result;
use crate::measure::{Cell, timed};
use crate::random::Random;

/// Bytes of an append, as of a page of a write-ahead log.
const BYTES: usize = 4_096;

/// Appends, each made durable.
pub(crate) struct Append {
    pub(crate) cell: Cell,
}

/// Appends 4 KiB and syncs, so many times.
pub(crate) fn append(directory: &Path, count: usize) -> Result<Append> {
    let path = directory.join("append");
    let mut file = File::create(&path)?;
    let mut random = Random::new(7);
    let block: Vec<u8> = (0..BYTES).map(|_| random.next() as u8).collect();
    let mut calls = Vec::with_capacity(count);
    let began = Instant::now();
    for _ in 0..count {
        let (us, done) = timed(|| file.write_all(&block).and_then(|()| file.sync_data()));
        done?;
        calls.push(us);
    }
    let elapsed = began.elapsed();
    drop(file);
    std::fs::remove_file(path)?;
    Ok(Append { cell: Cell::of(count, elapsed, calls) })
}
