//! Reading in place: it accepts canonical text alone, and comes to what the strict reader comes to.

use std::sync::Arc;

use proptest::prelude::*;
use tracekeep_core::json::{Json, Recorded, Value, canonical_json, parse};
use tracekeep_core::model::{Kind, Op};

const TIME: &str = "2026-11-20T10:00:01.000000000Z";

/// A body of each op, with every member that it can have.
fn bodies() -> Vec<(Kind, String)> {
    let trace = |members: &str, of_type: &str| {
        let body = format!(
            r#"{{"ended_at":"{TIME}","id":"t-1","metadata":{{"a\u0001":{{}},"b":[]}},"occurred_at":"{TIME}","op":"record_trace",{members}"parent_id":"p","run_id":"r","status":"error","tags":["a","\"\\\n\u001f€"],"trace_type":{{{of_type}}}}}"#
        );
        (Kind::Trace, body)
    };
    let otel = r#""otel":{"attributes":[{"key":"k","value":{"doubleValue":0.25}}],"n":-1.5e-9},"#;
    vec![
        trace(otel, r#""arguments":{"q":[1,-2.5,1e+21]},"duration_ms":12.5,"result":null,"tool_name":"t","type":"ToolCall""#),
        trace("", r#""chosen":"a","options":["a","b\tc"],"question":"?","reasoning":"\b\f\r","type":"Decision""#),
        trace("", r#""query":"q","query_type":"sql","results_count":18446744073709551615,"type":"Query""#),
        trace("", r#""confidence":0.000001,"content":"c","type":"Thought""#),
        trace("", r#""error_type":"e","message":"m","recoverable":true,"type":"Error""#),
        trace("", r#""data":{"null":null,"true":true,"z":[0,{"a":"}"}]},"name":"n","type":"Custom""#),
        (
            Kind::TraceEnded,
            format!(
                r#"{{"duration_ms":0.5,"ended_at":"{TIME}","error":"e","id":"t","op":"end_trace","result":[1],"run_id":"r","status":"ok"}}"#
            ),
        ),
        (
            Kind::Step,
            r#"{"cost_cents":"0.25","duration_ms":0,"index":0,"input_hash":"0000000000000000000000000000000000000000000000000000000000000000","op":"record_step","outcome_category":"","outcome_data":{"hits":3},"params":{"q":"x"},"replay_behavior":"execute","retry_count":0,"run_id":"r","skill_name":"s","status":"success"}"#
                .to_owned(),
        ),
        (
            Kind::RunStarted,
            format!(
                r#"{{"correlation_id":"c","metadata":{{}},"op":"start_run","plan":[{{"skill":"s"}},{{}}],"run_id":"r","seed":-42,"source":"api","started_at":"{TIME}","tags":[]}}"#
            ),
        ),
        (Kind::RunStarted, r#"{"op":"ensure_run","run_id":"r","source":"otlp"}"#.to_owned()),
        (
            Kind::RunDescribed,
            r#"{"agent_id":"a","metadata":{"service.name":"s"},"op":"describe_run","run_id":"r","topic":"root"}"#.to_owned(),
        ),
    ]
}

#[track_caller]
fn check(kind: Kind, text: &str) {
    let (recorded, strict) = (Op::recorded(kind, &text.into()), Op::from_body(text));
    assert_eq!(recorded, strict, "{text}");
}

/// A text that is read in place is shared by what was read.
#[test]
fn free_members_are_slices_of_a_canonical_body() {
    for (kind, text) in bodies() {
        let text = text.replace(r#""a\u0001""#, r#""a""#).replace(r#""result":null,"#, "");
        check(kind, &text);
        let body: Arc<str> = text.into();
        assert_eq!(canonical_json(body.as_bytes()).as_deref(), Ok(&*body));
        let op = Op::recorded(kind, &body).unwrap();
        let has_free_members = !matches!(op, Op::EnsureRun(_));
        assert_eq!(Arc::strong_count(&body) > 1, has_free_members, "{body}");
    }
}

/// An escape in a name, a null and a kind that says something else are left to the strict reader.
#[test]
fn what_cannot_be_read_in_place_is_read_all_the_same() {
    for (kind, text) in bodies() {
        check(kind, &text);
        assert!(Op::recorded(kind, &text.as_str().into()).is_ok(), "{text}");
        for other in Kind::ALL {
            check(*other, &text);
        }
    }
    check(Kind::TraceEnded, &bodies()[0].1);
}

/// One byte wrong, one missing, one too many, an end too early.
#[test]
fn a_damaged_body_reads_as_the_strict_reader_has_it() {
    for (kind, text) in bodies() {
        let text = text.replace(r#""a\u0001""#, r#""a""#);
        for at in 0..text.len() {
            for byte in br#""\{}[],:0-+e.1nutx 	"#.iter().chain([0, 1, 0x80].iter()) {
                let mut damaged = text.as_bytes().to_vec();
                damaged[at] = *byte;
                if let Ok(damaged) = String::from_utf8(damaged) {
                    check(kind, &damaged);
                }
                if text.is_char_boundary(at) && byte.is_ascii() {
                    let mut damaged = text.clone();
                    damaged.insert(at, char::from(*byte));
                    check(kind, &damaged);
                }
            }
            if text.is_char_boundary(at) {
                check(kind, &text[..at]);
                check(kind, &(text[..at].to_owned() + text[at..].chars().as_str().get(1..).unwrap_or_default()));
            }
        }
    }
}

#[test]
fn a_body_nests_as_deep_as_the_strict_reader_lets_it() {
    for depth in [1, 124, 125, 126, 127, 128, 129, 100_000] {
        let nested = "[".repeat(depth) + &"]".repeat(depth);
        let objects = r#"{"a":"#.repeat(depth) + "0" + &"}".repeat(depth);
        for data in [nested, objects] {
            check(
                Kind::Trace,
                &format!(
                    r#"{{"id":"t","metadata":{{}},"op":"record_trace","run_id":"r","tags":[],"trace_type":{{"data":{data},"name":"n","type":"Custom"}}}}"#
                ),
            );
        }
    }
}

/// Members stand in the order of UTF-16, each once.
#[test]
fn names_out_of_order_and_names_twice_are_not_read_in_place() {
    for (text, is_canonical) in [
        (r#"{"a":1,"b":2}"#, true),
        (r#"{"b":1,"a":2}"#, false),
        (r#"{"a":1,"a":2}"#, false),
        ("{\"\u{1F600}\":1,\"\u{FFFD}\":2}", true),
        ("{\"\u{FFFD}\":1,\"\u{1F600}\":2}", false),
        (r#"{"":1,"a":2}"#, true),
        (r#"{"a":1,"":2}"#, false),
        (r#"{"":1,"":2}"#, false),
    ] {
        assert_eq!(passes(text), is_canonical, "{text}");
    }
}

/// What need not be escaped is not, and what must be has one form.
#[test]
fn an_escape_is_read_in_place_in_the_form_that_is_recorded() {
    for code in 0..0x80u8 {
        for text in [format!("\"\\u{code:04x}\""), format!("\"\\u{code:04X}\""), format!("\"\\{}\"", char::from(code))]
        {
            assert_eq!(passes(&text), is_plain_canonical(&text), "{text}");
        }
    }
    for text in ["\"\\", "\"\\u", "\"\\u001", "\"\\u001\"", "\"\\ud83d\\ude00\"", "\"\\u0100\"", "\"", ""] {
        assert!(!passes(text), "{text}");
    }
}

/// Whether the reader in place takes all of a text as one value.
fn passes(text: &str) -> bool {
    let shared: Arc<str> = text.into();
    let mut recorded = Recorded::new(&shared);
    match recorded.json() {
        Some(json) if recorded.is_at_end() => {
            assert_eq!(json.as_str(), text);
            assert_eq!(json, Json::from_canonical(text));
            true
        }
        _ => false,
    }
}

/// Whether a name somewhere in a value is written with an escape.
fn has_escaped_name(value: &Value<'_>) -> bool {
    match value {
        Value::Array(items) => items.iter().any(has_escaped_name),
        Value::Object(object) => object
            .iter()
            .any(|(name, value)| name.contains(|c| c < ' ' || c == '"' || c == '\\') || has_escaped_name(value)),
        _ => false,
    }
}

/// What the reader in place should say of a text.
fn is_plain_canonical(text: &str) -> bool {
    canonical_json(text.as_bytes()).is_ok_and(|canonical| canonical == text)
        && parse(text.as_bytes()).is_ok_and(|value| !has_escaped_name(&value))
}

/// Documents that are nearly canonical: canonical ones, with a piece of another put in or a piece taken out.
fn nearly_canonical() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "-?(0|[1-9][0-9]{0,18})(\\.[0-9]{1,17})?(e[+-][0-9]{1,3})?",
        Just("null".to_owned()),
        Just("false".to_owned()),
        proptest::collection::vec(
            prop_oneof![any::<char>(), proptest::sample::select(vec!['"', '\\', '\n', '\u{1f}', 'a', 'b', '/'])],
            0..12
        )
        .prop_map(|chars| Json::from(String::from_iter(chars)).as_str().to_owned()),
    ];
    let document = leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            proptest::collection::btree_map("[a-c€\u{fffd}\u{1F600}\u{1}]{0,3}", inner, 0..4).prop_map(|members| {
                let members = members.into_iter().map(|(name, value)| format!("{}:{value}", Json::from(name)));
                format!("{{{}}}", members.collect::<Vec<_>>().join(","))
            }),
        ]
    });
    (document, any::<bool>(), any::<prop::sample::Index>(), "[\"\\\\{}\\[\\],:0-9eun. +-]{0,2}", 0usize..3).prop_map(
        |(text, tidy, at, put_in, taken)| {
            let canonical = canonical_json(text.as_bytes()).unwrap_or(text);
            if tidy {
                return canonical;
            }
            let chars: Vec<char> = canonical.chars().collect();
            let at = at.index(chars.len() + 1);
            let rest = chars[at..].iter().skip(taken);
            chars[..at].iter().copied().chain(put_in.chars()).chain(rest.copied()).collect()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    #[test]
    fn canonical_text_alone_is_read_in_place(text in nearly_canonical()) {
        prop_assert_eq!(passes(&text), is_plain_canonical(&text), "{}", text);
    }

    #[test]
    fn a_number_is_read_in_place_if_it_is_written_as_it_is_recorded(
        token in "-?(0|[1-9][0-9]{0,22}|0{1,2})(\\.0{0,8}[0-9]{0,18})?(e[+-]?[0-9]{1,3})?"
    ) {
        prop_assert_eq!(passes(&token), is_plain_canonical(&token), "{}", token);
    }

    #[test]
    fn any_double_is_read_in_place_as_it_is_recorded(bits in any::<u64>(), short in any::<i32>(), scale in 0i32..12) {
        for number in [f64::from_bits(bits), f64::from(short) / 10f64.powi(scale)] {
            if let Ok(json) = Json::try_from(number) {
                prop_assert!(passes(json.as_str()), "{}", json);
            }
        }
    }
}
