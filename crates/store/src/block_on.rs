//! Waiting for a future without a runtime.

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

thread_local! {
    static IS_BLOCKED_ON: Cell<bool> = const { Cell::new(false) };
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Tells of the calling thread for as long as it lives, and then what was so before.
struct Blocked(bool);

impl Drop for Blocked {
    fn drop(&mut self) {
        IS_BLOCKED_ON.set(self.0);
    }
}

/// Whether the calling thread does nothing but wait in [`block_on`]: what it waits for may be done on it, too.
#[must_use]
pub fn is_blocked_on() -> bool {
    IS_BLOCKED_ON.get()
}

/// Runs a future to its end on the calling thread, which sleeps while the future waits.
///
/// Not for use inside an async runtime: await there instead.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let _blocked = Blocked(IS_BLOCKED_ON.replace(true));
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}
