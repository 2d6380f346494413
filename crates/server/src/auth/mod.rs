//! Secrets and who may do what: the vault that seals secrets at rest, tokens, and the proof a request carries.

mod vault;

pub use vault::{Vault, VaultError, mint_signing_secret, mint_token};
