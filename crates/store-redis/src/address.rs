//! Where Redis is: one server, a cluster, or the primary that sentinels name; in the clear, or over TLS.

use redis::{
    Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo, RedisResult, TlsCertificates,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tracekeep_store::{Code, Error, Result};

/// One address, read.
pub(crate) struct Address {
    pub(crate) form: Form,
    /// What is trusted, where TLS is spoken: certificates are always checked.
    pub(crate) tls: Option<TlsCertificates>,
}

pub(crate) enum Form {
    /// `redis://[user:password@]host:port[/db]`.
    One(ConnectionInfo),
    /// `redis+cluster://[user:password@]host:port,host:port`.
    Cluster(Vec<ConnectionInfo>),
    /// `redis+sentinel://[user:password@]host:port,host:port/name[/db]`: user, password and db are the primary's.
    Watched { sentinels: Vec<ConnectionAddr>, name: String, primary: RedisConnectionInfo },
}

fn wrong(detail: impl Into<String>) -> Error {
    Error::new(Code::InvalidParameter, detail)
}

/// What cannot be read is not repeated: it may hold a password.
fn read(url: &str) -> Result<ConnectionInfo> {
    let unreadable = |error| wrong("the address of Redis cannot be read").because(error);
    let info = url.into_connection_info().map_err(unreadable)?;
    match info.addr() {
        ConnectionAddr::TcpTls { insecure: true, .. } => {
            Err(wrong("certificates are always checked: name the CA of a private one, and leave #insecure out"))
        }
        _ => Ok(info),
    }
}

impl Address {
    /// Reads an address whose scheme is `redis`, or `rediss` where TLS is to be spoken, in one of the forms. `ca`: PEM of the
    /// CAs that are trusted in place of the public ones.
    pub(crate) fn read(url: &str, ca: Option<&[u8]>) -> Result<Self> {
        let (scheme, places) = url.split_once("://").ok_or_else(|| wrong("the address of Redis has no scheme"))?;
        let (plain, form) = scheme.split_once('+').map_or((scheme, None), |(plain, form)| (plain, Some(form)));
        // The client knows more words for TLS: one that it knows alone would turn it on for some forms and off for others.
        let is_tls = match plain {
            "redis" => false,
            "rediss" => true,
            _ => {
                return Err(wrong(
                    "the address of Redis begins with redis:// or rediss:// (or with +cluster or +sentinel)",
                ));
            }
        };
        let form = match form {
            Some("cluster") => {
                let (login, nodes) = places.rsplit_once('@').map_or(("", places), |(login, nodes)| (login, nodes));
                let at = if login.is_empty() { "" } else { "@" };
                let nodes = nodes.split(',').map(|node| read(&format!("{plain}://{login}{at}{node}")));
                Form::Cluster(nodes.collect::<Result<_>>()?)
            }
            Some("sentinel") => Self::watched(plain, places)?,
            Some(_) => return Err(wrong("the address of Redis has +cluster or +sentinel, or no form")),
            None => Form::One(read(url)?),
        };
        match ca {
            Some(_) if !is_tls => Err(wrong("a CA is named, but the address does not begin with rediss: TLS is off")),
            Some(pem) => Ok(Self { form, tls: Some(trusted(Some(pem))?) }),
            None => Ok(Self { form, tls: if is_tls { Some(trusted(None)?) } else { None } }),
        }
    }

    fn watched(plain: &str, address: &str) -> Result<Form> {
        let named = || wrong("sentinels are named as redis+sentinel://host:port,host:port/name");
        let (login, places) = address.rsplit_once('@').map_or(("", address), |(login, places)| (login, places));
        let (hosts, path) = places.split_once('/').ok_or_else(named)?;
        let (name, db) = path.split_once('/').unwrap_or((path, "0"));
        if name.is_empty() || hosts.is_empty() {
            return Err(named());
        }
        let at = if login.is_empty() { "" } else { "@" };
        let primary = read(&format!("{plain}://{login}{at}primary/{db}"))?.redis_settings().clone();
        let sentinels = hosts.split(',').map(|host| Ok(read(&format!("{plain}://{host}"))?.addr().clone()));
        Ok(Form::Watched { sentinels: sentinels.collect::<Result<_>>()?, name: name.to_owned(), primary })
    }

    /// Whether another server may take the place of one that is gone.
    pub(crate) const fn fails_over(&self) -> bool {
        !matches!(self.form, Form::One(_))
    }

    /// A client of one server.
    pub(crate) fn client(&self, info: ConnectionInfo) -> RedisResult<Client> {
        match &self.tls {
            Some(tls) => Client::build_with_tls(info, tls.clone()),
            None => Client::open(info),
        }
    }
}

fn trusted(ca: Option<&[u8]>) -> Result<TlsCertificates> {
    // Where the program has chosen one, it stays: the error says so.
    let _ = rustls::crypto::ring::default_provider().install_default();
    if let Some(pem) = ca {
        let certificates = CertificateDer::pem_slice_iter(pem).collect::<std::result::Result<Vec<_>, _>>();
        let certificates = certificates.map_err(|error| wrong("the CA of Redis is no PEM").because(error))?;
        let mut roots = rustls::RootCertStore::empty();
        if certificates.is_empty() {
            return Err(wrong("the CA of Redis has no certificate in it: it is PEM, with BEGIN CERTIFICATE"));
        }
        for certificate in certificates {
            roots.add(certificate).map_err(|error| wrong("a CA of Redis cannot be read").because(error))?;
        }
    }
    Ok(TlsCertificates { client_tls: None, root_cert: ca.map(<[u8]>::to_vec) })
}
