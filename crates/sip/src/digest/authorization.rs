//! `Authorization` and `Proxy-Authorization` as clients send them.

use super::algorithm::Algorithm;
use super::parameters::Parameters;

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

    /// The value of that name, whatever its case.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Auth, Self::AuthInt].into_iter().find(|qop| qop.as_str().eq_ignore_ascii_case(name))
    }
}

/// Parses the value of an `Authorization` or `Proxy-Authorization` header.
///
/// Values may be quoted or not, whatever the RFC says of each: sipp quotes `algorithm` and `qop`,
/// others leave `uri` bare. With qop, `nc` and `cnonce` must be there; without it they are ignored.
pub fn parse_authorization(value: &str) -> Result<Authorization, ParseError> {
    let mut parameters = Parameters::parse(value)?;
    let algorithm = match parameters.take("algorithm") {
        Some(name) => Algorithm::from_name(&name).ok_or(ParseError::BadParameter("algorithm"))?,
        None => Algorithm::Md5,
    };
    let qop = match parameters.take("qop").filter(|name| !name.is_empty()) {
        Some(name) => Some(Qop::from_name(&name).ok_or(ParseError::BadParameter("qop"))?),
        None => None,
    };
    let authorization = Authorization {
        username: parameters.require("username")?,
        realm: parameters.require("realm")?,
        nonce: parameters.require("nonce")?,
        uri: parameters.require("uri")?,
        response: parameters.require("response")?,
        algorithm,
        qop,
        nc: parameters.take("nc"),
        cnonce: parameters.take("cnonce"),
        opaque: parameters.take("opaque"),
    };
    if qop.is_some() {
        let nc = authorization.nc.as_deref().ok_or(ParseError::Missing("nc"))?;
        let hex = (1..=8).contains(&nc.len()) && nc.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !hex {
            return Err(ParseError::BadParameter("nc"));
        }
    }
    if (qop.is_some() || algorithm.is_session()) && authorization.cnonce.is_none() {
        return Err(ParseError::Missing("cnonce"));
    }
    let response = &authorization.response;
    let fits =
        response.len() == algorithm.hex_length() && response.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !fits {
        return Err(ParseError::BadParameter("response"));
    }
    Ok(authorization)
}
