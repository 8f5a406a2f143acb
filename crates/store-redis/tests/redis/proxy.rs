//! A proxy that cuts connections, before a request reaches the server or before its answer reaches the caller.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};

/// What is cut: each counts down what still passes; below zero everything passes.
#[derive(Debug)]
struct Cuts {
    requests: AtomicI64,
    answers: AtomicI64,
    /// Pieces of requests that passed.
    passed: AtomicU64,
    /// Whether connections wait to be passed on.
    held: Mutex<bool>,
    let_go: Condvar,
}

/// A proxy on a port of its own.
#[derive(Debug)]
pub(crate) struct Proxy {
    port: u16,
    cuts: Arc<Cuts>,
}

const EVERYTHING_PASSES: i64 = -1;

impl Proxy {
    /// Passes everything on to `port`.
    pub(crate) fn start(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let own = listener.local_addr().expect("an address").port();
        let cuts = Arc::new(Cuts {
            requests: AtomicI64::new(EVERYTHING_PASSES),
            answers: AtomicI64::new(EVERYTHING_PASSES),
            passed: AtomicU64::new(0),
            held: Mutex::default(),
            let_go: Condvar::new(),
        });
        let shared = Arc::clone(&cuts);
        std::thread::spawn(move || {
            for caller in listener.incoming() {
                let held = shared.held.lock().expect("no panic");
                drop(shared.let_go.wait_while(held, |held| *held).expect("no panic"));
                let (Ok(caller), Ok(server)) = (caller, TcpStream::connect(("127.0.0.1", port))) else { continue };
                let ends = [(&caller, &server), (&server, &caller)];
                for (place, (from, to)) in ends.into_iter().enumerate() {
                    let (from, to) = (from.try_clone().expect("a handle"), to.try_clone().expect("a handle"));
                    let cuts = Arc::clone(&shared);
                    std::thread::spawn(move || {
                        if place == 0 {
                            pass(from, to, &cuts.requests, || {
                                let _ = cuts.passed.fetch_add(1, Ordering::SeqCst);
                            });
                        } else {
                            pass(from, to, &cuts.answers, || ());
                        }
                    });
                }
            }
        });
        Self { port: own, cuts }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The same as an address of a cluster.
    pub(crate) fn cluster_url(&self) -> String {
        format!("redis+cluster://127.0.0.1:{}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// How many pieces of requests it passed on.
    pub(crate) fn passed(&self) -> u64 {
        self.cuts.passed.load(Ordering::SeqCst)
    }

    /// Lets connections wait, or those that wait go on.
    pub(crate) fn hold(&self, is_held: bool) {
        *self.cuts.held.lock().expect("no panic") = is_held;
        self.cuts.let_go.notify_all();
    }

    /// Cuts the connection instead of passing the next request on.
    pub(crate) fn cut_before(&self) {
        self.cuts.requests.store(0, Ordering::SeqCst);
    }

    /// Cuts the connection instead of passing the next answer on.
    pub(crate) fn cut_after(&self) {
        self.cuts.answers.store(0, Ordering::SeqCst);
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, left: &AtomicI64, passed: impl Fn()) {
    let mut bytes = [0; 64 << 10];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        // Whoever finds nothing left to pass cuts, once.
        if left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| (left >= 0).then_some(left - 1)) == Ok(0)
            || to.write_all(&bytes[..count]).is_err()
        {
            break;
        }
        passed();
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
