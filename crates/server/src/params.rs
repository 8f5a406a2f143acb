//! Query parameters: each known by name, each once.

use std::borrow::Cow;
use std::str::FromStr;

use tracekeep_store::{Code, Error, PageRequest};

/// The parameters of one request, taken out one by one; what is left over is refused.
pub(crate) struct Params<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Params<'a> {
    pub(crate) fn new(query: Option<&'a str>) -> Result<Self, Error> {
        let pairs: Vec<_> = form_urlencoded::parse(query.unwrap_or_default().as_bytes()).collect();
        for (place, (name, _)) in pairs.iter().enumerate() {
            if pairs[..place].iter().any(|(earlier, _)| earlier == name) {
                return Err(refuse(name, "is given twice"));
            }
        }
        Ok(Self(pairs))
    }

    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.swap_remove(at).1.into_owned())
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
        match self.0.first() {
            Some((name, _)) => Err(refuse(name, "is not a parameter here")),
            None => Ok(()),
        }
    }
}

fn refuse(name: &str, detail: &str) -> Error {
    let name: String = name.chars().take(64).collect();
    Error::new(Code::InvalidParameter, detail).at(name)
}
