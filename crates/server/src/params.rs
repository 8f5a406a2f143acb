//! Query parameters: each known by name, each once. What a route's row of the table does not name is refused before its
//! handler is asked ([`known`]).

use std::borrow::Cow;
use std::str::FromStr;

use tracekeep_core::{TimeRange, Timestamp};
use tracekeep_store::{Code, Error, PageRequest};

use crate::routes::Param;

/// Refuses the first parameter that a route does not name.
pub(crate) fn known(query: Option<&str>, names: &[Param]) -> Result<(), Error> {
    let mut asked = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    asked.find(|(name, _)| names.iter().all(|known| known.name != name)).map_or(Ok(()), |(name, _)| Err(unknown(&name)))
}

/// The parameters of one request, taken out one by one; what is left over is refused.
pub(crate) struct Params<'a> {
    left: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// The names of those that may be given once, and were.
    taken: Vec<String>,
}

impl<'a> Params<'a> {
    pub(crate) fn new(query: Option<&'a str>) -> Result<Self, Error> {
        let left = form_urlencoded::parse(query.unwrap_or_default().as_bytes()).collect();
        Ok(Self { left, taken: Vec::new() })
    }

    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        let at = self.left.iter().position(|(known, _)| known == name)?;
        self.taken.push(name.to_owned());
        Some(self.left.remove(at).1.into_owned())
    }

    /// One that may be given several times.
    pub(crate) fn texts(&mut self, name: &str) -> Vec<String> {
        let (named, left) = std::mem::take(&mut self.left).into_iter().partition(|(known, _)| known == name);
        self.left = left;
        let named: Vec<(Cow<'_, str>, Cow<'_, str>)> = named;
        named.into_iter().map(|(_, value)| value.into_owned()).collect()
    }

    /// The times in [`from`, `to`).
    pub(crate) fn range(&mut self) -> Result<TimeRange, Error> {
        let (from, to) = (self.text("from"), self.text("to"));
        let range = TimeRange::parse(from.as_deref(), to.as_deref());
        range.map_err(|invalid| refuse(invalid.path(), invalid.detail()))
    }

    /// A time that bounds a list: what is beyond what a [`Timestamp`] holds is clamped.
    pub(crate) fn time(&mut self, name: &str) -> Result<Option<Timestamp>, Error> {
        let bound = |text: String| TimeRange::parse(Some(&text), None).map(TimeRange::first);
        self.text(name).map(|text| bound(text).map_err(|invalid| refuse(name, invalid.detail()))).transpose()
    }

    pub(crate) fn parse<T: FromStr>(&mut self, name: &str, form: &str) -> Result<Option<T>, Error> {
        self.text(name).map(|text| text.parse().map_err(|_| refuse(name, form))).transpose()
    }

    pub(crate) fn page(&mut self) -> Result<PageRequest, Error> {
        let mut page = PageRequest::default();
        if let Some(limit) = self.parse("limit", "is a number of items")? {
            page.limit = limit;
        }
        page.cursor = self.text("cursor");
        Ok(page)
    }

    /// Refuses the first parameter that nobody took.
    pub(crate) fn finish(self) -> Result<(), Error> {
        match self.left.first() {
            Some((name, _)) if self.taken.iter().any(|taken| taken == name) => Err(refuse(name, "is given twice")),
            Some((name, _)) => Err(unknown(name)),
            None => Ok(()),
        }
    }
}

fn unknown(name: &str) -> Error {
    refuse(name, "is not a parameter here")
}

fn refuse(name: &str, detail: &str) -> Error {
    let name: String = name.chars().take(64).collect();
    Error::new(Code::InvalidParameter, detail).at(name)
}
