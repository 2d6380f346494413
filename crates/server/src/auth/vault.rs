//! The vault: secrets sealed under the master key, tokens hashed for look-up. The key is
//! `DATA/master.key` (0600), never in the database or its backups.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm::{Aes256Gcm, Key, Nonce};
use hmac::{Hmac, Mac as _};
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};
use tandem_model::entropy;
use thiserror::Error;

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;

/// A secret could not be sealed or opened, or the key is not there.
#[derive(Debug, Error)]
pub enum VaultError {
    /// The key file cannot be read or written.
    #[error("the master key {path} cannot be used: {source}")]
    KeyFile {
        /// Which file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// Not 32 bytes.
    #[error("the master key {0} is not 32 bytes: restore it from where you keep it safe")]
    KeyLength(String),
    /// Anybody else may read it.
    #[error("the master key {0} is readable by others: chmod 600 it")]
    KeyOpen(String),
    /// Sealed under another key or context, or damaged.
    #[error("a sealed secret ({0}) cannot be opened with this master key")]
    Sealed(&'static str),
}

/// Seals, opens, hashes. Cheap to clone behind an `Arc`.
pub struct Vault {
    seal: Aes256Gcm,
    lookup_key: [u8; KEY_BYTES],
    nonce_key: [u8; KEY_BYTES],
    hop_key: [u8; KEY_BYTES],
    session_key: [u8; KEY_BYTES],
}

impl Vault {
    /// Opens the key file, making it on the first start.
    pub fn open(path: &Path) -> Result<Self, VaultError> {
        let shown = || path.display().to_string();
        let failed = |source| VaultError::KeyFile { path: shown(), source };
        if !path.exists() {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder).map_err(failed)?;
            }
            let mut file =
                OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
            file.write_all(&entropy::bytes::<KEY_BYTES>()).map_err(failed)?;
            file.sync_all().map_err(failed)?;
        }
        if fs::metadata(path).map_err(failed)?.permissions().mode() & 0o077 != 0 {
            return Err(VaultError::KeyOpen(shown()));
        }
        let bytes = fs::read(path).map_err(failed)?;
        let master: [u8; KEY_BYTES] = bytes.try_into().map_err(|_| VaultError::KeyLength(shown()))?;
        Ok(Self::from_master(&master))
    }

    /// From a key in hand.
    pub fn from_master(master: &[u8; KEY_BYTES]) -> Self {
        let seal_key = derive(master, "seal");
        Self {
            seal: Aes256Gcm::new(&Key::<Aes256Gcm>::from(seal_key)),
            lookup_key: derive(master, "token look-up"),
            nonce_key: derive(master, "digest nonces"),
            hop_key: derive(master, "hop cookies"),
            session_key: derive(master, "access tokens"),
        }
    }

    /// The key of SIP digest nonces: it survives restarts, so a nonce does too.
    pub fn nonce_key(&self) -> [u8; KEY_BYTES] {
        self.nonce_key
    }

    /// The key that signs hop cookies: the same on every node.
    pub fn hop_key(&self) -> [u8; KEY_BYTES] {
        self.hop_key
    }

    /// The key that signs access tokens: the same on every node, so any of them takes what another gave.
    pub(super) fn session_key(&self) -> [u8; KEY_BYTES] {
        self.session_key
    }

    /// Seals a secret for one use, named by `context` and bound to it.
    pub fn seal(&self, context: &'static str, secret: &str) -> Vec<u8> {
        let nonce_bytes = entropy::bytes::<NONCE_BYTES>();
        let payload = Payload { msg: secret.as_bytes(), aad: context.as_bytes() };
        let sealed = self
            .seal
            .encrypt(&Nonce::from(nonce_bytes), payload)
            .expect("AES-GCM seals anything shorter than 64 GiB");
        [nonce_bytes.as_slice(), &sealed].concat()
    }

    /// Opens what [`Self::seal`] made for the same context.
    pub fn open_secret(&self, context: &'static str, sealed: &[u8]) -> Result<SecretString, VaultError> {
        let (nonce, body) = sealed.split_at_checked(NONCE_BYTES).ok_or(VaultError::Sealed(context))?;
        let nonce: [u8; NONCE_BYTES] = nonce.try_into().map_err(|_| VaultError::Sealed(context))?;
        let payload = Payload { msg: body, aad: context.as_bytes() };
        let plain =
            self.seal.decrypt(&Nonce::from(nonce), payload).map_err(|_| VaultError::Sealed(context))?;
        String::from_utf8(plain).map(SecretString::from).map_err(|_| VaultError::Sealed(context))
    }

    /// The keyed hash under which a token is found.
    pub fn token_hash(&self, token: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.lookup_key).expect("HMAC takes any key");
        mac.update(token.as_bytes());
        hex::encode(mac.finalize().into_bytes())
    }
}

/// A new auth token: `tk_`, 256 random bits and a checksum, all hex, so that scanners can tell a
/// leaked token from noise.
pub fn mint_token() -> String {
    let body = hex::encode(entropy::bytes::<32>());
    let checksum = hex::encode(&Sha256::digest(body.as_bytes())[..4]);
    format!("tk_{body}{checksum}")
}

/// A new signing secret of a trunk: 256 random bits, in the form Standard Webhooks gives secrets.
pub fn mint_signing_secret() -> String {
    use base64::Engine as _;
    format!("whsec_{}", base64::engine::general_purpose::STANDARD.encode(entropy::bytes::<32>()))
}

fn derive(master: &[u8; KEY_BYTES], label: &str) -> [u8; KEY_BYTES] {
    let mut mac = Hmac::<Sha256>::new_from_slice(master).expect("HMAC takes any key");
    mac.update(b"tandem ");
    mac.update(label.as_bytes());
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn a_sealed_secret_opens_only_for_its_own_use_and_key() {
        let vault = Vault::from_master(&[7; 32]);
        let sealed = vault.seal("trunk password", "s3cret");
        assert_eq!(vault.open_secret("trunk password", &sealed).unwrap().expose_secret(), "s3cret");
        assert!(vault.open_secret("auth token", &sealed).is_err());
        assert!(Vault::from_master(&[8; 32]).open_secret("trunk password", &sealed).is_err());
        assert!(vault.open_secret("trunk password", &sealed[..5]).is_err());
        assert_ne!(sealed, vault.seal("trunk password", "s3cret"), "a fresh nonce each time");
    }

    #[test]
    fn the_key_is_made_once_and_refused_when_others_can_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let first = Vault::open(&path).unwrap().token_hash("x");
        assert_eq!(Vault::open(&path).unwrap().token_hash("x"), first);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(Vault::open(&path), Err(VaultError::KeyOpen(_))));
    }
}
