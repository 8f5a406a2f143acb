//! What is refused, how, and that nothing of it was written.

use crate::Server;

/// A server that holds one run with one trace.
fn with_run() -> Server {
    let server = Server::start();
    assert_eq!(server.post("/api/v1/runs", r#"{"run_id":"r"}"#).status, 201);
    let trace = r#"{"id":"t","trace_type":{"type":"Thought","content":"x"}}"#;
    assert_eq!(server.post("/api/v1/runs/r/traces", trace).status, 201);
    server
}

fn size(server: &Server) -> String {
    server.get("/api/v1/log").member("tree_size").unwrap()
}

/// Each is refused with this status, code and path, and leaves the log as it was.
#[track_caller]
fn check(path: &str, cases: &[(&str, u16, &str, Option<&str>)]) {
    let server = with_run();
    for (body, status, code, place) in cases {
        let before = size(&server);
        let answer = server.post(path, body);
        assert_eq!(answer.status, *status, "{body}: {}", answer.text());
        answer.refused(*status, code, *place);
        assert_eq!(size(&server), before, "{body}");
    }
    assert_eq!(server.get("/api/v1/runs/r/traces/t").status, 200, "what was there is still readable");
}

#[test]
fn bodies_that_are_not_json_are_refused() {
    check(
        "/api/v1/runs",
        &[
            ("", 400, "malformed_json", None),
            ("{", 400, "malformed_json", None),
            ("[]", 400, "invalid_member", None),
            ("null", 400, "invalid_member", None),
            (r#"{"goal":"a","goal":"b"}"#, 400, "duplicate_name", Some("/goal")),
            (r#"{"goal":"\ud800"}"#, 400, "lone_surrogate", Some("/goal")),
            (r#"{"metadata":{"x":1e400}}"#, 400, "number_out_of_range", Some("/metadata/x")),
            (r#"{"metadata":{"x":NaN}}"#, 400, "malformed_json", Some("/metadata/x")),
            ("{\"goal\":\"a\u{0}b\"}", 400, "malformed_json", Some("/goal")),
        ],
    );
}

#[test]
fn starts_outside_the_model_are_refused_with_their_path() {
    let long_tag = format!(r#"{{"tags":["{}"]}}"#, "x".repeat(257));
    let many_tags = format!(r#"{{"tags":[{}]}}"#, vec!["\"x\""; 1_000_000].join(","));
    check(
        "/api/v1/runs",
        &[
            (r#"{"run_id":7}"#, 400, "invalid_member", Some("/run_id")),
            (r#"{"run_id":""}"#, 400, "invalid_id", Some("/run_id")),
            (r#"{"run_id":".."}"#, 400, "invalid_id", Some("/run_id")),
            (r#"{"run_id":"a b"}"#, 400, "invalid_id", Some("/run_id")),
            (r#"{"seed":1.5}"#, 400, "number_out_of_range", Some("/seed")),
            (r#"{"seed":"42"}"#, 400, "invalid_member", Some("/seed")),
            (r#"{"goal":{}}"#, 400, "invalid_member", Some("/goal")),
            (r#"{"gaol":"x"}"#, 400, "unknown_member", Some("/gaol")),
            (r#"{"op":"start_run"}"#, 400, "unknown_member", Some("/op")),
            (r#"{"source":"import"}"#, 400, "unknown_member", Some("/source")),
            (r#"{"plan":[1]}"#, 400, "invalid_member", Some("/plan/0")),
            (r#"{"metadata":[]}"#, 400, "invalid_member", Some("/metadata")),
            (r#"{"tags":[""]}"#, 400, "invalid_member", Some("/tags/0")),
            (r#"{"started_at":"yesterday"}"#, 400, "invalid_time", Some("/started_at")),
            (&long_tag, 413, "too_large", Some("/tags/0")),
            (&many_tags, 400, "too_many", Some("/tags")),
        ],
    );
}

#[test]
fn steps_outside_the_model_are_refused_with_their_path() {
    let step = |members: &str| format!(r#"{{"index":0,"skill_name":"s","params":{{}},"status":"success"{members}}}"#);
    let wrong_hash = step(&format!(r#","input_hash":"{}""#, "0".repeat(64)));
    check(
        "/api/v1/runs/r/steps",
        &[
            ("{}", 400, "missing_member", Some("/index")),
            (
                r#"{"index":0,"skill_name":"s","params":null,"status":"success"}"#,
                400,
                "missing_member",
                Some("/params"),
            ),
            (
                r#"{"index":-1,"skill_name":"s","params":{},"status":"success"}"#,
                400,
                "number_out_of_range",
                Some("/index"),
            ),
            (
                r#"{"index":1000000,"skill_name":"s","params":{},"status":"success"}"#,
                400,
                "number_out_of_range",
                Some("/index"),
            ),
            (
                r#"{"index":0,"skill_name":"","params":{},"status":"success"}"#,
                400,
                "invalid_member",
                Some("/skill_name"),
            ),
            (r#"{"index":0,"skill_name":"s","params":{},"status":"done"}"#, 400, "invalid_member", Some("/status")),
            (&step(r#","cost_cents":0.25"#), 400, "invalid_member", Some("/cost_cents")),
            (&step(r#","cost_cents":"1e3""#), 400, "invalid_member", Some("/cost_cents")),
            (&step(r#","duration_ms":-1"#), 400, "number_out_of_range", Some("/duration_ms")),
            (&step(r#","tokens":-1"#), 400, "number_out_of_range", Some("/tokens")),
            (&step(r#","run_id":"other""#), 400, "unknown_member", Some("/run_id")),
            (&wrong_hash, 422, "hash_mismatch", Some("/input_hash")),
        ],
    );
}

#[test]
fn traces_outside_the_model_are_refused_with_their_path() {
    let custom = |name: &str| format!(r#"{{"trace_type":{{"type":"Custom","name":"{name}","data":1}}}}"#);
    check(
        "/api/v1/runs/r/traces",
        &[
            ("{}", 400, "missing_member", Some("/trace_type")),
            (r#"{"trace_type":{}}"#, 400, "missing_member", Some("/trace_type/type")),
            (r#"{"trace_type":{"type":"Guess"}}"#, 400, "invalid_member", Some("/trace_type/type")),
            (r#"{"trace_type":{"type":"Thought"}}"#, 400, "missing_member", Some("/trace_type/content")),
            (
                r#"{"trace_type":{"type":"Thought","content":"x","mood":1}}"#,
                400,
                "unknown_member",
                Some("/trace_type/mood"),
            ),
            (&custom("Thought"), 400, "reserved_name", Some("/trace_type/name")),
            (&custom(""), 400, "invalid_member", Some("/trace_type/name")),
            (&custom(&"x".repeat(257)), 413, "too_large", Some("/trace_type/name")),
            (
                r#"{"parent_id":"nobody","trace_type":{"type":"Thought","content":"x"}}"#,
                404,
                "parent_not_found",
                Some("/parent_id"),
            ),
            (r#"{"id":"t","trace_type":{"type":"Thought","content":"y"}}"#, 409, "conflict", None),
        ],
    );
}

#[test]
fn batches_are_refused_whole_with_the_ops_path() {
    let many = format!(r#"{{"ops":[{}]}}"#, vec![r#"{"op":"start_run"}"#; 1_001].join(","));
    check(
        "/api/v1/batches",
        &[
            ("{}", 400, "missing_member", Some("/ops")),
            (r#"{"ops":{}}"#, 400, "invalid_member", Some("/ops")),
            (r#"{"ops":[]}"#, 400, "invalid_batch", Some("/ops")),
            (&many, 400, "invalid_batch", Some("/ops")),
            (r#"{"ops":[],"more":1}"#, 400, "unknown_member", Some("/more")),
            (r#"{"ops":[{"op":"fly"}]}"#, 400, "invalid_member", Some("/ops/0/op")),
            (r#"{"ops":[{"op":"start_run"},7]}"#, 400, "invalid_member", Some("/ops/1")),
            (
                r#"{"ops":[{"op":"start_run"},{"op":"start_run","source":"otlp"}]}"#,
                400,
                "unknown_member",
                Some("/ops/1/source"),
            ),
            (
                r#"{"ops":[{"op":"start_run"},{"op":"end_trace","run_id":"r","id":"x","status":"ok"}]}"#,
                404,
                "trace_not_found",
                Some("/ops/1/id"),
            ),
            (
                r#"{"ops":[{"op":"start_run"},{"op":"complete_run","run_id":"q","status":"failed"}]}"#,
                404,
                "run_not_found",
                Some("/ops/1/run_id"),
            ),
        ],
    );
}

#[test]
fn what_is_too_deep_or_too_large_is_refused_and_what_just_fits_is_recorded() {
    let server = with_run();
    let deep = |levels: usize| format!(r#"{{"metadata":{{"x":{}{}}}}}"#, "[".repeat(levels), "]".repeat(levels));
    assert_eq!(server.post("/api/v1/runs", &deep(126)).status, 201);
    assert_eq!(server.post("/api/v1/runs", &deep(127)).member("code").as_deref(), Some("too_deep"));
    // In a batch an op nests as deep as alone.
    let batch = |op: &str| format!(r#"{{"ops":[{{"op":"start_run",{}]}}"#, &op[1..]);
    assert_eq!(server.post("/api/v1/batches", &batch(&deep(126))).status, 201);
    assert_eq!(server.post("/api/v1/batches", &batch(&deep(127))).status, 400);
    let bracket_bomb = "[".repeat(1_000_000);
    assert_eq!(server.post("/api/v1/runs", &bracket_bomb).member("code").as_deref(), Some("too_deep"));
    let large = |bytes: usize| format!(r#"{{"goal":"{}"}}"#, "x".repeat(bytes));
    server.post("/api/v1/runs", &large(4 << 20)).refused(413, "too_large", None);
    assert_eq!(server.post("/api/v1/runs", &large((4 << 20) - 1_000)).status, 201);
    server.post("/api/v1/runs", &large(16 << 20)).refused(413, "too_large", None);
    let chunk = format!("{:x}\r\n{}\r\n0\r\n\r\n", 17 << 20, "x".repeat(17 << 20));
    let chunked = [("content-type", "application/json"), ("transfer-encoding", "chunked")];
    server.send("POST", "/api/v1/runs", &chunked, chunk.as_bytes()).refused(413, "too_large", None);
}

#[test]
fn parameters_are_strict() {
    let server = with_run();
    for (path, place) in [
        ("/api/v1/runs?limit=0", "limit"),
        ("/api/v1/runs?limit=1001", "limit"),
        ("/api/v1/runs?limit=x", "limit"),
        ("/api/v1/runs?limit=1&limit=2", "limit"),
        ("/api/v1/runs?status=done", "status"),
        ("/api/v1/runs?colour=red", "colour"),
        ("/api/v1/runs?order=up", "order"),
        ("/api/v1/runs/r/traces?roots=maybe", "roots"),
        ("/api/v1/runs/r/tree?depth=-1", "depth"),
        ("/api/v1/log/entries?from=-1", "from"),
        ("/api/v1/log/consistency", "from"),
        ("/api/v1/log/consistency?from=2&to=1", "from"),
        ("/api/v1/log/proof/x", "log_index"),
        ("/api/v1/runs/r/steps/first", "index"),
    ] {
        server.get(path).refused(400, "invalid_parameter", Some(place));
    }
    server.get("/api/v1/runs?cursor=00").refused(400, "invalid_cursor", Some("cursor"));
    server.get("/api/v1/log/proof/99").refused(404, "entry_not_found", None);
    server.get("/api/v1/log/consistency?from=0&to=99").refused(404, "entry_not_found", None);
    let ahead = server.get("/api/v1/log/consistency?from=3");
    ahead.refused(404, "entry_not_found", None);
    assert_eq!(ahead.member("detail").as_deref(), Some("the log has 2 entries, and never had 3"));
    server.get("/api/v1/runs/q").refused(404, "run_not_found", None);
    server.get("/api/v1/runs/q/steps").refused(404, "run_not_found", None);
    server.get("/api/v1/runs/r/steps/7").refused(404, "step_not_found", None);
    server.get("/api/v1/runs/r/traces/q").refused(404, "trace_not_found", None);
    server.get("/api/v1/runs/r/tree?root=q").refused(404, "trace_not_found", None);
    server.get("/api/v1/runs/a%20b").refused(400, "invalid_id", Some("/run_id"));
    server.get("/api/v1/runs/r/traces/a%20b").refused(400, "invalid_id", Some("/id"));
    for name in ["id", "parent"] {
        server.get(&format!("/api/v1/runs/r/traces?{name}=a%20b")).refused(400, "invalid_id", Some(name));
    }
    server.get("/api/v1/runs/r/tree?root=a%20b").refused(400, "invalid_id", Some("root"));
}

#[test]
fn routes_methods_types_and_hosts_are_checked() {
    let server = with_run();
    server.get("/api/v1/nothing").refused(404, "route_not_found", None);
    server.send("PATCH", "/api/v1/runs", &[], b"").refused(405, "method_not_allowed", None);
    server.send("POST", "/api/v1/runs", &[], b"{}").refused(415, "unsupported_media_type", None);
    server.send("POST", "/api/v1/runs", &[("content-type", "text/plain")], b"{}").refused(
        415,
        "unsupported_media_type",
        None,
    );
    let kind = [("content-type", "Application/JSON; charset=utf-8")];
    assert_eq!(server.send("POST", "/api/v1/runs", &kind, b"{}").status, 201);
    let foreign = server.raw(b"GET /api/v1/runs HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n");
    foreign.refused(403, "forbidden_host", None);
    let named = server.raw(b"GET /api/v1/runs HTTP/1.1\r\nhost: localhost:1\r\nconnection: close\r\n\r\n");
    assert_eq!(named.status, 200);
    let bytes = server.raw(b"GET /api/v1/runs HTTP/1.1\r\nhost: evil.\xff\r\nconnection: close\r\n\r\n");
    bytes.refused(403, "forbidden_host", None);
    for (origin, status) in
        [("http://localhost:5173", 201), ("http://[::1]", 201), ("https://evil.example", 403), ("null", 403)]
    {
        let headers = [("content-type", "application/json"), ("origin", origin)];
        assert_eq!(server.send("POST", "/api/v1/runs", &headers, b"{}").status, status, "{origin}");
    }
}

#[test]
fn a_method_that_is_not_known_is_told_those_that_are() {
    let server = Server::start();
    assert_eq!(server.send("PUT", "/api/v1/runs/r", &[], b"").header("allow"), Some("GET,HEAD,DELETE"));
}

/// A body said to be compressed was read as it stood.
#[test]
fn compressed_bodies_are_refused_where_none_are_taken() {
    let server = with_run();
    let kind = ("content-type", "application/json");
    for encoding in ["gzip", "br", "identity, gzip"] {
        let answer = server.send("POST", "/api/v1/runs", &[kind, ("content-encoding", encoding)], b"{}");
        answer.refused(415, "unsupported_encoding", None);
    }
    let plain = server.send("POST", "/api/v1/runs", &[kind, ("content-encoding", "identity")], b"{}");
    assert_eq!(plain.status, 201);
}

/// The framework answered these itself, in plain text and uncounted.
#[test]
fn paths_that_are_not_text_are_refused_and_counted() {
    let server = Server::start();
    server.get("/api/v1/runs/%FF").refused(400, "invalid_utf8", None);
    let metrics = server.get("/metrics").text();
    assert!(metrics.contains("route=\"/api/v1/runs/{run_id}\",status=\"400\""), "{metrics}");
}

#[test]
fn hostile_ids_are_one_path_segment() {
    let server = Server::start();
    let id = "../..%2f?#&=/x";
    let body = format!(r#"{{"run_id":"{id}"}}"#);
    assert_eq!(server.post("/api/v1/runs", &body).status, 201);
    let segment = "..%2F..%252f%3F%23%26%3D%2Fx";
    assert_eq!(server.get(&format!("/api/v1/runs/{segment}")).member("run_id").as_deref(), Some(id));
}
