//! Applications (REST reference §7): the URLs that steer calls.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use tandem_model::{AccountId, ApplicationId, CallbackEvents, ErrorCode, HttpMethod, Ids, clock};
use tandem_store::resources::application::{
    Application, CreateApplication, DeleteApplication, DeleteOutcome, UpdateApplication, UpdateOutcome,
};
use uuid::Uuid;

use super::callable;
use super::callback_events;
use super::lenient::Fields;
use super::revision::{self, after};
use super::window::WindowQuery;
use super::{ApiError, AppState, Effect, Posted, Query, Reply, RequestId, Routes};
use crate::auth::Scoped;

/// Characters of a name at most.
const NAME_MAX: usize = 255;

/// Names of the fallback URL.
const FALLBACK_URL: [&str; 3] = ["fallback_answer_url", "fallback_callback_url", "fallback_url"];

/// The routes of applications.
pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/Account/{auth_id}/Application", get(list).post(create))
        .route("/Account/{auth_id}/Application/{app_id}", get(read).post(update).delete(remove))
}

/// One application in a list; reading one adds `api_id`.
#[derive(Debug, Serialize)]
struct ApplicationView {
    answer_method: String,
    answer_url: String,
    app_id: String,
    app_name: String,
    application_type: String,
    /// Said only where something is left out: the typed clients do not know it.
    #[serde(skip_serializing_if = "Option::is_none")]
    callback_events: Option<Vec<&'static str>>,
    created_at: String,
    default_app: bool,
    default_endpoint_app: bool,
    enabled: bool,
    fallback_answer_url: Option<String>,
    fallback_method: String,
    hangup_method: String,
    hangup_url: String,
    log_incoming_message: bool,
    message_method: String,
    message_url: Option<String>,
    public_uri: bool,
    resource_uri: String,
    sip_transfer_method: String,
    sip_transfer_url: Option<String>,
    sip_uri: String,
    sub_account: Option<AccountId>,
    updated_at: String,
}

/// The typed clients want a hangup URL; without one the answer URL is told.
fn view(state: &AppState, application: Application) -> ApplicationView {
    let Application { id, account, .. } = &application;
    ApplicationView {
        resource_uri: format!("/v1/Account/{account}/Application/{id}/"),
        sip_uri: format!("sip:{id}@{}", state.config.sip.application_domain),
        app_id: id.to_string(),
        hangup_url: application.hangup_url.unwrap_or_else(|| application.answer_url.clone()),
        answer_method: application.answer_method,
        answer_url: application.answer_url,
        app_name: application.name,
        application_type: application.application_type,
        callback_events: callback_events::shown(application.callback_events),
        created_at: spaced_instant(application.created_at),
        default_app: application.default_app,
        default_endpoint_app: application.default_endpoint_app,
        enabled: application.enabled,
        fallback_answer_url: application.fallback_answer_url,
        fallback_method: application.fallback_method,
        hangup_method: application.hangup_method,
        log_incoming_message: application.log_incoming_message,
        message_method: application.message_method,
        message_url: application.message_url,
        public_uri: application.public_uri,
        sip_transfer_method: application.sip_transfer_method,
        sip_transfer_url: application.sip_transfer_url,
        sub_account: application.sub_account,
        updated_at: spaced_instant(application.updated_at),
    }
}

/// `2026-04-02 12:11:19.740666+00:00`: only applications print instants so.
fn spaced_instant(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S%.6f+00:00").to_string()
}

/// One application in full, as reading it and attaching it to a number answer.
pub(super) fn detail(state: &AppState, application: Application, api_id: Uuid) -> Value {
    let mut body = json!(view(state, application));
    body["api_id"] = json!(api_id);
    body
}

fn not_found(id: &str) -> ApiError {
    ApiError::not_found("Application not found").word("Application not found").with("app_id", id)
}

/// Create an application. Without `hangup_url` the answer URL is told when a call ends.
async fn create(
    State(state): State<AppState>,
    scoped: Scoped,
    request: RequestId,
    Posted { value: mut fields, effect }: Posted<Fields>,
) -> Result<Reply, ApiError> {
    let now = clock::wall();
    let post = || HttpMethod::Post.as_str().to_owned();
    let mut application = Application {
        id: ApplicationId::new(&Ids::decimal()),
        account: scoped.id().clone(),
        sub_account: sub_account(&state, &scoped, &mut fields),
        name: fields.required(&["app_name", "name"], NAME_MAX),
        application_type: "XML".to_owned(),
        answer_url: fields.required_url(&["answer_url", "callback_url"]),
        answer_method: post(),
        hangup_url: None,
        hangup_method: post(),
        fallback_answer_url: None,
        fallback_method: post(),
        callback_events: CallbackEvents::ALL,
        message_url: None,
        message_method: post(),
        sip_transfer_url: None,
        sip_transfer_method: post(),
        default_app: false,
        default_number_app: false,
        default_endpoint_app: false,
        enabled: true,
        log_incoming_message: true,
        public_uri: false,
        created_at: now,
        updated_at: now,
    };
    let _ = apply(&mut fields, &mut application);
    refuse_inside(&state, &mut fields, &application).await;
    fields.check()?;
    let made = json!({ "api_id": request.api_id, "app_id": application.id.as_str(), "message": "created" });
    let command = CreateApplication { application, actor: scoped.caller.actor.clone() };
    effect
        .run(scoped.id(), command, move |created| match created {
            true => Ok(Reply::created(made.clone())),
            false => Err(ApiError::internal("the application id drawn is taken")),
        })
        .await
}

async fn refuse_inside(state: &AppState, fields: &mut Fields, application: &Application) {
    let urls: [(&[&'static str], Option<&str>); 5] = [
        (&["answer_url", "callback_url"], Some(&application.answer_url)),
        (&["hangup_url"], application.hangup_url.as_deref()),
        (&FALLBACK_URL, application.fallback_answer_url.as_deref()),
        (&["message_url"], application.message_url.as_deref()),
        (&["sip_transfer_url"], application.sip_transfer_url.as_deref()),
    ];
    for (names, url) in urls {
        callable::refuse_inside(state, fields, names, url).await;
    }
}

/// A sub-account a resource is made for: it must be the account's own.
pub(super) fn sub_account(state: &AppState, scoped: &Scoped, fields: &mut Fields) -> Option<AccountId> {
    let id = AccountId::new(&fields.text(&["sub_account", "subaccount"], 32).value()?);
    let known = state.directory.account(&id).is_some_and(|sub| sub.parent.as_ref() == Some(scoped.id()));
    if !known && id != *scoped.id() {
        fields.refuse("sub_account", "Not a sub-account of this account");
    }
    Some(id)
}

/// Puts what was sent into an application, under every name it is sent by; returns what differs.
fn apply(fields: &mut Fields, to: &mut Application) -> Vec<&'static str> {
    let mut changed = Vec::new();
    let mut note = |name: &'static str, differs: bool| {
        if differs {
            changed.push(name);
        }
    };
    let stored = |method: HttpMethod| method.as_str().to_owned();
    note("app_name", fields.text(&["app_name", "name"], NAME_MAX).put(&mut to.name));
    note("answer_url", fields.url(&["answer_url", "callback_url"]).put(&mut to.answer_url));
    let answer_method = fields.method(&["answer_method", "callback_method"]);
    note("answer_method", answer_method.map(stored).put(&mut to.answer_method));
    note("hangup_url", fields.url(&["hangup_url"]).put_optional(&mut to.hangup_url));
    note("hangup_method", fields.method(&["hangup_method"]).map(stored).put(&mut to.hangup_method));
    let fallback = fields.url(&FALLBACK_URL);
    note("fallback_answer_url", fallback.put_optional(&mut to.fallback_answer_url));
    note("fallback_method", fields.method(&["fallback_method"]).map(stored).put(&mut to.fallback_method));
    let events = callback_events::events(fields, "callback_events");
    note("callback_events", events.put(&mut to.callback_events));
    note("message_url", fields.url(&["message_url"]).put_optional(&mut to.message_url));
    note("message_method", fields.method(&["message_method"]).map(stored).put(&mut to.message_method));
    note("sip_transfer_url", fields.url(&["sip_transfer_url"]).put_optional(&mut to.sip_transfer_url));
    let transfer_method = fields.method(&["sip_transfer_method"]);
    note("sip_transfer_method", transfer_method.map(stored).put(&mut to.sip_transfer_method));
    let kind = fields.word(&["application_type"], &["XML", "voice"]);
    note("application_type", kind.map(|_| "XML".to_owned()).put(&mut to.application_type));
    note("default_app", fields.flag(&["default_app"]).put(&mut to.default_app));
    note("default_number_app", fields.flag(&["default_number_app"]).put(&mut to.default_number_app));
    note("default_endpoint_app", fields.flag(&["default_endpoint_app"]).put(&mut to.default_endpoint_app));
    note("enabled", fields.flag(&["enabled"]).put(&mut to.enabled));
    let log = fields.flag(&["log_incoming_message", "log_incoming_messages"]);
    note("log_incoming_message", log.put(&mut to.log_incoming_message));
    note("public_uri", fields.flag(&["public_uri"]).put(&mut to.public_uri));
    changed
}

/// List applications, newest first.
async fn list(
    State(state): State<AppState>,
    scoped: Scoped,
    request: RequestId,
    Query(query): Query<WindowQuery>,
) -> Result<Reply, ApiError> {
    let window = query.window();
    let (rows, total) = state.reader.applications(scoped.id(), window.offset, window.limit).await?;
    let objects: Vec<_> = rows.into_iter().map(|row| view(&state, row)).collect();
    let meta = window.plivo_meta(&format!("/v1/Account/{}/Application/", scoped.id()), total);
    Ok(Reply::ok(json!({ "api_id": request.api_id, "meta": meta, "objects": objects })))
}

/// Read one application.
async fn read(
    State(state): State<AppState>,
    scoped: Scoped,
    request: RequestId,
    Path((_, id)): Path<(String, String)>,
) -> Result<Reply, ApiError> {
    let found = state.reader.application(scoped.id(), &ApplicationId::new(&id)).await?;
    Ok(Reply::ok(detail(&state, found.ok_or_else(|| not_found(&id))?, request.api_id)))
}

/// Change an application: fields that are not sent stay.
async fn update(
    State(state): State<AppState>,
    scoped: Scoped,
    request: RequestId,
    Path((_, id)): Path<(String, String)>,
    Posted { value: sent, effect }: Posted<Fields>,
) -> Result<Reply, ApiError> {
    let key = ApplicationId::new(&id);
    for _ in 0..revision::ATTEMPTS {
        let found = state.reader.application(scoped.id(), &key).await?;
        let mut application = found.ok_or_else(|| not_found(&id))?;
        let mut fields = sent.clone();
        let changed = apply(&mut fields, &mut application);
        fields.demand_kept(&["answer_url", "callback_url"]);
        refuse_inside(&state, &mut fields, &application).await;
        fields.check_known()?;
        fields.check()?;
        let expected = application.updated_at;
        application.updated_at = after(expected);
        let actor = scoped.caller.actor.clone();
        let command = UpdateApplication { application, expected, fields: changed, actor };
        let api_id = request.api_id;
        let answer = move |outcome: &UpdateOutcome| match outcome {
            UpdateOutcome::Updated => Ok(Reply::ok(json!({ "api_id": api_id, "message": "changed" }))),
            UpdateOutcome::Stale => Err(revision::stale()),
        };
        match effect.run(scoped.id(), command, answer).await {
            Err(error) if revision::is_stale(&error) => {}
            answer => return answer,
        }
    }
    Err(revision::stale())
}

/// Delete an application that no number and no endpoint uses.
async fn remove(
    scoped: Scoped,
    Path((_, id)): Path<(String, String)>,
    effect: Effect,
) -> Result<Reply, ApiError> {
    let (account, actor) = (scoped.id().clone(), scoped.caller.actor.clone());
    let command = DeleteApplication { id: ApplicationId::new(&id), account, actor, at: clock::wall() };
    effect
        .run(scoped.id(), command, move |outcome| match outcome {
            DeleteOutcome::Deleted => Ok(Reply::no_content()),
            DeleteOutcome::NotFound => Err(not_found(&id)),
            DeleteOutcome::InUse { numbers, endpoints, some } => {
                let users = match (*numbers, *endpoints) {
                    (numbers, 0) => format!("{numbers} phone numbers"),
                    (0, endpoints) => format!("{endpoints} endpoints"),
                    (numbers, endpoints) => format!("{numbers} phone numbers and {endpoints} endpoints"),
                };
                let mut words = format!("Application is currently in use by {users}");
                if !some.is_empty() {
                    let more = if *numbers > some.len() as u64 { ", …" } else { "" };
                    words = format!("{words}: {}{more}", some.join(", "));
                }
                let error = ApiError::because(ErrorCode::Conflict, words)
                    .hint("Detach each number with DELETE …/numbers/{e164}/application, and give each endpoint another application, first.")
                    .details(json!({ "numbers": some }));
                Err(error.word("Cannot delete application").status(StatusCode::CONFLICT))
            }
        })
        .await
}
