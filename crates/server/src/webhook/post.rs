//! One request: to an address that was checked, following nothing, in bounded time.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::http::Uri;
use ureq::config::Config;
use ureq::tls::TlsConfig;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};
use ureq::{Agent, Error};

use super::trust::Trusted;
use super::{Webhook, address};

const CONNECT: Duration = Duration::from_secs(5);
const IN_ALL: Duration = Duration::from_secs(10);
/// Bytes of the answer's head at most; its body is not read.
const HEAD_BYTES_MAX: usize = 16 * 1_024;

/// What came of a request.
pub(super) enum Answer {
    /// Confirmed.
    Taken,
    /// Not now.
    Again(String),
    /// The receiver refuses it, and would again.
    Refused(u16),
}

/// One event, as it is sent each time.
#[derive(Clone)]
pub(super) struct Event {
    pub(super) id: String,
    pub(super) body: Vec<u8>,
}

/// Sends to one address.
#[derive(Clone)]
pub(super) struct Poster {
    webhook: Webhook,
    agent: Agent,
}

impl Poster {
    pub(super) fn new(webhook: Webhook) -> Self {
        let config = Config::builder()
            .proxy(None)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            // Each request looks its address up, and checks it.
            .max_idle_connections(0)
            .max_response_header_size(HEAD_BYTES_MAX)
            .timeout_connect(Some(CONNECT))
            .timeout_global(Some(IN_ALL))
            .tls_config(webhook.trusted.as_ref().map_or_else(TlsConfig::default, Trusted::config))
            .user_agent(concat!("tracekeep/", env!("CARGO_PKG_VERSION")))
            .build();
        let resolver = Checked { inner: DefaultResolver::default(), allow_private: webhook.allow_private };
        Self { agent: Agent::with_parts(config, DefaultConnector::default(), resolver), webhook }
    }

    /// Sends it, as signed at `seconds` since 1970. Blocks for as long as that takes.
    pub(super) fn post(&self, event: &Event, seconds: i64) -> Answer {
        let timestamp = seconds.to_string();
        let signature = self.webhook.secret.sign(&event.id, &timestamp, &event.body);
        let request = self
            .agent
            .post(&self.webhook.url)
            .header("content-type", "application/json")
            .header("webhook-id", &event.id)
            .header("webhook-timestamp", &timestamp)
            .header("webhook-signature", &signature);
        match request.send(&event.body[..]) {
            Ok(answer) => match answer.status().as_u16() {
                200..=299 => Answer::Taken,
                status @ (408 | 429) => Answer::Again(format!("status {status}")),
                status @ 400..=499 => Answer::Refused(status),
                status => Answer::Again(format!("status {status}")),
            },
            Err(Error::Io(error)) if is_of_trust(&error) => Answer::Again("its certificate is not trusted".to_owned()),
            // An error may name the address: only its kind is said.
            Err(Error::Io(error)) => Answer::Again(error.kind().to_string()),
            Err(Error::Timeout(_)) => Answer::Again("no answer in time".to_owned()),
            Err(Error::HostNotFound) => Answer::Again("the host is not found".to_owned()),
            Err(_) => Answer::Again("no answer".to_owned()),
        }
    }
}

fn is_of_trust(error: &io::Error) -> bool {
    let of_tls = error.get_ref().and_then(|inner| inner.downcast_ref());
    matches!(of_tls, Some(rustls::Error::InvalidCertificate(_)))
}

/// Looks up as the system does, and gives nothing unless every address may be reached: those that it gives are connected
/// to, so that a name cannot stand for something else in between.
#[derive(Debug)]
struct Checked {
    inner: DefaultResolver,
    allow_private: bool,
}

impl Resolver for Checked {
    fn resolve(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let found = self.inner.resolve(uri, config, timeout)?;
        let is_plain = uri.scheme_str() != Some("https");
        let may = |to: &SocketAddr| match (self.allow_private, is_plain) {
            (true, true) => to.ip().is_loopback(),
            (true, false) => true,
            (false, is_plain) => !is_plain && address::is_public(to.ip()),
        };
        if found.iter().all(may) { Ok(found) } else { Err(io::Error::from(io::ErrorKind::PermissionDenied).into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn resolved(url: &str, allow_private: bool) -> Result<ResolvedSocketAddrs, Error> {
        let resolver = Checked { inner: DefaultResolver::default(), allow_private };
        let timeout =
            NextTimeout { after: Duration::from_secs(5).into(), reason: ureq::Timeout::Resolve, ..Default::default() };
        resolver.resolve(&url.parse().unwrap(), &Config::default(), timeout)
    }

    #[test]
    fn names_and_numbers_of_what_is_private_are_refused_after_they_were_looked_up() {
        for url in
            ["https://localhost/", "https://2130706433/", "https://0x7f.1/", "https://0/", "https://[::ffff:7f00:1]/"]
        {
            assert!(matches!(resolved(url, false), Err(Error::Io(_))), "{url}");
            assert!(resolved(url, true).is_ok(), "{url}");
        }
        assert!(resolved("https://93.184.216.34/", false).is_ok());
        assert!(resolved("http://93.184.216.34/", false).is_err());
        assert!(resolved("http://10.0.0.1/", true).is_err(), "plain text stays on this machine");
        assert!(resolved("http://localhost/", true).is_ok());
    }

    #[test]
    fn nothing_is_sent_to_a_private_address() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
        let event = Event { id: "e".into(), body: b"{}".to_vec() };
        let Answer::Again(cause) = Poster::new(Webhook::new(&url, SECRET, false).unwrap()).post(&event, 0) else {
            panic!("it was sent")
        };
        assert_eq!(cause, io::ErrorKind::PermissionDenied.to_string());
        assert_eq!(listener.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock, "nobody connected");
    }
}
