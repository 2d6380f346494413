//! Who asks: the proof a request carries, and what it may reach.
//!
//! `X-Auth-ID` with `X-Auth-Token` first; when they are there, `Authorization` is not looked at, because
//! generated SDKs always send one with noise in it. Otherwise HTTP Basic `auth_id:auth_token`, or a session's
//! access token as Bearer, which is void once the account's epoch is another. Accounts come from the directory, so a revoked token is refused
//! within its poll; an account it does not know yet (made a moment ago) is looked up in the store.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{FromRequestParts, MatchedPath, RawPathParams};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq as _;
use tandem_model::{AccountId, ErrorCode, clock};
use tandem_store::audit::Actor;
use tandem_store::directory::AccountRow;

use super::access_token::{self, BadToken};
use super::limits::{Limits, Noted, requests_per_minute};
use super::source::source_of;
use super::{Permissions, permissions};
use crate::api::{ApiError, AppState, RequestId};
use crate::directory::{AccountEntry, default_callback};
use crate::kyc::mode;

/// Longest `auth_id` looked at.
const ID_MAX: usize = 32;
/// Longest token looked at.
const TOKEN_MAX: usize = 512;

/// What kind of account asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallerKind {
    /// A reseller: drives `/partner/*` only.
    Partner,
    /// A customer.
    Master,
    /// A customer's sub-account.
    Sub,
}

/// Who asks, proven and within its rate.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) account: Arc<AccountEntry>,
    pub(crate) kind: CallerKind,
    /// For the audit of what it changes.
    pub(crate) actor: Actor,
}

/// A customer's resources: the `{auth_id}` of the path is the caller's own, or of its sub-account.
#[derive(Clone, Debug)]
pub(crate) struct Scoped {
    pub(crate) caller: Caller,
    /// The account in the path.
    pub(crate) account: Arc<AccountEntry>,
}

impl Scoped {
    /// The id in the path.
    pub(crate) fn id(&self) -> &AccountId {
        &self.account.id
    }

    /// Who pays for what this account does, and in whose name its resources stand.
    pub(crate) fn payer(&self) -> &AccountId {
        self.account.payer()
    }
}

/// A partner on its own routes.
#[derive(Clone, Debug)]
pub(crate) struct Partner(pub(crate) Caller);

impl FromRequestParts<AppState> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let caller = authenticate(parts, state).await;
        let caller = caller.map_err(|error| match error.code() {
            _ if !is_gateway(parts) => error,
            ErrorCode::InvalidCredentials => wrong_credentials().gateway(),
            _ => error.gateway(),
        })?;
        if let Some(limits) = parts.extensions.get::<Arc<Limits>>() {
            let pattern = parts.extensions.get::<MatchedPath>().map(MatchedPath::as_str).unwrap_or_default();
            let noted = parts.extensions.get::<Noted>();
            limits.admit(&caller.account, &parts.method, pattern, noted, clock::monotonic())?;
        }
        Ok(caller)
    }
}

impl FromRequestParts<AppState> for Scoped {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, state).await?;
        let gateway = is_gateway(parts);
        let mismatch = || {
            let error = ApiError::new(ErrorCode::AccountMismatch);
            if gateway { error.gateway() } else { error }
        };
        let path = path_parameter(parts, "auth_id").await;
        let Some(path) = path.filter(|_| caller.kind != CallerKind::Partner) else {
            return Err(mismatch().hint(
                "A partner uses the operations below /partner; those below /Account take the credentials of the customer.",
            ));
        };
        permissions::check(&caller, below_account(parts))?;
        if path == caller.account.id.as_str() {
            let account = caller.account.clone();
            return Ok(Self { caller, account });
        }
        // An account that does not exist and one of somebody else's answer the same.
        match find(state, &AccountId::new(&path)).await? {
            Some(account) if account.parent.as_ref() == Some(&caller.account.id) => {
                Ok(Self { caller, account })
            }
            _ => Err(mismatch()),
        }
    }
}

impl FromRequestParts<AppState> for Partner {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, state).await?;
        if caller.kind == CallerKind::Partner {
            return Ok(Self(caller));
        }
        Err(ApiError::because(
            ErrorCode::CapabilityMissing,
            "These are a partner's operations; use its credentials",
        )
        .word("forbidden")
        .hint("Use the credentials of a partner, or the operations below /Account/{auth_id}."))
    }
}

/// What a request shows to prove who asks.
enum Proof {
    /// The account's own token, in headers or by Basic.
    Pair(String, String),
    /// A session's access token.
    Session(String),
}

async fn authenticate(parts: &Parts, state: &AppState) -> Result<Caller, ApiError> {
    let account = match proof(parts)? {
        Proof::Pair(id, token) => by_pair(state, &id, &token).await?,
        Proof::Session(token) => by_session(state, &token).await?,
    };
    let parent = match &account.parent {
        Some(parent) => find(state, parent).await?,
        None => None,
    };
    if !account.enabled || parent.is_some_and(|parent| !parent.enabled) {
        return Err(ApiError::new(ErrorCode::AccountInactive));
    }
    let kind = match account.kind.as_str() {
        "partner" => CallerKind::Partner,
        "sub" => CallerKind::Sub,
        _ => CallerKind::Master,
    };
    let actor = actor_of(parts, state, account.id.as_str());
    Ok(Caller { account, kind, actor })
}

async fn by_pair(state: &AppState, id: &str, token: &str) -> Result<Arc<AccountEntry>, ApiError> {
    let found = if id.len() <= ID_MAX { find(state, &AccountId::new(id)).await? } else { None };
    // The same work for an account that does not exist.
    let hash = state.vault.token_hash(token.get(..TOKEN_MAX).unwrap_or(token));
    found.filter(|account| holds(account, &hash)).ok_or_else(wrong_credentials)
}

async fn by_session(state: &AppState, token: &str) -> Result<Arc<AccountEntry>, ApiError> {
    let claims = access_token::read(&state.vault, token, clock::wall()).map_err(|bad| match bad {
        BadToken::Forged => wrong_credentials(),
        BadToken::Expired => ApiError::new(ErrorCode::TokenExpired),
    })?;
    let found = find(state, &claims.account).await?;
    found.filter(|account| account.epoch == claims.epoch).ok_or_else(wrong_credentials)
}

/// Who the audit names.
fn actor_of(parts: &Parts, state: &AppState, name: &str) -> Actor {
    Actor {
        name: name.to_owned(),
        request_id: parts.extensions.get::<RequestId>().map(|id| id.text.clone()),
        source_ip: source_of(parts, &state.config.api).map(|address| address.to_string()),
    }
}

/// Somebody who has proven nothing: who signs in, or has forgotten a password.
#[derive(Clone, Debug)]
pub(crate) struct Stranger {
    /// From where, if that is known.
    pub(crate) source: Option<IpAddr>,
    actor: Actor,
}

impl Stranger {
    /// Who the audit names once it is known whom it is about.
    pub(crate) fn actor(&self, name: &str) -> Actor {
        Actor { name: name.to_owned(), ..self.actor.clone() }
    }
}

impl FromRequestParts<AppState> for Stranger {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Infallible> {
        let source = source_of(parts, &state.config.api);
        Ok(Self { source, actor: actor_of(parts, state, "anonymous") })
    }
}

/// The proof a request shows.
fn proof(parts: &Parts) -> Result<Proof, ApiError> {
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    if let (Some(id), Some(token)) = (header("x-auth-id"), header("x-auth-token"))
        && !(id.is_empty() && token.is_empty())
    {
        return Ok(Proof::Pair(id.to_owned(), token.to_owned()));
    }
    let Some(authorization) = header(AUTHORIZATION.as_str()) else {
        return Err(missing_credentials(header("x-auth-id"), header("x-auth-token")));
    };
    let (scheme, rest) = authorization.split_once(' ').unwrap_or((authorization, ""));
    if scheme.eq_ignore_ascii_case("bearer") {
        return Ok(Proof::Session(rest.trim().to_owned()));
    }
    let decoded = scheme.eq_ignore_ascii_case("basic").then(|| STANDARD.decode(rest.trim()).ok()).flatten();
    let text = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
    let pair = text.as_deref().and_then(|text| text.split_once(':'));
    pair.map(|(id, token)| Proof::Pair(id.to_owned(), token.to_owned())).ok_or_else(wrong_credentials)
}

/// Compares in constant time, the token before rotation included while it is good.
fn holds(account: &AccountEntry, hash: &str) -> bool {
    let same = |stored: &str| bool::from(stored.as_bytes().ct_eq(hash.as_bytes()));
    let current = account.token_hash.as_deref().is_some_and(same);
    let previous = account.previous_token.as_ref();
    current | previous.is_some_and(|(stored, until)| same(stored) && *until > clock::wall())
}

/// An account, from memory or, when memory does not have it yet, from the store.
async fn find(state: &AppState, id: &AccountId) -> Result<Option<Arc<AccountEntry>>, ApiError> {
    if let Some(account) = state.directory.account(id) {
        return Ok(Some(account));
    }
    let row = state.reader.directory_account(id.as_str()).await?;
    Ok(row.map(|row| Arc::new(entry_of(row))))
}

/// What a request needs to know of an account; its secrets stay sealed.
fn entry_of(row: AccountRow) -> AccountEntry {
    AccountEntry {
        default_callback: default_callback(
            row.default_callback_url,
            &row.default_callback_method,
            row.default_callback_events,
        ),
        epoch: row.epoch,
        requests_per_minute: requests_per_minute(&row.kind, &row.profile),
        id: row.id,
        kind: row.kind.clone(),
        parent: row.parent,
        permissions: Permissions::of(&row.kind, &row.profile),
        enabled: row.enabled,
        kyc_pending: mode::is_pending(&row.kind, &row.profile, &row.kyc_status),
        kyc_blocks_calls: mode::blocks_calls(&row.kind, &row.profile, &row.kyc_status),
        country: row.country,
        currency: row.currency,
        cps_limit: u32::try_from(row.cps_limit).unwrap_or(u32::MAX),
        deck: row.deck_id,
        token: None,
        token_hash: row.token_hash,
        previous_token: row.token_previous_hash.zip(row.token_previous_until),
        ndnc_secret: None,
    }
}

/// The part of the route's pattern that follows the account's id.
fn below_account(parts: &Parts) -> &str {
    let pattern = parts.extensions.get::<MatchedPath>().map(MatchedPath::as_str).unwrap_or_default();
    pattern.split_once("/{auth_id}/").map_or("", |(_, rest)| rest)
}

async fn path_parameter(parts: &mut Parts, name: &str) -> Option<String> {
    let parameters = RawPathParams::from_request_parts(parts, &()).await.ok()?;
    parameters.iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
}

/// Ledger reads answer 401 and 403 in the gateway's shape (REST reference §2.3, §6.5).
fn is_gateway(parts: &Parts) -> bool {
    let pattern = parts.extensions.get::<MatchedPath>().map(MatchedPath::as_str).unwrap_or_default();
    pattern.starts_with("/api/v1/Account/{auth_id}/transactions") || pattern.ends_with("/cancel-release")
}

fn wrong_credentials() -> ApiError {
    ApiError::because(ErrorCode::InvalidCredentials, "Invalid token")
}

/// Nothing, or half of a pair, was sent.
fn missing_credentials(id: Option<&str>, token: Option<&str>) -> ApiError {
    let words = match (id, token) {
        (Some(_), None) => "Credentials are missing: X-Auth-ID came without X-Auth-Token",
        (None, Some(_)) => "Credentials are missing: X-Auth-Token came without X-Auth-ID",
        _ => {
            "Credentials are missing: send the headers X-Auth-ID and X-Auth-Token, or Authorization with Basic \
             auth_id:auth_token or with Bearer and an access token"
        }
    };
    ApiError::because(ErrorCode::InvalidCredentials, words)
}
