//! Sessions: a short access token that any node can check, and a refresh token that is good once. The way to give
//! one to an account: [`Draft`] where the account is made in the same command, [`mint`] where it stands already.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tandem_model::{AccountId, ErrorCode, clock, entropy};
use tandem_store::sessions::{NewSession, OpenSession};

use super::{Vault, access_token};
use crate::api::{ApiError, AppState};
use crate::config::ApiConfig;

/// How long an access token is good (REST reference §1.1).
pub(crate) const ACCESS: SignedDuration = SignedDuration::from_mins(30);
/// The same of a partner's sign-in.
pub(crate) const PARTNER_ACCESS: SignedDuration = SignedDuration::from_hours(1);

/// What somebody gets who signs in.
#[derive(Clone, Debug)]
pub(crate) struct Tokens {
    access: String,
    refresh: String,
}

impl Tokens {
    /// As the contract prints them.
    pub(crate) fn view(&self) -> Value {
        json!({
            "access_token": self.access,
            "refresh_token": self.refresh,
            "token_type": "bearer",
            "expires_in": ACCESS.as_secs(),
        })
    }
}

/// A session drawn but not yet kept: its row goes into the command that opens it, and once it is known for which
/// account and epoch, its tokens can be told.
#[derive(Clone)]
pub(crate) struct Draft {
    refresh: String,
    /// For the command.
    pub(crate) session: NewSession,
}

impl Draft {
    /// Draws one.
    pub(crate) fn new(vault: &Vault, api: &ApiConfig, at: Timestamp) -> Self {
        let refresh = format!("rt_{}", hex::encode(entropy::bytes::<32>()));
        let session = NewSession {
            hash: vault.token_hash(&refresh),
            family: hex::encode(entropy::bytes::<16>()),
            expires_at: at + SignedDuration::from_hours(24 * i64::from(api.refresh_token_days.max(1))),
            at,
        };
        Self { refresh, session }
    }

    /// Its tokens. An account that was just made has epoch 1.
    pub(crate) fn tokens(&self, vault: &Vault, account: &AccountId, epoch: i64) -> Tokens {
        Tokens {
            access: access_token::issue(vault, account, epoch, self.session.at, ACCESS),
            refresh: self.refresh.clone(),
        }
    }
}

/// Opens a session for an account that stands, and gives its tokens.
#[expect(
    dead_code,
    reason = "the seam for whoever signs in without a password: sub-accounts at their creation"
)]
pub(crate) async fn mint(state: &AppState, account: &AccountId) -> Result<Tokens, ApiError> {
    let draft = Draft::new(&state.vault, &state.config.api, clock::wall());
    let open = OpenSession { account: account.clone(), session: draft.session.clone() };
    let epoch = state.writer.submit(open).await?.ok_or_else(|| ApiError::new(ErrorCode::AccountInactive))?;
    Ok(draft.tokens(&state.vault, account, epoch))
}

/// An access token alone, for a session that cannot be renewed.
pub(crate) fn access_only(vault: &Vault, account: &AccountId, epoch: i64, life: SignedDuration) -> String {
    access_token::issue(vault, account, epoch, clock::wall(), life)
}
