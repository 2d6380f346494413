//! Trunk credentials (REST reference §9.2).

use axum::extract::{Path, State};
use axum::routing::{get, post, put};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tandem_model::{ErrorCode, Ids, TrunkId, clock};
use tandem_store::resources::Removed;
use tandem_store::resources::credential::{
    CreateCredential, CreateCredentialOutcome, Credential, DeleteCredential, UpdateCredential,
};

use super::json::instant;
use super::lenient::{Fields, Given, invalid};
use super::window::WindowQuery;
use super::{ApiError, AppState, Dialect, Effect, Payload, Posted, Query, Reply, Routes};
use crate::auth::{Scoped, context};

/// Characters of a user name at most.
pub(super) const USERNAME_MAX: usize = 64;
/// Characters of a password at least and at most.
const PASSWORD_MIN: usize = 8;
pub(super) const PASSWORD_MAX: usize = 128;
/// Characters of a description at most.
const DESCRIPTION_MAX: usize = 500;

/// The routes of credentials.
pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/Account/{auth_id}/credentials", post(create).get(list))
        .route("/Account/{auth_id}/credentials/{id}", put(update).get(read).delete(remove))
        .route("/Account/{auth_id}/trunks/credentials", get(list).post(create))
        .route("/Account/{auth_id}/trunks/credentials/{id}", put(update).get(read).delete(remove))
}

/// Which of the things that hang on trunks.
#[derive(Debug, Default, Deserialize)]
pub(super) struct OfTrunk {
    /// Only this trunk's.
    pub(super) trunk_id: Option<TrunkId>,
}

/// One credential. The password is never told.
#[derive(Debug, Serialize)]
struct CredentialView {
    id: String,
    account_id: String,
    username: String,
    password: &'static str,
    realm: String,
    enabled: bool,
    created_at: String,
    updated_at: String,
}

fn view(state: &AppState, credential: Credential) -> CredentialView {
    let domain = &state.config.sip.domain;
    CredentialView {
        id: credential.id,
        account_id: credential.account.to_string(),
        username: credential.username,
        password: "<redacted>",
        realm: credential.domain_label.map_or_else(|| domain.clone(), |label| format!("{label}.{domain}")),
        enabled: credential.enabled,
        created_at: instant(credential.created_at),
        updated_at: instant(credential.updated_at),
    }
}

fn not_found() -> ApiError {
    ApiError::not_found("Credential not found").word("Credential not found")
}

/// Refuses a user name or password that digest cannot carry.
pub(super) fn check(fields: &mut Fields, username: &str, password: &str) {
    let speakable = |c: char| c.is_ascii_alphanumeric() || "-_.!~*'()+".contains(c);
    if !username.chars().all(speakable) {
        fields.refuse("username", "Must be letters, digits and -_.!~*'()+");
    }
    if !password.is_empty() && password.chars().count() < PASSWORD_MIN {
        fields.refuse("password", format!("Must have at least {PASSWORD_MIN} characters"));
    }
}

/// The trunk a request names; it must be written as an id.
pub(super) fn trunk_of(fields: &mut Fields) -> Option<TrunkId> {
    let text = fields.text(&["trunk_id"], 64).value()?;
    let id = text.parse().ok();
    if id.is_none() {
        fields.refuse("trunk_id", "Must be a trunk's id");
    }
    id
}

/// Create a credential, for one trunk (`trunk_id`) or for a trunk to name later (`credential_uuid`).
async fn create(
    State(state): State<AppState>,
    scoped: Scoped,
    Posted { value: mut fields, effect }: Posted<Fields>,
) -> Result<Reply, ApiError> {
    let username = fields.required(&["username"], USERNAME_MAX);
    let password = fields.required(&["password"], PASSWORD_MAX);
    check(&mut fields, &username, &password);
    let trunk = trunk_of(&mut fields);
    let enabled = fields.flag(&["enabled"]).value().unwrap_or(true);
    let description = fields.text(&["description", "name"], DESCRIPTION_MAX).value().unwrap_or_default();
    fields.check_sentence()?;
    let now = clock::wall();
    let credential = Credential {
        id: Ids::random().to_string(),
        account: scoped.id().clone(),
        trunk,
        username,
        password_sealed: state.vault.seal(context::TRUNK_PASSWORD, &password),
        description,
        enabled,
        domain_label: trunk.map(|trunk| trunk.label()),
        created_at: now,
        updated_at: now,
    };
    let made = json!(view(&state, credential.clone()));
    let command = CreateCredential { credential, actor: scoped.caller.actor.clone() };
    effect
        .run(scoped.id(), command, move |outcome| match outcome {
            CreateCredentialOutcome::Created => Ok(Reply::created(made.clone())),
            CreateCredentialOutcome::UsernameTaken => {
                let words = "Username already exists for this trunk";
                Err(ApiError::because(ErrorCode::DuplicateUsername, words).word(words))
            }
            CreateCredentialOutcome::TrunkNotFound => Err(no_such_trunk()),
        })
        .await
}

/// A `trunk_id` that is not the account's.
pub(super) fn no_such_trunk() -> ApiError {
    ApiError::because(ErrorCode::TrunkNotFound, "trunk_id: no trunk with that id on this account")
}

/// List credentials, newest first; `trunk_id` narrows.
async fn list(
    State(state): State<AppState>,
    scoped: Scoped,
    dialect: Dialect,
    Query(query): Query<WindowQuery>,
    Query(of): Query<OfTrunk>,
) -> Result<Reply, ApiError> {
    let (window, trunk) = (query.window(), of.trunk_id);
    let (rows, total) = state.reader.credentials(scoped.id(), trunk, window.offset, window.limit).await?;
    let objects: Vec<_> = rows.into_iter().map(|row| view(&state, row)).collect();
    Ok(Reply::ok(json!({ "meta": window.trunk_meta(total, dialect), "objects": objects })))
}

/// Read one credential.
async fn read(
    State(state): State<AppState>,
    scoped: Scoped,
    Path((_, id)): Path<(String, String)>,
) -> Result<Reply, ApiError> {
    let credential = state.reader.credential(scoped.id(), &id).await?.ok_or_else(not_found)?;
    Ok(Reply::ok(json!(view(&state, credential))))
}

/// Change a credential's password, description or use. The user name stays.
async fn update(
    State(state): State<AppState>,
    scoped: Scoped,
    Path((auth_id, id)): Path<(String, String)>,
    Payload { value: mut fields, .. }: Payload<Fields>,
) -> Result<Reply, ApiError> {
    let password = fields.text(&["password"], PASSWORD_MAX).value();
    check(&mut fields, "", password.as_deref().unwrap_or_default());
    let description = match fields.text(&["description", "name"], DESCRIPTION_MAX) {
        Given::Absent => None,
        Given::Null => Some(String::new()),
        Given::Value(text) => Some(text),
    };
    let enabled = fields.flag(&["enabled"]).value();
    fields.check_sentence()?;
    let username = fields.text(&["username"], USERNAME_MAX).value();
    fields.check_known()?;
    if let Some(username) = username {
        let current = state.reader.credential(scoped.id(), &id).await?.ok_or_else(not_found)?;
        if current.username != username {
            return Err(invalid("username cannot be changed"));
        }
    }
    let command = UpdateCredential {
        id: id.clone(),
        account: scoped.id().clone(),
        password_sealed: password.map(|password| state.vault.seal(context::TRUNK_PASSWORD, &password)),
        description,
        enabled,
        actor: scoped.caller.actor.clone(),
        at: clock::wall(),
    };
    if !state.writer.submit(command).await? {
        return Err(not_found());
    }
    state.settled().await;
    read(State(state), scoped, Path((auth_id, id))).await
}

/// Delete a credential. Refused while its trunk carries calls.
async fn remove(
    scoped: Scoped,
    Path((_, id)): Path<(String, String)>,
    effect: Effect,
) -> Result<Reply, ApiError> {
    let (account, actor) = (scoped.id().clone(), scoped.caller.actor.clone());
    let command = DeleteCredential { id, account, actor, at: clock::wall() };
    effect
        .run(scoped.id(), command, |outcome| match *outcome {
            Removed::Removed => Ok(Reply::no_content()),
            Removed::NotFound => Err(not_found()),
            Removed::InUse(calls) => {
                let words = format!("Its trunk carries {calls} live calls: end them first");
                Err(ApiError::because(ErrorCode::Conflict, words).hint("End the calls of its trunk first."))
            }
        })
        .await
}
