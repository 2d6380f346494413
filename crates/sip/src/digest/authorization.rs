//! `Authorization` and `Proxy-Authorization` as clients send them.

use super::algorithm::Algorithm;

/// Longest header value that is read.
pub const MAX_HEADER_BYTES: usize = 4096;

/// Quality of protection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Qop {
    /// `auth`: method and URI are covered.
    Auth,
    /// `auth-int`: the body too.
    AuthInt,
}

/// A parsed digest response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorization {
    /// User name, unescaped.
    pub username: String,
    /// Realm, unescaped.
    pub realm: String,
    /// The nonce that was answered.
    pub nonce: String,
    /// `digest-uri`, as hashed; may differ from the Request-URI behind rewriting proxies.
    pub uri: String,
    /// The response, hex.
    pub response: String,
    /// Algorithm; MD5 where absent.
    pub algorithm: Algorithm,
    /// Quality of protection; `None` from RFC 2069 clients.
    pub qop: Option<Qop>,
    /// Nonce count as written, because it is hashed as written.
    pub nc: Option<String>,
    /// Client nonce.
    pub cnonce: Option<String>,
    /// Opaque, returned.
    pub opaque: Option<String>,
}

/// Why a header value cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Longer than [`MAX_HEADER_BYTES`].
    #[error("the value has {bytes} bytes, more than {MAX_HEADER_BYTES}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// Another scheme than Digest.
    #[error("the scheme is not Digest")]
    NotDigest,
    /// No list of `name=value`.
    #[error("malformed parameter list")]
    BadSyntax,
    /// A required parameter is not there.
    #[error("parameter {0} is missing")]
    Missing(&'static str),
    /// A parameter has a value that we cannot use.
    #[error("parameter {0} has an unusable value")]
    BadParameter(&'static str),
}

impl Qop {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::AuthInt => "auth-int",
        }
    }
}

/// Parses the value of an `Authorization` or `Proxy-Authorization` header.
pub fn parse_authorization(value: &str) -> Result<Authorization, ParseError> {
    let _ = value;
    todo!()
}
