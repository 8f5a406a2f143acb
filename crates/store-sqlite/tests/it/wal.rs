//! The write-ahead log stays bounded.

use std::fs;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use rusqlite::Connection;

use crate::common::{commit, open, ops, place, start};

/// Text that compression makes shorter by a quarter and no more.
fn noise(bytes: usize, seed: u64) -> String {
    let mut word = seed;
    let mut letter = || {
        word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b' ' + u8::try_from((word >> 33) % 64).unwrap())
    };
    (0..bytes).map(|_| letter()).filter(|letter| *letter != '"').collect()
}

/// While somebody always read an older state, the log only ever grew.
#[test]
fn readers_that_overlap_all_the_time_do_not_keep_the_log_from_beginning_anew() {
    let place = place();
    let ledger = open(&place.path);
    commit(&ledger, start("run-0"));
    let (committed, commits) = channel::<()>();
    let path = place.path.clone();
    let reader = std::thread::spawn(move || {
        let look = |conn: &Connection| conn.execute_batch("BEGIN; SELECT count(*) FROM migration").unwrap();
        let mut readers = [Connection::open(&path).unwrap(), Connection::open(&path).unwrap()];
        look(&readers[0]);
        // Each keeps its state over a commit where it can, and the next one has begun before it ends.
        while commits.recv_timeout(Duration::from_millis(5)) != Err(RecvTimeoutError::Disconnected) {
            look(&readers[1]);
            readers[0].execute_batch("COMMIT").unwrap();
            readers.swap(0, 1);
        }
    });
    let mut bytes_max = 0;
    for index in 0..32 {
        let text = noise(4_000_000, index);
        commit(
            &ledger,
            ops(&[&format!(
                r#"{{"op":"record_step","run_id":"run-0","index":{index},"skill_name":"s","status":"success","params":{:?}}}"#,
                text.replace('\\', " ")
            )]),
        );
        committed.send(()).unwrap();
        bytes_max = bytes_max.max(fs::metadata(place.path.with_extension("db-wal")).unwrap().len());
    }
    drop(committed);
    reader.join().unwrap();
    assert!(bytes_max < 80 << 20, "{} MB were written, and the log grew to {bytes_max} bytes", 32 * 3);
}
