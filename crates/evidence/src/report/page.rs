//! HTML, written so that recorded text is never more than text.

/// A page that is being written.
pub(super) struct Page(String);

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;\
background:#fff}h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem;border-bottom:1px solid #ccc}\
table{border-collapse:collapse;width:100%;font-size:13px}td,th{text-align:left;vertical-align:top;\
padding:.2rem .6rem .2rem 0;border-bottom:1px solid #eee;overflow-wrap:anywhere}p{overflow-wrap:anywhere}\
.mark{border-left:4px solid #b00;padding-left:.6rem}svg{width:100%;height:auto}\
@media print{body{margin:0;max-width:none}h2{break-after:avoid}tr{break-inside:avoid}}";

impl Page {
    pub(super) fn new(title: &str) -> Self {
        let title = escape(title);
        // Nothing is loaded and nothing runs, even where escaping failed.
        Self(format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
             <title>{title}</title>\n<style>{STYLE}</style></head><body>\n<h1>{title}</h1>\n"
        ))
    }

    pub(super) fn heading(&mut self, text: &str) {
        self.0.push_str(&format!("<h2>{}</h2>\n", escape(text)));
    }

    pub(super) fn text(&mut self, text: &str) {
        self.0.push_str(&format!("<p>{}</p>\n", escape(text)));
    }

    pub(super) fn mark(&mut self, text: &str) {
        self.0.push_str(&format!("<p class=\"mark\">{}</p>\n", escape(text)));
    }

    /// What is HTML already.
    pub(super) fn raw(&mut self, html: &str) {
        self.0.push_str(html);
        self.0.push('\n');
    }

    pub(super) fn list(&mut self, items: &[String]) {
        let items: String = items.iter().map(|item| format!("<li>{}</li>", escape(item))).collect();
        self.0.push_str(&format!("<ul>{items}</ul>\n"));
    }

    pub(super) fn pairs(&mut self, pairs: &[(&str, String)]) {
        let rows =
            pairs.iter().map(|(name, value)| format!("<tr><th>{}</th><td>{}</td></tr>", escape(name), escape(value)));
        self.0.push_str(&format!("<table>{}</table>\n", rows.collect::<String>()));
    }

    pub(super) fn table(&mut self, head: &[&str], rows: Vec<Vec<String>>) {
        if rows.is_empty() {
            self.text("None is shown.");
            return;
        }
        let head: String = head.iter().map(|name| format!("<th>{}</th>", escape(name))).collect();
        self.0.push_str(&format!("<table><thead><tr>{head}</tr></thead><tbody>"));
        for row in rows {
            let cells: String = row.iter().map(|cell| format!("<td>{}</td>", escape(cell))).collect();
            self.0.push_str(&format!("<tr>{cells}</tr>"));
        }
        self.0.push_str("</tbody></table>\n");
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

/// Controls, and what Unicode says is not to be shown (Default_Ignorable_Code_Point) or turns the direction.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
                | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
        )
}

/// The first characters of a text.
pub(super) fn plain(text: &str, characters_max: usize) -> String {
    let mut out: String = text.chars().take(characters_max).collect();
    if text.chars().nth(characters_max).is_some() {
        out.push('…');
    }
    out
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
}
