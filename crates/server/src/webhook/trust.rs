//! Which CAs vouch for a receiver.

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// CAs in place of the public ones.
#[derive(Clone)]
pub(super) struct Trusted(RootCerts);

impl Trusted {
    /// Reads PEM, every certificate in it: one that could not be used would be found missing with the first event.
    pub(super) fn read(ca: &[u8]) -> Result<Self, &'static str> {
        let certificates = CertificateDer::pem_slice_iter(ca).collect::<Result<Vec<_>, _>>();
        let certificates = certificates.map_err(|_| "the CA is no PEM")?;
        if certificates.is_empty() {
            return Err("the CA has no certificate in it: it is PEM, with BEGIN CERTIFICATE");
        }
        let mut roots = RootCertStore::empty();
        for certificate in &certificates {
            roots.add(certificate.clone()).map_err(|_| "a CA cannot be read")?;
        }
        let owned = certificates.iter().map(|certificate| Certificate::from_der(certificate).to_owned());
        Ok(Self(owned.collect::<Vec<_>>().into()))
    }

    /// How a connection is made, with these alone.
    pub(super) fn config(&self) -> TlsConfig {
        TlsConfig::builder().root_certs(self.0.clone()).build()
    }
}
