//! Whether what was told fits into one order (Wing and Gong's search, with what it has seen kept, after Lowe).
//!
//! Every call takes effect once, somewhere between its begin and its end; one whose answer says unknown, or never came, may
//! take effect at any time after its begin, or never. The order must give each call the answer that the model gives.

use std::collections::HashSet;

use super::model::{Asked, Model, Said};

/// One call about one key, with the ticks of a common clock at which it began and ended.
#[derive(Clone, Debug)]
pub struct Call {
    /// When it began.
    pub begin: u64,
    /// When its answer came.
    pub end: Option<u64>,
    /// What was asked.
    pub asked: Asked,
    /// What was told; `None` and [`Said::Unknown`] are the same.
    pub said: Option<Said>,
}

impl Call {
    fn is_open(&self) -> bool {
        matches!(self.said, None | Some(Said::Unknown))
    }
}

/// Whether an order explains `history`: at most 64 calls about one key, while the store's clock stood still.
#[must_use]
pub fn fits(history: &[Call]) -> bool {
    assert!(history.len() <= 64, "a history has at most 64 calls");
    let must = history.iter().enumerate().filter(|(_, call)| !call.is_open());
    let must = must.fold(0u64, |mask, (place, _)| mask | 1 << place);
    search(history, must, 0, &Model::default(), &mut HashSet::new())
}

fn search(history: &[Call], must: u64, done: u64, model: &Model, seen: &mut HashSet<(u64, Model)>) -> bool {
    if done & must == must {
        return true;
    }
    if !seen.insert((done, model.clone())) {
        return false;
    }
    let left = || history.iter().enumerate().filter(|(place, _)| done & (1 << place) == 0);
    // Nothing can come before what had ended before it began.
    let first_end = left().filter(|(_, call)| !call.is_open()).filter_map(|(_, call)| call.end).min();
    left().filter(|(_, call)| first_end.is_none_or(|end| call.begin < end)).any(|(place, call)| {
        let mut model = model.clone();
        let token = match &call.said {
            Some(Said::New { token, .. }) => Some(*token),
            _ => None,
        };
        let said = model.ask(&call.asked, token, 0);
        (call.is_open() || call.said.as_ref() == Some(&said)) && search(history, must, done | 1 << place, &model, seen)
    })
}

#[cfg(test)]
mod tests {
    use tracekeep_store::Recorded;
    use tracekeep_store::gate::Token;

    use super::*;

    const CHECK: Asked = Asked::Check { request: "a" };

    fn token(n: u8) -> Token {
        Token::from_bytes([n; 16])
    }

    fn new(n: u8, attempt: u64) -> Said {
        Said::New { token: token(n), attempt }
    }

    fn complete(n: u8) -> Asked {
        Asked::Complete { token: token(n), response: "1" }
    }

    fn call(begin: u64, end: u64, asked: Asked, said: Said) -> Call {
        Call { begin, end: Some(end), asked, said: Some(said) }
    }

    fn lost(begin: u64, asked: Asked) -> Call {
        Call { begin, end: None, asked, said: None }
    }

    #[test]
    fn what_happened_one_after_the_other_fits() {
        let done = Said::Duplicate { response: Some("1".to_owned()), attempt: 1 };
        assert!(fits(&[
            call(0, 1, CHECK, new(1, 1)),
            call(2, 3, CHECK, Said::InProgress { attempt: 1 }),
            call(4, 5, complete(1), Said::Marked(Recorded::Recorded)),
            call(6, 7, CHECK, done),
        ]));
    }

    #[test]
    fn two_that_were_told_to_go_fit_no_order() {
        assert!(!fits(&[call(0, 2, CHECK, new(1, 1)), call(1, 3, CHECK, new(2, 1))]));
    }

    #[test]
    fn an_answer_from_before_what_had_ended_fits_no_order() {
        let in_progress = Said::InProgress { attempt: 1 };
        assert!(!fits(&[
            call(0, 1, CHECK, new(1, 1)),
            call(2, 3, complete(1), Said::Marked(Recorded::Recorded)),
            call(4, 5, CHECK, in_progress.clone()),
        ]));
        // At the same time, it does.
        assert!(fits(&[
            call(0, 1, CHECK, new(1, 1)),
            call(2, 5, complete(1), Said::Marked(Recorded::Recorded)),
            call(3, 4, CHECK, in_progress),
        ]));
    }

    #[test]
    fn in_progress_before_anybody_was_told_to_go_fits_no_order() {
        assert!(!fits(&[call(0, 1, CHECK, Said::InProgress { attempt: 1 }), call(2, 3, CHECK, new(1, 1))]));
    }

    #[test]
    fn an_end_that_got_lost_fits_no_order() {
        assert!(!fits(&[
            call(0, 1, CHECK, new(1, 1)),
            call(2, 3, Asked::Fail { token: token(1), retryable: true }, Said::Marked(Recorded::Recorded)),
            call(4, 5, CHECK, Said::InProgress { attempt: 1 }),
        ]));
    }

    #[test]
    fn a_call_without_an_answer_may_have_happened_or_not() {
        let done = Said::Duplicate { response: Some("1".to_owned()), attempt: 1 };
        let go = call(0, 1, CHECK, new(1, 1));
        assert!(fits(&[go.clone(), lost(2, complete(1)), call(3, 4, CHECK, done.clone())]));
        assert!(fits(&[go.clone(), lost(2, complete(1)), call(3, 4, CHECK, Said::InProgress { attempt: 1 })]));
        assert!(!fits(&[go, call(3, 4, CHECK, done), lost(5, complete(1))]), "not before it was asked");
        assert!(fits(&[lost(0, CHECK), call(1, 2, CHECK, Said::InProgress { attempt: 1 })]));
    }
}
