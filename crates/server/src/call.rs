//! A request on its way to its handler.

use axum::body::Body;
use axum::http::Request;

use crate::state::App;

/// A request on its way to its handler.
pub(crate) struct Call {
    pub(crate) app: App,
    pub(crate) path: Vec<(String, String)>,
    pub(crate) request: Request<Body>,
}

impl Call {
    /// A part of the path, by the name that the route's pattern gives it.
    pub(crate) fn part(&self, name: &str) -> &str {
        self.path.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}
