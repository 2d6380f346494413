//! Sessions: a short access token that any node can check, and a refresh token that is good once. The way to give
//! one to an account is a [`Draft`], kept by the command that makes the account or lets it in.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tandem_model::{AccountId, clock, entropy};
use tandem_store::sessions::NewSession;

use super::{Vault, access_token};
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

/// An access token alone, for a session that cannot be renewed.
pub(crate) fn access_only(vault: &Vault, account: &AccountId, epoch: i64, life: SignedDuration) -> String {
    access_token::issue(vault, account, epoch, clock::wall(), life)
}
