//! `/reset-password`: where the link of a "forgotten password" letter leads. One form, no script, nothing from
//! elsewhere; the operation behind it is that of `POST /auth/password/reset`.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};
use axum::routing::get;
use serde::Deserialize;
use tandem_store::sessions::PasswordLinkOutcome;

use crate::api::{AppState, Query, by_link, checks};
use crate::auth::Stranger;

/// Largest form.
const BODY_MAX: usize = 4 * 1024;
/// Longest secret of a link looked at.
const TOKEN_MAX: usize = 100;
const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;max-width:28rem;padding:2rem 1rem}\
    label{display:block;margin:1rem 0 .25rem}input{font:inherit;width:100%;padding:.5rem;box-sizing:border-box}\
    button{font:inherit;margin-top:1rem;padding:.5rem 1.5rem}.problem{color:#a00}";

/// The page's routes, and `next` for everything else.
pub(crate) fn router(state: AppState, next: Router) -> Router {
    Router::new()
        .route("/reset-password", get(ask).post(set))
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .with_state(state)
        .merge(next)
}

#[derive(Deserialize)]
struct Arrival {
    #[serde(default)]
    token: String,
}

#[derive(Deserialize)]
struct Form {
    #[serde(default)]
    token: String,
    #[serde(default)]
    password: String,
}

async fn ask(Query(arrival): Query<Arrival>) -> Response {
    if is_token(&arrival.token) { form(&arrival.token, "", StatusCode::OK) } else { void() }
}

async fn set(State(state): State<AppState>, stranger: Stranger, body: Bytes) -> Response {
    let pairs = form_urlencoded::parse(&body);
    let Ok(given) = Form::deserialize(serde_html_form::Deserializer::new(pairs)) else { return void() };
    if !is_token(&given.token) {
        return void();
    }
    if checks::password("password", &given.password).is_err() {
        let problem = "A password has 8 to 128 characters, with a digit and a special character.";
        return form(&given.token, problem, StatusCode::UNPROCESSABLE_ENTITY);
    }
    let actor = stranger.actor("anonymous");
    let Ok(command) = by_link(&state, &given.token, given.password, actor).await else {
        return busy(&given.token);
    };
    match state.writer.submit(command).await {
        Ok(PasswordLinkOutcome::Done(_)) => {
            state.settled().await;
            page(
                "<p>Your password is set. Sessions that were open have ended; sign in again.</p>",
                StatusCode::OK,
            )
        }
        Ok(PasswordLinkOutcome::Void) => void(),
        Err(error) => {
            tracing::error!(%error, "a password could not be set by a link");
            busy(&given.token)
        }
    }
}

/// What a token is made of stands in the page as it is.
fn is_token(text: &str) -> bool {
    (1..=TOKEN_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn void() -> Response {
    page(
        "<p>This link is not good any more. Links are good once and for 30 minutes; ask for another.</p>",
        StatusCode::NOT_FOUND,
    )
}

fn busy(token: &str) -> Response {
    form(token, "That did not work. Please try again in a moment.", StatusCode::SERVICE_UNAVAILABLE)
}

fn form(token: &str, problem: &str, status: StatusCode) -> Response {
    let problem = if problem.is_empty() {
        String::new()
    } else {
        format!("<p class=\"problem\" role=\"alert\">{problem}</p>")
    };
    let body = format!(
        "{problem}<form method=\"post\" action=\"/reset-password\"><input type=\"hidden\" name=\"token\" value=\"{token}\">\
         <label for=\"password\">New password</label>\
         <input id=\"password\" name=\"password\" type=\"password\" autocomplete=\"new-password\" required minlength=\"8\" \
         maxlength=\"128\" aria-describedby=\"rule\"><p id=\"rule\">8 characters or more, with a digit and a special \
         character.</p><button>Set password</button></form>"
    );
    page(&body, status)
}

fn page(body: &str, status: StatusCode) -> Response {
    let whole = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\"><title>Set a new password</title><style>{STYLE}</style></head>\
         <body><main><h1>Set a new password</h1>{body}</main></body></html>"
    );
    let headers = [
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(
                "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
            ),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    (status, headers, Html(whole)).into_response()
}
