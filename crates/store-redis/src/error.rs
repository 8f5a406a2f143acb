//! Redis's failures in the words of the store. No type of the client crate is seen outside this one.

use redis::{ErrorKind, RedisError, ServerErrorKind};
use tracekeep_store::{Code, Error};

/// Whether a call that failed so may have run: unless the server refused it by a word, or it was never sent.
pub(crate) fn may_have_run(error: &RedisError) -> bool {
    let was_never_sent = matches!(
        error.kind(),
        ErrorKind::InvalidClientConfig | ErrorKind::AuthenticationFailed | ErrorKind::ClusterConnectionNotFound
    );
    error.code().is_none() && !was_never_sent && !error.is_connection_refusal()
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
        _ => (Code::Unreachable, format!("Redis cannot be reached: {}", error.category())),
    };
    Error::new(code, detail).because(error)
}
