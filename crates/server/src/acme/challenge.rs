//! The proof an authority looks for (RFC 8737): a certificate of its own kind, shown to who asks for the protocol
//! `acme-tls/1` and the name in question, and to nobody else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::certificate::Certificate;
use crate::transports::TlsError;

/// The application protocol of the proof (RFC 8737 §6.2).
pub(crate) const PROTOCOL: &[u8] = b"acme-tls/1";

/// Proofs that are asked for at present, by name.
#[derive(Debug, Default)]
pub(super) struct Challenges(Mutex<HashMap<String, Arc<CertifiedKey>>>);

impl Challenges {
    /// Shows the proof for `name`: `digest` is the SHA-256 of the key authorization, 32 bytes.
    pub(super) fn show(&self, name: &str, digest: &[u8]) -> Result<(), TlsError> {
        let mut params = rcgen::CertificateParams::new(vec![name.to_owned()])?;
        params.custom_extensions = vec![rcgen::CustomExtension::new_acme_identifier(digest)];
        let key = rcgen::KeyPair::generate()?;
        let made = params.self_signed(&key)?;
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        let key = default_provider().key_provider.load_private_key(key.into())?;
        // Not checked against its key: the check does not know the extension that makes it a proof.
        let proof = CertifiedKey::new(vec![made.der().clone()], key);
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name.to_ascii_lowercase(), Arc::new(proof));
        Ok(())
    }

    /// Shows none any more.
    pub(super) fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn of(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&name.to_ascii_lowercase()).cloned()
    }
}

/// What the API shows to who connects.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) certificate: Arc<Certificate>,
    pub(super) challenges: Arc<Challenges>,
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let asks_for_proof = hello.alpn().is_some_and(|mut protocols| protocols.any(|word| word == PROTOCOL));
        if asks_for_proof {
            return self.challenges.of(hello.server_name()?);
        }
        self.certificate.resolve(hello)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_shown_for_its_name_until_it_is_forgotten() {
        let challenges = Challenges::default();
        challenges.show("API.shop.example", &[7; 32]).unwrap();
        let proof = challenges.of("api.shop.example").unwrap();
        let der = proof.cert.first().unwrap();
        // id-pe-acmeIdentifier, critical, an octet string in an octet string (RFC 8737 §3).
        let wanted =
            [&[0x06, 0x08, 0x2b, 6, 1, 5, 5, 7, 1, 31, 1, 1, 0xff, 4, 0x22, 4, 0x20][..], &[7; 32]].concat();
        assert!(der.windows(wanted.len()).any(|window| window == wanted));
        assert!(challenges.of("other.example").is_none());
        challenges.forget();
        assert!(challenges.of("api.shop.example").is_none());
    }
}
