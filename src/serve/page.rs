//! The page: files that are embedded in the program.

use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use imgsearch::render::map::MODULES;

use super::problem::Problem;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// An embedded file: name, media type and content.
type Asset = (&'static str, &'static str, &'static str);

macro_rules! assets {
    ($($name:literal: $kind:expr),* $(,)?) => {
        &[$(($name, $kind, include_str!(concat!("page/", $name)))),*]
    };
}

/// The files of the page.
const ASSETS: &[Asset] = assets! {
    "address.js": SCRIPT,
    "api.js": SCRIPT,
    "app.js": SCRIPT,
    "atlas.js": SCRIPT,
    "compare.js": SCRIPT,
    "copies.js": SCRIPT,
    "decided.js": SCRIPT,
    "decisions.js": SCRIPT,
    "dom.js": SCRIPT,
    "duplicates.js": SCRIPT,
    "facts.js": SCRIPT,
    "filters.js": SCRIPT,
    "folders.js": SCRIPT,
    "grid.js": SCRIPT,
    "icon.svg": SVG,
    "index.html": HTML,
    "justify.js": SCRIPT,
    "known.js": SCRIPT,
    "lasso.js": SCRIPT,
    "live.js": SCRIPT,
    "making.js": SCRIPT,
    "messages.js": SCRIPT,
    "neighbours.js": SCRIPT,
    "part.js": SCRIPT,
    "places.js": SCRIPT,
    "question.js": SCRIPT,
    "results.js": SCRIPT,
    "style.css": CSS,
    "tile.js": SCRIPT,
    "uploads.js": SCRIPT,
    "viewer.js": SCRIPT,
    "views.css": CSS,
    "words.js": SCRIPT,
};

/// The page itself. Its address says what it shows, and its script reads that.
pub async fn index(headers: HeaderMap) -> Response {
    found("index.html", &headers)
}

/// A file of the page.
pub async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    found(&name, &headers)
}

fn found(name: &str, asked: &HeaderMap) -> Response {
    let own = ASSETS.iter().find(|(other, ..)| *other == name);
    let own = own.map(|&(_, kind, content)| (kind, content));
    // The map is drawn by the same modules as on the page of `imgsearch map`.
    let shared = || MODULES.iter().find(|(other, _)| *other == name);
    let Some((kind, content)) = own.or_else(|| shared().map(|&(_, content)| (SCRIPT, content)))
    else {
        return Problem::not_found("the page has no such file").into_response();
    };
    let tag = format!("\"{}\"", &blake3::hash(content.as_bytes()).to_hex()[..16]);
    let known = asked.get(header::IF_NONE_MATCH);
    let is_known = known.is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let mut head = HeaderMap::new();
    head.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        head.insert(header::ETAG, tag);
    }
    if is_known {
        return (StatusCode::NOT_MODIFIED, head).into_response();
    }
    head.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    (head, content).into_response()
}
