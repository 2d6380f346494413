//! What the API tells of itself: an entry for every operation of the route table, and from the entries the OpenAPI
//! document, the docs page, the coverage page and the tests of the contract.
//!
//! A resource's entries are `entries/NAME.rs`, in the notation of [`shape`]. A route without an entry, or an entry without
//! a route, fails `contract_tests`.

mod command;
mod coverage;
mod document;
mod entries;
mod glossary;
mod library;
mod operation;
mod page;
mod samples;
mod shape;
mod words;

use axum::Router;
use axum::http::{HeaderMap, header};
use axum::response::IntoResponse as _;
use axum::routing::get;

#[cfg(test)]
pub(crate) use coverage::{DIALECTS, GOLDEN};
#[cfg(test)]
pub(crate) use operation::JSON;
pub(crate) use operation::Operation;
#[cfg(test)]
pub(crate) use operation::Who;
#[cfg(test)]
pub(crate) use samples::{replaced, replaced_in, sample};
#[cfg(test)]
pub(crate) use shape::{Field, Shape, Shown};

/// Every operation, resource by resource.
pub(crate) fn operations() -> Vec<Operation> {
    entries::all()
}

/// The texts that stand in `error` instead of a code: each with its status, its code and what it says.
pub(crate) fn words() -> impl Iterator<Item = (&'static str, u16, tandem_model::ErrorCode, &'static str)> {
    words::WORDS.iter().map(|word| (word.text, word.status, word.code, word.says))
}

/// The document as text, as it is served and kept in docs/reference/openapi.json.
pub(crate) fn document_text() -> String {
    let mut text = serde_json::to_string_pretty(&document::document()).unwrap_or_default();
    text.push('\n');
    text
}

/// The page docs/reference/coverage.md.
pub(crate) fn coverage_page() -> String {
    coverage::page()
}

/// `/openapi.json`, `/docs` and the pages below it, and `next` for everything else. `speaks_tls`: the API has a certificate of its own.
pub(crate) fn router(next: Router, speaks_tls: bool) -> Router {
    let document: &'static str = document_text().leak();
    let json = async move || ([(header::CONTENT_TYPE, "application/json")], document).into_response();
    Router::new()
        .route("/openapi.json", get(json))
        .route("/docs", get(async move |headers: HeaderMap| page::page(&headers, speaks_tls)))
        .route("/docs/style.css", get(page::style))
        .route("/docs/search.js", get(page::script))
        .route("/docs/{name}", get(library::show))
        .merge(next)
}
