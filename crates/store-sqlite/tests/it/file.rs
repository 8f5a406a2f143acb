//! The file: what is made, what is refused untouched, who may write to it.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::common::{code, commit, everything, exact, open, place, refused, run_id, same, start, thought};
use rusqlite::Connection;
use tracekeep_store::{LedgerStore, Outcome, block_on};
use tracekeep_store_sqlite::{Options, SqliteLedger};

fn reading() -> Options {
    Options { read_only: true, ..Options::default() }
}

/// Everything beside a path, by name and content, but for what SQLite itself keeps there.
fn around(path: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(path.parent().unwrap())
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| !path.to_str().unwrap().ends_with("-wal") && !path.to_str().unwrap().ends_with("-shm"))
        .map(|path| (path.clone(), fs::read(path).unwrap_or_default()))
        .collect();
    files.sort();
    files
}

#[test]
fn a_new_ledger_is_a_sqlite_database_of_ours() {
    let place = place();
    drop(open(&place.path));
    let conn = Connection::open(&place.path).unwrap();
    let pragma = |name: &str| conn.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(pragma("application_id"), i64::from(u32::from_be_bytes(*b"TKEP")));
    assert_eq!((pragma("user_version"), pragma("page_size"), pragma("auto_vacuum")), (1, 8_192, 2));
    let journal: String = conn.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
    assert_eq!(journal, "wal");
}

#[test]
fn only_the_file_is_left_when_a_ledger_is_closed() {
    let place = place();
    let ledger = open(&place.path);
    commit(&ledger, start("run-0"));
    ledger.close().unwrap();
    let names: Vec<_> = around(&place.path).into_iter().map(|(path, _)| path.file_name().unwrap().to_owned()).collect();
    assert_eq!(names, ["runs.db", "runs.db.lock"]);
    assert_eq!(refused(&ledger, start("run-1")).code(), "closed");
    assert_eq!(code(block_on(ledger.commit(vec![start("run-1")])).remove(0)), "closed");
    assert_eq!(code(block_on(ledger.head())), "closed");
    ledger.close().unwrap();
}

#[test]
fn what_was_committed_is_there_again() {
    let place = place();
    let ledger = open(&place.path);
    let (id, receipt) = (ledger.ledger(), commit(&ledger, start("run-0")));
    commit(&ledger, thought("run-0", "t"));
    let before = everything(&ledger);
    drop(ledger);
    let ledger = open(&place.path);
    assert_eq!(ledger.ledger(), id);
    same(&before, &everything(&ledger));
    let again = commit(&ledger, start("run-0"));
    assert_eq!((again.tree_size, again.root), (receipt.tree_size, receipt.root), "a duplicate has its receipt");
}

/// What a writer that is killed leaves behind: the files as they are while it runs.
fn left_over(from: &Path, to: &Path) {
    for suffix in ["", "-wal"] {
        let named = |path: &Path| PathBuf::from(format!("{}{suffix}", path.display()));
        fs::copy(named(from), named(to)).unwrap();
    }
}

/// A writer killed between write and fsync left frames that nobody had synced; a retry was answered `duplicate` from them,
/// and a power loss then took the batch.
#[test]
fn what_is_found_in_a_left_over_wal_is_made_durable_before_it_is_a_duplicate() {
    let (before, place) = (crate::common::place(), crate::common::place());
    let killed = open(&before.path);
    commit(&killed, start("run-0"));
    commit(&killed, thought("run-0", "t"));
    left_over(&before.path, &place.path);
    let ledger = open(&place.path);
    // The file alone, as it is without its write-ahead log.
    let alone = place.directory.path().join("alone.db");
    fs::copy(&place.path, &alone).unwrap();
    let entries = |path: &Path| -> i64 {
        Connection::open(path).unwrap().query_row("SELECT count(*) FROM entry", [], |row| row.get(0)).unwrap()
    };
    assert_eq!(entries(&alone), 2, "every frame was copied, and synced with the file");
    assert_eq!(commit(&ledger, thought("run-0", "t")).tree_size, 2);
}

#[test]
fn a_reader_of_an_older_state_keeps_no_left_over_wal_from_being_taken_up() {
    let (before, place) = (crate::common::place(), crate::common::place());
    let killed = open(&before.path);
    commit(&killed, start("run-0"));
    left_over(&before.path, &place.path);
    let reader = Connection::open(&place.path).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM entry").unwrap();
    let other = Connection::open(&place.path).unwrap();
    other.execute_batch("INSERT INTO name (text) VALUES ('later')").unwrap();
    let ledger = open(&place.path);
    assert_eq!(commit(&ledger, thought("run-0", "t")).tree_size, 2);
    let entries: i64 = reader.query_row("SELECT count(*) FROM entry", [], |row| row.get(0)).unwrap();
    assert_eq!(entries, 1, "the reader still reads what it began with");
}

#[test]
fn an_empty_file_becomes_a_ledger() {
    let place = place();
    fs::write(&place.path, "").unwrap();
    commit(&open(&place.path), start("run-0"));
}

#[test]
fn a_ledger_whose_making_was_cut_short_is_made() {
    let place = place();
    let conn = Connection::open(&place.path).unwrap();
    conn.execute_batch("PRAGMA page_size = 8192; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;")
        .unwrap();
    drop(conn);
    assert!(fs::metadata(&place.path).unwrap().len() > 0);
    commit(&open(&place.path), start("run-0"));
}

#[test]
fn a_missing_ledger_is_made_only_where_that_is_wanted() {
    let place = place();
    for options in [Options { create: false, ..Options::default() }, reading()] {
        assert_eq!(code(SqliteLedger::open(&place.path, options)), "not_a_ledger");
    }
    assert_eq!(code(SqliteLedger::check(&place.path, None)), "not_a_ledger");
    assert_eq!(code(SqliteLedger::rebuild(&place.path, None)), "not_a_ledger");
    assert_eq!(around(&place.path), [], "nothing is left behind");
    let nowhere = place.path.join("missing/runs.db");
    assert!(SqliteLedger::open(nowhere, Options::default()).is_err());
}

#[track_caller]
fn check_refused(content: &[u8], expected: &str) {
    let place = place();
    fs::write(&place.path, content).unwrap();
    let before = around(&place.path);
    for options in [Options::default(), reading()] {
        let error = SqliteLedger::open(&place.path, options).unwrap_err();
        assert_eq!((error.code(), error.outcome()), (expected, Outcome::NotApplied));
    }
    assert_eq!(code(SqliteLedger::rebuild(&place.path, None)), expected);
    assert_eq!(around(&place.path), before, "nothing is touched");
}

#[test]
fn a_file_that_is_no_ledger_is_refused_untouched() {
    check_refused(b"hello", "not_a_ledger");
    check_refused("some text, long enough to hold a header\n".repeat(1_000).as_bytes(), "not_a_ledger");
    let noise: Vec<u8> = (0..100_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    check_refused(&noise, "not_a_ledger");
    check_refused(&[b"SQLite format 3\0", &noise[..]].concat(), "not_a_ledger");
}

#[test]
fn another_sqlite_database_is_refused_untouched() {
    let place = place();
    let other = place.directory.path().join("other.db");
    Connection::open(&other).unwrap().execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (1)").unwrap();
    check_refused(&fs::read(other).unwrap(), "not_a_ledger");
}

#[test]
fn a_truncated_ledger_is_refused_untouched() {
    let place = place();
    let ledger = open(&place.path);
    commit(&ledger, start("run-0"));
    drop(ledger);
    let whole = fs::read(&place.path).unwrap();
    check_refused(&whole[..whole.len() / 2], "corrupt");
    check_refused(&whole[..100], "corrupt");
}

#[test]
fn a_directory_is_no_ledger() {
    let place = place();
    assert_eq!(code(SqliteLedger::open(place.directory.path(), Options::default())), "not_a_ledger");
}

#[test]
fn law_10_a_newer_format_is_refused_untouched() {
    let place = place();
    commit(&open(&place.path), start("run-0"));
    Connection::open(&place.path).unwrap().execute_batch("PRAGMA user_version = 2").unwrap();
    check_refused(&fs::read(&place.path).unwrap(), "newer_format");
}

#[test]
fn changed_migrations_are_refused() {
    for change in ["UPDATE migration SET checksum = zeroblob(32)", "DELETE FROM migration"] {
        let place = place();
        commit(&open(&place.path), start("run-0"));
        Connection::open(&place.path).unwrap().execute_batch(change).unwrap();
        assert_eq!(code(SqliteLedger::open(&place.path, Options::default())), "corrupt");
        assert_eq!(code(SqliteLedger::open(&place.path, reading())), "corrupt");
    }
}

#[test]
fn the_log_refuses_every_change_but_erasing() {
    let place = place();
    commit(&open(&place.path), start("run-0"));
    let conn = Connection::open(&place.path).unwrap();
    for sql in [
        "DELETE FROM entry",
        "DELETE FROM run_name",
        "UPDATE run_name SET run_id = 'x'",
        "REPLACE INTO entry SELECT * FROM entry",
        "REPLACE INTO run_name VALUES (0, 'x')",
        "REPLACE INTO run_name VALUES (9, 'run-0')",
        "INSERT OR REPLACE INTO entry VALUES (0, 0, 0, 1, 0, zeroblob(32), 0, 0, NULL, NULL)",
        "UPDATE OR REPLACE entry SET log_index = 0",
        "UPDATE entry SET body = x'7b7d'",
        "UPDATE entry SET body = NULL",
        "UPDATE entry SET salt = NULL",
        "UPDATE entry SET seq = 5",
        "UPDATE entry SET body = NULL, salt = NULL, seq = 5",
        "UPDATE entry SET body = NULL, salt = NULL, codec = 7",
        "UPDATE entry SET body = NULL, salt = NULL, log_index = 5",
        "UPDATE entry SET body = NULL, salt = NULL, run_no = NULL",
        "UPDATE entry SET body = NULL, salt = NULL, kind = 2",
        "UPDATE entry SET body = NULL, salt = NULL, recorded_at = 0",
        "UPDATE entry SET body = NULL, salt = NULL, commitment = zeroblob(32)",
        "UPDATE entry SET body = NULL, salt = NULL, after = 1",
    ] {
        let refusal = conn.execute_batch(sql).unwrap_err();
        assert!(refusal.to_string().contains("append-only"), "{sql}: {refusal}");
    }
    conn.execute_batch("UPDATE entry SET body = NULL, salt = NULL").unwrap();
    let again = conn.execute_batch("UPDATE entry SET body = x'7b7d', salt = zeroblob(32)");
    assert!(again.is_err(), "what was erased stays erased");
}

#[test]
fn a_second_writer_in_this_process_is_refused_with_the_pid() {
    let place = place();
    let ledger = open(&place.path);
    let error = SqliteLedger::open(&place.path, Options::default()).unwrap_err();
    assert_eq!(error.code(), "ledger_locked");
    assert!(error.detail().contains(&std::process::id().to_string()), "{error}");
    commit(&ledger, start("run-0"));
    drop(ledger);
    assert_eq!(commit(&open(&place.path), start("run-0")).tree_size, 1);
}

#[test]
fn the_holder_and_its_address_are_told_while_it_holds() {
    let place = place();
    assert_eq!(SqliteLedger::holder(&place.path), None);
    let ledger = open(&place.path);
    let holder = SqliteLedger::holder(&place.path).unwrap();
    assert_eq!((holder.pid, holder.address), (std::process::id(), None));
    ledger.set_address(Some("127.0.0.1:4318".into())).unwrap();
    assert_eq!(SqliteLedger::holder(&place.path).unwrap().address.as_deref(), Some("127.0.0.1:4318"));
    ledger.set_address(None).unwrap();
    assert_eq!(SqliteLedger::holder(&place.path).unwrap().address, None);
    drop(ledger);
    assert_eq!(SqliteLedger::holder(&place.path), None);
    let reader = SqliteLedger::open(&place.path, reading()).unwrap();
    assert_eq!(SqliteLedger::holder(&place.path), None, "a reader holds nothing");
    assert_eq!(code(reader.set_address(None)), "read_only");
}

#[test]
fn a_reader_works_beside_a_writer_and_refuses_to_commit() {
    let place = place();
    let writer = open(&place.path);
    commit(&writer, start("run-0"));
    let reader = SqliteLedger::open(&place.path, reading()).unwrap();
    assert_eq!(reader.ledger(), writer.ledger());
    assert!(block_on(reader.run(&run_id("run-0"))).unwrap().is_some());
    commit(&writer, start("run-1"));
    assert!(block_on(reader.run(&run_id("run-1"))).unwrap().is_some(), "each read sees what was committed");
    assert_eq!(refused(&reader, start("run-2")).code(), "read_only");
    drop(writer);
    assert_eq!(block_on(reader.head()).unwrap().tree_size, 2);
}

/// What another process does, as a test of its own: nothing unless it was told to.
#[test]
fn other_process() {
    let Ok(path) = std::env::var("TRACEKEEP_TEST_PATH") else { return };
    let read_only = std::env::var("TRACEKEEP_TEST_READ").is_ok();
    let opened = SqliteLedger::open(&path, Options { read_only, source: exact(), ..Options::default() });
    let said = match &opened {
        Ok(ledger) => match ledger.commit_blocking(vec![start("run-other")]).remove(0) {
            Ok(receipt) => {
                for n in 0..150 {
                    commit(ledger, thought("run-other", &format!("t-{n}")));
                }
                format!("committed {}", receipt.tree_size)
            }
            Err(error) => format!("opened, {}", error.code()),
        },
        Err(error) => format!("{}: {error}", error.code()),
    };
    println!("said {said}");
    std::io::stdout().flush().unwrap();
    // Until the other side closes the pipe, or kills.
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

fn other(path: &Path, nobody: bool, read: bool) -> (Child, String) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "file::other_process", "--nocapture", "--test-threads=1"]);
    command.env("TRACEKEEP_TEST_PATH", path).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    if read {
        command.env("TRACEKEEP_TEST_READ", "1");
    }
    if nobody {
        command.uid(65_534).gid(65_534);
    }
    let mut child = command.spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let said = lines.map(Result::unwrap).find_map(|line| line.split("said ").nth(1).map(str::to_owned));
    (child, said.expect("the other process says what became of it"))
}

#[test]
fn a_second_writer_in_another_process_is_refused_with_the_pid() {
    let place = place();
    let ledger = open(&place.path);
    commit(&ledger, start("run-0"));
    let (mut child, said) = other(&place.path, false, false);
    drop(child.stdin.take());
    child.wait().unwrap();
    assert!(said.starts_with("ledger_locked") && said.contains(&std::process::id().to_string()), "{said}");
    let (mut child, said) = other(&place.path, false, true);
    drop(child.stdin.take());
    child.wait().unwrap();
    assert_eq!(said, "opened, read_only", "it can read meanwhile");
    assert_eq!(commit(&ledger, start("run-1")).tree_size, 2, "nothing was harmed");
}

#[test]
fn law_2_a_killed_writer_leaves_its_commits_and_no_lock() {
    let place = place();
    let (mut child, said) = other(&place.path, false, false);
    assert_eq!(said, "committed 1");
    assert_eq!(SqliteLedger::holder(&place.path).map(|holder| holder.pid), Some(child.id()));
    let error = SqliteLedger::open(&place.path, Options::default()).unwrap_err();
    assert!(error.detail().contains(&child.id().to_string()), "{error}");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(fs::metadata(place.path.with_extension("db.lock")).unwrap().len() > 0, "its text is still there");
    // A WAL is grown before it is full, so that commits overwrite it: what it then holds is found among zeros.
    assert_eq!(fs::metadata(place.path.with_extension("db-wal")).unwrap().len(), 16 << 20);
    let ledger = open(&place.path);
    assert!(block_on(ledger.run(&run_id("run-other"))).unwrap().is_some());
    assert_eq!(commit(&ledger, start("run-1")).tree_size, 152);
    drop(ledger);
    assert_eq!(SqliteLedger::check(&place.path, None).unwrap().findings, []);
}

/// Opens in a process that no right overrides: root is not stopped by permissions.
#[track_caller]
fn check_permissions(file: u32, directory: u32, read: bool, expected: &str) {
    let place = place();
    commit(&open(&place.path), start("run-0"));
    let root = fs::metadata(&place.path).unwrap().uid() == 0;
    fs::set_permissions(&place.path, fs::Permissions::from_mode(file)).unwrap();
    fs::set_permissions(place.path.with_extension("db.lock"), fs::Permissions::from_mode(0o666)).unwrap();
    fs::set_permissions(place.directory.path(), fs::Permissions::from_mode(directory)).unwrap();
    let (mut child, said) = other(&place.path, root, read);
    drop(child.stdin.take());
    child.wait().unwrap();
    fs::set_permissions(place.directory.path(), fs::Permissions::from_mode(0o777)).unwrap();
    assert!(said.starts_with(expected), "{file:o} in {directory:o}: {said}");
    fs::set_permissions(&place.path, fs::Permissions::from_mode(0o666)).unwrap();
    assert_eq!(commit(&open(&place.path), start("run-1")).tree_size, 2, "nothing was harmed");
}

#[test]
fn a_file_or_directory_that_cannot_be_written_to_is_read_only() {
    check_permissions(0o444, 0o777, false, "read_only");
    check_permissions(0o666, 0o555, false, "read_only");
    check_permissions(0o444, 0o555, false, "read_only");
    check_permissions(0o000, 0o777, false, "read_only");
    check_permissions(0o000, 0o777, true, "read_only");
}

#[test]
fn a_file_that_cannot_be_written_to_can_be_read() {
    check_permissions(0o444, 0o777, true, "opened, read_only");
}

#[test]
fn a_ledger_in_a_directory_that_cannot_be_written_to_can_be_read() {
    check_permissions(0o444, 0o555, true, "opened, read_only");
}

/// The lock was named after the path as given: a link gave the file a second writer.
#[test]
fn a_link_to_a_ledger_is_the_ledger() {
    let place = place();
    let (link, chain) = (place.directory.path().join("link.db"), place.directory.path().join("chain.db"));
    std::os::unix::fs::symlink("runs.db", &link).unwrap();
    std::os::unix::fs::symlink(&link, &chain).unwrap();
    let folder = place.directory.path().join("folder");
    std::os::unix::fs::symlink(place.directory.path(), &folder).unwrap();
    // The file is made by the first of them.
    for (first, second) in [(&chain, &place.path), (&place.path, &link), (&folder.join("runs.db"), &chain)] {
        let ledger = open(first);
        assert_eq!(code(SqliteLedger::open(second, Options::default())), "ledger_locked");
        assert_eq!(code(SqliteLedger::rebuild(second, None)), "ledger_locked");
        assert!(SqliteLedger::holder(second).is_some());
        commit(&ledger, start("run-0"));
    }
    let mut names: Vec<_> =
        fs::read_dir(place.directory.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["chain.db", "folder", "link.db", "runs.db", "runs.db.lock"]);
}

#[test]
fn a_name_that_sqlite_takes_for_no_file_is_refused() {
    for name in [":memory:", "file:runs.db", "file::memory:?cache=shared", ""] {
        for options in [Options::default(), reading()] {
            assert_eq!(code(SqliteLedger::open(name, options)), "invalid_parameter", "{name}");
        }
        assert_eq!(code(SqliteLedger::check(name, None)), "invalid_parameter", "{name}");
        assert_eq!(code(SqliteLedger::rebuild(name, None)), "invalid_parameter", "{name}");
    }
    assert!(!Path::new(":memory:.lock").exists());
}
