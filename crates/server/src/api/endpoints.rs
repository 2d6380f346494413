//! SIP endpoints (REST reference §8): users whose phones register here.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use serde::Serialize;
use serde_json::{Value, json};
use tandem_model::{AccountId, ApplicationId, EndpointId, ErrorCode, Ids, clock};
use tandem_store::resources::Updated;
use tandem_store::resources::endpoint::{
    CreateEndpoint, CreateEndpointOutcome, DeleteEndpoint, Endpoint, EndpointFilter, UpdateEndpoint,
};

use super::applications::sub_account;
use super::json::instant;
use super::lenient::{Fields, Given};
use super::revision::{self, after};
use super::window::WindowQuery;
use super::{ApiError, AppState, Dialect, Effect, Posted, Query, Reply, RequestId, Routes};
use crate::auth::{Scoped, context};

/// Characters of names at most.
const USERNAME_MAX: usize = 64;
const ALIAS_MAX: usize = 255;
/// Characters of a password at least and at most.
const PASSWORD_MIN: usize = 8;
const PASSWORD_MAX: usize = 128;
/// Names of the application.
const APPLICATION: [&str; 2] = ["application", "app_id"];

/// The routes of endpoints.
pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/Account/{auth_id}/Endpoint", get(list).post(create))
        .route("/Account/{auth_id}/Endpoint/{endpoint_id}", get(read).post(update).delete(remove))
}

/// One endpoint, in the keys the typed clients know.
#[derive(Debug, Serialize)]
struct EndpointView {
    alias: String,
    application: Option<String>,
    endpoint_id: String,
    resource_uri: String,
    sip_registered: &'static str,
    sip_uri: String,
    sub_account: Option<AccountId>,
    username: String,
}

fn sip_uri(state: &AppState, username: &str) -> String {
    format!("sip:{username}@{}", state.config.sip.registrar)
}

fn resource_uri(endpoint: &Endpoint) -> String {
    format!("/v1/Account/{}/Endpoint/{}/", endpoint.account, endpoint.id)
}

async fn view(state: &AppState, endpoint: &Endpoint) -> Result<EndpointView, ApiError> {
    let bindings = state.reader.bindings_of(&endpoint.username, clock::wall()).await?;
    Ok(EndpointView {
        alias: endpoint.alias.clone(),
        application: endpoint.application.as_ref().map(ToString::to_string),
        endpoint_id: endpoint.id.to_string(),
        resource_uri: resource_uri(endpoint),
        sip_registered: if bindings.is_empty() { "false" } else { "true" },
        sip_uri: sip_uri(state, &endpoint.username),
        sub_account: endpoint.sub_account.clone(),
        username: endpoint.username.clone(),
    })
}

fn not_found(id: &str) -> ApiError {
    ApiError::not_found("Endpoint not found").word("Endpoint not found").with("endpoint_id", id)
}

fn check_password(fields: &mut Fields, password: &str) {
    if password.chars().count() < PASSWORD_MIN {
        fields.refuse("password", format!("Must have at least {PASSWORD_MIN} characters"));
    }
}

/// Create an endpoint. User names are unique on the whole platform.
async fn create(
    State(state): State<AppState>,
    scoped: Scoped,
    dialect: Dialect,
    request: RequestId,
    Posted { value: mut fields, effect }: Posted<Fields>,
) -> Result<Reply, ApiError> {
    let username = fields.required(&["username"], USERNAME_MAX);
    if !username.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')) {
        fields.refuse("username", "Must be letters, digits, _ - and .");
    }
    let password = fields.required(&["password"], PASSWORD_MAX);
    check_password(&mut fields, &password);
    let alias = fields.text(&["alias"], ALIAS_MAX).value().unwrap_or_else(|| username.clone());
    let application = fields.text(&APPLICATION, 32).value().map(|id| ApplicationId::new(&id));
    let sub_account = sub_account(&state, &scoped, &mut fields);
    let mut flag = |name: &'static str, default: bool| fields.flag(&[name]).value().unwrap_or(default);
    let now = clock::wall();
    let endpoint = Endpoint {
        id: EndpointId::new(&Ids::decimal()),
        account: scoped.id().clone(),
        sub_account,
        username: username.clone(),
        password_sealed: state.vault.seal(context::ENDPOINT_PASSWORD, &password),
        alias,
        application,
        allow_voice: flag("allow_voice", true),
        allow_message: flag("allow_message", true),
        allow_video: flag("allow_video", false),
        allow_same_domain: flag("allow_same_domain", true),
        allow_other_domains: flag("allow_other_domains", false),
        allow_phones: flag("allow_phones", true),
        allow_apps: flag("allow_apps", true),
        created_at: now,
        updated_at: now,
    };
    fields.check()?;
    let mut made =
        json!({ "alias": endpoint.alias, "endpoint_id": endpoint.id.as_str(), "username": username });
    if !dialect.is_fern() {
        made["api_id"] = json!(request.api_id);
        made["message"] = "created".into();
        made["sip_uri"] = sip_uri(&state, &username).into();
        made["resource_uri"] = resource_uri(&endpoint).into();
    }
    let command = CreateEndpoint { endpoint, actor: scoped.caller.actor.clone() };
    effect
        .run(scoped.id(), command, move |outcome| match outcome {
            CreateEndpointOutcome::Created => Ok(Reply::created(made.clone())),
            CreateEndpointOutcome::UsernameTaken => {
                let words = "username already exists";
                let error = ApiError::because(ErrorCode::DuplicateUsername, words).word(words);
                Err(error.with("username", username.as_str()))
            }
            CreateEndpointOutcome::ApplicationNotFound => Err(no_application()),
            CreateEndpointOutcome::IdTaken => Err(ApiError::internal("the endpoint id drawn is taken")),
        })
        .await
}

fn no_application() -> ApiError {
    let words = "invalid request parameters";
    let error = ApiError::because(ErrorCode::ValidationError, "application: no application with that id");
    error.word(words).details(json!({ "application": "No application with that id on this account" }))
}

/// List endpoints, newest first.
async fn list(
    State(state): State<AppState>,
    scoped: Scoped,
    request: RequestId,
    Query(query): Query<WindowQuery>,
    Query(mut fields): Query<Fields>,
) -> Result<Reply, ApiError> {
    let window = query.window();
    let mut text = |name: &'static str| fields.text(&[name], ALIAS_MAX).value();
    let filter = EndpointFilter {
        username_contains: text("username__contains"),
        username_exact: text("username__exact"),
        username_startswith: text("username__startswith"),
        alias_contains: text("alias__contains"),
        alias_exact: text("alias__exact"),
        application: text("application_id__exact").map(|id| ApplicationId::new(&id)),
        sub_account: text("sub_account").map(|id| AccountId::new(&id)),
        application_is_null: fields.flag(&["application_id__isnull"]).value(),
    };
    fields.check()?;
    let (rows, total) = state.reader.endpoints(scoped.id(), &filter, window.offset, window.limit).await?;
    let mut objects = Vec::with_capacity(rows.len());
    for row in &rows {
        objects.push(view(&state, row).await?);
    }
    let mut meta = window.plivo_meta(&format!("/v1/Account/{}/Endpoint/", scoped.id()), total);
    if meta["next"] == "" {
        meta["next"] = Value::Null;
    }
    Ok(Reply::ok(json!({ "api_id": request.api_id, "meta": meta, "objects": objects })))
}

/// Read one endpoint. Generated clients get their eight keys; others also where its phone is.
async fn read(
    State(state): State<AppState>,
    scoped: Scoped,
    dialect: Dialect,
    request: RequestId,
    Path((_, id)): Path<(String, String)>,
) -> Result<Reply, ApiError> {
    let found = state.reader.endpoint(scoped.id(), &EndpointId::new(&id)).await?;
    let endpoint = found.ok_or_else(|| not_found(&id))?;
    let mut body = json!(view(&state, &endpoint).await?);
    if dialect.is_fern() {
        // The typed single object has no null application.
        body["application"] =
            endpoint.application.as_ref().map(ToString::to_string).unwrap_or_default().into();
        return Ok(Reply::ok(body));
    }
    let now = clock::wall();
    let bindings = state.reader.bindings_of(&endpoint.username, now).await?;
    if let Some(binding) = bindings.first() {
        let expires = binding.expires_at.saturating_sub(now.as_second()).max(0);
        body["sip_contact"] = binding.contact.as_str().into();
        body["sip_expires"] = expires.into();
        body["sip_user_agent"] = binding.user_agent.as_str().into();
        body["sip_registration"] = json!({
            "contact": binding.contact, "expires": expires, "user_agent": binding.user_agent,
            "received": binding.flow, "path": binding.path,
        });
    }
    for (name, flag) in [
        ("allow_voice", endpoint.allow_voice),
        ("allow_message", endpoint.allow_message),
        ("allow_video", endpoint.allow_video),
        ("allow_same_domain", endpoint.allow_same_domain),
        ("allow_other_domains", endpoint.allow_other_domains),
        ("allow_phones", endpoint.allow_phones),
        ("allow_apps", endpoint.allow_apps),
    ] {
        body[name] = flag.into();
    }
    body["created_at"] = instant(endpoint.created_at).into();
    body["updated_at"] = instant(endpoint.updated_at).into();
    body["api_id"] = json!(request.api_id);
    Ok(Reply::ok(body))
}

/// Change an endpoint's password, alias, application or what it may do. The rest is fixed at creation. A
/// new password drops its registrations.
async fn update(
    State(state): State<AppState>,
    scoped: Scoped,
    dialect: Dialect,
    request: RequestId,
    Path((_, id)): Path<(String, String)>,
    Posted { value: sent, effect }: Posted<Fields>,
) -> Result<Reply, ApiError> {
    for _ in 0..revision::ATTEMPTS {
        let found = state.reader.endpoint(scoped.id(), &EndpointId::new(&id)).await?;
        let mut endpoint = found.ok_or_else(|| not_found(&id))?;
        let mut fields = sent.clone();
        let mut changed = Vec::new();
        if let Given::Value(password) = fields.text(&["password"], PASSWORD_MAX) {
            check_password(&mut fields, &password);
            endpoint.password_sealed = state.vault.seal(context::ENDPOINT_PASSWORD, &password);
            changed.push("password");
        }
        if fields.text(&["username"], USERNAME_MAX).value().is_some_and(|name| name != endpoint.username) {
            fields.refuse("username", "Cannot be changed");
        }
        let application = fields.text(&APPLICATION, 32).map(|id| ApplicationId::new(&id));
        let differing = [
            ("alias", fields.text(&["alias"], ALIAS_MAX).put(&mut endpoint.alias)),
            ("application", application.put_optional(&mut endpoint.application)),
            ("allow_voice", fields.flag(&["allow_voice"]).put(&mut endpoint.allow_voice)),
            ("allow_message", fields.flag(&["allow_message"]).put(&mut endpoint.allow_message)),
            ("allow_video", fields.flag(&["allow_video"]).put(&mut endpoint.allow_video)),
        ];
        changed.extend(differing.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name));
        fields.check_known()?;
        fields.check()?;
        let expected = endpoint.updated_at;
        endpoint.updated_at = after(expected);
        let actor = scoped.caller.actor.clone();
        let command = UpdateEndpoint { endpoint, expected, fields: changed, actor };
        let api_id = request.api_id;
        let answer = move |outcome: &Updated| match outcome {
            Updated::Updated => {
                let body = match dialect {
                    // The typed client parses the body as a JSON string.
                    Dialect::FernPython | Dialect::Fern => json!(""),
                    Dialect::Plain => json!({ "api_id": api_id, "message": "changed" }),
                };
                Ok(Reply::json(StatusCode::ACCEPTED, body))
            }
            Updated::Unknown(_) => Err(no_application()),
            Updated::Stale => Err(revision::stale()),
        };
        match effect.run(scoped.id(), command, answer).await {
            Err(error) if revision::is_stale(&error) => {}
            answer => return answer,
        }
    }
    Err(revision::stale())
}

/// Delete an endpoint and its registrations.
async fn remove(
    scoped: Scoped,
    Path((_, id)): Path<(String, String)>,
    effect: Effect,
) -> Result<Reply, ApiError> {
    let (account, actor) = (scoped.id().clone(), scoped.caller.actor.clone());
    let command = DeleteEndpoint { id: EndpointId::new(&id), account, actor, at: clock::wall() };
    effect
        .run(scoped.id(), command, move |removed| match removed {
            true => Ok(Reply::no_content()),
            false => Err(not_found(&id)),
        })
        .await
}
