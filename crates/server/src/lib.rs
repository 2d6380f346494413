//! The service: REST API, admission, billing, webhooks, jobs and configuration.
//!
//! [`Node`] starts everything; the rest is what the command line needs beside it.

mod acme;
mod admission;
mod advertised;
mod api;
mod api_listener;
pub mod auth;
mod billing;
mod certificate;
pub mod config;
mod dev;
mod directory;
pub mod doctor;
pub mod egress;
mod folder;
mod heartbeat;
mod janitor;
mod kyc;
mod names;
mod node;
pub mod operator;
mod post;
mod recordings;
pub mod reference;
mod registered_at;
mod registrations;
mod reset_page;
mod sounds;
pub mod speech;
mod timeline;
mod transports;
pub mod webhooks;
pub mod xml_check;

pub use node::{Node, NodeOptions, StartError};
/// `user:password` for HTTP Basic.
pub fn basic_credentials(user: &str, password: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"))
}

/// A secret that cannot be printed.
pub use secrecy::SecretString as Secret;
/// The telephone network to test with.
pub use tandem_engine::simulator;

/// Brings the configured database to this version's schema; says which migrations ran.
pub async fn migrate(config: &config::Config) -> Result<Vec<String>, StartError> {
    node::prepare_data(config)?;
    let store = node::open_store(config).await?;
    Ok(store.applied().to_vec())
}

/// Seconds since the epoch, by the wall clock.
pub fn wall_seconds() -> i64 {
    tandem_model::clock::wall().as_second()
}

/// Development: puts the wall clock ahead, to live through months in a minute.
pub fn set_clock_ahead(seconds: u32) {
    tandem_model::clock::set_ahead(seconds);
}

/// A random word of lower-case letters and digits: passwords for people to type into phones.
pub fn random_word(length: usize) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    tandem_model::entropy::bytes::<64>()
        .iter()
        .take(length.min(64))
        .map(|byte| char::from(ALPHABET[usize::from(byte % 32)]))
        .collect()
}
