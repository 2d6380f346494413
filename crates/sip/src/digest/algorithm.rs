//! Hash algorithms, stored password hashes and the response computation (RFC 7616 §3.4).

use std::fmt;

use md5::Md5;
use sha2::{Digest, Sha256};

use super::authorization::Qop;

/// A digest algorithm that we speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// `MD5`, the default of every SIP device.
    Md5,
    /// `MD5-sess`; never offered.
    Md5Sess,
    /// `SHA-256` (RFC 8760).
    Sha256,
    /// `SHA-256-sess`; never offered.
    Sha256Sess,
}

/// `H(username:realm:password)` in lower-case hex: what is stored instead of a password.
/// As good as the password for its realm, hence hidden from `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Ha1(String);

/// Computes the stored form of a password for one realm.
pub fn ha1(username: &str, realm: &str, password: &str, algorithm: Algorithm) -> Ha1 {
    Ha1(algorithm.hash(&[username, ":", realm, ":", password]))
}

impl Ha1 {
    /// Reads a stored value; `None` unless it is hex of the length that `algorithm` has.
    pub fn from_hex(text: &str, algorithm: Algorithm) -> Option<Self> {
        let fits = text.len() == algorithm.hex_length() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        fits.then(|| Self(text.to_ascii_lowercase()))
    }

    /// A stand-in of the right length, which no password leads to.
    pub(super) fn from_bytes(bytes: &[u8; 32], algorithm: Algorithm) -> Self {
        let mut text = hex::encode(bytes);
        text.truncate(algorithm.hex_length());
        Self(text)
    }

    /// The value to store.
    pub fn as_hex(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Ha1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ha1(…)")
    }
}

impl Algorithm {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Md5Sess => "MD5-sess",
            Self::Sha256 => "SHA-256",
            Self::Sha256Sess => "SHA-256-sess",
        }
    }

    /// The algorithm of that name, whatever its case; `None` for those we do not speak.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Md5, Self::Md5Sess, Self::Sha256, Self::Sha256Sess]
            .into_iter()
            .find(|algorithm| algorithm.as_str().eq_ignore_ascii_case(name))
    }

    /// The algorithm whose [`Ha1`] is stored: the one without `-sess`.
    pub fn base(self) -> Self {
        match self {
            Self::Md5 | Self::Md5Sess => Self::Md5,
            Self::Sha256 | Self::Sha256Sess => Self::Sha256,
        }
    }

    pub(super) fn is_session(self) -> bool {
        matches!(self, Self::Md5Sess | Self::Sha256Sess)
    }

    pub(super) fn hex_length(self) -> usize {
        match self.base() {
            Self::Sha256 => 64,
            _ => 32,
        }
    }

    pub(super) fn hash(self, parts: &[&str]) -> String {
        match self.base() {
            Self::Sha256 => hash_with::<Sha256>(parts.iter().map(|part| part.as_bytes())),
            _ => hash_with::<Md5>(parts.iter().map(|part| part.as_bytes())),
        }
    }

    fn hash_bytes(self, bytes: &[u8]) -> String {
        match self.base() {
            Self::Sha256 => hash_with::<Sha256>([bytes].into_iter()),
            _ => hash_with::<Md5>([bytes].into_iter()),
        }
    }
}

fn hash_with<'a, D: Digest>(parts: impl Iterator<Item = &'a [u8]>) -> String {
    let mut hasher = D::new();
    for part in parts {
        hasher.update(part);
    }
    hex::encode(hasher.finalize())
}

/// The words that enter a response, each as it stands on the wire.
pub(super) struct ResponseInput<'a> {
    pub(super) nonce: &'a str,
    pub(super) uri: &'a str,
    pub(super) method: &'a str,
    pub(super) body: &'a [u8],
    /// Quality of protection with the `nc` and `cnonce` that go with it; `None` as in RFC 2069.
    pub(super) protection: Option<(Qop, &'a str, &'a str)>,
    /// Client nonce for the `-sess` algorithms, which need one even without qop.
    pub(super) cnonce: &'a str,
}

/// `request-digest` of RFC 7616 §3.4.1 in lower-case hex.
pub(super) fn response(algorithm: Algorithm, ha1: &Ha1, input: &ResponseInput<'_>) -> String {
    let session_ha1;
    let ha1 = if algorithm.is_session() {
        session_ha1 = algorithm.hash(&[ha1.as_hex(), ":", input.nonce, ":", input.cnonce]);
        session_ha1.as_str()
    } else {
        ha1.as_hex()
    };
    let ha2 = match input.protection {
        Some((Qop::AuthInt, ..)) => {
            let body = algorithm.hash_bytes(input.body);
            algorithm.hash(&[input.method, ":", input.uri, ":", &body])
        }
        _ => algorithm.hash(&[input.method, ":", input.uri]),
    };
    match input.protection {
        Some((qop, nc, cnonce)) => {
            algorithm.hash(&[ha1, ":", input.nonce, ":", nc, ":", cnonce, ":", qop.as_str(), ":", &ha2])
        }
        None => algorithm.hash(&[ha1, ":", input.nonce, ":", &ha2]),
    }
}
