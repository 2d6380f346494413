//! Passwords of people: argon2id, and nothing that can be read back.

use argon2::{Argon2, PasswordHasher as _};
use thiserror::Error;

/// A password could not be hashed: memory ran out.
#[derive(Debug, Error)]
#[error("a password could not be hashed: {0}")]
pub(crate) struct PasswordError(String);

/// The hash to store, in PHC form. Takes tens of milliseconds, so it runs on a blocking thread.
pub(crate) async fn hash_password(password: String) -> Result<String, PasswordError> {
    let salt = tandem_model::entropy::bytes::<16>();
    let work = tokio::task::spawn_blocking(move || {
        Argon2::default().hash_password_with_salt(password.as_bytes(), &salt).map(|hash| hash.to_string())
    });
    match work.await {
        Ok(hashed) => hashed.map_err(|error| PasswordError(error.to_string())),
        Err(error) => Err(PasswordError(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_hash_is_argon2id_and_salted() {
        let first = hash_password("Change-me-1".to_owned()).await.unwrap();
        assert!(first.starts_with("$argon2id$"), "{first}");
        assert_ne!(first, hash_password("Change-me-1".to_owned()).await.unwrap());
    }
}
