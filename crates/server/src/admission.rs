//! What may be in memory at once: bodies are admitted by their bytes as these arrive, large ones one at a time.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracekeep_store::{Code, Error};

/// Bytes of bodies in flight. With what decoding makes of them this keeps a loaded server within its memory.
const IN_FLIGHT_BYTES_MAX: u32 = 48 << 20;

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
}

/// The place of a body and of what is unpacked from it; given back on drop.
#[derive(Debug)]
pub(crate) struct Admitted {
    bytes: Arc<Semaphore>,
    large: Arc<Semaphore>,
    counted: u32,
    place: Option<OwnedSemaphorePermit>,
}

impl Default for Admission {
    fn default() -> Self {
        Self { bytes: Arc::new(Semaphore::new(IN_FLIGHT_BYTES_MAX as usize)), large: Arc::new(Semaphore::new(1)) }
    }
}

impl Admission {
    /// A place without bytes: what is only announced takes no room from what has come.
    pub(crate) fn empty(&self) -> Admitted {
        Admitted { bytes: Arc::clone(&self.bytes), large: Arc::clone(&self.large), counted: 0, place: None }
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
}

#[cfg(test)]
mod tests {
    use super::*;

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
