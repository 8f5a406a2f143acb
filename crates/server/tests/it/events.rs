//! Server-sent events: each entry once, in order, resumed where the listener left off.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use crate::Server;

pub(crate) struct Listener(BufReader<TcpStream>);

impl Listener {
    pub(crate) fn connect(server: &Server, last: Option<u64>) -> Self {
        let mut stream = TcpStream::connect(server.address).unwrap();
        let last = last.map(|last| format!("last-event-id: {last}\r\n")).unwrap_or_default();
        let request = format!("GET /api/v1/events HTTP/1.1\r\nhost: {}\r\n{last}\r\n", server.address);
        stream.write_all(request.as_bytes()).unwrap();
        let mut listener = Self(BufReader::new(stream));
        let head: Vec<_> = std::iter::from_fn(|| Some(listener.line()).filter(|line| !line.is_empty())).collect();
        assert!(head[0].contains("200"), "{head:?}");
        assert!(head.iter().any(|line| line == "content-type: text/event-stream"), "{head:?}");
        listener
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// The next event: (id, data).
    pub(crate) fn next(&mut self) -> (u64, String) {
        let (mut id, mut data) = (None, None);
        loop {
            let line = self.line();
            if let Some(text) = line.strip_prefix("id: ") {
                id = Some(text.parse().unwrap());
            }
            if let Some(text) = line.strip_prefix("data: ") {
                data = Some(text.to_owned());
            }
            if let (true, Some(id), Some(data)) = (line.is_empty(), id, data.clone()) {
                return (id, data);
            }
        }
    }
}

#[test]
fn entries_are_told_from_the_head_without_their_bodies() {
    let server = Server::start();
    server.post("/api/v1/runs", r#"{"run_id":"before"}"#);
    let mut listener = Listener::connect(&server, None);
    server.post("/api/v1/runs", r#"{"run_id":"r","goal":"a secret"}"#);
    let (id, data) = listener.next();
    assert_eq!(id, 1);
    assert!(data.starts_with(r#"{"kind":"run_started","log_index":1,"recorded_at":""#), "{data}");
    assert!(data.ends_with(r#","run":"r","seq":0}"#), "{data}");
}

#[test]
fn a_listener_resumes_after_its_last_event() {
    let server = Server::start();
    for run in 0..500 {
        server.post("/api/v1/runs", &format!(r#"{{"run_id":"r-{run}"}}"#));
    }
    let mut listener = Listener::connect(&server, Some(41));
    for expected in 42..500 {
        assert_eq!(listener.next().0, expected);
    }
    server.post("/api/v1/runs", r#"{"run_id":"later"}"#);
    assert_eq!(listener.next().0, 500);
    let refused = server.send("GET", "/api/v1/events", &[("last-event-id", "x")], b"");
    refused.refused(400, "invalid_parameter", Some("Last-Event-ID"));
}

#[test]
fn a_stopping_server_lets_listeners_go() {
    let server = Server::start();
    let mut listener = Listener::connect(&server, None);
    drop(server);
    let mut rest = String::new();
    while listener.0.read_line(&mut rest).is_ok_and(|read| read > 0) {}
}
