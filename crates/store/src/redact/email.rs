//! E-mail addresses, as people write them: not all that RFC 5321 allows.

use super::found::{ESCAPED_BYTES_MAX, Kind, Span, escaped};

const LOCAL_BYTES_MAX: usize = 64;
const DOMAIN_BYTES_MAX: usize = 255;

/// What names a picture for a finer screen, `logo@2x.png`, is no address.
const NO_DOMAINS: [&str; 6] = ["png", "jpg", "jpeg", "gif", "svg", "webp"];

/// Calls `found` for each address, until it says that this is enough.
pub(super) fn each(text: &[u8], mut found: impl FnMut(Span) -> bool) {
    for at in memchr::memchr_iter(b'@', text) {
        let (from, to) = (local(text, at), domain(text, at + 1));
        if let (Some(from), Some(to)) = (from, to)
            && &text[from..at] != b"git"
            && found(Span { from, to, kind: Kind::Email })
        {
            return;
        }
    }
}

/// Where the local part before `end` begins.
fn local(text: &[u8], end: usize) -> Option<usize> {
    let is_local = |byte: &&u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'%' | b'+' | b'-') || !byte.is_ascii()
    };
    let most = LOCAL_BYTES_MAX + ESCAPED_BYTES_MAX + 1;
    let mut from = end - text[..end].iter().rev().take(most).take_while(is_local).count();
    // The letter of an escape is none of the address.
    if text[..from].ends_with(b"\\") && text[from].is_ascii_alphabetic() {
        from += escaped(&text[..end], from).max(1);
    }
    if end - from > LOCAL_BYTES_MAX {
        return None;
    }
    from += text[from..end].iter().take_while(|byte| **byte == b'.').count();
    (from < end && text[end - 1] != b'.').then_some(from)
}

/// Where the domain from `from` on ends: two labels at least, the last of them letters.
fn domain(text: &[u8], from: usize) -> Option<usize> {
    let is_label = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'-' || !byte.is_ascii();
    let (mut at, mut end) = (from, None);
    loop {
        let length = text[at..].iter().take(DOMAIN_BYTES_MAX + 1).take_while(is_label).count();
        let label = &text[at..at + length];
        at += length;
        if length == 0 || at - from > DOMAIN_BYTES_MAX {
            return end;
        }
        let is_top = label.len() >= 2 && label.iter().all(|byte| byte.is_ascii_alphabetic() || !byte.is_ascii());
        let is_file = NO_DOMAINS.iter().any(|name| name.as_bytes().eq_ignore_ascii_case(label));
        let has_labels_before = at - length > from;
        end = (has_labels_before && is_top && !is_file).then_some(at);
        if text.get(at) != Some(&b'.') {
            return end;
        }
        at += 1;
    }
}
