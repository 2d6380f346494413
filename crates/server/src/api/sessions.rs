//! Sign-in with e-mail and password (REST reference §1.1): who does gets an access token for half an hour and a
//! refresh token that is good once. A wrong password, an unknown address and an address without a password cost
//! and answer the same.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::routing::post;
use serde::Deserialize;
use serde_json::{Value, json};
use tandem_model::{ErrorCode, clock};
use tandem_store::sessions::{EndSession, FailedSignIn, Person, RenewOutcome, RenewSession, SignIn};

use super::json::joined;
use super::{ApiError, AppState, Posted, Reply, Routes, checks};
use crate::auth::sessions::{Draft, PARTNER_ACCESS, access_only};
use crate::auth::{Limits, Noted, PASSWORD_MAX, Stranger, verify_password};

/// Longest refresh token looked at.
const TOKEN_MAX: usize = 128;

/// The routes.
pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/auth/login", post(login))
        .route("/auth/refresh", post(refresh))
        .route("/auth/logout", post(logout))
        .route("/partner/login", post(partner_login))
}

#[derive(Debug, Deserialize)]
struct Credentials {
    email: Option<String>,
    password: Option<String>,
}

/// Who these credentials are of, or the one refusal for whatever is wrong with them.
async fn identify(
    state: &AppState,
    limits: &Limits,
    noted: &Noted,
    stranger: &Stranger,
    credentials: &Credentials,
    kinds: &[&str],
) -> Result<Person, ApiError> {
    let email = checks::email("email", &checks::text("email", credentials.email.as_deref(), 254)?)?;
    let password = credentials.password.clone().unwrap_or_default();
    if password.is_empty() || password.chars().count() > PASSWORD_MAX {
        return Err(ApiError::field("password", &format!("is 1 to {PASSWORD_MAX} characters")));
    }
    let now = clock::monotonic();
    limits.admit_stranger(stranger.source, now)?;
    limits.admit_login(&email, noted, now)?;
    let person = state.reader.person_by_email(&email).await?;
    let person = person.filter(|person| kinds.contains(&person.kind.as_str()));
    let stored = person.as_ref().and_then(|person| person.password_hash.clone());
    let right = verify_password(password, stored).await.map_err(ApiError::internal)?;
    let Some(person) = person else { return Err(wrong()) };
    if !right {
        let actor = stranger.actor("anonymous");
        let failed = FailedSignIn { account: person.account, actor, at: clock::wall() };
        state.writer.submit(failed).await?;
        return Err(wrong());
    }
    if !person.enabled {
        return Err(ApiError::new(ErrorCode::AccountInactive));
    }
    Ok(person)
}

fn wrong() -> ApiError {
    ApiError::because(ErrorCode::InvalidCredentials, "Wrong e-mail address or password")
}

/// `POST /auth/login`: `{email, password}` for tokens, in both nestings that clients know.
async fn login(
    State(state): State<AppState>,
    Extension(limits): Extension<Arc<Limits>>,
    Extension(noted): Extension<Noted>,
    stranger: Stranger,
    posted: Posted<Credentials>,
) -> Result<Reply, ApiError> {
    let kinds = ["partner", "master", "sub"];
    let person = identify(&state, &limits, &noted, &stranger, &posted.value, &kinds).await?;
    let draft = Draft::new(&state.vault, &state.config.api, clock::wall());
    let command = SignIn {
        account: person.account.clone(),
        epoch: person.epoch,
        session: Some(draft.session.clone()),
        actor: stranger.actor(person.account.as_str()),
        at: draft.session.at,
    };
    let account = person.account.clone();
    let vault = state.vault.clone();
    let answer = move |signed_in: &bool| {
        if !signed_in {
            return Err(wrong());
        }
        let tokens = draft.tokens(&vault, &person.account, person.epoch).view();
        let whole = json!({
            "tokens": tokens.clone(),
            "account": {
                "auth_id": person.account, "name": person.name, "email": person.email,
                "type": match person.kind.as_str() { "sub" => "SUB_ACCOUNT", "partner" => "PARTNER", _ => "MASTER" },
            },
        });
        Ok(Reply::ok(joined(tokens, whole)))
    };
    posted.effect.run(&account, command, answer).await
}

/// `POST /partner/login`: the same for partners only; an access token for an hour, which cannot be renewed.
async fn partner_login(
    State(state): State<AppState>,
    Extension(limits): Extension<Arc<Limits>>,
    Extension(noted): Extension<Noted>,
    stranger: Stranger,
    posted: Posted<Credentials>,
) -> Result<Reply, ApiError> {
    let slug = |error: ApiError| match error.code() {
        ErrorCode::InvalidCredentials => error.word("invalid_credentials"),
        _ => error,
    };
    let person =
        identify(&state, &limits, &noted, &stranger, &posted.value, &["partner"]).await.map_err(slug)?;
    let command = SignIn {
        account: person.account.clone(),
        epoch: person.epoch,
        session: None,
        actor: stranger.actor(person.account.as_str()),
        at: clock::wall(),
    };
    let account = person.account.clone();
    let vault = state.vault.clone();
    let answer = move |signed_in: &bool| {
        if !signed_in {
            return Err(slug(wrong()));
        }
        let access = access_only(&vault, &person.account, person.epoch, PARTNER_ACCESS);
        Ok(Reply::ok(json!({ "tokens": {
            "access_token": access, "token_type": "Bearer", "expires_in": PARTNER_ACCESS.as_secs(),
        } })))
    };
    posted.effect.run(&account, command, answer).await
}

#[derive(Debug, Deserialize)]
struct RefreshToken {
    #[serde(alias = "refreshToken")]
    refresh_token: Option<String>,
}

impl RefreshToken {
    fn checked(&self) -> Result<String, ApiError> {
        checks::text("refresh_token", self.refresh_token.as_deref(), TOKEN_MAX)
    }
}

/// `POST /auth/refresh`: `{refreshToken}` for the next pair. A token is good once; who shows a used one ends the
/// session, because then somebody has a copy. An `Idempotency-Key` makes a repeated request safe.
async fn refresh(
    State(state): State<AppState>,
    Extension(limits): Extension<Arc<Limits>>,
    stranger: Stranger,
    posted: Posted<RefreshToken>,
) -> Result<Reply, ApiError> {
    let token = posted.value.checked()?;
    limits.admit_stranger(stranger.source, clock::monotonic())?;
    let hash = state.vault.token_hash(&token);
    let owner = state.reader.refresh_token_owner(&hash).await?.ok_or_else(no_session)?;
    let draft = Draft::new(&state.vault, &state.config.api, clock::wall());
    let command = RenewSession { hash, next: draft.session.clone(), actor: stranger.actor(owner.as_str()) };
    let vault = state.vault.clone();
    let answer = move |outcome: &RenewOutcome| match outcome {
        RenewOutcome::Renewed { account, epoch } => {
            let tokens = draft.tokens(&vault, account, *epoch).view();
            Ok(Reply::ok(joined(tokens.clone(), json!({ "tokens": tokens }))))
        }
        RenewOutcome::Expired => Err(ApiError::because(ErrorCode::TokenExpired, "The session has expired")),
        RenewOutcome::Inactive => Err(ApiError::new(ErrorCode::AccountInactive)),
        RenewOutcome::Unknown | RenewOutcome::Reused => Err(no_session()),
    };
    posted.effect.run(&owner, command, answer).await
}

fn no_session() -> ApiError {
    ApiError::because(ErrorCode::InvalidCredentials, "This refresh token is not good; sign in again")
}

/// `POST /auth/logout`: ends the session of a refresh token. Its access token lasts for its half hour. Answers the
/// same for a token that is none.
async fn logout(
    State(state): State<AppState>,
    Extension(limits): Extension<Arc<Limits>>,
    stranger: Stranger,
    posted: Posted<RefreshToken>,
) -> Result<Reply, ApiError> {
    let token = posted.value.checked()?;
    limits.admit_stranger(stranger.source, clock::monotonic())?;
    let hash = state.vault.token_hash(&token);
    let done: Value = json!({ "message": "Signed out" });
    let Some(owner) = state.reader.refresh_token_owner(&hash).await? else { return Ok(Reply::ok(done)) };
    let command = EndSession { hash, actor: stranger.actor(owner.as_str()), at: clock::wall() };
    posted.effect.run(&owner, command, move |()| Ok(Reply::ok(done.clone()))).await
}
