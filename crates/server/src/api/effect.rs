//! A change asked for over HTTP: the command, its `Idempotency-Key`, and the answer that commits with it.
//! The same key gives the same answer for a day; another body under it is refused; only answers that
//! say "done" are kept, so that a refusal can be tried again. Who comes while the same key is being worked on waits a
//! while for its answer.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use secrecy::ExposeSecret as _;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tandem_model::{AccountId, ErrorCode, clock};
use tandem_store::idempotency::{AbandonIdempotent, Claim, IdempotencyKey, KeptAnswer, claim, finish};
use tandem_store::{BoxFuture, Command, StoreError, Tx};

use super::{ApiError, AppState, Payload};
use crate::auth::{Vault, context};

/// How long a twin waits for the answer to the key it shares, and how often it looks.
pub(super) const TWIN_WAITS: Duration = Duration::from_secs(5);
pub(super) const TWIN_LOOKS: Duration = Duration::from_millis(100);
/// Longest key looked at.
const KEY_MAX: usize = 255;
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// An answer as a value, so that it can be kept.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    /// `None` for an empty body.
    pub(crate) body: Option<Value>,
    replayed: bool,
}

impl Reply {
    /// With a body.
    pub(crate) fn json(status: StatusCode, body: Value) -> Self {
        Self { status, body: Some(body), replayed: false }
    }

    /// 200.
    pub(crate) fn ok(body: Value) -> Self {
        Self::json(StatusCode::OK, body)
    }

    /// 201.
    pub(crate) fn created(body: Value) -> Self {
        Self::json(StatusCode::CREATED, body)
    }

    /// 204, empty.
    pub(crate) fn no_content() -> Self {
        Self { status: StatusCode::NO_CONTENT, body: None, replayed: false }
    }

    /// The answer of an earlier request under the same key.
    pub(crate) fn is_replayed(&self) -> bool {
        self.replayed
    }

    pub(super) fn kept(&self, vault: &Vault) -> KeptAnswer {
        let text = self.body.as_ref().map(Value::to_string).unwrap_or_default();
        KeptAnswer { status: self.status.as_u16(), sealed_body: vault.seal(context::REPLAY, &text) }
    }

    pub(super) fn replay(answer: &KeptAnswer, vault: &Vault) -> Result<Self, ApiError> {
        let text = vault.open_secret(context::REPLAY, &answer.sealed_body)?;
        let text = text.expose_secret();
        let body = if text.is_empty() {
            None
        } else {
            Some(serde_json::from_str(text).map_err(ApiError::internal)?)
        };
        let status = StatusCode::from_u16(answer.status).map_err(ApiError::internal)?;
        Ok(Self { status, body, replayed: true })
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let mut response = match self.body {
            Some(body) => (self.status, Json(body)).into_response(),
            None => self.status.into_response(),
        };
        if self.replayed {
            response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
        }
        response
    }
}

/// A body together with the effect it asks for: the extractor of every POST that changes something.
pub(crate) struct Posted<T> {
    pub(crate) value: T,
    pub(crate) effect: Effect,
}

impl<T: DeserializeOwned> FromRequest<AppState> for Posted<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let mut effect = Effect::keyed(&parts, state)?;
        let payload = Payload::from_request(Request::from_parts(parts, body), state).await?;
        effect.fingerprint = payload.fingerprint;
        Ok(Self { value: payload.value, effect })
    }
}

/// How a request's change is made. By itself (PUT, DELETE) it has no body to tell apart.
pub(crate) struct Effect {
    state: AppState,
    /// The header, with method and path.
    key: Option<String>,
    fingerprint: String,
}

impl FromRequestParts<AppState> for Effect {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        debug_assert!(parts.method != Method::POST, "a POST has a body to tell apart: take Posted");
        Self::keyed(parts, state)
    }
}

impl Effect {
    /// Reads the key.
    pub(super) fn keyed(parts: &Parts, state: &AppState) -> Result<Self, ApiError> {
        let key = match parts.headers.get(IDEMPOTENCY_KEY) {
            None => None,
            Some(value) => {
                let text = value.to_str().unwrap_or_default().trim();
                if text.is_empty() || text.len() > KEY_MAX {
                    return Err(ApiError::field("Idempotency-Key", "is 1 to 255 printable characters"));
                }
                Some(format!("{} {} {text}", parts.method, parts.uri.path()))
            }
        };
        Ok(Self { state: state.clone(), key, fingerprint: String::new() })
    }

    /// Of a request whose body is in hand.
    pub(crate) fn of(parts: &Parts, state: &AppState, body: &[u8]) -> Result<Self, ApiError> {
        Ok(Self { fingerprint: hex::encode(Sha256::digest(body)), ..Self::keyed(parts, state)? })
    }

    /// Whether the request may be repeated.
    pub(crate) fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// Runs the command on behalf of `account` (whose keys are its own) and answers what `reply` makes of
    /// its output. With a key, command, answer and key commit together. Wakes the directory afterwards.
    pub(crate) async fn run<C: Command>(
        &self,
        account: &AccountId,
        command: C,
        reply: impl Fn(&C::Output) -> Result<Reply, ApiError> + Send + Sync + 'static,
    ) -> Result<Reply, ApiError> {
        let keyed = Keyed { command, key: self.key(account), vault: self.state.vault.clone(), reply };
        let keyed = Arc::new(keyed);
        let since = clock::monotonic();
        loop {
            let settled = self.state.writer.submit(Again(keyed.clone())).await?;
            self.state.settled().await;
            match settled {
                Settled::Answer(answer) => return *answer,
                Settled::Replay(kept) => return Reply::replay(&kept, &self.state.vault),
                Settled::Running if since.elapsed() < TWIN_WAITS => tokio::time::sleep(TWIN_LOOKS).await,
                Settled::Running => return Err(running()),
                Settled::OtherBody => return Err(ApiError::new(ErrorCode::IdempotencyMismatch)),
            }
        }
    }

    /// The key to claim, for operations of several steps that claim it themselves.
    pub(super) fn key(&self, account: &AccountId) -> Option<IdempotencyKey> {
        self.key.as_ref().map(|key| IdempotencyKey {
            account: account.clone(),
            key: key.clone(),
            // Keyed: a body may hold a password, and a plain hash of it would be a thing to guess against.
            fingerprint: self.state.vault.token_hash(&self.fingerprint),
            at: clock::wall(),
        })
    }
}

/// A command that may be submitted several times.
struct Again<C>(Arc<C>);

impl<C: Command> Command for Again<C> {
    type Output = C::Output;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<C::Output, StoreError>> {
        self.0.run(tx)
    }

    fn accounts(&self) -> Vec<&AccountId> {
        self.0.accounts()
    }
}

/// Its twin is still at work.
pub(super) fn running() -> ApiError {
    ApiError::new(ErrorCode::RequestInProgress).retry_after(1)
}

struct Keyed<C, F> {
    command: C,
    key: Option<IdempotencyKey>,
    vault: Arc<Vault>,
    reply: F,
}

enum Settled {
    Answer(Box<Result<Reply, ApiError>>),
    Replay(KeptAnswer),
    Running,
    OtherBody,
}

impl<C, F> Command for Keyed<C, F>
where
    C: Command,
    F: Fn(&C::Output) -> Result<Reply, ApiError> + Send + Sync + 'static,
{
    type Output = Settled;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<Settled, StoreError>> {
        Box::pin(async move {
            if let Some(key) = &self.key {
                match claim(tx, key).await? {
                    Claim::Fresh => {}
                    Claim::Replay(kept) => return Ok(Settled::Replay(kept)),
                    Claim::InProgress { .. } => return Ok(Settled::Running),
                    Claim::OtherBody => return Ok(Settled::OtherBody),
                }
            }
            let answer = (self.reply)(&self.command.run(tx).await?);
            if let Some(key) = &self.key {
                match &answer {
                    Ok(reply) => finish(tx, key, &reply.kept(&self.vault)).await?,
                    Err(_) => AbandonIdempotent(key.clone()).run(tx).await?,
                }
            }
            Ok(Settled::Answer(Box::new(answer)))
        })
    }

    fn accounts(&self) -> Vec<&AccountId> {
        self.command.accounts()
    }
}
