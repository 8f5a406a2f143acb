//! HTML, written so that recorded text is never more than text.

/// A page that is being written.
pub(super) struct Page(String);

/// What a column holds: recorded text, which may be one long word and breaks anywhere; our own words and times, which break
/// between words alone; numbers.
#[derive(Clone, Copy)]
pub(super) enum Column {
    Text,
    Words,
    Number,
}

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;\
background:#fff}h1{font-size:1.5rem;margin-bottom:.3rem}h2{font-size:1.15rem;margin-top:2rem;border-bottom:1px solid #ccc}\
h3{font-size:1rem;margin:1.2rem 0 .3rem}h1,h2,h3,p,li,td{overflow-wrap:anywhere;unicode-bidi:isolate}\
div{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:13px}\
td,th{text-align:left;vertical-align:top;padding:.2rem .6rem .2rem 0;border-bottom:1px solid #eee}\
td{min-width:5em}td.w,td.n{min-width:0;overflow-wrap:normal}td.n{text-align:right;white-space:nowrap}th.n{text-align:right}\
pre>bdi{font-weight:600}tr.b td{padding-left:2.4rem;color:#444}tr:has(+.b) td{border-bottom:0}.pairs th{width:16em}pre{white-space:pre-wrap;overflow-wrap:anywhere;margin:0;font:12px/1.4 ui-monospace,monospace}\
.mark{border-left:4px solid #b00;padding-left:.6rem}.note{color:#555;font-size:13px}body>svg{width:100%;height:auto;display:block}\
@page{margin:15mm}@media print{body{margin:0;padding:0;max-width:none;font-size:10.5pt}table{font-size:8.5pt}\
pre{font-size:8pt}div{overflow:visible}h2,h3{break-after:avoid}tr,body>svg{break-inside:avoid}thead{display:table-header-group}}";

impl Page {
    pub(super) fn new(title: &str) -> Self {
        let title = escape(title);
        // Nothing is loaded and nothing runs, even where escaping failed.
        Self(format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n\
             <title>{title}</title>\n<style>{STYLE}</style></head><body>\n<h1>{title}</h1>\n"
        ))
    }

    pub(super) fn heading(&mut self, text: &str) {
        self.0.push_str(&format!("<h2>{}</h2>\n", escape(text)));
    }

    pub(super) fn below(&mut self, text: &str) {
        self.0.push_str(&format!("<h3>{}</h3>\n", escape(text)));
    }

    pub(super) fn text(&mut self, text: &str) {
        self.0.push_str(&format!("<p>{}</p>\n", sentence(text)));
    }

    pub(super) fn mark(&mut self, text: &str) {
        self.0.push_str(&format!("<p class=\"mark\">{}</p>\n", sentence(text)));
    }

    pub(super) fn note(&mut self, text: &str) {
        self.0.push_str(&format!("<p class=\"note\">{}</p>\n", sentence(text)));
    }

    /// What is HTML already.
    pub(super) fn raw(&mut self, html: &str) {
        self.0.push_str(html);
        self.0.push('\n');
    }

    pub(super) fn list(&mut self, items: &[String]) {
        let items: String = items.iter().map(|item| format!("<li>{}</li>", sentence(item))).collect();
        self.0.push_str(&format!("<ul>{items}</ul>\n"));
    }

    pub(super) fn pairs(&mut self, pairs: &[(&str, String)]) {
        self.rows(
            pairs.iter().map(|(name, value)| format!("<tr><th>{}</th><td>{}</td></tr>", escape(name), escape(value))),
        );
    }

    /// Names and what was recorded under them, as it was.
    pub(super) fn recorded(&mut self, pairs: &[(&str, String)]) {
        let row = |(name, value): &(&str, String)| {
            format!("<tr><th>{}</th><td><pre>{}</pre></td></tr>", escape(name), escape(value))
        };
        self.rows(pairs.iter().map(row));
    }

    fn rows(&mut self, rows: impl Iterator<Item = String>) {
        self.0.push_str(&format!("<table class=\"pairs\">{}</table>\n", rows.collect::<String>()));
    }

    /// A table; a column of which no row says anything is left out.
    pub(super) fn table(&mut self, columns: &[(&str, Column)], rows: &[Vec<String>]) {
        self.table_of(columns, rows, |_| String::new());
    }

    /// The first rows of a list, and how many there are beyond them.
    pub(super) fn first_of<T>(
        &mut self,
        list: &[T],
        rows_max: usize,
        columns: &[(&str, Column)],
        row: impl FnMut(&T) -> Vec<String>,
    ) {
        self.table(columns, &list.iter().take(rows_max).map(row).collect::<Vec<_>>());
        self.beyond(list.len(), rows_max);
    }

    /// How many rows of a list there are beyond those that are shown.
    pub(super) fn beyond(&mut self, count: usize, rows_max: usize) {
        if count > rows_max {
            self.text(&format!("and {} more, which stand in records.jsonl", count - rows_max));
        }
    }

    /// A table with what was recorded under each row, by names.
    pub(super) fn table_with(
        &mut self,
        columns: &[(&str, Column)],
        rows: &[Vec<String>],
        below: &[Vec<(&str, String)>],
    ) {
        let pair = |(name, value): &(&str, String)| format!("<pre><bdi>{}</bdi> {}</pre>", escape(name), escape(value));
        self.table_of(columns, rows, |row| below.get(row).into_iter().flatten().map(pair).collect());
    }

    fn table_of(&mut self, columns: &[(&str, Column)], rows: &[Vec<String>], below: impl Fn(usize) -> String) {
        if rows.is_empty() {
            self.text("None is shown.");
            return;
        }
        let class = |column: Column| match column {
            Column::Text => "",
            Column::Words => " class=\"w\"",
            Column::Number => " class=\"n\"",
        };
        let says = |place: &usize| rows.iter().any(|row| row.get(*place).is_some_and(|cell| !cell.is_empty()));
        let places: Vec<usize> = (0..columns.len()).filter(says).collect();
        let head = places
            .iter()
            .map(|place| columns[*place])
            .map(|(name, column)| format!("<th{}>{}</th>", class(column), escape(name)));
        let head: String = head.collect();
        self.0.push_str(&format!("<div><table><thead><tr>{head}</tr></thead><tbody>"));
        for (at, row) in rows.iter().enumerate() {
            let cells = places.iter().map(|place| (columns[*place].1, &row[*place]));
            let cells = cells.map(|(column, cell)| format!("<td{}>{}</td>", class(column), escape(cell)));
            self.0.push_str(&format!("<tr>{}</tr>", cells.collect::<String>()));
            let below = below(at);
            if !below.is_empty() {
                self.0.push_str(&format!("<tr class=\"b\"><td colspan=\"{}\">{below}</td></tr>", places.len()));
            }
        }
        self.0.push_str("</tbody></table></div>\n");
    }

    pub(super) fn finish(mut self) -> String {
        self.0.push_str("</body></html>\n");
        self.0
    }
}

/// Text as HTML shows it: what could end it, or hide or turn around what stands beside it, is written out.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' => out.push_str("<br>"),
            _ if is_hidden(character) => out.push_str(&format!("\\u{{{:x}}}", u32::from(character))),
            _ => out.push(character),
        }
    }
    out
}

/// A sentence of ours. What it quotes, as JSON does, stands by itself: letters that are read from right to left turn nothing
/// of ours around.
fn sentence(text: &str) -> String {
    let (mut out, mut from, mut is_quoted, mut is_escaped) = (String::with_capacity(text.len()), 0, false, false);
    for (at, byte) in text.bytes().enumerate() {
        if byte == b'"' && !is_escaped {
            let end = if is_quoted { at + 1 } else { at };
            out.push_str(&escape(&text[from..end]));
            out.push_str(if is_quoted { "</bdi>" } else { "<bdi>" });
            from = end;
            is_quoted = !is_quoted;
        }
        is_escaped = is_quoted && byte == b'\\' && !is_escaped;
    }
    out.push_str(&escape(&text[from..]));
    if is_quoted {
        out.push_str("</bdi>");
    }
    out
}

/// Controls, and what Unicode says is not to be shown (Default_Ignorable_Code_Point) or turns the direction.
#[must_use]
pub fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
                | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recorded_text_is_never_more_than_text() {
        assert_eq!(escape("<script>a&b</script>\"'"), "&lt;script&gt;a&amp;b&lt;/script&gt;&quot;&#39;");
        for hidden in ['\u{ad}', '\u{61c}', '\u{180e}', '\u{2066}', '\u{fe0f}', '\u{e0001}', '\u{e0041}', '\u{e0100}'] {
            assert_eq!(escape(&format!("a{hidden}b")), format!("a\\u{{{:x}}}b", u32::from(hidden)));
        }
        assert_eq!(escape("a\u{202e}b\u{1b}c\nd"), "a\\u{202e}b\\u{1b}c<br>d");
    }

    #[test]
    fn what_a_sentence_quotes_stands_by_itself() {
        assert_eq!(sentence("a \"b\" c"), "a <bdi>&quot;b&quot;</bdi> c");
        assert_eq!(sentence(r#"a "b\"</bdi>\\" c"#), r#"a <bdi>&quot;b\&quot;&lt;/bdi&gt;\\&quot;</bdi> c"#);
        assert_eq!(sentence("a \"<b>"), "a <bdi>&quot;&lt;b&gt;</bdi>");
    }
}
