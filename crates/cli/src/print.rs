//! What goes to stdout and stderr. Recorded text is hostile: a terminal gets no control characters of it.

use std::fmt::Write as _;
use std::io::{self, Write};

use tracekeep_core::json::Json;
use tracekeep_evidence::report::is_hidden;

use crate::exit::Failure;

/// Data, to stdout.
pub(crate) fn data(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let mut write = || {
        out.write_all(text.as_bytes())?;
        out.write_all(b"\n")?;
        out.flush()
    };
    write().map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::Unread,
        _ => Failure::from(error),
    })
}

/// Talk, to stderr. Nobody may be listening.
pub(crate) fn talk(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// One line of JSON, to stdout.
pub(crate) fn json(value: &Json) -> Result<(), Failure> {
    data(value.as_str())
}

/// How a list goes on, where it does: its next cursor as a last line of JSON, or as talk.
pub(crate) fn next_page(is_json: bool, cursor: Option<String>) -> Result<(), Failure> {
    match cursor {
        Some(cursor) if is_json => {
            json(&Json::object([("next_cursor", Json::from(cursor))]).expect("invariant: one plain member"))
        }
        Some(cursor) => {
            talk(&format!("more: --cursor {}", plain(&cursor)));
            Ok(())
        }
        None => Ok(()),
    }
}

/// Recorded text as a terminal may see it: control, bidi and zero-width characters as escapes.
pub(crate) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if is_hidden(character) {
            let _ = write!(out, "\\u{{{:x}}}", u32::from(character));
        } else {
            out.push(character);
        }
    }
    out
}

/// The same on one line, cut to `characters_max`.
pub(crate) fn brief(text: &str, characters_max: usize) -> String {
    let text = plain(text);
    let mut out: String = text.chars().take(characters_max).collect();
    if text.chars().count() > characters_max {
        out.push('…');
    }
    out
}

/// Columns padded to their widest cell.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<_> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_sees_no_control_characters() {
        assert_eq!(plain("a\u{1b}[31mb\u{202e}c\r\n"), "a\\u{1b}[31mb\\u{202e}c\\u{d}\\u{a}");
        assert_eq!(plain("a\u{61c}\u{ad}\u{e0041}b"), "a\\u{61c}\\u{ad}\\u{e0041}b");
        assert_eq!(brief("héllo wörld", 5), "héllo…");
        assert_eq!(brief("a\u{1b}b", 4), "a\\u{…", "cut where it is longer as it is written");
    }
}
