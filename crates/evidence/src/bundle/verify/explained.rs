//! What reasons and remarks mean: the page that says it to readers says it here.

const PAGE: &str = include_str!("../../../../../docs/format/reasons.md");

/// What a reason or a remark of verifying means and what to do, as docs/format/reasons.md says it; `None` for any other
/// code.
#[must_use]
pub fn explained(code: &str) -> Option<&'static str> {
    parts().find(|(known, _)| *known == code).map(|(_, part)| part)
}

/// Each code of the page with what stands below it.
fn parts() -> impl Iterator<Item = (&'static str, &'static str)> {
    PAGE.split("\n### `").skip(1).filter_map(|part| {
        let (code, below) = part.split_once("`\n")?;
        Some((code, below.split("\n## ").next().unwrap_or(below).trim()))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::bundle::{Reason, Remark};

    #[test]
    fn each_reason_and_remark_is_explained_once_and_nothing_else_is() {
        let reasons = Reason::ALL.iter().map(|reason| reason.as_str());
        let remarks = Remark::ALL.iter().map(|remark| remark.as_str());
        // The verifier in Python alone gives this one.
        let known: BTreeSet<_> = reasons.chain(remarks).chain(["not_recomputed"]).collect();
        let said: Vec<_> = parts().collect();
        assert_eq!(said.iter().map(|(code, _)| *code).collect::<BTreeSet<_>>(), known);
        assert_eq!(said.len(), known.len());
        for (code, part) in said {
            let (meaning, todo) = part.split_once("\nDo: ").unwrap_or_default();
            assert!(meaning.len() > 20 && todo.ends_with('.') && !part.contains("\n#"), "{code}: {part}");
        }
        assert_eq!(explained("nothing"), None);
    }
}
