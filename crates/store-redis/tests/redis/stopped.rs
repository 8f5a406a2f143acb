//! A lease holder that is stopped for twice its lease: a process of its own, by SIGSTOP.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, ExitCode, Stdio};

use tracekeep_core::json::Json;
use tracekeep_store::block_on;
use tracekeep_store::gate::{IdempotencyResult, IdempotencyStore, Terms};

use crate::calls::{ask, complete, connect, is, key, request};
use crate::real::Server;

faults!("stopped":
    who_was_stopped_for_twice_its_lease_is_refused_by_its_token,
    a_lease_never_lasts_longer_than_its_length,
);

/// The first argument of the process that holds the lease.
pub(crate) const HOLDER: &str = "hold-a-lease";
const LEASE_MS: u64 = 400;

/// Takes the lease, says so, waits for a line, and says how completing it ended.
#[expect(clippy::print_stdout, reason = "whoever started it reads it")]
pub(crate) fn hold(url: &str) -> ExitCode {
    let (store, terms) = (connect(url), Terms { lease_ms: LEASE_MS, ..Terms::default() });
    let answer = block_on(store.check(&key("k"), &request("a"), &terms)).expect("an answer");
    println!("{}", answer.result);
    std::io::stdin().lock().read_line(&mut String::new()).expect("a line");
    let told = complete(&store, "k", &answer.token.expect("the lease"));
    println!("{}", told.map_or_else(|error| error.code(), |outcome| outcome.as_str()));
    ExitCode::SUCCESS
}

struct Holder(Child);

impl Holder {
    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.0.id().to_string()]).status().expect("kill is there");
        assert!(sent.success());
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Microseconds by the server's clock.
fn now(server: &Server) -> i64 {
    match server.admin(&["TIME"]) {
        Ok(redis::Value::Array(parts)) => {
            let number = |at: usize| match parts.get(at) {
                Some(redis::Value::BulkString(digits)) => String::from_utf8_lossy(digits).parse::<i64>().ok(),
                _ => None,
            };
            number(0).expect("seconds") * 1_000_000 + number(1).expect("microseconds")
        }
        other => panic!("{other:?}"),
    }
}

fn who_was_stopped_for_twice_its_lease_is_refused_by_its_token() {
    let server = Server::start(&[]);
    let store = connect(&server.url());
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args([HOLDER, &server.url()]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut holder = Holder(command.spawn().expect("it starts"));
    let mut lines = BufReader::new(holder.0.stdout.take().expect("its words")).lines();
    let mut said = || lines.next().expect("a line").expect("text");
    assert_eq!(said(), "new");
    let begun = now(&server);
    holder.signal("-STOP");
    let taken = loop {
        let answer = ask(&store, "k", "a").expect("an answer");
        match answer.result {
            IdempotencyResult::InProgress => assert_eq!(answer.attempt, 1),
            _ => break answer,
        }
    };
    assert_eq!((taken.result, taken.attempt), (IdempotencyResult::New, 2), "another takes it over");
    while now(&server) < begun + 2_000 * LEASE_MS.cast_signed() {
        std::thread::yield_now();
    }
    holder.signal("-CONT");
    holder.0.stdin.take().expect("its ear").write_all(b"go on\n").expect("it listens");
    assert_eq!(said(), "lease_lost");
    complete(&store, "k", &taken.token.expect("the lease")).expect("it is the later one's");
    assert_eq!(is(&store, "k", IdempotencyResult::Duplicate).response, Some(Json::from("done")));
}

/// The lease's clock is the server's. Set back, what is left of a lease would grow: nobody is told to come back later than a
/// lease's length from now, and it ends then.
fn a_lease_never_lasts_longer_than_its_length() {
    let server = Server::start(&[]);
    let store = connect(&server.url());
    let token = is(&store, "k", IdempotencyResult::New).token.expect("the lease");
    store.shift_clock_ms(-3_600_000);
    let meanwhile = is(&store, "k", IdempotencyResult::InProgress);
    let left_ms = meanwhile.retry_after_ms.expect("when to come back");
    assert!(left_ms <= Terms::default().lease_ms, "{left_ms} ms are left");
    store.shift_clock_ms(Terms::default().lease_ms.cast_signed());
    assert_eq!(is(&store, "k", IdempotencyResult::New).attempt, 2, "it ends an hour early by the clock before");
    let lost = complete(&store, "k", &token).expect_err("it is another's");
    assert_eq!(lost.code(), "lease_lost");
}
