use proptest::prelude::*;
use tracekeep_core::id::{IncidentId, RunId};
use tracekeep_core::model::{
    JsonObject, Op, OpenIncident, RecordStep, RecordTrace, ResolveIncident, Severity, TraceType,
};

use super::*;

fn all() -> Redaction {
    Redaction::new(RedactionRules { detectors: Detector::ALL.to_vec(), ..RedactionRules::default() }).unwrap()
}

fn text(rules: &Redaction, text: &str) -> String {
    let compiled = rules.0.as_ref().unwrap();
    let mut work = Work { rules: compiled, counts: RedactedCounts::default() };
    let redacted = work.text(text);
    assert_eq!(redacted.is_some(), !work.counts.is_empty(), "{text}");
    let is_touched = compiled.touches(text.as_bytes());
    assert!(is_touched || redacted.is_none(), "the look in place misses what the second one finds in {text}");
    redacted.unwrap_or_else(|| text.to_owned())
}

fn json(rules: &Redaction, text: &str) -> String {
    let mut work = Work { rules: rules.0.as_ref().unwrap(), counts: RedactedCounts::default() };
    let mut json = Json::parse(text).unwrap();
    let before = json.clone();
    let is_changed = work.json(&mut json);
    assert_eq!(is_changed, json != before, "{text}");
    assert_eq!(is_changed, !work.counts.is_empty());
    json.as_str().to_owned()
}

#[track_caller]
fn becomes(sent: &str, left: &str) {
    assert_eq!(text(&all(), sent), left);
    assert_eq!(text(&all(), left), left, "what was put in stays");
}

#[track_caller]
fn stays(sent: &str) {
    becomes(sent, sent);
}

#[track_caller]
fn json_becomes(sent: &str, left: &str) {
    let left = Json::parse(left).unwrap();
    assert_eq!(json(&all(), sent), left.as_str());
    assert_eq!(json(&all(), left.as_str()), left.as_str(), "what was put in stays");
}

#[track_caller]
fn json_stays(sent: &str) {
    json_becomes(sent, sent);
}

const OPENAI: &str = "sk-proj-Ab3dEf6hIj9kLm2nOp5qRs8tUv1wXy4z";
const GITHUB: &str = "ghp_16C7e42F292c6912E7710c838347Ae178B4a";
const JWT: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P";

#[test]
fn keys_are_found_by_their_prefixes() {
    for key in [
        OPENAI,
        GITHUB,
        "sk-ant-api03-Ab3dEf6hIj9kLm2nOp5q-Rs8tUv1wXy4z_AA",
        "sk_live_4eC39HqLyjWDarjtT1zdp7dc",
        "github_pat_11ABCDEFG0abcdefghijkl_mnopqrstuvwxyzABCDEFGHIJKLMNOP",
        "glpat-Ab3dEf6hIj9kLm2nOp5q",
        "xoxb-123456789012-abcdefghijkl",
        "AKIAIOSFODNN7EXAMPLE",
        "AIzaSyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q",
        "hf_Ab3dEf6hIj9kLm2nOp5qRs8tUv1wXy4z",
    ] {
        becomes(key, "[redacted:key]");
        becomes(&format!("use {key}, please"), "use [redacted:key], please");
        becomes(&format!(r#"{{\"q\":\"first\\n{key}\"}}"#), r#"{\"q\":\"first\\n[redacted:key]\"}"#);
        stays(&format!("x{key}"));
    }
    stays("sk-learn and sk-your-api-key-goes-here-please-and-thanks");
    stays("task-2024-planning-for-the-next-quarter-of-the-year");
    stays("sk-2024-planning-for-the-next-quarter-of-the-year");
    stays("AKIAIOSFODNN7EXAMPLEANDMORE");
    stays("ghp_ and github_pat_ are prefixes");
}

#[test]
fn private_keys_go_whole_and_public_ones_stay() {
    let pem = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\nabc=\n-----END RSA PRIVATE KEY-----";
    becomes(&format!("a {pem} b"), "a [redacted:key] b");
    becomes(&format!("{pem}{pem}"), "[redacted:key][redacted:key]");
    becomes("-----BEGIN PRIVATE KEY-----\\nMIIEpAIB", "[redacted:key]");
    becomes("-----BEGIN PRIVATE KEY-----\nMIIEpAIB\" and more", "[redacted:key]\" and more");
    stays("-----BEGIN CERTIFICATE-----\nMIIEpAIB\n-----END CERTIFICATE-----");
    stays("-----BEGIN PUBLIC KEY-----\nMIIEpAIB\n-----END PUBLIC KEY-----");
}

#[test]
fn tokens_are_found_by_their_form() {
    becomes(JWT, "[redacted:token]");
    becomes(&format!("see {JWT}."), "see [redacted:token]");
    becomes("Bearer 2YotnFZFEjr1zCsicMWpAA==, then", "Bearer [redacted:token], then");
    becomes(&format!("bearer {JWT}"), "bearer [redacted:token]");
    stays("Bearer of bad news, bearer authentication-by-token");
    stays("eyJhbGciOiJIUzI1NiJ9 alone is a header; eyJhbGciOiJIUzI1NiJ9.x is none");
    stays(&format!("x{JWT}"));
}

#[test]
fn passwords_in_urls_leave_the_rest_of_it() {
    becomes("postgres://app:hunter2@db.internal:5432/x", "postgres://app:[redacted:key]@db.internal:5432/x");
    becomes("https://u:p@ss@host.example/p", "https://u:[redacted:key]@host.example/p");
    stays("https://host.example:8080/a@b:c, http://user@host.example.invalid1/");
    stays("postgres://app:${PASSWORD}@db/x");
}

#[test]
fn cards_have_an_issuer_a_length_and_a_check_digit() {
    for card in [
        "4111111111111111",
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "5555555555554444",
        "2223003122003222",
        "378282246310005",
        "3782 822463 10005",
        "30569309025904",
        "6011111111111117",
        "3530111333300000",
    ] {
        becomes(card, "[redacted:card]");
        becomes(&format!("card {card}, 12/27"), "card [redacted:card], 12/27");
        becomes(&format!("{card} 12/27"), "[redacted:card] 12/27");
        stays(&format!("a{card}"));
        stays(&format!("{card}z"));
    }
    becomes("4111 1111 1111 1111 5500 0000 0000 0004", "[redacted:card] [redacted:card]");
    stays("4111111111111112");
    stays("1790000000000000000 1111111111111111 0000000000000000");
    stays("0.4111111111111111 4111111111111111.5");
    stays("f47ac10b-58cc-4372-a567-0e02b2c3d479 4111-1111-1111-1111-4111-a567-0e02b2c3d479x41");
    json_becomes(
        r#"{"card":4111111111111111,"n":[4111111111111112,17.5]}"#,
        r#"{"card":"[redacted:card]","n":[4111111111111112,17.5]}"#,
    );
    json_becomes(
        r#"{"attributes":[{"key":"pan","value":{"intValue":"4111111111111111"}}]}"#,
        r#"{"attributes":[{"key":"pan","value":{"stringValue":"[redacted:card]"}}]}"#,
    );
    json_stays(r#"{"spanId":"4111111111111111","timeUnixNano":"4111111111111111"}"#);
}

#[test]
fn addresses_are_found_and_what_looks_like_one_is_not() {
    becomes("to bob.o'neil@mail.example.org.", "to bob.o'[redacted:email].");
    becomes("<jürgen@straße.example>", "<[redacted:email]>");
    becomes("a@b.co,c+d@e.fr", "[redacted:email],[redacted:email]");
    becomes(r"line\nbob@x.org", r"line\n[redacted:email]");
    stays("user@host, @handle, react@18.2.0, logo@2x.png, git@github.com:org/repo, a@b");
}

#[test]
fn fields_go_whole_by_the_end_of_their_names() {
    for name in [
        "token",
        "Token",
        "PGPASSWORD",
        "password",
        "PASSWORD",
        "db_password",
        "dbPassword",
        "http.request.header.x-api-key",
        "APIKey",
        "Set-Cookie",
    ] {
        json_becomes(&format!(r#"{{"{name}":"x","rest":1}}"#), &format!(r#"{{"{name}":"[redacted:field]","rest":1}}"#));
    }
    for name in [
        "passwords",
        "password_hint_url",
        "nopassword",
        "max_tokens",
        "page_token",
        "tokens",
        "key",
        "secretary",
        "monkey",
        "cookies_on",
    ] {
        json_stays(&format!(r#"{{"{name}":"x"}}"#));
    }
    json_becomes(
        r#"{"a":[{"secret":{"b":[1]}},{"api_key":5},{"cookie":["a=b"]}]}"#,
        r#"{"a":[{"secret":"[redacted:field]"},{"api_key":"[redacted:field]"},{"cookie":"[redacted:field]"}]}"#,
    );
    json_stays(r#"{"password":null,"secret":"","pwd":true,"cookie":[],"api_key":{}}"#);
}

#[test]
fn pairs_of_a_name_and_a_value_are_fields_too() {
    json_becomes(
        r#"{"headers":[{"name":"Authorization","value":"Basic dXNlcjpwYXNz"},{"name":"Accept","value":"x"}]}"#,
        r#"{"headers":[{"name":"Authorization","value":"[redacted:field]"},{"name":"Accept","value":"x"}]}"#,
    );
    json_becomes(
        r#"{"attributes":[{"key":"http.request.header.cookie","value":{"arrayValue":{"values":[{"stringValue":"a"}]}}},
            {"key":"user.password","value":{"stringValue":"x"}},{"key":"has_password","value":{"boolValue":true}}]}"#,
        r#"{"attributes":[{"key":"http.request.header.cookie","value":{"stringValue":"[redacted:field]"}},
            {"key":"user.password","value":{"stringValue":"[redacted:field]"}},{"key":"has_password","value":{"boolValue":true}}]}"#,
    );
}

#[test]
fn fields_are_found_in_json_inside_strings_however_often_escaped() {
    let mut inner = r#"{"password":"a\"b\\","rest":"x","secret":{"k":["]"]},"api_key":17,"pwd":null}"#.to_owned();
    let mut left =
        r#"{"password":"[redacted:field]","rest":"x","secret":[redacted:field],"api_key":[redacted:field],"pwd":null}"#
            .to_owned();
    for _ in 0..4 {
        becomes(&inner, &left);
        let quoted = |text: &str| Json::from(text).as_str().to_owned();
        (inner, left) = (format!(r#"{{"in":{}}}"#, quoted(&inner)), format!(r#"{{"in":{}}}"#, quoted(&left)));
    }
}

#[test]
fn fields_are_found_in_text_of_many_kinds() {
    becomes("export DB_PASSWORD=hunter2 && run", "export DB_PASSWORD=[redacted:field] && run");
    becomes("https://x.example/?access_token=abc&page=2", "https://x.example/?access_token=[redacted:field]&page=2");
    becomes("{'password': 'hunter2', 'user': 'bob'}", "{'password': '[redacted:field]', 'user': 'bob'}");
    becomes("api_key = \"abc\"", "api_key = \"[redacted:field]\"");
    becomes(
        "GET /\r\nAuthorization: Basic dXNlcjpwYXNz\r\nAccept: x",
        "GET /\r\nAuthorization: [redacted:field]\r\nAccept: x",
    );
    becomes(
        "curl -H 'X-Api-Key: abc' -H \"Cookie: a=b; c=d\" x",
        "curl -H 'X-Api-Key: abc' -H \"Cookie: [redacted:field]\" x",
    );
    becomes("user: bob\npassword: hunter2\nport: 1", "user: bob\npassword: [redacted:field]\nport: 1");
    becomes("password=\"cut off he", "password=\"[redacted:field]");
    stays("Password: please enter your password");
    stays("the secret: nobody knows; authorization: the act of giving leave");
    stays("connect(password=password, api_key=os.environ[\"X\"], secret=load())");
    stays("password: str\npassword=$PASSWORD if api_key == other");
}

#[test]
fn what_follows_a_flag_of_a_command_is_a_field() {
    becomes("mysql --user bob --password hunter2 -e x", "mysql --user bob --password [redacted:field] -e x");
    becomes("run --api-key 'a b' --token abc; ls", "run --api-key '[redacted:field]' --token [redacted:field]; ls");
    becomes("PGPASSWORD=hunter psql", "PGPASSWORD=[redacted:field] psql");
    json_becomes(
        r#"{"cmd":"x\n--client-secret \"s\" y","argv":["x","--password","hunter2","--user","bob"]}"#,
        r#"{"cmd":"x\n--client-secret \"[redacted:field]\" y","argv":["x","--password","[redacted:field]","--user","bob"]}"#,
    );
    stays("--password $PASS --token <token> --api-key KEY --secret --password-stdin x a--password x, --passwords 17");
    json_stays(r#"{"argv":["--password",null,"--token",true,"--verbose","17"]}"#);
}

/// The word is a variable's in much code, and part of the name of much that is no secret.
#[test]
fn a_token_is_one_as_a_member_and_in_a_query_alone() {
    json_becomes(
        r#"{"token":"abc","next_page_token":"def","in":"{\"token\":\"abc\"}"}"#,
        r#"{"token":"[redacted:field]","next_page_token":"def","in":"{\"token\":\"[redacted:field]\"}"}"#,
    );
    becomes("GET /a?token=abc&page_token=def", "GET /a?token=[redacted:field]&page_token=def");
    stays("parse(token=next, kind=x); token: str; token=abc");
    let kept = RedactionRules { keep: vec!["token".into()], ..RedactionRules::default() };
    let sent = r#"{"token":"abc"}"#;
    assert_eq!(json(&Redaction::new(kept).unwrap(), sent), sent);
}

/// In canonical JSON the letter of an escape stands right before what begins a line.
#[test]
fn fields_are_found_right_after_an_escape() {
    let found = |mut sent: String, mut left: String| {
        becomes(&sent, &left);
        for _ in 0..3 {
            (sent, left) = (Json::from(sent).to_string(), Json::from(left).to_string());
            becomes(&sent, &left);
            json_becomes(&format!(r#"{{"stdout":{sent}}}"#), &format!(r#"{{"stdout":{left}}}"#));
        }
    };
    for name in names::WELL_KNOWN {
        for space in ["\n", "\t", "\r", "\r\n", "\u{8}", "\u{c}", "\u{b}", "\u{1f}", "\n\t\t"] {
            let stated = |value: &str| format!("HOST=db{space}{name}={value}\nPORT=1");
            found(stated("hunter2"), stated("[redacted:field]"));
            let quoted = |value: &str| format!("{space}{name}=\"{value}\"");
            found(quoted("a b"), quoted("[redacted:field]"));
            let member = |value: &str| format!("x{space}{{\"a{space}{name}\":\"{value}\"}}");
            found(member("hunter2"), member("[redacted:field]"));
        }
        for space in ["\n", "\r", "\r\n", "\n\t\t", "\n \t "] {
            let header = |value: &str| format!("a: b{space}{name}: {value}\nc: d");
            let value = if *name == "authorization" { "Basic dXNlcjpwYXNz" } else { "a=b1" };
            found(header(value), header("[redacted:field]"));
        }
    }
    stays(r"C:\nopassword=x \tokens=y \secretary=z");
    becomes(r"C:\refresh_token=x", r"C:\refresh_token=[redacted:field]");
}

#[test]
fn names_with_escapes_in_them_are_names() {
    for name in
        [r"my\tpassword", r"my\u000bapi_key", r"pass\nword", r#"a\"password"#, r"a\\secret", "x/password", "api/key"]
    {
        json_becomes(&format!(r#"{{"{name}":"x"}}"#), &format!(r#"{{"{name}":"[redacted:field]"}}"#));
        for pair in ["key", "name"] {
            json_becomes(
                &format!(r#"{{"{pair}":"{name}","value":"x"}}"#),
                &format!(r#"{{"{pair}":"{name}","value":"[redacted:field]"}}"#),
            );
        }
    }
    json_stays(r#"{"pass\nwords":"x","a\\npasswords":"y","name":"my\ttokens","value":"z"}"#);
}

#[test]
fn cards_and_addresses_are_found_right_after_an_escape() {
    let longest = format!("{}@b.co", "a".repeat(64));
    for space in ["\n", "\t", "\r", "\u{8}", "\u{c}", "\u{b}", "\u{1}"] {
        for (secret, kind) in [("4111111111111111", "card"), ("4111 1111 1111 1111", "card"), (&*longest, "email")] {
            let (sent, left) = (format!("x{space}{secret}"), format!("x{space}[redacted:{kind}]"));
            let (sent, left) = (Json::from(sent).to_string(), Json::from(left).to_string());
            becomes(&sent, &left);
            json_becomes(&sent, &left);
        }
    }
}

#[test]
fn a_line_in_the_result_of_a_tool_is_redacted_in_the_op() {
    let params = Json::parse(r#"{"stdout":"HOST=db\npassword=hunter2\n"}"#).unwrap();
    let mut op = Op::RecordStep(RecordStep::new("r".parse().unwrap(), 0, "shell", params));
    Redaction::well_known().redact(&mut op);
    let Op::RecordStep(step) = &op else { unreachable!() };
    assert_eq!(step.params.as_str(), r#"{"stdout":"HOST=db\npassword=[redacted:field]\n"}"#);
    assert_eq!(step.redacted.as_ref().unwrap().counts.field, Some(1));
}

/// A door in front of this one took something out already, and another kind is found here.
#[test]
fn what_was_taken_out_before_stays_stated() {
    let mut op = Op::RecordStep(RecordStep::new(
        RunId::new("r").unwrap(),
        0,
        "mail",
        Json::parse(&format!(r#"{{"note":"{OPENAI} of a@b.co"}}"#)).unwrap(),
    ));
    Redaction::well_known().redact(&mut op);
    all().redact(&mut op);
    let Some(Some(stated)) = op.redacted_mut() else { panic!("it is stated") };
    assert_eq!((stated.counts.key, stated.counts.email), (Some(1), Some(1)));
    assert_eq!(Some(&*stated.rules), all().version());
}

#[test]
fn detectors_and_names_are_chosen() {
    let rules = Redaction::new(RedactionRules {
        fields: vec!["IBAN".into(), "x_y".into(), "größe".into()],
        keep: vec!["cookie".into()],
        detectors: vec![Detector::Email],
    })
    .unwrap();
    let sent = format!(r#"{{"cookie":"{OPENAI}","iban":"DE1","größe":"a","X-Y":"b","secret":"c","to":"a@b.co"}}"#);
    assert_eq!(
        json(&rules, &sent),
        Json::parse(&format!(
            r#"{{"cookie":"{OPENAI}","iban":"[redacted:field]","größe":"[redacted:field]","X-Y":"[redacted:field]",
                "secret":"[redacted:field]","to":"[redacted:email]"}}"#
        ))
        .unwrap()
        .as_str()
    );
    let well_known = Redaction::well_known();
    assert_eq!(text(&well_known, "4111111111111111 a@b.co"), "4111111111111111 a@b.co");
    assert_eq!(text(&well_known, OPENAI), "[redacted:key]");
}

#[test]
fn a_version_says_which_rules_they_are() {
    let rules = |fields: &[&str]| {
        let fields = fields.iter().map(|field| (*field).to_owned()).collect();
        Redaction::new(RedactionRules { fields, ..RedactionRules::default() }).unwrap()
    };
    assert_eq!(rules(&[]).version(), Some("2"));
    assert_eq!(rules(&["a_b", "c"]), rules(&["C", "A-B", "ab"]));
    assert_ne!(rules(&["a"]), rules(&["b"]));
    assert!(rules(&["a"]).version().unwrap().starts_with("2-"));
    for wrong in [
        RedactionRules { fields: vec!["--".into()], ..RedactionRules::default() },
        RedactionRules { fields: vec!["x".repeat(65)], ..RedactionRules::default() },
        RedactionRules { fields: vec!["x".into(); 257], ..RedactionRules::default() },
        RedactionRules { keep: vec!["iban".into()], ..RedactionRules::default() },
    ] {
        assert_eq!(Redaction::new(wrong).unwrap_err().code(), "invalid_parameter");
    }
}

#[test]
fn an_op_states_what_was_taken_out_and_one_without_secrets_is_as_it_was() {
    let params = Json::parse(&format!(r#"{{"password":"x","q":"{OPENAI} {GITHUB}"}}"#)).unwrap();
    let mut op = Op::RecordStep(RecordStep::new("r".parse().unwrap(), 0, "sk-learn", params));
    op.check().unwrap();
    Redaction::well_known().redact(&mut op);
    let Op::RecordStep(step) = &op else { unreachable!() };
    let counts = RedactedCounts { field: Some(1), key: Some(2), ..RedactedCounts::default() };
    assert_eq!(step.redacted, Some(Redacted { rules: "2".into(), counts }));
    assert_eq!(step.params.as_str(), r#"{"password":"[redacted:field]","q":"[redacted:key] [redacted:key]"}"#);
    assert_eq!(step.input_hash, Some(tracekeep_core::hash::input_hash(step.params.as_str())));

    let thought = TraceType::Thought { content: "nothing to hide".into(), confidence: None };
    let mut plain = Op::RecordTrace(RecordTrace::new("r".parse().unwrap(), thought));
    let before = plain.clone();
    all().redact(&mut plain);
    assert_eq!(plain, before);
}

#[track_caller]
fn is_linear(rules: &Redaction, sent: &str) {
    let left = text(rules, sent);
    assert!(text(rules, &left) == left, "{}", &sent[..32]);
    json(rules, Json::from(sent).as_str());
}

#[test]
fn what_holds_a_placeholder_stays_and_what_it_holds_besides_goes() {
    let padding = "x".repeat(300);
    let nested = |depth: usize, last: &str| {
        format!(r#"{}{{"a":"{padding}",{last}}}{}"#, r#"{"pwd":"#.repeat(depth), "}".repeat(depth))
    };
    let inner = r#""api_key":"[redacted:field]","b":"[redacted:key]""#;
    stays(&nested(stated::REACHES_MAX, inner));
    becomes(&nested(stated::REACHES_MAX, r#""api_key":"x","b":"[redacted:key]""#), &nested(stated::REACHES_MAX, inner));
    let opened = |count: usize| format!("{}{padding}", "\"pwd\":[".repeat(count));
    becomes(
        &format!("{}[redacted:key]", opened(stated::REACHES_MAX + 1)),
        &format!("{}\"pwd\":[redacted:field][redacted:key]", "\"pwd\":[".repeat(stated::REACHES_MAX)),
    );
    becomes("\"pwd\":[\"x\"][redacted:key]", "\"pwd\":[redacted:field][redacted:key]");
    becomes("pwd=\"x\"[redacted:key] pwd=y", "pwd=\"[redacted:field]\"[redacted:key] pwd=[redacted:field]");
}

/// 128 KiB of what each detector starts to look at and gives up on takes no longer than linear time allows: a quadratic one
/// would not end while the suite runs.
#[test]
fn hostile_text_takes_linear_time() {
    let rules = all();
    for part in [
        "password:",
        "password=",
        "password=\"",
        "\"password\":[",
        "\"password\":\\",
        "authorization: a ",
        "authorization:",
        "cookie: ",
        "sk-",
        "SG.",
        "ya29.",
        "eyJ",
        "eyJaaaaaaaa.",
        "Bearer ",
        "-----BEGIN ",
        "-----BEGIN PRIVATE KEY-----",
        "://",
        "://a:",
        "@",
        "a@",
        "a@b.",
        "4",
        "4 ",
        "4111-",
        "\\",
        "\\\\\"",
        "\"key\":\"",
        "[redacted:key]",
        "a:b@",
        "{",
        "password : ",
    ] {
        is_linear(&rules, &part.repeat((128 << 10) / part.len()));
    }
    for part in ["\"pwd\":[", "pwd=\"", "cookie: a=b ", "authorization: Basic ", "\"pwd\":[\"", "password:1"] {
        is_linear(&rules, &format!("{}[redacted:key]", part.repeat((1 << 20) / part.len())));
        is_linear(&rules, &format!("{part}{}[redacted:key]", " ".repeat(300)).repeat(1 << 8));
    }
    let ever_deeper =
        |quote: char| (1..1_400).map(|depth| format!("pwd={}{quote}", "\\".repeat(depth))).collect::<String>();
    is_linear(&rules, &format!("{}[redacted:key]", ever_deeper('\'')));
    is_linear(&rules, &format!("{}[redacted:key]", ever_deeper('"')));
    let mut deep = Json::from("password=x");
    for _ in 0..100_000 {
        deep = Json::from_canonical(format!("[{deep}]"));
        if deep.as_str().len() > 4_000 {
            break;
        }
    }
    let mut work = Work { rules: rules.0.as_ref().unwrap(), counts: RedactedCounts::default() };
    assert!(!work.json(&mut deep), "what is too deep to be recorded is not walked");
}

#[test]
fn the_page_of_redaction_lists_what_is_known() {
    let page = include_str!("../../../../docs/redaction.md");
    for word in names::WELL_KNOWN.iter().chain(names::WHOLE).copied().chain(secrets::prefixes()) {
        assert!(page.contains(&format!("`{word}`")), "{word}");
    }
    assert!(Detector::ALL.iter().all(|word| page.contains(&format!("| `{word}` |"))));
    assert!(page.contains(&format!("at most {RULE_FIELDS_MAX}, of at most {RULE_FIELD_BYTES_MAX} bytes")));
    assert!(page.contains(&format!("version of the built-in rules, `{RULES_VERSION}`")));
    let example = RedactionRules {
        fields: vec!["iban".into(), "date_of_birth".into()],
        keep: vec!["cookie".into()],
        detectors: vec![Detector::Key, Detector::Token, Detector::Card, Detector::Email],
    };
    let version = Redaction::new(example).unwrap().version().unwrap().to_owned();
    assert!(page.contains(&format!("how; of the example above `{version}`")), "{version}");
}

fn pieces() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "password",
        "--token ",
        "--password ",
        "api_key",
        "Cookie",
        "authorization",
        "Basic ",
        "=",
        ":",
        ": ",
        "\"",
        "'",
        "\\",
        "\\\"",
        "\n",
        "\t",
        "\r",
        "\u{b}",
        "\\n",
        "\\t",
        "\\u000b",
        "{",
        "}",
        "[",
        "]",
        ",",
        "&",
        "@",
        ".",
        "-",
        "_",
        " ",
        "a@b.co",
        "4111111111111111",
        "4111 1111",
        " 1111 1111",
        OPENAI,
        GITHUB,
        JWT,
        "Bearer ",
        "://u:p@",
        "https",
        "-----BEGIN PRIVATE KEY-----",
        "-----END PRIVATE KEY-----",
        "[redacted:field]",
        "[redacted:key]",
        "[redacted",
        "é",
        "x1",
        "AKIAIOSFODNN7EXAMPLE",
        "eyJ",
        "sk-",
        "true",
        "null",
        "key",
        "value",
        "/",
        "?",
        "=>",
    ]);
    prop::collection::vec(prop_oneof![8 => known.prop_map(str::to_owned), 1 => "\\PC{0,3}"], 0..12)
        .prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn what_was_redacted_stays_as_it_is(sent in pieces()) {
        let rules = all();
        let left = text(&rules, &sent);
        prop_assert_eq!(&text(&rules, &left), &left);
        let document = json(&rules, Json::from(sent.as_str()).as_str());
        prop_assert_eq!(document, Json::from(left).to_string(), "the look in place misses what a string holds");
    }

    #[test]
    fn documents_stay_canonical_and_as_they_are(names in prop::collection::vec(pieces(), 1..4), values in prop::collection::vec(pieces(), 4)) {
        let rules = all();
        let members = names.into_iter().zip(values).map(|(name, value)| (name, Json::from(value.as_str())));
        let Ok(object) = Json::object(members) else { return Ok(()) };
        let mut left = object.clone();
        let mut work = Work { rules: rules.0.as_ref().unwrap(), counts: RedactedCounts::default() };
        work.json(&mut left);
        prop_assert_eq!(Json::parse(left.as_str()).unwrap(), left.clone());
        let mut again = left.clone();
        work.json(&mut again);
        prop_assert_eq!(again, left);
        prop_assert!(JsonObject::new(object).is_ok());
    }
}

#[test]
fn what_an_incident_says_in_words_and_values_is_looked_over() {
    let run_id = RunId::new("r").unwrap();
    let mut op = Op::OpenIncident(OpenIncident {
        policy_name: Some("password=hunter2".to_owned()),
        title: Some("password=hunter2".to_owned()),
        summary: Some(format!("it sent {OPENAI}")),
        threshold: Some(Json::parse(r#"{"password":"hunter2"}"#).unwrap()),
        actual: Some(Json::parse(r#"{"token":"none","api_key":"k"}"#).unwrap()),
        ..OpenIncident::of(run_id, Severity::Low)
    });
    all().redact(&mut op);
    let Op::OpenIncident(op) = op else { panic!("it stays what it is") };
    assert_eq!(op.title.as_deref(), Some("password=[redacted:field]"));
    assert_eq!(op.summary.as_deref(), Some("it sent [redacted:key]"));
    assert_eq!(op.threshold.unwrap().as_str(), r#"{"password":"[redacted:field]"}"#);
    assert_eq!(op.actual.unwrap().as_str(), r#"{"api_key":"[redacted:field]","token":"[redacted:field]"}"#);
    assert_eq!(op.policy_name.as_deref(), Some("password=hunter2"), "a name is what it is found by");
    assert_eq!(op.redacted.unwrap().counts.field, Some(4));
    let mut op = Op::ResolveIncident(ResolveIncident {
        incident_id: IncidentId::new("i").unwrap(),
        resolution: "password=hunter2 was changed".to_owned(),
        by: None,
        resolved_at: None,
        redacted: None,
    });
    all().redact(&mut op);
    let Op::ResolveIncident(op) = op else { panic!("it stays what it is") };
    assert_eq!(op.resolution, "password=[redacted:field] was changed");
    assert!(op.redacted.is_some());
}
