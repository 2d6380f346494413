//! One template for every step. Its words and values are escaped; it loads nothing but its own style sheet.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use minijinja::{AutoEscape, Environment};
use serde::Serialize;

use super::fields::Errors;
use super::texts::{Language, words};

const TEMPLATE: &str = include_str!("page.html");
pub(super) const STYLE: &str = include_str!("style.css");
/// No script, nothing from elsewhere, no frame around it.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
);
/// The pretended DigiLocker's answer leads to wherever the visit came from, which browsers count as a form's action.
const PRETEND_POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'");

/// The fields of all forms, from top to bottom.
const FIELDS: [&str; 7] = ["pan", "name", "birth_date", "entity_name", "gstin", "last_four", "consent"];

/// What a page shows.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct View {
    /// [`super::stage::Stage::name`], or `pretend`.
    pub(super) stage: &'static str,
    /// Its number, while there is something to do.
    pub(super) number: Option<u8>,
    /// Who asked.
    pub(super) owner: String,
    /// Bound to the link.
    pub(super) csrf: String,
    /// What was typed and not accepted.
    pub(super) values: BTreeMap<String, String>,
    /// Words at fields.
    pub(super) errors: BTreeMap<&'static str, &'static str>,
    /// The same in the order of the form.
    pub(super) summary: Vec<(&'static str, &'static str)>,
    /// A sentence over the form.
    pub(super) notice: Option<String>,
    /// What the verifier said.
    pub(super) reason: Option<String>,
    /// How often the document may still be shown.
    pub(super) tries_left: Option<u32>,
    /// DigiLocker, or the way back.
    pub(super) link: Option<String>,
    /// When the link ends.
    pub(super) until: String,
    /// The visit, on the pretended DigiLocker.
    pub(super) request: String,
}

impl View {
    /// Errors in a language, with what was typed.
    pub(super) fn with_errors(
        mut self,
        errors: &Errors,
        typed: BTreeMap<&str, &str>,
        language: Language,
    ) -> Self {
        let words = words(language);
        self.errors = errors.iter().filter_map(|(field, key)| Some((*field, *words.get(key)?))).collect();
        let place = |field: &str| FIELDS.iter().position(|one| *one == field);
        self.summary = self.errors.iter().map(|(field, words)| (*field, *words)).collect();
        self.summary.sort_by_key(|(field, _)| place(field));
        self.values = typed.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        self
    }
}

/// The page with its headers.
pub(super) fn render(status: StatusCode, view: &View, language: Language) -> Response {
    static PAGES: OnceLock<Environment<'static>> = OnceLock::new();
    let pages = PAGES.get_or_init(|| {
        let mut pages = Environment::new();
        pages.set_auto_escape_callback(|_| AutoEscape::Html);
        pages
            .add_template("page.html", TEMPLATE)
            .expect("the embedded template is well-formed: a test renders it");
        pages
    });
    let context = minijinja::context! {
        t => words(language), lang => language.code(), v => minijinja::value::Serde(view),
    };
    let rendered = pages.get_template("page.html").and_then(|page| page.render(context));
    let mut response = match rendered {
        Ok(html) => (status, Html(html)).into_response(),
        Err(error) => {
            tracing::error!(%error, "the KYC page cannot be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    };
    let policy = if view.stage == "pretend" { PRETEND_POLICY } else { POLICY };
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;

    use super::*;

    async fn html(view: &View, language: Language) -> String {
        let response = render(StatusCode::OK, view, language);
        assert_eq!(response.status(), 200);
        String::from_utf8(to_bytes(response.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn every_step_renders_in_both_languages_and_escapes_what_was_typed() {
        for stage in [
            "pan",
            "person",
            "company",
            "gst",
            "digilocker",
            "aadhaar",
            "waiting",
            "done",
            "failed",
            "over",
            "pretend",
        ] {
            for language in [Language::English, Language::Hindi] {
                let owner = "<script>alert(1)</script>".to_owned();
                let typed = BTreeMap::from([("pan", "\"><b>"), ("name", "\"><b>"), ("gstin", "\"><b>")]);
                let errors = Errors::from([("pan", "pan_wrong"), ("name", "name_wrong")]);
                let view = View { stage, owner, number: Some(1), csrf: "c".to_owned(), ..View::default() }
                    .with_errors(&errors, typed, language);
                let html = html(&view, language).await;
                assert!(!html.contains("<script") && !html.contains("<b>"), "{stage}: {html}");
                assert!(html.contains(&format!("<html lang=\"{}\"", language.code())));
                assert_eq!(html.matches("<h1").count(), 1, "{stage} has one heading");
            }
        }
    }
}
