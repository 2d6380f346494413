//! The key of one subject: everything about a person or company is sealed under it, bound to the row it belongs to.

use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm::{Aes256Gcm, Key, Nonce};
use secrecy::ExposeSecret as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tandem_model::{AccountId, Ids, entropy};
use tandem_store::kyc::Subject;

use crate::auth::{Vault, VaultError, context};

const NONCE_BYTES: usize = 12;

/// Seals and opens the data of one subject.
#[derive(Clone)]
pub(super) struct SubjectKey(Aes256Gcm);

impl SubjectKey {
    /// A new subject with a key of its own.
    pub(super) fn mint(vault: &Vault, account: &AccountId) -> Subject {
        let key = hex::encode(entropy::bytes::<32>());
        Subject {
            id: Ids::random().to_string(),
            account: account.clone(),
            key_sealed: vault.seal(context::KYC_SUBJECT, &key),
        }
    }

    /// The key of a subject on record.
    pub(super) fn open(vault: &Vault, subject: &Subject) -> Result<Self, VaultError> {
        let wrong = || VaultError::Sealed(context::KYC_SUBJECT);
        let text = vault.open_secret(context::KYC_SUBJECT, &subject.key_sealed)?;
        let bytes = hex::decode(text.expose_secret()).map_err(|_| wrong())?;
        let bytes: [u8; 32] = bytes.try_into().map_err(|_| wrong())?;
        Ok(Self(Aes256Gcm::new(&Key::<Aes256Gcm>::from(bytes))))
    }

    /// Seals a value for the row `row`.
    pub(super) fn seal(&self, row: &str, value: &impl Serialize) -> Vec<u8> {
        let text = serde_json::to_vec(value).expect("what is sealed has string keys only");
        let nonce = entropy::bytes::<NONCE_BYTES>();
        let sealed = self
            .0
            .encrypt(&Nonce::from(nonce), Payload { msg: &text, aad: row.as_bytes() })
            .expect("AES-GCM seals anything shorter than 64 GiB");
        [nonce.as_slice(), &sealed].concat()
    }

    /// Opens what [`Self::seal`] made for the same row.
    pub(super) fn unseal<T: DeserializeOwned>(&self, row: &str, sealed: &[u8]) -> Result<T, VaultError> {
        let wrong = || VaultError::Sealed("kyc data");
        let (nonce, body) = sealed.split_at_checked(NONCE_BYTES).ok_or_else(wrong)?;
        let nonce: [u8; NONCE_BYTES] = nonce.try_into().map_err(|_| wrong())?;
        let text = self
            .0
            .decrypt(&Nonce::from(nonce), Payload { msg: body, aad: row.as_bytes() })
            .map_err(|_| wrong())?;
        serde_json::from_slice(&text).map_err(|_| wrong())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_opens_only_in_its_own_row_and_under_its_own_key() {
        let vault = Vault::from_master(&[7; 32]);
        let account = AccountId::new("MA_A");
        let key = SubjectKey::open(&vault, &SubjectKey::mint(&vault, &account)).unwrap();
        let sealed = key.seal("row", &"Anita Rao");
        assert_eq!(key.unseal::<String>("row", &sealed).unwrap(), "Anita Rao");
        assert!(key.unseal::<String>("other", &sealed).is_err());
        assert!(key.unseal::<String>("row", &sealed[..20]).is_err());
        let other = SubjectKey::open(&vault, &SubjectKey::mint(&vault, &account)).unwrap();
        assert!(other.unseal::<String>("row", &sealed).is_err());
        assert!(!String::from_utf8_lossy(&sealed).contains("Anita"));
    }
}
