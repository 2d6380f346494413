//! Answering a 401 or 407 with our own credentials, as toward carriers and customers' PBXes.

use std::fmt;

use super::algorithm::{Algorithm, ResponseInput, ha1, response};
use super::authorization::{ParseError, Qop};
use super::parameters::{Parameters, quote};

/// Which header carried a challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChallengeKind {
    /// `WWW-Authenticate`, answered in `Authorization`.
    Www,
    /// `Proxy-Authenticate`, answered in `Proxy-Authorization`.
    Proxy,
}

/// A parsed challenge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// Its header.
    pub kind: ChallengeKind,
    /// Realm, unescaped.
    pub realm: String,
    /// Nonce.
    pub nonce: String,
    /// Opaque, to be returned.
    pub opaque: Option<String>,
    /// `None` for an algorithm that we do not speak.
    pub algorithm: Option<Algorithm>,
    /// Whether `algorithm` was stated; if not, the answer leaves it out too.
    pub algorithm_stated: bool,
    /// The qop values that we speak; empty for RFC 2069 servers.
    pub qops: Vec<Qop>,
    /// Whether qop was stated at all, with values that we speak or not.
    pub qop_stated: bool,
    /// `stale=true`: the last answer was right but for its nonce.
    pub stale: bool,
}

/// Our account at a peer.
#[derive(Clone)]
pub struct Credentials {
    /// User name.
    pub username: String,
    /// Password; hidden from `Debug`.
    pub password: String,
    /// The only realm that may have an answer, so that no stranger collects hashes. `None` while
    /// the realm has still to be learned.
    pub expected_realm: Option<String>,
}

/// Whether the challenged request carried an answer already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// It carried none, or one to a nonce that had worked before.
    First,
    /// It carried an answer made from the last challenge: only `stale=true` earns another.
    Repeated,
}

/// A header to add to the request.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    /// `Authorization` or `Proxy-Authorization`.
    pub name: &'static str,
    /// Its value.
    pub value: String,
    /// The realm that was answered: what an operator is asked to pin.
    pub realm: String,
    /// The nonce that was answered; while it lives, count `nc` up.
    pub nonce: String,
    /// The algorithm that was chosen.
    pub algorithm: Algorithm,
}

/// Why a challenge is not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthorizeError {
    /// There is no challenge.
    #[error("the response carries no challenge")]
    NoChallenge,
    /// Only algorithms or qop values that we do not speak.
    #[error("no challenge has an algorithm and qop that are supported")]
    Unsupported,
    /// Not the pinned realm.
    #[error("the peer asks for realm {realm:?}, which is not the one configured")]
    UnexpectedRealm {
        /// What it asks for.
        realm: String,
    },
    /// The peer refused a fresh answer: user name or password are wrong.
    #[error("the peer rejected the credentials for realm {realm:?}")]
    Rejected {
        /// In which realm.
        realm: String,
    },
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("username", &self.username)
            .field("expected_realm", &self.expected_realm)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("name", &self.name)
            .field("realm", &self.realm)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

impl ChallengeKind {
    /// The header that answers it.
    pub fn answer_header(self) -> &'static str {
        match self {
            Self::Www => "Authorization",
            Self::Proxy => "Proxy-Authorization",
        }
    }
}

/// Parses the value of a `WWW-Authenticate` or `Proxy-Authenticate` header.
pub fn parse_challenge(kind: ChallengeKind, value: &str) -> Result<Challenge, ParseError> {
    let mut parameters = Parameters::parse(value)?;
    let algorithm = parameters.take("algorithm");
    let qop = parameters.take("qop").filter(|list| !list.trim().is_empty());
    Ok(Challenge {
        kind,
        realm: parameters.require("realm")?,
        nonce: parameters.require("nonce")?,
        opaque: parameters.take("opaque"),
        algorithm_stated: algorithm.is_some(),
        algorithm: algorithm.map_or(Some(Algorithm::Md5), |name| Algorithm::from_name(&name)),
        qop_stated: qop.is_some(),
        qops: qop
            .iter()
            .flat_map(|list| list.split(','))
            .filter_map(|name| Qop::from_name(name.trim()))
            .collect(),
        stale: parameters.take("stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true")),
    })
}

/// Answers the strongest supported challenge: SHA-256 over MD5, then the order of the peer.
///
/// `uri` is the Request-URI of the request to send; `cnonce` is random text; `nc` is 1 for a new
/// nonce and counts up while it is reused. qop `auth` is preferred to `auth-int`; neither is used
/// where the peer states none.
pub fn authorize(
    challenges: &[Challenge],
    credentials: &Credentials,
    attempt: Attempt,
    method: &str,
    uri: &str,
    body: &[u8],
    cnonce: &str,
    nc: u32,
) -> Result<Answer, AuthorizeError> {
    let (challenge, algorithm) = strongest(challenges, credentials)?;
    if attempt == Attempt::Repeated && !challenge.stale {
        return Err(AuthorizeError::Rejected { realm: challenge.realm.clone() });
    }
    let nc = format!("{nc:08x}");
    let qop = challenge.preferred_qop();
    let stored = ha1(&credentials.username, &challenge.realm, &credentials.password, algorithm);
    let digest = response(
        algorithm,
        &stored,
        &ResponseInput {
            nonce: &challenge.nonce,
            uri,
            method,
            body,
            protection: qop.map(|qop| (qop, nc.as_str(), cnonce)),
            cnonce,
        },
    );
    let mut value = format!(
        "Digest username={}, realm={}, nonce={}, uri={}, response=\"{digest}\"",
        quote(&credentials.username),
        quote(&challenge.realm),
        quote(&challenge.nonce),
        quote(uri),
    );
    if challenge.algorithm_stated {
        value.push_str(&format!(", algorithm={}", algorithm.as_str()));
    }
    if let Some(qop) = qop {
        value.push_str(&format!(", cnonce={}, qop={}, nc={nc}", quote(cnonce), qop.as_str()));
    } else if algorithm.is_session() {
        value.push_str(&format!(", cnonce={}", quote(cnonce)));
    }
    if let Some(opaque) = &challenge.opaque {
        value.push_str(&format!(", opaque={}", quote(opaque)));
    }
    Ok(Answer {
        name: challenge.kind.answer_header(),
        value,
        realm: challenge.realm.clone(),
        nonce: challenge.nonce.clone(),
        algorithm,
    })
}

impl Challenge {
    /// `None` where the peer stated none.
    fn preferred_qop(&self) -> Option<Qop> {
        [Qop::Auth, Qop::AuthInt].into_iter().find(|qop| self.qops.contains(qop))
    }

    /// Its algorithm, if that and its qop are ones we speak.
    fn usable_algorithm(&self) -> Option<Algorithm> {
        self.algorithm.filter(|_| !self.qop_stated || !self.qops.is_empty())
    }
}

/// The challenge to answer, among those of the pinned realm.
fn strongest<'a>(
    challenges: &'a [Challenge],
    credentials: &Credentials,
) -> Result<(&'a Challenge, Algorithm), AuthorizeError> {
    let first = challenges.first().ok_or(AuthorizeError::NoChallenge)?;
    let pinned = |challenge: &&Challenge| {
        credentials.expected_realm.as_ref().is_none_or(|realm| *realm == challenge.realm)
    };
    if !challenges.iter().any(|challenge| pinned(&challenge)) {
        return Err(AuthorizeError::UnexpectedRealm { realm: first.realm.clone() });
    }
    challenges
        .iter()
        .filter(pinned)
        .filter_map(|challenge| Some((challenge, challenge.usable_algorithm()?)))
        // `min_by_key` keeps the first of equals: the peer's order.
        .min_by_key(|(_, algorithm)| match algorithm.base() {
            Algorithm::Sha256 => 0,
            _ => 1,
        })
        .ok_or(AuthorizeError::Unsupported)
}
