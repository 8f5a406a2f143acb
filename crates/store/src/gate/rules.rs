//! What a caller asks for with a key, and what a store keeps to.

use std::time::Duration;

use tracekeep_core::id::RunId;
use tracekeep_core::json::Json;
use tracekeep_core::limits::{GATE_ERROR_BYTES_MAX, GATE_LEASE_MS_MAX, GATE_RESPONSE_BYTES_MAX, GATE_TTL_S_MAX};
use tracekeep_core::{Invalid, InvalidCode};

use crate::error::{Code, Error, Result};

/// What a caller asks for with a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The run that asks; it is told to those who ask later.
    pub run_id: Option<RunId>,
    /// Milliseconds that the caller holds the lease without renewing it: 1 to 86,400,000, 30,000 unless told.
    pub lease_ms: u64,
    /// Seconds that the answer is kept after the end: 1 to 31,622,400, 86,400 (a day) unless told.
    pub ttl_s: u64,
}

impl Default for Terms {
    fn default() -> Self {
        Self { run_id: None, lease_ms: 30_000, ttl_s: 86_400 }
    }
}

impl Terms {
    /// Refuses a lease or a ttl outside its range. None means "the default": 0 is out of range.
    ///
    /// # Errors
    /// `invalid_member`, with the member's path.
    pub fn check(&self) -> Result<()> {
        let within = |value: u64, max: u32, path: &str| {
            if (1..=u64::from(max)).contains(&value) {
                return Ok(());
            }
            Err(Error::from(Invalid::new(InvalidCode::InvalidMember, path, format!("must be 1 to {max}"))))
        };
        within(self.lease_ms, GATE_LEASE_MS_MAX, "/lease_ms")?;
        within(self.ttl_s, GATE_TTL_S_MAX, "/ttl_s")
    }

    pub(super) const fn lease_nanos(&self) -> i64 {
        (self.lease_ms * 1_000_000).cast_signed()
    }
}

/// The longest that a key is known after its ttl: ten years. [`Rules::remember`] beyond it counts as this.
pub const REMEMBER_MAX: Duration = Duration::from_secs(316_224_000);

/// What a store keeps to, whoever asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// How long key and fingerprint are known after the ttl has ended, at most [`REMEMBER_MAX`]. Seven days unless told.
    pub remember: Duration,
    /// Keys that are known at once; a new one beyond them is `gate_full`. A million unless told.
    pub keys_max: u64,
}

impl Default for Rules {
    fn default() -> Self {
        Self { remember: Duration::from_secs(7 * 86_400), keys_max: 1_000_000 }
    }
}

impl Rules {
    /// How long key and fingerprint are known after the ttl, within the bound.
    #[must_use]
    pub fn remembered(&self) -> Duration {
        self.remember.min(REMEMBER_MAX)
    }

    pub(super) fn remember_nanos(&self) -> i64 {
        i64::try_from(self.remembered().as_nanos()).unwrap_or(i64::MAX)
    }
}

/// The refusal of a new key where the store knows as many as it may.
#[must_use]
pub fn full() -> Error {
    Error::new(Code::GateFull, "the gate knows as many keys as it may")
}

pub(super) fn check_response(response: &Json) -> Result<()> {
    let bytes = response.as_str().len();
    if bytes <= GATE_RESPONSE_BYTES_MAX as usize {
        return Ok(());
    }
    let detail =
        format!("an answer has at most {GATE_RESPONSE_BYTES_MAX} bytes: keep it elsewhere, and a reference here");
    Err(Invalid::new(InvalidCode::TooLarge, "/response", detail).into())
}

pub(super) fn check_error(error: &str) -> Result<()> {
    if error.len() <= GATE_ERROR_BYTES_MAX as usize {
        return Ok(());
    }
    let detail = format!("an error has at most {GATE_ERROR_BYTES_MAX} bytes");
    Err(Invalid::new(InvalidCode::TooLarge, "/error", detail).into())
}
