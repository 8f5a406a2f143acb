//! What may be in memory at once: bodies are admitted by their bytes, large ones one at a time.

use tokio::sync::{Semaphore, SemaphorePermit};
use tracekeep_store::{Code, Error};

/// Bytes of bodies in flight. With what decoding makes of them this keeps a loaded server within its memory.
const IN_FLIGHT_BYTES_MAX: u32 = 48 << 20;

/// Bodies above this many bytes are admitted one at a time.
const LARGE_BYTES: u32 = 4 << 20;

/// Counts the bytes of bodies that are being worked on.
#[derive(Debug)]
pub(crate) struct Admission {
    bytes: Semaphore,
    large: Semaphore,
}

/// A body's place; given back on drop.
#[derive(Debug)]
pub(crate) struct Admitted<'a>(#[expect(dead_code, reason = "held until the request is done")] SemaphorePermit<'a>);

impl Default for Admission {
    fn default() -> Self {
        Self { bytes: Semaphore::new(IN_FLIGHT_BYTES_MAX as usize), large: Semaphore::new(1) }
    }
}

impl Admission {
    /// Admits a body of `bytes` at once, or answers `busy`.
    pub(crate) fn admit(&self, bytes: u32) -> Result<Admitted<'_>, Error> {
        let permit = if bytes > LARGE_BYTES { self.large.try_acquire() } else { self.bytes.try_acquire_many(bytes) };
        permit.map(Admitted).map_err(|_| Error::new(Code::Busy, "too much is being recorded just now"))
    }
}
