//! A CA of the test's own, and a certificate for loopback that it signed.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

#[derive(Debug)]
pub(crate) struct Authority {
    folder: TempDir,
    ca: String,
    place: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        Self::of("127.0.0.1")
    }

    /// One that signed a certificate for another place.
    pub(crate) fn of(place: &str) -> Self {
        let (key, own) = (KeyPair::generate().expect("a key"), KeyPair::generate().expect("a key"));
        let mut params = CertificateParams::default();
        // Two of one name would be told apart by their signatures alone.
        static MADE: AtomicU32 = AtomicU32::new(0);
        let name = format!("CA {} of a test", MADE.fetch_add(1, Ordering::SeqCst));
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = params.self_signed(&key).expect("a certificate").pem();
        let server = CertificateParams::new(vec![place.to_owned()]).expect("a name");
        let server = server.signed_by(&own, &Issuer::new(params, key)).expect("a certificate").pem();
        let authority = Self { folder: tempfile::tempdir().expect("a folder"), ca, place: place.to_owned() };
        let texts = [server, own.serialize_pem(), authority.ca.clone()];
        authority.files().iter().zip(texts).for_each(|((_, file), text)| std::fs::write(file, text).expect("written"));
        authority
    }

    /// What its certificate is for.
    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    /// The CA's certificate, PEM.
    pub(crate) fn ca(&self) -> Vec<u8> {
        self.ca.clone().into_bytes()
    }

    /// The files of a server, by the setting that names each.
    pub(crate) fn files(&self) -> [(&'static str, PathBuf); 3] {
        ["tls-cert-file", "tls-key-file", "tls-ca-cert-file"].map(|name| (name, self.folder.path().join(name)))
    }
}
