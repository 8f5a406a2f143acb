//! The vectors of times, costs, durations, ids and integers on the wire: vectors/wire.json.

use serde_json::json;
use tracekeep_core::Invalid;
use tracekeep_core::Timestamp;
use tracekeep_core::amount::{Cost, DurationMs};
use tracekeep_core::id::RunId;
use tracekeep_core::json::parse;
use tracekeep_core::wire::{Field, Path as Place};

use crate::vectors::check_file;

fn written<T: Field>(text: &str) -> Result<String, Invalid> {
    let value = T::read(parse(text.as_bytes())?, &Place::ROOT)?;
    let mut out = Vec::new();
    value.write(&mut out);
    Ok(String::from_utf8(out).unwrap())
}

#[test]
fn wire() {
    let times = [
        "\"1970-01-01T00:00:00Z\"",
        "\"2026-11-20t12:00:00.5+02:00\"",
        "\"2024-02-29T23:59:59.999999999-00:00\"",
        "\"1677-09-21T00:12:43.145224192Z\"",
        "\"2262-04-11T23:47:16.854775807Z\"",
        "\"0001-01-01T00:00:00Z\"",
        "\"1677-09-21T00:12:43.145224191Z\"",
        "\"2262-04-11T23:47:16.854775808Z\"",
        "\"2023-02-29T00:00:00Z\"",
        "\"1970-01-01T00:00:60Z\"",
        "\"1970-01-01T24:00:00Z\"",
        "\"1970-01-01T00:00:00\"",
        "\"1970-01-01 00:00:00Z\"",
        "\"1970-01-01T00:00:00.1234567890Z\"",
        "\"1970-01-01T00:00:00.Z\"",
        "\"1970-01-01T00:00:00+0200\"",
        "0",
    ];
    let costs = [
        "\"0\"",
        "\"0.250\"",
        "\"10.000001\"",
        "\"7.000000\"",
        "\"9223372036854.775807\"",
        "\"9223372036854.775808\"",
        "\"01\"",
        "\".5\"",
        "\"1.\"",
        "\"-1\"",
        "\"1e3\"",
        "\"0.1234567\"",
        "\"\"",
        "0.25",
    ];
    let durations = [
        "0",
        "-0.0",
        "12.50",
        "1e3",
        "0.000001",
        "5e-324",
        "9223372036854.773",
        "9223372036854.775",
        "-1",
        "-1e-9",
        "\"1\"",
    ];
    let ids = [
        "\"run-1\"",
        "\"!~/%?#\\\"\\\\\"",
        "\"...\"",
        "\".\"",
        "\"..\"",
        "\"\"",
        "\"a b\"",
        "\"é\"",
        "\"\\u007f\"",
        "\"\\n\"",
        "7",
    ];
    let seeds = [
        "0",
        "-0",
        "42.0",
        "1e3",
        "9223372036854775807",
        "-9223372036854775808",
        "9223372036854775808",
        "0.5",
        "\"1\"",
    ];
    let cases = |kind: &str, texts: &[&str], write: fn(&str) -> Result<String, Invalid>| {
        texts.iter().map(|text| json!({"kind": kind, "sent": text, "recorded": write(text).ok()})).collect::<Vec<_>>()
    };
    let cases = [
        cases("time", &times, written::<Timestamp>),
        cases("cost", &costs, written::<Cost>),
        cases("duration", &durations, written::<DurationMs>),
        cases("id", &ids, written::<RunId>),
        cases("seed", &seeds, written::<i64>),
    ]
    .concat();
    check_file(
        "wire.json",
        &json!({"about": "values as sent → as recorded, both JSON texts; null where they are refused", "cases": cases}),
    );
}
