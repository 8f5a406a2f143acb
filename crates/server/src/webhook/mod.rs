//! Telling somebody of verdicts to look into: signed, to one address, in the order of the log, until each is confirmed or
//! given up. The log is the queue: what is kept is how far it was told.

mod address;
mod follow;
mod metrics;
mod place;
mod post;
mod sign;
mod trust;

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::http::Uri;

pub(crate) use follow::{begin, watch};
pub(crate) use metrics::WebhookMetrics;
use sign::Secret;
use trust::Trusted;

/// Bytes of an address at most.
const URL_BYTES_MAX: usize = 2_048;

/// Where verdicts are told, and how. Neither the address nor the secret is ever shown.
#[derive(Clone)]
pub struct Webhook {
    url: Uri,
    secret: Secret,
    allow_private: bool,
    trusted: Option<Trusted>,
    place: Option<PathBuf>,
    tries: Tries,
}

/// How often one event is tried, and how long apart: twice as long each time, by chance up to half of that less.
#[derive(Clone, Copy, Debug)]
pub struct Tries {
    /// Tries in all, from 1.
    pub max: u32,
    /// Between the first and the second.
    pub first_wait: Duration,
    /// Between any two.
    pub wait_max: Duration,
}

impl Default for Tries {
    fn default() -> Self {
        Self { max: 12, first_wait: Duration::from_secs(1), wait_max: Duration::from_secs(300) }
    }
}

impl Webhook {
    /// Verdicts are told to `url` (`https://`; with `allow_private` also `http://` on loopback), signed with `secret`
    /// (`whsec_` and 24 to 64 bytes as base64). Unless `allow_private`, nothing is sent to addresses that are not public,
    /// whatever names stand for them.
    ///
    /// # Errors
    /// What is wrong, in words that show neither.
    pub fn new(url: &str, secret: &str, allow_private: bool) -> Result<Self, &'static str> {
        let secret = Secret::read(secret).ok_or("the secret is whsec_ and 24 to 64 bytes as base64")?;
        if url.len() > URL_BYTES_MAX {
            return Err("the address has more than 2,048 bytes");
        }
        let url: Uri = url.parse().map_err(|_| "the address is no URL")?;
        let authority = url.authority().ok_or("the address names no host")?;
        if authority.as_str().contains('@') {
            return Err("the address holds no user and no password: the signature is what a receiver checks");
        }
        let host = url.host().unwrap_or("").trim_start_matches('[').trim_end_matches(']');
        let ip = host.parse::<IpAddr>().ok();
        match url.scheme_str() {
            Some("https") if allow_private || ip.is_none_or(address::is_public) => {}
            Some("https") => return Err("the address is not a public one, and private ones are not allowed"),
            Some("http") if !allow_private => return Err("the address begins with https://"),
            Some("http") if host == "localhost" || ip.is_some_and(|ip| ip.is_loopback()) => {}
            _ => return Err("the address begins with https://; http:// is for loopback alone"),
        }
        Ok(Self { url, secret, allow_private, trusted: None, place: None, tries: Tries::default() })
    }

    /// The same, checking the receiver's certificate against these CAs (PEM) in place of the public ones.
    ///
    /// # Errors
    /// Where the address is not `https://`, or there is no CA in it.
    pub fn trusting(mut self, ca: &[u8]) -> Result<Self, &'static str> {
        if self.url.scheme_str() != Some("https") {
            return Err("a CA is named, but the address does not begin with https://");
        }
        self.trusted = Some(Trusted::read(ca)?);
        Ok(self)
    }

    /// The same, keeping how far was told in a file beside the ledger's: `LEDGER.webhook`.
    #[must_use]
    pub fn beside(mut self, ledger: &Path) -> Self {
        let mut name = ledger.as_os_str().to_owned();
        name.push(".webhook");
        self.place = Some(name.into());
        self
    }

    /// The same, trying so.
    #[must_use]
    pub const fn trying(mut self, tries: Tries) -> Self {
        self.tries = tries;
        self
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("allow_private", &self.allow_private).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    #[test]
    fn https_is_demanded_and_loopback_is_private() {
        let is_fine = |url: &str, private: bool| Webhook::new(url, SECRET, private).is_ok();
        for url in ["https://hooks.example/a?b=c", "https://hooks.example:8443/", "https://93.184.216.34/"] {
            assert!(is_fine(url, false) && is_fine(url, true), "{url}");
        }
        for url in
            ["https://127.0.0.1/", "https://[::1]:9/", "https://10.0.0.1/", "http://localhost:9/h", "http://[::1]:9/"]
        {
            assert!(!is_fine(url, false) && is_fine(url, true), "{url}");
        }
        for url in ["http://hooks.example/", "http://10.0.0.1/", "ftp://hooks.example/", "hooks.example", "/a", ""] {
            assert!(!is_fine(url, false) && !is_fine(url, true), "{url}");
        }
        assert!(!is_fine("https://user:secret@hooks.example/", true));
        assert!(!is_fine(&format!("https://hooks.example/{}", "a".repeat(URL_BYTES_MAX)), true));
    }

    #[test]
    fn what_is_no_ca_is_refused_before_anything_is_sent() {
        let refused =
            |url: &str, ca: &str| Webhook::new(url, SECRET, true).unwrap().trusting(ca.as_bytes()).unwrap_err();
        let https = "https://hooks.example/";
        assert!(refused(https, "").contains("no certificate"));
        assert!(refused(https, "-----BEGIN CERTIFICATE-----\n?\n").contains("no PEM"));
        let damaged = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(refused(https, damaged).contains("cannot be read"));
        assert!(refused("http://localhost:9/", damaged).contains("https://"));
    }

    #[test]
    fn a_webhook_is_shown_without_its_address_and_its_secret() {
        let webhook = Webhook::new("https://hooks.example/a-token", SECRET, false).unwrap();
        assert_eq!(format!("{webhook:?}"), "Webhook { allow_private: false, .. }");
        assert!(Webhook::new("https://hooks.example/", "whsec_c2hvcnQ=", false).is_err());
    }
}
