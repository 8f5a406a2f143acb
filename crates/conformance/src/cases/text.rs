//! Searching the text of traces.

use serde_json::{Value, json};
use tracekeep_store::{Order, TraceFilter, TraceQuery};

use crate::context::Context;
use crate::ops::{call, end, ensure_otlp, span, start, thought, with};

cases!("text":
    words_are_found_in_every_member_that_holds_text,
    all_words_are_demanded_in_any_order_and_case,
    words_are_whole_and_joined_ones_stand_together,
    nothing_is_found_across_two_pieces_of_text,
    chinese_japanese_korean_and_thai_are_found_in_any_part,
    arabic_is_found_with_and_without_signs_and_article,
    accents_and_forms_of_letters_do_not_matter,
    what_an_end_adds_is_found,
    a_closed_span_is_found_by_its_new_text_alone,
    a_search_stays_in_its_run,
    hits_are_in_order_of_time_and_paged,
    what_is_recorded_after_a_search_is_found_by_the_next,
    hostile_text_is_searched_like_any_other,
    a_long_text_is_searched_in_its_first_20000_words,
);

#[track_caller]
fn check(cx: &Context, words: &str, expected: &[&str]) {
    let filter = TraceFilter { text: Some(words.to_owned()), ..TraceFilter::default() };
    assert_eq!(cx.fitting("r", filter), expected, "{words:?}");
}

fn of_type(id: &str, trace_type: Value) -> Value {
    with(thought("r", id), json!({ "trace_type": trace_type }))
}

fn content(id: &str, text: &str) -> Value {
    of_type(id, json!({"type": "Thought", "content": text}))
}

fn words_are_found_in_every_member_that_holds_text(cx: &mut Context) {
    let arguments = json!({"origin": "frankfurt", "legs": [{"stop": "geneva"}, 4711, true, null]});
    cx.record(&[
        start("r"),
        of_type(
            "call",
            json!({"type": "ToolCall", "tool_name": "flights.find", "arguments": arguments, "result": ["landed"]}),
        ),
        of_type(
            "decision",
            json!({"type": "Decision", "question": "which carrier", "options": ["cheap", "nonstop"],
                   "chosen": "nonstop", "reasoning": "tired traveller"}),
        ),
        of_type("query", json!({"type": "Query", "query_type": "vector", "query": "weather lisbon"})),
        content("thought", "perhaps tomorrow"),
        of_type("error", json!({"type": "Error", "error_type": "timeout", "message": "gave up", "recoverable": true})),
        with(
            of_type("custom", json!({"type": "Custom", "name": "billing", "data": {"invoice": "x-99"}})),
            json!({"metadata": {"region": "eu west"}, "tags": ["tagged"]}),
        ),
    ]);
    let found = [
        ("flights", "call"),
        ("find", "call"),
        ("origin", "call"),
        ("frankfurt", "call"),
        ("stop", "call"),
        ("geneva", "call"),
        ("4711", "call"),
        ("landed", "call"),
        ("carrier", "decision"),
        ("cheap", "decision"),
        ("nonstop", "decision"),
        ("tired", "decision"),
        ("vector", "query"),
        ("lisbon", "query"),
        ("tomorrow", "thought"),
        ("timeout", "error"),
        ("gave", "error"),
        ("billing", "custom"),
        ("invoice", "custom"),
        ("99", "custom"),
        ("region", "custom"),
        ("west", "custom"),
    ];
    for (word, id) in found {
        check(cx, word, &[id]);
    }
    for word in ["true", "null", "Thought", "tagged", "nowhere"] {
        check(cx, word, &[]);
    }
}

fn all_words_are_demanded_in_any_order_and_case(cx: &mut Context) {
    cx.record(&[start("r"), content("a", "Red green BLUE"), content("b", "green red"), content("c", "blue")]);
    check(cx, "red", &["a", "b"]);
    check(cx, "GREEN red", &["a", "b"]);
    check(cx, "blue  Red\tgreen", &["a"]);
    check(cx, "red red", &["a", "b"]);
    check(cx, "red yellow", &[]);
}

fn words_are_whole_and_joined_ones_stand_together(cx: &mut Context) {
    cx.record(&[
        start("r"),
        content("a", "web_search failed at src/main.rs:42"),
        content("b", "search the web, main one"),
        content("c", "websearch mainly 421"),
    ]);
    check(cx, "web", &["a", "b"]);
    check(cx, "web_search", &["a"]);
    check(cx, "web-search", &["a"]);
    check(cx, "search.web", &[]);
    check(cx, "main.rs:42", &["a"]);
    check(cx, "main", &["a", "b"]);
    check(cx, "42", &["a"]);
    check(cx, "websearch", &["c"]);
    let long = "x".repeat(200);
    cx.record(&[content("long", &format!("see {long}y"))]);
    check(cx, &format!("{long}y"), &["long"]);
    check(cx, &long, &[]);
}

fn nothing_is_found_across_two_pieces_of_text(cx: &mut Context) {
    cx.record(&[
        start("r"),
        of_type("a", json!({"type": "Decision", "question": "q", "options": ["left", "right"], "chosen": "left"})),
        of_type("b", json!({"type": "Custom", "name": "n", "data": {"left": "right"}})),
    ]);
    check(cx, "left right", &["a", "b"]);
    check(cx, "left-right", &[]);
    check(cx, "q.left", &[]);
}

fn chinese_japanese_korean_and_thai_are_found_in_any_part(cx: &mut Context) {
    cx.record(&[
        start("r"),
        content("zh", "我想预订从北京到上海的航班"),
        content("zh2", "上海的酒店，北方"),
        content("ja", "東京から大阪へのフライトを検索"),
        content("ko", "서울에서 부산까지 항공편을 검색"),
        content("th", "ค้นหาเที่ยวบินไปกรุงเทพ"),
    ]);
    check(cx, "航班", &["zh"]);
    check(cx, "北京", &["zh"]);
    check(cx, "上海", &["zh", "zh2"]);
    check(cx, "京到", &["zh"]);
    check(cx, "海上", &[]);
    check(cx, "上海 北京", &["zh"]);
    check(cx, "大阪", &["ja"]);
    check(cx, "フライト", &["ja"]);
    check(cx, "京", &["zh", "ja"]);
    check(cx, "부산", &["ko"]);
    check(cx, "항공편", &["ko"]);
    check(cx, "เที่ยวบิน", &["th"]);
}

fn arabic_is_found_with_and_without_signs_and_article(cx: &mut Context) {
    cx.record(&[
        start("r"),
        content("plain", "البحث عن رحلات من القاهرة"),
        content("signed", "قَرَأَ الطَّالِبُ كِتَابًا في المكتبة"),
        content("article", "وضع الكتاب على الطاولة"),
    ]);
    check(cx, "رحلات", &["plain"]);
    check(cx, "القاهرة", &["plain"]);
    check(cx, "قاهره", &["plain"]);
    check(cx, "بحث", &["plain"]);
    check(cx, "الطالب", &["signed"]);
    check(cx, "الكِتَاب", &["article"]);
    check(cx, "كتابا", &["signed"]);
    check(cx, "كتـاب", &["article"]);
    check(cx, "سيارة", &[]);
}

fn accents_and_forms_of_letters_do_not_matter(cx: &mut Context) {
    cx.record(&[
        start("r"),
        content("a", "Café Zürich, naïve résumé"),
        content("b", "ｆｕｌｌ ｗｉｄｔｈ １２３"),
        content("c", "ΑΘΉΝΑ Ёлка ŁÓDŹ"),
        content("d", "שָׁלוֹם"),
    ]);
    for word in ["cafe", "CAFÉ", "zurich", "naive", "resume", "cafe\u{301}"] {
        check(cx, word, &["a"]);
    }
    for word in ["full", "width", "123"] {
        check(cx, word, &["b"]);
    }
    for word in ["αθηνα", "елка", "łódź"] {
        check(cx, word, &["c"]);
    }
    check(cx, "שלום", &["d"]);
}

fn what_an_end_adds_is_found(cx: &mut Context) {
    cx.record(&[start("r"), call("r", "a"), call("r", "b"), call("r", "c")]);
    check(cx, "rust", &["a", "b", "c"]);
    check(cx, "crates", &[]);
    cx.record(&[
        with(end("r", "b"), json!({"result": {"found": "crates"}})),
        with(end("r", "c"), json!({"status": "error", "error": "socket closed"})),
    ]);
    check(cx, "crates", &["b"]);
    check(cx, "rust crates", &["b"]);
    check(cx, "socket", &["c"]);
    check(cx, "rust", &["a", "b", "c"]);
}

fn a_closed_span_is_found_by_its_new_text_alone(cx: &mut Context) {
    let spoken = |text: &str| {
        let open = json!({"type": "ToolCall", "tool_name": "t", "arguments": text});
        with(span("r", "s", None), json!({ "trace_type": open }))
    };
    cx.record(&[ensure_otlp("r"), spoken("begun"), span("r", "other", None)]);
    check(cx, "begun", &["s"]);
    let closed = json!({"ended_at": "2100-01-01T00:00:00Z", "otel": {"spanId": "s", "end": 1}});
    cx.record(&[with(spoken("finished"), closed)]);
    check(cx, "finished", &["s"]);
    check(cx, "begun", &[]);
    check(cx, "other", &["other"]);
}

fn a_search_stays_in_its_run(cx: &mut Context) {
    cx.record(&[start("r"), start("s"), content("a", "shared word")]);
    cx.record(&[with(content("b", "shared word"), json!({"run_id": "s"})), content("c", "another")]);
    check(cx, "shared", &["a"]);
    let filter = TraceFilter { text: Some("word".to_owned()), ..TraceFilter::default() };
    assert_eq!(cx.fitting("s", filter), ["b"]);
}

fn hits_are_in_order_of_time_and_paged(cx: &mut Context) {
    cx.record(&[start("r")]);
    let ops: Vec<_> = (0..15)
        .map(|n| {
            let text = if n % 3 == 0 { "needle" } else { "hay" };
            let time = format!("2026-01-01T00:00:{:02}Z", n * 7 % 15);
            with(content(&format!("t{n:02}"), text), json!({ "occurred_at": time }))
        })
        .collect();
    cx.record(&ops);
    let mut wanted: Vec<_> = (0..15).filter(|n| n % 3 == 0).collect();
    wanted.sort_by_key(|n| n * 7 % 15);
    let mut wanted: Vec<_> = wanted.into_iter().map(|n| format!("t{n:02}")).collect();
    for order in [Order::Oldest, Order::Newest] {
        for limit in 1..=6 {
            let filter = TraceFilter { text: Some("needle".to_owned()), ..TraceFilter::default() };
            let query = TraceQuery { filter, order, ..TraceQuery::default() };
            assert_eq!(cx.trace_ids("r", &query, limit), wanted, "pages of {limit}");
        }
        wanted.reverse();
    }
}

fn what_is_recorded_after_a_search_is_found_by_the_next(cx: &mut Context) {
    cx.record(&[start("r"), content("a", "first")]);
    check(cx, "second", &[]);
    cx.record(&[content("b", "second")]);
    check(cx, "second", &["b"]);
    cx.record(&[content("c", "second and third")]);
    check(cx, "second", &["b", "c"]);
}

fn hostile_text_is_searched_like_any_other(cx: &mut Context) {
    let hostile = [
        "words : x AND run : r0",
        "\" OR \"1",
        "'); DROP TABLE entry; --",
        "a\u{0}b",
        "NEAR(a b, 1) NOT c*",
        "\u{202e}desrever",
        "\u{e000} \u{e000}",
        "🛫🛬",
        "\u{10ffff}",
    ];
    cx.record(&[start("r"), content("plain", "plain")]);
    for (n, text) in hostile.iter().enumerate() {
        cx.record(&[content(&format!("h{n}"), text)]);
    }
    check(cx, "AND run", &["h0"]);
    check(cx, "\"OR\"", &["h1"]);
    check(cx, "x\" OR \"plain", &[]);
    check(cx, "plain*", &["plain"]);
    check(cx, "table'); --", &["h2"]);
    check(cx, "a\u{0}b", &["h3", "h4"]);
    check(cx, "near(a", &["h4"]);
    check(cx, "desrever", &["h5"]);
    check(cx, "🛫", &["h7"]);
}

fn a_long_text_is_searched_in_its_first_20000_words(cx: &mut Context) {
    let words = |from: u32, to: u32| (from..to).map(|n| format!("w{n}")).collect::<Vec<_>>().join(" ");
    cx.record(&[start("r"), content("a", &words(0, 30_000)), content("b", &"的".repeat(100_000))]);
    let pieces: Vec<_> = (0..300).map(|n| words(n * 100, n * 100 + 100)).collect();
    cx.record(&[of_type("c", json!({"type": "Custom", "name": "n", "data": pieces}))]);
    check(cx, "w0 w19000", &["a", "c"]);
    check(cx, "w29999", &[]);
    check(cx, "的的的", &["b"]);
    cx.record(&[with(call("r", "d"), json!({"metadata": {"many": words(0, 30_000)}}))]);
    cx.record(&[with(end("r", "d"), json!({"result": words(100_000, 130_000)}))]);
    check(cx, "w100000", &["d"]);
    check(cx, "w0", &["a", "c"]);
}
