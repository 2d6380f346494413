//! Secrets and who may do what: the vault that seals secrets at rest, tokens, sessions, and the proof a request carries.

mod access_token;
mod limits;
mod password;
mod permissions;
mod request;
pub(crate) mod sessions;
mod source;
mod vault;

pub(crate) use limits::{Limits, Noted, requests_per_minute};
pub(crate) use password::{PASSWORD_MAX, hash_password, verify_password};
pub(crate) use permissions::Permissions;
pub(crate) use request::{Caller, CallerKind, Partner, Scoped, Stranger};
pub use vault::{Vault, VaultError, mint_signing_secret, mint_token};

/// What each kind of secret is sealed for: a secret opens only under its own context.
pub mod context {
    /// Passwords of trunk credentials.
    pub const TRUNK_PASSWORD: &str = "trunk password";
    /// Signing secrets of trunks.
    pub const TRUNK_SECRET: &str = "trunk signing secret";
    /// Accounts' auth tokens.
    pub const AUTH_TOKEN: &str = "auth token";
    /// Secrets that sign complaints about numbers.
    pub const NDNC_SECRET: &str = "ndnc secret";
    /// Passwords of SIP endpoints.
    pub const ENDPOINT_PASSWORD: &str = "endpoint password";
    /// Our passwords at carriers.
    pub const CARRIER_PASSWORD: &str = "carrier password";
    /// Keys of the subjects of KYC.
    pub const KYC_SUBJECT: &str = "kyc subject key";
    /// Replies kept for idempotency keys.
    pub const REPLAY: &str = "idempotent reply";
}
