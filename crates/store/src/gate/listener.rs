//! What is heard of a gate.

use std::fmt;
use std::sync::Arc;

/// What a gate tells besides its answers.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum GateWord<'a> {
    /// What the arbiter decided, the memory in front of it was not told, or may not have been: until the lease that it
    /// knows of is over, others may be told how the key stood before.
    Untold {
        /// The code of the failure.
        code: &'a str,
    },
}

/// Who is told; called where a key is decided about, so it must be quick.
#[derive(Clone)]
pub struct GateListener(Arc<dyn Fn(&GateWord<'_>) + Send + Sync>);

impl GateListener {
    /// Calls `listener`.
    pub fn new(listener: impl Fn(&GateWord<'_>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(listener))
    }

    /// Tells it.
    pub fn tell(&self, word: &GateWord<'_>) {
        (self.0)(word);
    }
}

impl fmt::Debug for GateListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GateListener").finish_non_exhaustive()
    }
}
