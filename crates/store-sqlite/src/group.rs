//! Group commit by leader and followers.
//!
//! Calls wait in one queue, bounded in ops and bytes. Whoever finds nobody leading leads: takes the writer, commits what
//! waits as one group, answers, and hands on to the owner of the queue's head. A lone blocking caller so commits on its
//! own thread and waits for nobody; while one group is at the disk the next one gathers. Async calls are led by the
//! writer's thread, which sleeps otherwise.
//!
//! Invariants: while calls wait, somebody leads or has been told to; calls are committed in the order of the queue; the
//! batches of one call are never parted, unless one of them touches what is damaged.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::thread::JoinHandle;
use std::time::Duration;

use tracekeep_store::{Code, Error, Result};

use crate::job::{Done, Job};
use crate::writer::Writer;

/// Ops of a group: beyond it callers wait long for little.
const GROUP_OPS: u64 = 4_000;
/// How often whoever gives way looks whether nobody commits any more, and how long it waits between.
const GIVE_WAY_LOOKS: u32 = 10;
const GIVE_WAY_PAUSE: Duration = Duration::from_micros(500);
/// How long the writer's thread leaves what can wait, while nobody commits.
const RESTLESS_PAUSE: Duration = Duration::from_secs(1);
/// Bytes of the bodies of a group.
const GROUP_BYTES: u64 = 16 << 20;

/// A call that waits, and the place where its answer is put.
struct Call {
    job: Job,
    ops: u64,
    bytes: u64,
    ticket: Arc<Ticket>,
}

/// Where a caller finds its answer.
pub(crate) struct Ticket {
    state: Mutex<State>,
    changed: Condvar,
    /// The caller's thread waits, and can lead.
    blocking: bool,
}

enum State {
    Waiting(Option<Waker>),
    Lead,
    Answered(Done),
    Taken,
}

struct Queue {
    calls: VecDeque<Call>,
    ops: u64,
    bytes: u64,
    /// Somebody leads, or was told to.
    led: bool,
    /// The writer's thread was told to lead.
    thread_leads: bool,
    /// The writer has something to do that can wait, and that nobody waits for.
    restless: bool,
    closed: bool,
}

/// The queue and the writer behind it.
pub(crate) struct Group {
    queue: Mutex<Queue>,
    /// There is room again, or the queue is closed.
    room: Condvar,
    /// The writer's thread is to lead, or the queue is closed, or has come to rest after that.
    thread: Condvar,
    writer: Mutex<Option<Writer>>,
    ops_max: u64,
    bytes_max: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic inside leaves the queue whole, and the writer distrusts its state by itself.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn closed() -> Error {
    Error::new(Code::Closed, "the ledger is closed")
}

impl Group {
    pub(crate) fn new(writer: Writer, ops_max: u64, bytes_max: u64) -> Arc<Self> {
        let restless = writer.is_restless();
        let calls = VecDeque::new();
        let queue = Queue { calls, ops: 0, bytes: 0, led: false, thread_leads: false, restless, closed: false };
        Arc::new(Self {
            queue: Mutex::new(queue),
            room: Condvar::new(),
            thread: Condvar::new(),
            writer: Mutex::new(Some(writer)),
            ops_max,
            bytes_max,
        })
    }

    /// Starts the thread that leads for async callers. It ends once the queue is closed and empty.
    pub(crate) fn start(self: &Arc<Self>) -> std::io::Result<JoinHandle<()>> {
        let group = Arc::clone(self);
        std::thread::Builder::new().name("tracekeep-writer".to_owned()).spawn(move || group.serve())
    }

    fn serve(&self) {
        let mut queue = lock(&self.queue);
        loop {
            if queue.thread_leads {
                queue.thread_leads = false;
                drop(queue);
                self.lead();
                queue = lock(&self.queue);
            } else if queue.closed && !queue.led {
                return;
            } else if queue.restless && !queue.closed {
                let (woken, pause) =
                    self.thread.wait_timeout(queue, RESTLESS_PAUSE).unwrap_or_else(PoisonError::into_inner);
                queue = woken;
                if pause.timed_out() && !queue.thread_leads && !queue.closed {
                    queue.restless = false;
                    drop(queue);
                    let restless = self.maintain();
                    queue = lock(&self.queue);
                    queue.restless |= restless;
                }
            } else {
                queue = self.thread.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// Commits on the calling thread, or behind whoever leads; waits for room.
    pub(crate) fn commit_blocking(&self, job: Job) -> Done {
        let call = Call::new(job, true);
        let ticket = Arc::clone(&call.ticket);
        let mut queue = lock(&self.queue);
        while !queue.closed && !self.has_room(&queue, &call) {
            queue = self.room.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        if queue.closed {
            return call.refused(&closed());
        }
        let leads = !std::mem::replace(&mut queue.led, true);
        queue.push(call);
        drop(queue);
        if leads {
            self.lead();
        }
        loop {
            let mut state = lock(&ticket.state);
            loop {
                match std::mem::replace(&mut *state, State::Taken) {
                    State::Answered(done) => return done,
                    State::Lead => break,
                    waiting => {
                        *state = waiting;
                        state = ticket.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                    }
                }
            }
            *state = State::Waiting(None);
            drop(state);
            self.lead();
        }
    }

    /// Hands a call to the writer's thread; `busy` where there is no room.
    pub(crate) fn submit(&self, job: Job) -> std::result::Result<Arc<Ticket>, Done> {
        let call = Call::new(job, false);
        let ticket = Arc::clone(&call.ticket);
        let mut queue = lock(&self.queue);
        if queue.closed {
            return Err(call.refused(&closed()));
        }
        if !self.has_room(&queue, &call) {
            return Err(call.refused(&Error::new(Code::Busy, "too much waits to be committed")));
        }
        queue.push(call);
        if !std::mem::replace(&mut queue.led, true) {
            queue.thread_leads = true;
            drop(queue);
            self.thread.notify_all();
        }
        Ok(ticket)
    }

    fn has_room(&self, queue: &Queue, call: &Call) -> bool {
        queue.calls.is_empty() || queue.ops + call.ops <= self.ops_max && queue.bytes + call.bytes <= self.bytes_max
    }

    /// Commits one group and hands on.
    fn lead(&self) {
        let (jobs, tickets) = self.take();
        let mut writer = lock(&self.writer);
        let done = match writer.as_mut() {
            Some(writer) => commit(writer, &jobs),
            None => jobs.iter().map(|job| job.refuse(&closed())).collect(),
        };
        drop(jobs);
        for (ticket, done) in tickets.iter().zip(done) {
            ticket.answer(done);
        }
        let mut restless = false;
        if let Some(writer) = writer.as_mut() {
            writer.maintain(true);
            restless = writer.is_restless();
        }
        drop(writer);
        self.hand_on(restless);
    }

    /// What can wait, while nobody commits; whether something is left of it.
    fn maintain(&self) -> bool {
        let maintained = self.with_writer(|writer| {
            writer.maintain(false);
            Ok(writer.is_restless())
        });
        maintained.unwrap_or(false)
    }

    fn take(&self) -> (Vec<Job>, Vec<Arc<Ticket>>) {
        let mut queue = lock(&self.queue);
        let (mut jobs, mut tickets) = (Vec::new(), Vec::new());
        let (mut ops, mut bytes) = (0, 0);
        while let Some(call) = queue.calls.front() {
            if !jobs.is_empty() && (ops + call.ops > GROUP_OPS || bytes + call.bytes > GROUP_BYTES) {
                break;
            }
            (ops, bytes) = (ops + call.ops, bytes + call.bytes);
            let call = queue.calls.pop_front().expect("invariant: there is a front");
            jobs.push(call.job);
            tickets.push(call.ticket);
        }
        queue.ops -= ops;
        queue.bytes -= bytes;
        drop(queue);
        self.room.notify_all();
        (jobs, tickets)
    }

    fn hand_on(&self, restless: bool) {
        let mut queue = lock(&self.queue);
        if restless && !std::mem::replace(&mut queue.restless, true) {
            self.thread.notify_all();
        }
        match queue.calls.front() {
            None => {
                queue.led = false;
                if queue.closed {
                    drop(queue);
                    self.thread.notify_all();
                }
            }
            Some(call) if call.ticket.blocking => call.ticket.lead(),
            Some(_) => {
                queue.thread_leads = true;
                drop(queue);
                self.thread.notify_all();
            }
        }
    }

    /// Takes no more calls. What waits is still committed.
    pub(crate) fn close(&self) {
        lock(&self.queue).closed = true;
        self.room.notify_all();
        self.thread.notify_all();
    }

    /// The writer, once the queue is closed and its thread has ended.
    pub(crate) fn take_writer(&self) -> Option<Writer> {
        lock(&self.writer).take()
    }

    /// Does something with the writer between two groups.
    pub(crate) fn with_writer<T>(&self, work: impl FnOnce(&mut Writer) -> Result<T>) -> Result<T> {
        let mut writer = lock(&self.writer);
        let Some(writer) = writer.as_mut() else { return Err(closed()) };
        catch_unwind(AssertUnwindSafe(|| work(writer))).unwrap_or_else(|_| {
            writer.distrust();
            Err(Error::new(Code::StorageFailed, "the writer failed unexpectedly, and reads its state again"))
        })
    }

    /// Lets those who wait to commit go first, for a moment at most.
    pub(crate) fn give_way(&self) {
        for _ in 0..GIVE_WAY_LOOKS {
            if !lock(&self.queue).led {
                return;
            }
            std::thread::sleep(GIVE_WAY_PAUSE);
        }
    }
}

/// Commits a group. A panic is an answer, too: nobody may wait for ever.
fn commit(writer: &mut Writer, jobs: &[Job]) -> Vec<Done> {
    catch_unwind(AssertUnwindSafe(|| writer.commit(jobs))).unwrap_or_else(|_| {
        writer.distrust();
        let error = Error::new(Code::CommitUnknown, "the writer failed unexpectedly, and reads its state again");
        jobs.iter().map(|job| job.refuse(&error)).collect()
    })
}

impl Queue {
    fn push(&mut self, call: Call) {
        self.ops += call.ops;
        self.bytes += call.bytes;
        self.calls.push_back(call);
    }
}

impl Call {
    fn new(job: Job, blocking: bool) -> Self {
        let (ops, bytes) = (job.ops(), job.bytes());
        let ticket = Ticket { state: Mutex::new(State::Waiting(None)), changed: Condvar::new(), blocking };
        Self { job, ops, bytes, ticket: Arc::new(ticket) }
    }

    fn refused(&self, error: &Error) -> Done {
        self.job.refuse(error)
    }
}

impl Ticket {
    fn answer(&self, done: Done) {
        let before = std::mem::replace(&mut *lock(&self.state), State::Answered(done));
        self.changed.notify_one();
        if let State::Waiting(Some(waker)) = before {
            waker.wake();
        }
    }

    fn lead(&self) {
        *lock(&self.state) = State::Lead;
        self.changed.notify_one();
    }

    /// The answer, once it is there.
    pub(crate) fn poll(&self, waker: &Waker) -> Poll<Done> {
        let mut state = lock(&self.state);
        match std::mem::replace(&mut *state, State::Taken) {
            State::Answered(done) => Poll::Ready(done),
            _ => {
                *state = State::Waiting(Some(waker.clone()));
                Poll::Pending
            }
        }
    }
}
