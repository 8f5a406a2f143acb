//! The page and what stands beside it.

use crate::Server;

#[test]
fn the_page_comes_under_a_strict_policy() {
    let server = Server::start();
    for (path, kind) in [("/", "text/html"), ("/page.js", "text/javascript"), ("/page.css", "text/css")] {
        let file = server.get(path);
        assert_eq!(file.status, 200);
        assert!(file.header("content-type").is_some_and(|value| value.starts_with(kind)), "{path}");
        let policy = file.header("content-security-policy").expect("a policy");
        for demand in
            ["default-src 'none'", "script-src 'self'", "require-trusted-types-for 'script'", "frame-ancestors 'none'"]
        {
            assert!(policy.contains(demand), "{policy}");
        }
        assert_eq!(file.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(file.header("referrer-policy"), Some("no-referrer"));
    }
    let html = server.get("/").text();
    assert!(!html.contains("<style") && !html.contains("onload=") && !html.contains("javascript:"), "nothing inline");
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

#[test]
fn the_document_and_the_errors_pages_are_served() {
    let server = Server::start();
    assert_eq!(server.get("/openapi.json").text(), tracekeep_server::openapi_document());
    assert!(server.get("/errors/conflict").text().starts_with("# conflict\n"));
    server.get("/errors/nothing").refused(404, "route_not_found", None);
}
