//! Fields that a text states: `password=…`, `"api_key": "…"`, `Authorization: …`, in JSON inside strings, however often
//! escaped, in URLs, environment files, headers and code.

use super::found::{ESCAPED_BYTES_MAX, Kind, Span, begins, escaped, is_word, next_placeholder};
use super::names::Names;

/// Bytes of a name that are looked at.
const NAME_BYTES_MAX: usize = 128;
/// Spaces between a name, what follows it, and its value.
const SPACES_MAX: usize = 8;
/// Bytes of an unquoted word that is a line's value.
const WORD_BYTES_MAX: usize = 256;
/// What a flag of a command line begins with.
const FLAG: &[u8] = b"--";
/// Bytes after a flag within which its value ends.
const FLAGGED_BYTES_MAX: usize = 1_024;
/// Bytes of credentials without the name of a scheme.
const CREDENTIALS_BYTES_MIN: usize = 8;
/// Values longer than a word that may reach as far as one placeholder: so often at most is what stands before it gone
/// through.
pub(super) const REACHES_MAX: usize = 16;

/// A name before `:` or `=`.
struct Named<'t> {
    name: &'t [u8],
    from: usize,
    is_quoted: bool,
    /// Spaces follow it.
    is_spaced: bool,
}

/// Whether a field of the rules is named anywhere: by a member of JSON, by `key` or `name` in a pair, or in a text. What
/// it holds is not looked at. `text` may be canonical JSON or plain.
pub(super) fn names_any(names: &Names, text: &[u8]) -> bool {
    memchr::memchr2_iter(b':', b'=', text).any(|at| {
        named(names, text, at).is_some()
            || member_name(names, text, at).is_some_and(|name| is_named(names, name))
            || pair_name(text, at).is_some_and(|name| is_named(names, name))
    }) || flags(names, text).any(|(_, end)| matches!(text.get(end), Some(b' ' | b'"')))
}

/// The flags of a command line that have a name of the rules: where each begins, and where it ends.
fn flags<'t>(names: &'t Names, text: &'t [u8]) -> impl Iterator<Item = (usize, usize)> + 't {
    memchr::memmem::find_iter(text, FLAG).filter(|at| begins(text, *at)).filter_map(move |at| {
        let name = text[at + FLAG.len()..].iter().take(NAME_BYTES_MAX).take_while(|byte| is_word(**byte)).count();
        let end = at + FLAG.len() + name;
        names.matches(&text[at + FLAG.len()..end]).then_some((at, end))
    })
}

/// The name of a flag that is an argument of its own, whose value is the next one.
pub(super) fn flag(argument: &str) -> Option<&[u8]> {
    argument.as_bytes().strip_prefix(FLAG).filter(|name| name.iter().all(|byte| is_word(*byte)))
}

/// Calls `found` for what follows the flags of command lines: `--password hunter2`. Not for a variable or what takes the
/// place of a value in a manual, `<password>` or `PASSWORD`.
pub(super) fn each_flag(names: &Names, text: &[u8], mut found: impl FnMut(Span)) {
    let (mut done, mut placeholder) = (0, next_placeholder(text, 0));
    for (at, end) in flags(names, text) {
        if at < done {
            continue;
        }
        if placeholder < at {
            placeholder = next_placeholder(text, at);
        }
        let seen = &text[..text.len().min(placeholder + 1).min(end + FLAGGED_BYTES_MAX)];
        let spaces = seen[end.min(seen.len())..].iter().take(SPACES_MAX).take_while(|byte| **byte == b' ').count();
        let Some((from, to)) = (spaces > 0).then(|| flagged(names, seen, end + spaces)).flatten() else { continue };
        if from < to && to <= placeholder {
            found(Span { from, to, kind: Kind::Field });
            done = to;
        }
    }
}

fn flagged(names: &Names, text: &[u8], from: usize) -> Option<(usize, usize)> {
    if let Some(quoted) = quoted(text, from) {
        return Some(quoted);
    }
    let is_part = |byte: u8| !byte.is_ascii_whitespace() && !b"&;,\"'\\()`|<>".contains(&byte);
    let to = from + text[from..].iter().take_while(|byte| is_part(**byte)).count();
    let value = &text[from..to];
    let is_value = !matches!(value.first()?, b'-' | b'$' | b'{' | b'[' | b'*' | b'%');
    let stands_for_one = value.iter().all(|byte| byte.is_ascii_uppercase() || *byte == b'_');
    (is_value && !stands_for_one && !names.matches(value)).then_some((from, to))
}

/// The name of the member of canonical JSON whose `:` stands at `at`, where it could be one of the rules.
#[inline]
fn member_name<'t>(names: &Names, text: &'t [u8], at: usize) -> Option<&'t [u8]> {
    let end = at.checked_sub(1).filter(|end| text[*end] == b'"' && names.has_ending(text, *end))?;
    let mut from = end;
    loop {
        from = memchr::memrchr(b'"', &text[..from])?;
        let escapes = text[..from].iter().rev().take_while(|byte| **byte == b'\\').count();
        if escapes % 2 == 0 {
            return Some(&text[from + 1..end]);
        }
    }
}

/// The text under `"key":` or `"name":` of canonical JSON.
fn pair_name(text: &[u8], at: usize) -> Option<&[u8]> {
    let is_pair = matches!(text[..at], [.., b'"', b'k', b'e', b'y', b'"'] | [.., b'"', b'n', b'a', b'm', b'e', b'"']);
    if !is_pair || text.get(at + 1) != Some(&b'"') {
        return None;
    }
    let name = &text[at + 2..];
    let mut end = 0;
    loop {
        end += memchr::memchr2(b'"', b'\\', name.get(end..)?)?;
        if name[end] == b'"' {
            return Some(&name[..end]);
        }
        end += 2;
    }
}

/// Whether a string of canonical JSON, without its quotes, is a name of the rules.
fn is_named(names: &Names, string: &[u8]) -> bool {
    if !string.contains(&b'\\') {
        return names.matches(string);
    }
    let (mut name, mut at) = (Vec::with_capacity(string.len()), 0);
    while let Some(byte) = string.get(at) {
        at += 1;
        if *byte != b'\\' {
            name.push(*byte);
            continue;
        }
        let letters = escaped(string, at);
        name.push(if letters > 0 { b'\n' } else { b'"' });
        at += letters.max(1);
    }
    names.matches(&name)
}

/// Calls `found` for each value that a text states under a name of the rules. A value that holds a placeholder has lost
/// something already and is left as it is, but what it holds is looked at; where too many reach the same placeholder, the
/// next one goes as far as that, so that no part of a text is gone through once for each name before it.
pub(super) fn each(names: &Names, text: &[u8], mut found: impl FnMut(Span)) {
    let (mut done, mut reaches) = (0, 0);
    let mut placeholder = next_placeholder(text, 0);
    for at in memchr::memchr2_iter(b':', b'=', text) {
        if at < done {
            continue;
        }
        let Some(named) = named(names, text, at) else { continue };
        if placeholder < at {
            (placeholder, reaches) = (next_placeholder(text, at), 0);
        }
        let seen = &text[..text.len().min(placeholder + 1)];
        let Some((from, mut to)) = value(names, seen, at, &named) else { continue };
        if to > placeholder {
            reaches += usize::from(to - from > WORD_BYTES_MAX);
            if reaches <= REACHES_MAX {
                continue;
            }
            to = placeholder;
        }
        if from < to {
            found(Span { from, to, kind: Kind::Field });
            done = to;
        }
    }
}

/// The name of a rule that ends before `at`.
#[inline]
fn named<'t>(names: &Names, text: &'t [u8], at: usize) -> Option<Named<'t>> {
    let (mut end, mut spaces, mut is_quoted) = (at, 0, false);
    // Mostly the name stands right before it.
    let mut last = *text.get(end.checked_sub(1)?)?;
    if last == b' ' {
        spaces = text[..at].iter().rev().take(SPACES_MAX).take_while(|byte| **byte == b' ').count();
        end -= spaces;
        last = *text.get(end.checked_sub(1)?)?;
    }
    if matches!(last, b'"' | b'\'') {
        is_quoted = true;
        end -= 1;
        end -= text[..end].iter().rev().take_while(|byte| **byte == b'\\').count();
    }
    if !names.may_end(text, end) {
        return None;
    }
    let is_name = |byte: u8| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'_' | b'-' | b'.')
            || !byte.is_ascii()
            || is_quoted && byte == b' '
    };
    let most = NAME_BYTES_MAX + ESCAPED_BYTES_MAX;
    let word = end - text[..end].iter().rev().take(most).take_while(|byte| is_name(**byte)).count();
    // The letter of an escape is none of the name's; but a backslash may stand before a name as well.
    let after_escape = word + escaped(&text[..end], word);
    let from = [after_escape, word].into_iter().find(|from| names.matches(&text[*from..end]))?;
    // Code is full of variables that are called so; a query of a URL is not code.
    if !is_quoted && names.is_whole(&text[from..end]) && !matches!(text[..from], [.., b'?' | b'&']) {
        return None;
    }
    Some(Named { name: &text[from..end], from, is_quoted, is_spaced: spaces > 0 })
}

/// What stands under a name.
fn value(names: &Names, text: &[u8], at: usize, named: &Named<'_>) -> Option<(usize, usize)> {
    let sign = if text[at..].starts_with(b"=>") { at + 2 } else { at + 1 };
    let spaces = text[sign..].iter().take(SPACES_MAX).take_while(|byte| **byte == b' ').count();
    let from = sign + spaces;
    if let Some(quoted) = quoted(text, from) {
        return Some(quoted);
    }
    let first = *text.get(from)?;
    if named.is_quoted {
        return match first {
            b'{' | b'[' => Some((from, bracket_end(text, from))),
            b'-' | b'0'..=b'9' => Some((from, from + text[from..].iter().take_while(|byte| is_number(**byte)).count())),
            _ => None,
        };
    }
    match text[at] {
        b'=' if !named.is_spaced && spaces == 0 => assigned(names, text, from),
        b':' if !named.is_spaced => header(text, from, named),
        _ => None,
    }
}

const fn is_number(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-')
}

/// What stands in quotes at `from`; what has no end goes to the end of the line. The quotes may be escaped, as in JSON
/// inside a string: within, a quote is escaped once more.
fn quoted(text: &[u8], from: usize) -> Option<(usize, usize)> {
    let escapes = text[from..].iter().take_while(|byte| **byte == b'\\').count();
    let quote = *text.get(from + escapes).filter(|byte| matches!(byte, b'"' | b'\''))?;
    let from = from + escapes + 1;
    let (mut run, mut at) = (0, from);
    while let Some(byte) = text.get(at) {
        match *byte {
            b'\\' => run += 1,
            b'\n' => return Some((from, at)),
            byte if byte == quote && run % (2 * (escapes + 1)) == escapes => return Some((from, at - escapes)),
            _ => run = 0,
        }
        at += 1;
    }
    Some((from, at))
}

/// The end of the object or list that opens at `from`; what has none goes to the end of the text.
fn bracket_end(text: &[u8], from: usize) -> usize {
    let (mut at, mut depth) = (from, 0usize);
    while let Some(byte) = text.get(at) {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            b'"' | b'\\' => {
                at = quoted(text, at).map_or(at, |(_, end)| end);
                at += text[at..].iter().take_while(|byte| **byte == b'\\').count();
            }
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// What stands after `name=`, unquoted: not a variable, nor what code would look up or call.
fn assigned(names: &Names, text: &[u8], from: usize) -> Option<(usize, usize)> {
    let is_part = |byte: u8| !byte.is_ascii_whitespace() && !b"&;,\"'\\()[]{}<>|`=".contains(&byte);
    let to = from + text[from..].iter().take_while(|byte| is_part(**byte)).count();
    // The padding of base64 belongs to it.
    let to = to + text[to..].iter().take(2).take_while(|byte| **byte == b'=').count();
    let value = &text[from..to];
    let is_variable = matches!(value.first()?, b'$' | b'*' | b'=');
    let is_code = matches!(text.get(to), Some(b'(' | b'['));
    (!is_variable && !is_code && !names.matches(value)).then_some((from, to))
}

/// What stands after `name:`, unquoted: credentials of a header, or the one word of a line. Only the first word is looked
/// at before it is known that the rest goes with it.
fn header(text: &[u8], from: usize, named: &Named<'_>) -> Option<(usize, usize)> {
    let is_line = |byte: u8| !b"\n\r\"'\\".contains(&byte);
    let line_end = || from + text[from..].iter().take_while(|byte| is_line(**byte)).count();
    let word = text[from..].iter().take(WORD_BYTES_MAX).take_while(|byte| is_line(**byte) && **byte != b' ').count();
    let (first, after) = (&text[from..from + word], text.get(from + word));
    let ends_line = after.is_none_or(|byte| !is_line(*byte));
    let ends_in = |word: &[u8]| {
        let tail = named.name.len().checked_sub(word.len()).map(|from| &named.name[from..]);
        tail.is_some_and(|tail| tail.eq_ignore_ascii_case(word))
    };
    if ends_in(b"cookie") {
        return first.contains(&b'=').then(|| (from, line_end()));
    }
    if ends_in(b"authorization") {
        return (is_scheme(first) && !ends_line || ends_line && word >= CREDENTIALS_BYTES_MIN)
            .then(|| (from, line_end()));
    }
    let is_value = matches!(first.first(), Some(byte) if !b"$<{[&*|>!/".contains(byte));
    let fits = ends_line && is_value && begins_line(&text[..named.from]) && first.iter().any(u8::is_ascii_digit);
    fits.then_some((from, from + word))
}

/// Whether nothing but spaces stands on the line so far; a line may be one inside a string of JSON, however often escaped.
fn begins_line(mut before: &[u8]) -> bool {
    loop {
        before = match before {
            [rest @ .., b' ' | b'\t'] => rest,
            [rest @ .., b'\\', b't'] => {
                let escapes = rest.iter().rev().take_while(|byte| **byte == b'\\').count();
                &rest[..rest.len() - escapes]
            }
            [] | [.., b'\n' | b'\r'] | [.., b'\\', b'n' | b'r'] => return true,
            _ => return false,
        };
    }
}

/// Schemes of HTTP authentication, as far as they are in use.
fn is_scheme(word: &[u8]) -> bool {
    let known: [&[u8]; 9] =
        [b"basic", b"bearer", b"digest", b"negotiate", b"token", b"apikey", b"hmac", b"aws4-hmac-sha256", b"dpop"];
    known.iter().any(|scheme| scheme.eq_ignore_ascii_case(word))
}
