//! The page's requests: the link becomes a cookie, forms are guarded, everything ends in a redirect to the step that is next.

use std::collections::BTreeMap;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::get;
use jiff::tz::TimeZone;
use serde::Deserialize;
use subtle::ConstantTimeEq as _;
use tandem_model::clock;
use tandem_model::kyc::Document;

use super::fields::{Errors, Form};
use super::page::{STYLE, View, render};
use super::pretend;
use super::stage::Stage;
use super::texts::{Language, word};
use crate::api::Query;
use crate::kyc::verdict::SHOWN_MAX;
use crate::kyc::{Desk, KycError, Opened};

/// Largest form.
const BODY_MAX: usize = 8 * 1024;
/// Longest secret of a link looked at.
const TOKEN_MAX: usize = 100;
const LINK_COOKIE: &str = "tandem_kyc";
const LANGUAGE_COOKIE: &str = "tandem_lang";
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The page's routes, and `next` for everything else.
pub(crate) fn router(desk: Desk, next: Router) -> Router {
    let step = || async { Redirect::to("/verify/step") };
    let page = Router::new()
        .route("/verify", get(arrive))
        .route("/verify/step", get(show))
        .route("/verify/pan", get(step).post(pan))
        .route("/verify/details", get(step).post(details))
        .route("/verify/again", get(step).post(again))
        .route("/verify/gst", get(step).post(gst))
        .route("/verify/aadhaar", get(step).post(aadhaar))
        .route("/verify/digilocker", get(step).post(visit))
        .route("/verify/digilocker/return", get(visited))
        .route("/verify/style.css", get(style))
        .route("/verify/sandbox/digilocker", get(pretend::ask).post(pretend::answer))
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(middleware::from_fn(guarded))
        .with_state(desk);
    page.merge(next)
}

/// Headers of every answer of the page. Requests of other sites' forms are turned away.
async fn guarded(request: Request, next: Next) -> Response {
    let cross_site = request.headers().get(SEC_FETCH_SITE).is_some_and(|site| site == "cross-site");
    if cross_site && !request.method().is_safe() {
        return StatusCode::FORBIDDEN.into_response();
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        // Not no-referrer: browsers would then send forms with a null origin.
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "max-age=300")], STYLE)
        .into_response()
}

#[derive(Deserialize)]
struct Arrival {
    #[serde(default)]
    token: String,
    #[serde(default)]
    lang: String,
}

fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|line| line.split(';')).find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}

fn set_cookie(desk: &Desk, name: &str, value: &str, seconds: i64) -> HeaderValue {
    let secure = if desk.public_url.starts_with("https:") { "; Secure" } else { "" };
    let text = format!("{name}={value}; Path=/verify; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

fn language(headers: &HeaderMap) -> Language {
    let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    cookie(headers, LANGUAGE_COOKIE)
        .and_then(Language::of)
        .unwrap_or_else(|| Language::accepted(accepted.unwrap_or_default()))
}

fn over(language: Language) -> Response {
    render(StatusCode::NOT_FOUND, &View { stage: "over", ..View::default() }, language)
}

fn trouble(error: &KycError, language: Language) -> Response {
    tracing::warn!(%error, "a KYC page could not be shown");
    let notice = word(language, "busy").to_owned();
    render(
        StatusCode::SERVICE_UNAVAILABLE,
        &View { stage: "over", notice: Some(notice), ..View::default() },
        language,
    )
}

/// Bound to the link: another site cannot know it.
fn csrf(desk: &Desk, token: &str) -> String {
    desk.vault.token_hash(&format!("form of {token}"))
}

/// `GET /verify?token=…`: takes the secret out of the address.
async fn arrive(State(desk): State<Desk>, headers: HeaderMap, Query(arrival): Query<Arrival>) -> Response {
    let language = Language::of(&arrival.lang).unwrap_or_else(|| language(&headers));
    let good = arrival.token.starts_with("kst_")
        && arrival.token.len() <= TOKEN_MAX
        && arrival.token.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let found = if good { desk.by_link(&arrival.token).await } else { Ok(None) };
    let opened = match found {
        Ok(Some(opened)) => opened,
        Ok(None) => return over(language),
        Err(error) => return trouble(&error, language),
    };
    let seconds = opened.row.expires_at.duration_since(clock::wall()).as_secs().clamp(600, 90 * 86_400);
    if opened.row.expires_at > clock::wall()
        && let Err(error) = desk.seen(opened).await
    {
        return trouble(&error, language);
    }
    let mut response = Redirect::to("/verify/step").into_response();
    response
        .headers_mut()
        .append(header::SET_COOKIE, set_cookie(&desk, LINK_COOKIE, &arrival.token, seconds));
    if let Some(language) = Language::of(&arrival.lang) {
        let kept = set_cookie(&desk, LANGUAGE_COOKIE, language.code(), 86_400);
        response.headers_mut().append(header::SET_COOKIE, kept);
    }
    response
}

/// A request of somebody who came by a link.
struct Visitor {
    desk: Desk,
    opened: Opened,
    stage: Stage,
    csrf: String,
    language: Language,
}

impl Visitor {
    async fn of(desk: Desk, headers: &HeaderMap, language: Language) -> Result<Self, Response> {
        let Some(token) = cookie(headers, LINK_COOKIE).filter(|token| token.len() <= TOKEN_MAX) else {
            return Err(over(language));
        };
        let csrf = csrf(&desk, token);
        let opened = match desk.by_link(token).await {
            Ok(Some(opened)) => opened,
            Ok(None) => return Err(over(language)),
            Err(error) => return Err(trouble(&error, language)),
        };
        let stage = desk.stage(&opened).await.map_err(|error| trouble(&error, language))?;
        Ok(Self { desk, opened, stage, csrf, language })
    }

    /// The same for a form, which must be of this page.
    async fn posting(desk: Desk, headers: &HeaderMap, form: &Form) -> Result<Self, Response> {
        let visitor = Self::of(desk, headers, language(headers)).await?;
        if bool::from(visitor.csrf.as_bytes().ct_eq(form.get("csrf").as_bytes())) {
            return Ok(visitor);
        }
        let notice = word(visitor.language, "stale_form").to_owned();
        Err(visitor.page(StatusCode::FORBIDDEN, |view| view.notice = Some(notice)).await)
    }

    async fn page(&self, status: StatusCode, fill: impl FnOnce(&mut View)) -> Response {
        let row = &self.opened.row;
        let owner = self.desk.reader.directory_account(row.owner.as_str()).await;
        let tries = self.stage.document().and_then(|document| self.opened.private.attempts.get(&document));
        let refused = self.stage.document().and(self.opened.private.reason.clone());
        let link = match &self.stage {
            Stage::DigiLocker(link) => link.clone(),
            Stage::Waiting | Stage::Done | Stage::Failed => self.way_back(),
            _ => None,
        };
        let mut view = View {
            stage: self.stage.name(),
            number: self.stage.number(),
            owner: owner.ok().flatten().map(|owner| owner.name).unwrap_or_default(),
            csrf: self.csrf.clone(),
            notice: refused.as_ref().map(|_| word(self.language, "refused").to_owned()),
            tries_left: refused.as_ref().and(tries).map(|tries| SHOWN_MAX.saturating_sub(*tries)),
            reason: refused,
            link,
            until: row.expires_at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M UTC").to_string(),
            ..View::default()
        };
        fill(&mut view);
        render(status, &view, self.language)
    }

    /// Where the browser goes in the end, with the three hints.
    fn way_back(&self) -> Option<String> {
        let row = &self.opened.row;
        let mut url = url::Url::parse(self.opened.private.redirect_url.as_deref()?).ok()?;
        url.query_pairs_mut()
            .append_pair("session_id", &row.id)
            .append_pair("status", row.status.as_str())
            .append_pair("auth_id", row.account.as_str());
        Some(url.into())
    }

    async fn wrong(&self, errors: Errors, form: &Form) -> Response {
        let (echo, language) = (form.echo(), self.language);
        self.page(StatusCode::UNPROCESSABLE_ENTITY, |view| {
            *view = std::mem::take(view).with_errors(&errors, echo, language);
        })
        .await
    }

    /// On to the step that is next; or, where nothing was changed, the same form with the reason.
    async fn answer(&self, done: Result<(), KycError>, form: &Form) -> Response {
        let key = match done {
            Ok(()) => return Redirect::to("/verify/step").into_response(),
            Err(KycError::Verifier(error)) => {
                tracing::warn!(%error, session_id = %self.opened.row.id, "a document could not be verified");
                "unavailable"
            }
            Err(error) => {
                tracing::warn!(%error, session_id = %self.opened.row.id, "a KYC form could not be taken");
                "busy"
            }
        };
        let notice = word(self.language, key).to_owned();
        let values =
            form.echo().into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        self.page(StatusCode::SERVICE_UNAVAILABLE, |view| {
            view.notice = Some(notice);
            view.values = values;
        })
        .await
    }
}

fn onward() -> Response {
    Redirect::to("/verify/step").into_response()
}

/// `GET /verify/step`: the step that is next.
async fn show(State(desk): State<Desk>, headers: HeaderMap, Query(arrival): Query<Arrival>) -> Response {
    let chosen = Language::of(&arrival.lang);
    let language = chosen.unwrap_or_else(|| language(&headers));
    let mut response = match Visitor::of(desk.clone(), &headers, language).await {
        Ok(visitor) => {
            let status = if visitor.stage == Stage::Over { StatusCode::NOT_FOUND } else { StatusCode::OK };
            visitor.page(status, |_| {}).await
        }
        Err(response) => response,
    };
    if let Some(chosen) = chosen {
        let kept = set_cookie(&desk, LANGUAGE_COOKIE, chosen.code(), 86_400);
        response.headers_mut().append(header::SET_COOKIE, kept);
    }
    response
}

async fn pan(State(desk): State<Desk>, headers: HeaderMap, body: Bytes) -> Response {
    let form = Form::parse(&body);
    let visitor = match Visitor::posting(desk, &headers, &form).await {
        Ok(visitor) => visitor,
        Err(response) => return response,
    };
    if visitor.stage != Stage::Pan {
        return onward();
    }
    match form.pan() {
        Ok(pan) => {
            let done = visitor.desk.note_pan(visitor.opened.clone(), Some(pan)).await;
            visitor.answer(done, &form).await
        }
        Err(errors) => visitor.wrong(errors, &form).await,
    }
}

async fn again(State(desk): State<Desk>, headers: HeaderMap, body: Bytes) -> Response {
    let form = Form::parse(&body);
    let visitor = match Visitor::posting(desk, &headers, &form).await {
        Ok(visitor) => visitor,
        Err(response) => return response,
    };
    if !matches!(visitor.stage, Stage::Details(_)) {
        return onward();
    }
    let done = visitor.desk.note_pan(visitor.opened.clone(), None).await;
    visitor.answer(done, &form).await
}

async fn details(State(desk): State<Desk>, headers: HeaderMap, body: Bytes) -> Response {
    let form = Form::parse(&body);
    let visitor = match Visitor::posting(desk, &headers, &form).await {
        Ok(visitor) => visitor,
        Err(response) => return response,
    };
    let today = clock::wall().to_zoned(TimeZone::UTC).date();
    let given = match &visitor.stage {
        Stage::Details(tandem_model::kyc::KycType::Individual) => {
            form.person(today).map(|(name, birth)| vec![("name", name), ("birth_date", birth.to_string())])
        }
        Stage::Details(tandem_model::kyc::KycType::Company) => {
            form.company().map(|name| vec![("entity_name", name)])
        }
        _ => return onward(),
    };
    match given {
        Ok(given) => {
            let pan = visitor.opened.private.pan.clone().unwrap_or_default();
            let fields = given.into_iter().chain([("pan", pan)]);
            let fields = fields.map(|(name, value)| (name.to_owned(), value)).collect();
            let done = visitor.desk.show_in(visitor.opened.clone(), Document::Pan, fields).await;
            visitor.answer(done, &form).await
        }
        Err(errors) => visitor.wrong(errors, &form).await,
    }
}

async fn gst(State(desk): State<Desk>, headers: HeaderMap, body: Bytes) -> Response {
    let form = Form::parse(&body);
    let visitor = match Visitor::posting(desk, &headers, &form).await {
        Ok(visitor) => visitor,
        Err(response) => return response,
    };
    if visitor.stage != Stage::Gst {
        return onward();
    }
    let mut fields = match visitor.desk.shown_with_pan(&visitor.opened).await {
        Ok(fields) => fields,
        Err(error) => return visitor.answer(Err(error), &form).await,
    };
    match form.gstin(fields.get("pan").map(String::as_str).unwrap_or_default()) {
        Ok(gstin) => {
            fields.insert("gstin".to_owned(), gstin);
            let done = visitor.desk.show_in(visitor.opened.clone(), Document::Gst, fields).await;
            visitor.answer(done, &form).await
        }
        Err(errors) => visitor.wrong(errors, &form).await,
    }
}

async fn aadhaar(State(desk): State<Desk>, headers: HeaderMap, body: Bytes) -> Response {
    let form = Form::parse(&body);
    let visitor = match Visitor::posting(desk, &headers, &form).await {
        Ok(visitor) => visitor,
        Err(response) => return response,
    };
    if visitor.stage != Stage::Aadhaar {
        return onward();
    }
    match form.aadhaar() {
        Ok((name, four)) => {
            let fields = BTreeMap::from([("name".to_owned(), name), ("last_four".to_owned(), four)]);
            let done = visitor.desk.show_in(visitor.opened.clone(), Document::Aadhaar, fields).await;
            visitor.answer(done, &form).await
        }
        Err(errors) => visitor.wrong(errors, &form).await,
    }
}

async fn visit(State(desk): State<Desk>, headers: HeaderMap, body: Bytes) -> Response {
    let form = Form::parse(&body);
    let visitor = match Visitor::posting(desk, &headers, &form).await {
        Ok(visitor) => visitor,
        Err(response) => return response,
    };
    if !matches!(visitor.stage, Stage::DigiLocker(_)) {
        return onward();
    }
    let done = visitor.desk.begin_visit(visitor.opened.clone()).await;
    visitor.answer(done, &form).await
}

#[derive(Deserialize)]
struct Return {
    #[serde(default)]
    state: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    error: String,
}

/// `GET /verify/digilocker/return`: the browser is back. Only the visit that this session began counts.
async fn visited(State(desk): State<Desk>, headers: HeaderMap, Query(back): Query<Return>) -> Response {
    let visitor = match Visitor::of(desk, &headers, language(&headers)).await {
        Ok(visitor) => visitor,
        Err(response) => return response,
    };
    let Some(visit) = visitor.opened.private.visit.clone() else { return onward() };
    if !bool::from(visit.state.as_bytes().ct_eq(back.state.as_bytes())) {
        return onward();
    }
    if back.status == "denied" || !back.error.is_empty() {
        if let Err(error) = visitor.desk.end_visit(visitor.opened.clone()).await {
            return visitor.answer(Err(error), &Form::default()).await;
        }
        let notice = word(visitor.language, "digi_denied").to_owned();
        let visitor = Visitor { stage: Stage::DigiLocker(None), ..visitor };
        return visitor.page(StatusCode::OK, |view| view.notice = Some(notice)).await;
    }
    let mut fields = match visitor.desk.shown_with_pan(&visitor.opened).await {
        Ok(fields) => fields,
        Err(error) => return visitor.answer(Err(error), &Form::default()).await,
    };
    fields.remove("pan");
    fields.insert("access_request_id".to_owned(), visit.access_request_id);
    let done = visitor.desk.show_in(visitor.opened.clone(), Document::Aadhaar, fields).await;
    visitor.answer(done, &Form::default()).await
}
