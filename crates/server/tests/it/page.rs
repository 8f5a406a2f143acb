//! The page and what stands beside it.

use std::path::Path;
use std::{fs, io};

use crate::Server;

/// The page's files as they lie in the source, by the path that each is to be served at.
fn files() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/page");
    let entries: io::Result<Vec<_>> = fs::read_dir(folder).unwrap().collect();
    let named = entries.unwrap().into_iter().map(|entry| {
        let name = entry.file_name().into_string().unwrap();
        let path = if name == "index.html" { "/".to_owned() } else { format!("/page/{name}") };
        (path, fs::read_to_string(entry.path()).unwrap())
    });
    named.collect()
}

/// What a file asks the browser to load, as paths.
fn asked_for(path: &str, text: &str) -> Vec<String> {
    let quoted = |before: &str| -> Vec<String> {
        text.split(before).skip(1).map(|rest| rest.split_once('"').unwrap().0.to_owned()).collect()
    };
    if path == "/" {
        let links = text.lines().filter(|line| line.starts_with("<link") || line.starts_with("<script"));
        return links
            .map(|line| line.split_once("href=\"").or_else(|| line.split_once("src=\"")).unwrap().1)
            .map(|rest| rest.split_once('"').unwrap().0.to_owned())
            .collect();
    }
    if !path.ends_with(".js") {
        return Vec::new();
    }
    for other in ["import(", "import \"", "from '"] {
        assert!(!text.contains(other), "{path}: a way to load that this test does not see: {other}");
    }
    quoted(" from \"./").into_iter().map(|name| format!("/page/{name}")).collect()
}

#[test]
fn each_of_the_pages_files_comes_as_it_is_under_a_strict_policy() {
    let server = Server::start();
    for (path, text) in files() {
        let kind = match path.rsplit_once('.').map(|(_, ending)| ending) {
            None => "text/html",
            Some("js") => "text/javascript",
            Some("css") => "text/css",
            Some("svg") => "image/svg+xml",
            Some(_) => panic!("{path}: say here which type it has"),
        };
        let file = server.get(&path);
        assert_eq!(file.status, 200, "{path}");
        assert_eq!(file.text(), text, "{path}");
        assert!(file.header("content-type").is_some_and(|value| value.starts_with(kind)), "{path}");
        let policy = file.header("content-security-policy").expect("a policy");
        for demand in
            ["default-src 'none'", "script-src 'self'", "require-trusted-types-for 'script'", "frame-ancestors 'none'"]
        {
            assert!(policy.contains(demand), "{path}: {policy}");
        }
        assert_eq!(file.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(file.header("referrer-policy"), Some("no-referrer"), "{path}");
    }
    let html = server.get("/").text();
    assert!(!html.contains("<style") && !html.contains("onload=") && !html.contains("javascript:"), "nothing inline");
}

/// Loads a file and all that it asks for; `way` is what led to it.
fn visit(server: &Server, path: &str, way: &[String], seen: &mut Vec<String>) {
    assert!(!way.iter().any(|before| before == path), "imports go round: {way:?} {path}");
    if seen.iter().any(|before| before == path) {
        return;
    }
    let file = server.get(path);
    assert_eq!(file.status, 200, "{path}, which {:?} asks for", way.last());
    let way = [way, &[path.to_owned()]].concat();
    for next in asked_for(path, &file.text()) {
        visit(server, &next, &way, seen);
    }
    seen.push(path.to_owned());
}

#[test]
fn what_the_page_asks_for_is_served_and_imports_go_one_way() {
    let server = Server::start();
    let mut seen = Vec::new();
    visit(&server, "/", &[], &mut seen);
    seen.sort();
    let mut all: Vec<_> = files().into_iter().map(|(path, _)| path).collect();
    all.sort();
    assert_eq!(seen, all, "no file lies about that nothing asks for");
}

#[test]
fn operators_find_health_readiness_and_figures() {
    let server = Server::start();
    assert_eq!(server.get("/healthz").text(), "ok\n");
    assert_eq!(server.get("/readyz").text(), "ok\n");
    server.post("/api/v1/runs", r#"{"run_id":"r"}"#);
    server.post("/api/v1/runs", r#"{"run_id":"r"}"#);
    server.post("/api/v1/runs", "{");
    let metrics = server.get("/metrics").text();
    for line in [
        r#"tracekeep_batches_total{outcome="recorded"} 1"#,
        r#"tracekeep_batches_total{outcome="duplicate"} 1"#,
        r#"tracekeep_http_requests_total{route="/api/v1/runs",status="400"} 1"#,
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
}

/// A scan for secrets, or a page elsewhere that wrote here, showed in no figure.
#[test]
fn what_no_route_answers_is_counted_without_its_path() {
    let server = Server::start();
    server.get("/wp-admin/hidden").refused(404, "route_not_found", None);
    server.send("PUT", "/api/v1/log", &[], b"").refused(405, "method_not_allowed", None);
    server.send("PUT", "/", &[], b"").refused(405, "method_not_allowed", None);
    let elsewhere = &[("origin", "http://elsewhere.example"), ("content-type", "application/json")];
    server.send("POST", "/api/v1/runs", elsewhere, b"{}").refused(403, "forbidden_host", None);
    server.get("/");
    let metrics = server.get("/metrics").text();
    for line in [
        r#"tracekeep_http_requests_total{route="none",status="404"} 1"#,
        r#"tracekeep_http_requests_total{route="none",status="405"} 2"#,
        r#"tracekeep_http_requests_total{route="none",status="403"} 1"#,
        r#"tracekeep_http_requests_total{route="page",status="200"} 1"#,
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    assert!(!metrics.contains("hidden"), "{metrics}");
}

#[test]
fn the_document_and_the_errors_pages_are_served() {
    let server = Server::start();
    assert_eq!(server.get("/openapi.json").text(), tracekeep_server::openapi_document());
    assert!(server.get("/errors/conflict").text().starts_with("# conflict\n"));
    server.get("/errors/nothing").refused(404, "route_not_found", None);
}
