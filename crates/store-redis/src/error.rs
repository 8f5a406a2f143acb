//! Redis's failures in the words of the store. No type of the client crate is seen outside this one.

use std::fmt;
use std::sync::Arc;

use redis::{ErrorKind, RedisError, ServerErrorKind};
use tracekeep_store::{Code, Error};

/// What the store refuses of a server, on its way through the client.
struct Refused(Error);

impl fmt::Debug for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.detail())
    }
}

impl std::error::Error for Refused {}

/// The refusal of a server that is not to be used.
pub(crate) fn refused(error: Error) -> RedisError {
    std::io::Error::other(Refused(error)).into()
}

fn refusal(error: &RedisError) -> Option<Error> {
    let cause = std::error::Error::source(error)?.downcast_ref::<Arc<dyn std::error::Error + Send + Sync>>()?;
    let refused = cause.downcast_ref::<std::io::Error>()?.get_ref()?.downcast_ref::<Refused>()?;
    Some(refused.0.clone())
}

/// As rustls says it; the client hands some on as text alone.
const CERTIFICATE: &str = "invalid peer certificate: ";

/// Why a certificate is not accepted.
fn distrust(error: &RedisError) -> Option<String> {
    let said = error.to_string();
    let (_, why) = said.split_once(CERTIFICATE)?;
    let detail = format!("the certificate of Redis is not trusted: {why}");
    Some(detail)
}

/// Whether another try would be refused as this one was: nothing was sent.
pub(crate) fn is_refusal(error: &RedisError) -> bool {
    refusal(error).is_some() || distrust(error).is_some()
}

/// The failure of a connection that was never made, where one end may speak TLS and the other not: a server that is spoken to
/// over TLS and knows none waits for the end of a line, the other way round it hangs up.
pub(crate) fn unopened(error: RedisError, is_tls: bool) -> Error {
    let said = error.to_string().to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| said.contains(word));
    let hint = if is_tls && (error.is_timeout() || says(&["timed out", "invalidcontenttype"])) {
        "Redis cannot be reached over TLS: nothing answered in time; does it speak TLS, or is redis:// meant?"
    } else if !is_tls && (error.kind() == ErrorKind::Parse || says(&["reset by peer", "end of file", "broken pipe"])) {
        "Redis cannot be reached in the clear: the connection was cut; does it speak TLS, and is rediss:// meant?"
    } else {
        return failed(error, false);
    };
    Error::new(Code::Unreachable, hint).because(error)
}

/// The failure of a connection that was not made: nothing was sent over it. `why` is what the caller is told.
pub(crate) fn never_sent(why: &str) -> RedisError {
    RedisError::from((ErrorKind::ClusterConnectionNotFound, "no connection", why.to_owned()))
}

/// Why a connection was not made, where the system says it by a code of its own.
pub(crate) fn why_unreached(error: &RedisError) -> Option<&'static str> {
    if error.is_timeout() {
        Some("it did not answer in time")
    } else if error.is_connection_refusal() {
        Some("the connection was refused")
    } else {
        None
    }
}

/// Whether a call that failed so may have run: unless the server refused it by a word, or it was never sent.
pub(crate) fn may_have_run(error: &RedisError) -> bool {
    let was_never_sent = matches!(
        error.kind(),
        ErrorKind::InvalidClientConfig | ErrorKind::AuthenticationFailed | ErrorKind::ClusterConnectionNotFound
    );
    error.code().is_none() && !was_never_sent && !error.is_connection_refusal() && !is_refusal(error)
}

/// Whether a cluster is looking for the node that has the slot, or sentinels for the primary.
pub(crate) fn is_about_slots(error: &RedisError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ClusterConnectionNotFound
            | ErrorKind::Server(
                ServerErrorKind::Moved
                    | ServerErrorKind::Ask
                    | ServerErrorKind::TryAgain
                    | ServerErrorKind::ClusterDown
                    | ServerErrorKind::MasterDown
                    | ServerErrorKind::BusyLoading
                    | ServerErrorKind::ReadOnly
            )
    )
}

/// Whether another try at once may meet a connection that works.
pub(crate) fn is_broken_connection(error: &RedisError) -> bool {
    !error.is_timeout() && (error.is_connection_dropped() || error.is_io_error())
}

/// A failure, as the store says it. `ran`: whether this call, or one before it, may have run.
pub(crate) fn failed(error: RedisError, ran: bool) -> Error {
    if let Some(refused) = refusal(&error).filter(|_| !ran) {
        return refused;
    }
    let (code, detail) = match (error.code().unwrap_or_default(), error.kind()) {
        _ if ran => (Code::CommitUnknown, "no answer came from Redis, so it may have happened".to_owned()),
        ("OOM", _) => (Code::StorageFull, "Redis has no memory left".to_owned()),
        ("READONLY", _) => (Code::Unreachable, "this Redis is a replica, and takes no writes".to_owned()),
        ("MISCONF", _) => (Code::StorageFailed, "Redis cannot write to its disk, and takes no writes".to_owned()),
        ("BUSY" | "LOADING" | "TRYAGAIN" | "CLUSTERDOWN" | "MASTERDOWN" | "MOVED" | "ASK", _) => {
            (Code::Busy, "Redis cannot answer just now".to_owned())
        }
        ("WRONGTYPE", _) => (Code::Corrupt, "a key of the gate holds something else".to_owned()),
        ("NOAUTH" | "WRONGPASS" | "NOPERM", _) | (_, ErrorKind::AuthenticationFailed) => {
            (Code::ReadOnly, "Redis denies access".to_owned())
        }
        (_, ErrorKind::Server(ServerErrorKind::ResponseError)) => {
            (Code::Corrupt, "a script of the gate was refused by Redis".to_owned())
        }
        (_, ErrorKind::InvalidClientConfig) => {
            (Code::InvalidParameter, "the address of Redis cannot be read".to_owned())
        }
        _ if let Some(why) = distrust(&error) => (Code::UnsafeStore, why),
        (_, ErrorKind::ClusterConnectionNotFound) if let Some(why) = error.detail() => {
            (Code::Unreachable, format!("Redis cannot be reached: {why}"))
        }
        _ => {
            let why = why_unreached(&error).unwrap_or_else(|| error.category());
            (Code::Unreachable, format!("Redis cannot be reached: {why}"))
        }
    };
    Error::new(code, detail).because(error)
}
