//! Passwords of people: argon2id, and nothing that can be read back. Hashing takes tens of milliseconds and
//! megabytes, so it runs on blocking threads, a few at a time.

use argon2::{Argon2, PasswordHash, PasswordHasher as _, PasswordVerifier as _};
use thiserror::Error;
use tokio::sync::Semaphore;

/// Longest password: hashing more is work for nothing.
pub(crate) const PASSWORD_MAX: usize = 128;
/// Passwords hashed at once; the others wait. Each takes 19 MiB.
static HASHING: Semaphore = Semaphore::const_new(4);
/// The hash of nobody's password, with the parameters of [`Argon2::default`]: an address that nobody has costs as
/// much to try as any other.
const NOBODYS: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// A password could not be hashed: memory ran out.
#[derive(Debug, Error)]
#[error("a password could not be hashed: {0}")]
pub(crate) struct PasswordError(String);

/// The hash to store, in PHC form.
pub(crate) async fn hash_password(password: String) -> Result<String, PasswordError> {
    let salt = tandem_model::entropy::bytes::<16>();
    let hashed = apart(move || {
        Argon2::default().hash_password_with_salt(password.as_bytes(), &salt).map(|hash| hash.to_string())
    });
    hashed.await?.map_err(|error| PasswordError(error.to_string()))
}

/// Whether it is the password of a stored hash. Costs the same when there is none.
pub(crate) async fn verify_password(password: String, stored: Option<String>) -> Result<bool, PasswordError> {
    let known = stored.is_some();
    let stored = stored.unwrap_or_else(|| NOBODYS.to_owned());
    let verified = apart(move || {
        let hash = PasswordHash::new(&stored).map_err(|error| PasswordError(error.to_string()))?;
        Ok(Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
    });
    Ok(verified.await?? & known)
}

async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, PasswordError> {
    let turn = HASHING.acquire().await.map_err(|error| PasswordError(error.to_string()))?;
    let done = tokio::task::spawn_blocking(work).await;
    drop(turn);
    done.map_err(|error| PasswordError(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_hash_is_argon2id_and_salted_and_knows_its_password() {
        let first = hash_password("Change-me-1".to_owned()).await.unwrap();
        assert!(first.starts_with("$argon2id$"), "{first}");
        assert_ne!(first, hash_password("Change-me-1".to_owned()).await.unwrap());
        assert!(verify_password("Change-me-1".to_owned(), Some(first.clone())).await.unwrap());
        assert!(!verify_password("change-me-1".to_owned(), Some(first)).await.unwrap());
    }

    #[tokio::test]
    async fn nobody_costs_as_much_as_somebody_and_has_no_password() {
        let somebodys = hash_password("x".to_owned()).await.unwrap();
        let parameters = |hash: &str| hash.split('$').take(4).collect::<Vec<_>>().join("$");
        assert_eq!(parameters(NOBODYS), parameters(&somebodys));
        assert_eq!(NOBODYS.len(), somebodys.len());
        assert!(!verify_password("x".to_owned(), None).await.unwrap());
    }
}
