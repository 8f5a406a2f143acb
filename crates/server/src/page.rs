//! The page: static files out of the binary, under a strict Content-Security-Policy.

use axum::Router;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::routes::Label;
use crate::state::App;

/// Nothing from elsewhere, nothing inline, nothing evaluated: what agents recorded is hostile text.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'; trusted-types 'none'";

/// All of them are counted together.
const LABEL: Label = Label("page");

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const MODULE: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// Path, type and text of each.
macro_rules! files {
    ($index:literal at $root:literal, $($name:literal $kind:expr),* $(,)?) => {
        &[
            ($root, HTML, include_str!(concat!("page/", $index))),
            $((concat!("/page/", $name), $kind, include_str!(concat!("page/", $name)))),*
        ]
    };
}

const FILES: &[(&str, &str, &str)] = files! {
    "index.html" at "/",
    "page.css" CSS,
    "icon.svg" SVG,
    "elements.js" MODULE,
    "marks.js" MODULE,
    "json.js" MODULE,
    "figures.js" MODULE,
    "facts.js" MODULE,
    "links.js" MODULE,
    "problem.js" MODULE,
    "api.js" MODULE,
    "listing.js" MODULE,
    "runs.js" MODULE,
    "tree.js" MODULE,
    "steps.js" MODULE,
    "audit.js" MODULE,
    "run.js" MODULE,
    "live.js" MODULE,
    "page.js" MODULE,
};

/// Adds the page's files to a router.
pub(crate) fn add(mut router: Router<App>) -> Router<App> {
    for (path, kind, text) in FILES {
        router = router.route(path, get(move || async move { file(kind, text) }));
    }
    router
}

fn file(kind: &'static str, text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-cache"),
        (header::HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    let mut response = (headers, text).into_response();
    response.extensions_mut().insert(LABEL);
    response
}
