//! What may be in memory at once: bodies are admitted by their bytes as these arrive, large ones one at a time, and wait
//! as they came until it is their turn to be decoded and committed, which takes several times as much.

use std::num::NonZero;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinError;
use tracekeep_store::{Code, Error};

/// Bytes of bodies in flight.
const IN_FLIGHT_BYTES_MAX: u32 = 48 << 20;

/// Bytes of bodies being decoded or committed. Ops, recorded bodies and their compressed forms take five times as much, so
/// this is what keeps a loaded server within its memory.
const WORKED_ON_BYTES_MAX: u32 = 8 << 20;

/// Bodies above this many bytes are admitted one at a time.
const LARGE_BYTES: u32 = 4 << 20;

/// Bodies above this many bytes are worked on by the blocking threads: reading and hashing them takes a millisecond or
/// more.
const LONG_BYTES: u32 = 64 << 10;

/// Counts the bytes of bodies that are being worked on.
#[derive(Debug)]
pub(crate) struct Admission {
    bytes: Arc<Semaphore>,
    large: Arc<Semaphore>,
    worked_on: Arc<Semaphore>,
    cores: Arc<Semaphore>,
    bundles: Arc<Semaphore>,
}

/// The one place of a bundle, from when it is begun until it is sent; given back on drop.
#[derive(Debug)]
pub(crate) struct BundlePlace(#[expect(dead_code, reason = "it is held, and not looked at")] OwnedSemaphorePermit);

/// The place of a body and of what is unpacked from it; given back on drop.
#[derive(Debug)]
pub(crate) struct Admitted {
    bytes: Arc<Semaphore>,
    large: Arc<Semaphore>,
    worked_on: Arc<Semaphore>,
    counted: u32,
    place: Option<OwnedSemaphorePermit>,
    turn: Option<OwnedSemaphorePermit>,
}

impl Default for Admission {
    fn default() -> Self {
        Self {
            bytes: Arc::new(Semaphore::new(IN_FLIGHT_BYTES_MAX as usize)),
            large: Arc::new(Semaphore::new(1)),
            worked_on: Arc::new(Semaphore::new(WORKED_ON_BYTES_MAX as usize)),
            cores: Arc::new(Semaphore::new(std::thread::available_parallelism().map_or(1, NonZero::get))),
            bundles: Arc::new(Semaphore::new(1)),
        }
    }
}

impl Admission {
    /// A place without bytes: what is only announced takes no room from what has come.
    pub(crate) fn empty(&self) -> Admitted {
        Admitted {
            bytes: Arc::clone(&self.bytes),
            large: Arc::clone(&self.large),
            worked_on: Arc::clone(&self.worked_on),
            counted: 0,
            place: None,
            turn: None,
        }
    }

    /// Admits a bundle, which is built and held in memory: one at a time, another is `busy`.
    pub(crate) fn bundle(&self) -> Result<BundlePlace, Error> {
        let place = Arc::clone(&self.bundles).try_acquire_owned();
        place.map(BundlePlace).map_err(|_| Error::new(Code::Busy, "another bundle is being made or sent just now"))
    }

    /// Does what takes long for a body on the blocking threads: on as many of them at once as there are cores. More would
    /// gain nothing, and each thread keeps some of the memory that it once took.
    pub(crate) async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, JoinError> {
        let core = Arc::clone(&self.cores).acquire_owned().await;
        let core = core.expect("invariant: the semaphore is never closed");
        tokio::task::spawn_blocking(move || {
            let done = work();
            drop(core);
            done
        })
        .await
    }
}

impl Admitted {
    /// Whether working on so many bytes would keep others waiting on a thread that serves many connections.
    pub(crate) const fn is_long(&self) -> bool {
        self.counted > LONG_BYTES
    }

    /// Admits `bytes` more at once, or answers `busy`. What grows large takes the large bodies' one place instead.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), Error> {
        let more = u32::try_from(bytes).unwrap_or(u32::MAX);
        let was_large = self.counted > LARGE_BYTES;
        self.counted = self.counted.saturating_add(more);
        if was_large {
            return Ok(());
        }
        let permit = if self.counted > LARGE_BYTES {
            Arc::clone(&self.large).try_acquire_owned()
        } else {
            Arc::clone(&self.bytes).try_acquire_many_owned(more)
        };
        let permit = permit.map_err(|_| Error::new(Code::Busy, "too much is being recorded just now"))?;
        match &mut self.place {
            Some(place) if self.counted <= LARGE_BYTES => place.merge(permit),
            place => *place = Some(permit),
        }
        Ok(())
    }

    /// Waits until it is this body's turn to be worked on, in the order of those that came whole. What waits here needs
    /// nothing of those behind it, so the wait ends.
    pub(crate) async fn turn(&mut self) {
        let bytes = self.counted.min(WORKED_ON_BYTES_MAX);
        let turn = Arc::clone(&self.worked_on).acquire_many_owned(bytes).await;
        self.turn = Some(turn.expect("invariant: the semaphore is never closed"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    /// Whether it is its turn at once.
    fn has_turn(body: &mut Admitted) -> bool {
        matches!(pin!(body.turn()).poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(()))
    }

    #[test]
    fn what_came_whole_is_worked_on_as_far_as_memory_goes_and_large_bodies_alone() {
        let admission = Admission::default();
        let body = |bytes: usize| {
            let mut body = admission.empty();
            body.grow(bytes).unwrap();
            body
        };
        let (mut first, mut second, mut third, mut large) =
            (body(4 << 20), body(3 << 20), body(2 << 20), body(64 << 20));
        assert!(has_turn(&mut first) && has_turn(&mut second));
        assert!(!has_turn(&mut third), "there is room for one MiB more");
        drop(first);
        assert!(has_turn(&mut third));
        assert!(!has_turn(&mut large), "others are worked on");
        drop((second, third));
        assert!(has_turn(&mut large));
        assert!(!has_turn(&mut body(1)), "a large one is worked on");
        drop(large);
        assert!(has_turn(&mut body(1)));
        assert_eq!(admission.worked_on.available_permits(), WORKED_ON_BYTES_MAX as usize, "all is given back");
    }

    #[test]
    fn no_more_is_done_aside_at_once_than_there_are_cores() {
        let admission = Admission::default();
        let cores = u32::try_from(std::thread::available_parallelism().unwrap().get()).unwrap();
        let busy = Arc::clone(&admission.cores).try_acquire_many_owned(cores).unwrap();
        let mut waits = pin!(admission.aside(|| ()));
        let polled = waits.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
        drop(busy);
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(waits).unwrap();
        assert_eq!(admission.cores.available_permits(), cores as usize, "all is given back");
    }

    #[test]
    fn small_bodies_share_and_large_ones_come_one_at_a_time() {
        let admission = Admission::default();
        let full: Vec<_> = (0..12)
            .map(|_| {
                let mut body = admission.empty();
                body.grow(1 << 20).unwrap();
                body.grow(3 << 20).unwrap();
                body
            })
            .collect();
        assert_eq!(admission.empty().grow(1).unwrap_err().code(), "busy");
        let mut large = full.into_iter().next().unwrap();
        large.grow(1).unwrap();
        large.grow(8 << 20).unwrap();
        let mut other = admission.empty();
        other.grow(4 << 20).unwrap();
        assert_eq!(other.grow(1).unwrap_err().code(), "busy");
        drop((large, other));
        assert_eq!(admission.bytes.available_permits(), IN_FLIGHT_BYTES_MAX as usize, "all is given back");
        admission.empty().grow(64 << 20).unwrap();
    }
}
