//! Passwords (ours; the contract has no operation for them): change one that is known, or set one by a link sent to
//! the account's e-mail address. Either way every session of the account ends.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::json;
use tandem_model::{AccountId, ErrorCode, clock, entropy};
use tandem_store::audit::Actor;
use tandem_store::sessions::{
    AskPasswordLink, ChangePassword, OpenPasswordLink, PasswordLinkOutcome, ResetPassword,
};

use super::{ApiError, AppState, Posted, Reply, Routes, checks};
use crate::auth::{Caller, Limits, Noted, PASSWORD_MAX, Stranger, hash_password, verify_password};
use crate::post::Letter;

/// How long a link is good.
const LINK_LIFE: SignedDuration = SignedDuration::from_mins(30);
/// Longest secret of a link looked at.
const TOKEN_MAX: usize = 100;

/// The routes.
pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/auth/password", post(change))
        .route("/auth/password/forgot", post(forgot))
        .route("/auth/password/reset", post(reset))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    #[serde(default)]
    current_password: String,
    new_password: String,
}

/// `POST /auth/password`: the caller's own. An account that never had a password needs no current one.
async fn change(
    State(state): State<AppState>,
    Extension(limits): Extension<Arc<Limits>>,
    Extension(noted): Extension<Noted>,
    caller: Caller,
    posted: Posted<Change>,
) -> Result<Reply, ApiError> {
    let body = posted.value;
    checks::password("new_password", &body.new_password)?;
    if body.current_password.chars().count() > PASSWORD_MAX {
        return Err(ApiError::field("current_password", &format!("is at most {PASSWORD_MAX} characters")));
    }
    let id = caller.account.id.clone();
    let person = state.reader.person(&id).await?.ok_or_else(|| ApiError::not_found("The account is gone"))?;
    if person.password_hash.is_some() {
        limits.admit_login(&format!("change {id}"), &noted, clock::monotonic())?;
        let right = verify_password(body.current_password, person.password_hash).await;
        if !right.map_err(ApiError::internal)? {
            return Err(ApiError::field("current_password", "is not the account's password"));
        }
    }
    let command = ChangePassword {
        account: id.clone(),
        epoch: person.epoch,
        password_hash: hash_password(body.new_password).await.map_err(ApiError::internal)?,
        actor: caller.actor,
        at: clock::wall(),
    };
    let answer = |changed: &bool| {
        if *changed {
            return Ok(Reply::ok(json!({ "message": "The password is changed; every session has ended" })));
        }
        Err(ApiError::because(ErrorCode::Conflict, "The account was changed meanwhile")
            .hint("Send it again.")
            .retry_after(1))
    };
    posted.effect.run(&id, command, answer).await
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Forgotten {
    email: Option<String>,
}

/// `POST /auth/password/forgot`: sends a link to the address, if somebody has it; the answer is the same, and as
/// quick, if nobody does.
async fn forgot(
    State(state): State<AppState>,
    Extension(limits): Extension<Arc<Limits>>,
    Extension(noted): Extension<Noted>,
    stranger: Stranger,
    posted: Posted<Forgotten>,
) -> Result<Reply, ApiError> {
    let email = checks::email("email", &checks::text("email", posted.value.email.as_deref(), 254)?)?;
    if state.kyc.post.is_none() {
        return Err(ApiError::new(ErrorCode::MailNotConfigured));
    }
    let now = clock::monotonic();
    limits.admit_stranger(stranger.source, now)?;
    limits.admit_forgotten(&email, &noted, now)?;
    let person = state.reader.person_by_email(&email).await?.filter(|person| person.enabled);
    let token = format!("pwl_{}", hex::encode(entropy::bytes::<32>()));
    let at = clock::wall();
    let link = person.map(|person| OpenPasswordLink {
        hash: state.vault.token_hash(&token),
        actor: stranger.actor(person.account.as_str()),
        account: person.account,
        expires_at: at + LINK_LIFE,
        at,
    });
    let known = link.is_some();
    // The key belongs to the address: a replay must not tell whether anybody has it.
    let owner = AccountId::new(&format!("email {}", state.vault.token_hash(&email)));
    let reply = posted.effect.run(&owner, AskPasswordLink { link }, |()| Ok(asked())).await?;
    if known && !reply.is_replayed() {
        send(&state, email, &token);
    }
    Ok(reply)
}

fn asked() -> Reply {
    let words = "If an account has this address, a link is on its way to it; it is good for 30 minutes";
    Reply::json(StatusCode::ACCEPTED, json!({ "message": words }))
}

/// Not in the way of the answer, whose length would tell. Who gets no letter asks again.
fn send(state: &AppState, to: String, token: &str) {
    let Some(post) = state.kyc.post.clone() else { return };
    let link = format!("{}/reset-password?token={token}", state.kyc.public_url);
    tokio_util::task::TaskTracker::new().spawn(async move {
        if let Err(error) = post.send(letter(to, &link)).await {
            tracing::warn!(%error, "a letter with a password link did not leave");
        }
    });
}

fn letter(to: String, link: &str) -> Letter {
    let opening =
        "Somebody, probably you, asked to set a new password for the account with this e-mail address.";
    let closing =
        "The link is good once, for 30 minutes. If it was not you, ignore this message: nothing changes.";
    Letter {
        to,
        subject: "Set a new password".to_owned(),
        text: format!("{opening}\n\n{link}\n\n{closing}\n"),
        html: format!(
            "<!doctype html><html lang=\"en\"><body style=\"font-family:sans-serif;max-width:36em\"><p>{opening}</p>\
             <p><a href=\"{link}\">{link}</a></p><p>{closing}</p></body></html>"
        ),
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reset {
    token: Option<String>,
    new_password: String,
}

/// `POST /auth/password/reset`: the token of a link and a new password.
async fn reset(
    State(state): State<AppState>,
    Extension(limits): Extension<Arc<Limits>>,
    stranger: Stranger,
    posted: Posted<Reset>,
) -> Result<Reply, ApiError> {
    let token = checks::text("token", posted.value.token.as_deref(), TOKEN_MAX)?;
    checks::password("new_password", &posted.value.new_password)?;
    limits.admit_stranger(stranger.source, clock::monotonic())?;
    let owner = AccountId::new(&format!("link {}", state.vault.token_hash(&token)));
    let command = by_link(&state, &token, posted.value.new_password, stranger.actor("anonymous")).await?;
    let answer = |outcome: &PasswordLinkOutcome| match outcome {
        PasswordLinkOutcome::Done(_) => {
            Ok(Reply::ok(json!({ "message": "The password is set; every session has ended" })))
        }
        PasswordLinkOutcome::Void => {
            Err(ApiError::field("token", "is of no link that is good; ask for another"))
        }
    };
    posted.effect.run(&owner, command, answer).await
}

/// A new password by a link: for the operation and for the page.
pub(crate) async fn by_link(
    state: &AppState,
    token: &str,
    password: String,
    actor: Actor,
) -> Result<ResetPassword, ApiError> {
    let hash = state.vault.token_hash(token);
    let password_hash = hash_password(password).await.map_err(ApiError::internal)?;
    Ok(ResetPassword { hash, password_hash, actor, at: clock::wall() })
}
