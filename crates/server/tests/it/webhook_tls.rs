//! The webhook over TLS: which receiver's certificate is taken.

use std::io::Write;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tracekeep_server::{Tries, Webhook};

use crate::webhook::{Request, SECRET, fail, mac, metric, read, server};

/// A CA of the test's own.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    ca: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        let (mut params, key) = (CertificateParams::default(), KeyPair::generate().unwrap());
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), ca }
    }

    /// A receiver's TLS, with a certificate for `place`.
    fn vouches_for(&self, place: &str) -> Arc<ServerConfig> {
        let key = KeyPair::generate().unwrap();
        let signed = CertificateParams::new(vec![place.to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        Arc::new(config.with_no_client_auth().with_single_cert(vec![signed.der().clone()], key).unwrap())
    }
}

/// Answers one request after another with what stands next in `answers`, and hands each on; nothing of a sender that
/// hangs up before it has sent a word.
fn receiver(tls: Arc<ServerConfig>, answers: &'static [u16]) -> (String, Receiver<Option<Request>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/hook?token=hidden", listener.local_addr().unwrap());
    let (said, heard) = channel();
    std::thread::spawn(move || {
        let mut answers = answers.iter();
        for stream in listener.incoming() {
            let tls = ServerConnection::new(Arc::clone(&tls)).unwrap();
            let mut stream = StreamOwned::new(tls, stream.unwrap());
            let request = read(&mut stream);
            if request.is_some() {
                let status = answers.next().unwrap();
                let head = format!("HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
                stream.write_all(head.as_bytes()).unwrap();
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
            if said.send(request).is_err() {
                return;
            }
        }
    });
    (url, heard)
}

fn webhook(url: &str) -> Webhook {
    let tries = Tries { max: 3, first_wait: Duration::from_millis(1), wait_max: Duration::from_millis(4) };
    Webhook::new(url, SECRET, true).unwrap().trying(tries)
}

#[test]
fn a_receiver_that_its_own_ca_vouches_for_is_told_and_told_again_under_the_same_id() {
    let authority = Authority::new("CA of a receiver");
    let (url, heard) = receiver(authority.vouches_for("127.0.0.1"), &[503, 204, 204]);
    let server = server(&Arc::default(), webhook(&url).trusting(authority.ca.as_bytes()).unwrap());
    fail(&server, "r");
    let next = || heard.recv_timeout(Duration::from_secs(60)).expect("a request comes").expect("it is trusted");
    let (first, again) = (next(), next());
    assert_eq!((first.id(), &first.body), (again.id(), &again.body));
    let signed = format!("{}.{}.{}", again.id(), again.header("webhook-timestamp"), again.body);
    assert_eq!(again.header("webhook-signature"), format!("v1,{}", mac(&signed)));
    assert_eq!(again.member(&["verdict", "status"]), "INCOMPLETE");
    fail(&server, "s");
    assert_eq!(next().member(&["run_id"]), "s", "and not a third time");
    assert_eq!((metric(&server, "failed"), metric(&server, "dropped")), (1, 0));
}

#[test]
fn a_receiver_that_nobody_vouches_for_is_told_nothing() {
    let (authority, other) = (Authority::new("CA of a receiver"), Authority::new("another CA"));
    let trusting = |url: &str, ca: &Authority| webhook(url).trusting(ca.ca.as_bytes()).unwrap();
    let of = |place: &str| receiver(authority.vouches_for(place), &[]);
    for (place, ca) in [("127.0.0.1", Some(&other)), ("127.0.0.1", None), ("hooks.example", Some(&authority))] {
        let (url, heard) = of(place);
        let server = server(&Arc::default(), ca.map_or_else(|| webhook(&url), |ca| trusting(&url, ca)));
        fail(&server, "r");
        for _ in 0..3 {
            let came = heard.recv_timeout(Duration::from_secs(60)).expect("it is tried again");
            assert!(came.is_none(), "{place}");
        }
        fail(&server, "s");
        assert!(heard.recv_timeout(Duration::from_secs(60)).expect("the next event comes").is_none());
        assert_eq!((metric(&server, "sent"), metric(&server, "dropped")), (0, 1), "{place}");
    }
}
