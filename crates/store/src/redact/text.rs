//! One text.

use super::found::replaced;
use super::{Compiled, Work, card, email, stated};

impl Compiled {
    /// Whether a text, plain or canonical JSON, may hold something to take out: cheap, and seldom wrongly yes.
    pub(super) fn touches(&self, text: &[u8]) -> bool {
        if stated::names_any(&self.names, text) {
            return true;
        }
        let mut is_touched = false;
        let mut found = |_| {
            is_touched = true;
            true
        };
        self.anchors.each(text, &mut found);
        if self.has_cards {
            card::each(text, &mut found);
        }
        if self.has_emails {
            email::each(text, &mut found);
        }
        is_touched
    }
}

/// How often a text is gone through: what is taken out may let what stood beside it be seen for what it is.
const PASSES_MAX: usize = 4;

impl Work<'_> {
    /// A text without what is to be taken out; `None` where there is nothing.
    pub(super) fn text(&mut self, text: &str) -> Option<String> {
        let mut left = self.pass(text)?;
        for _ in 1..PASSES_MAX {
            match self.pass(&left) {
                Some(less) => left = less,
                None => break,
            }
        }
        Some(left)
    }

    fn pass(&mut self, text: &str) -> Option<String> {
        let (rules, bytes) = (self.rules, text.as_bytes());
        let mut spans = Vec::new();
        stated::each(&rules.names, bytes, |span| spans.push(span));
        stated::each_flag(&rules.names, bytes, |span| spans.push(span));
        let mut found = |span| {
            spans.push(span);
            false
        };
        rules.anchors.each(bytes, &mut found);
        if rules.has_cards {
            card::each(bytes, &mut found);
        }
        if rules.has_emails {
            email::each(bytes, &mut found);
        }
        (!spans.is_empty()).then(|| replaced(text, spans, &mut self.counts))
    }

    /// The same, in place.
    pub(super) fn string(&mut self, text: &mut String) {
        if let Some(redacted) = self.text(text) {
            *text = redacted;
        }
    }
}
