//! Challenging requests and verifying their answers.

use std::net::IpAddr;

use subtle::ConstantTimeEq;

use super::algorithm::{Algorithm, Ha1, ResponseInput, response};
use super::authorization::{Authorization, Qop};
use super::nonce::{MAX_TRACKED_NONCES, NonceMint, ReplayTable};
use super::parameters::quote;

/// The server side of digest authentication for one process.
pub struct DigestServer {
    mint: NonceMint,
    replays: ReplayTable,
}

/// Which algorithms a trunk or endpoint is challenged with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ChallengePolicy {
    /// One MD5 challenge: what every device understands.
    #[default]
    Md5,
    /// One SHA-256 challenge.
    Sha256,
    /// MD5, then SHA-256: several clients fail on a SHA-256 challenge that comes first.
    Both,
}

/// Whether a challenge follows a response that was right but for its nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// First challenge, or after a wrong response.
    New,
    /// `stale=true`: the client repeats with the new nonce and asks nobody for a password.
    Stale,
}

/// What verification needs to know about a request.
#[derive(Debug, Clone, Copy)]
pub struct RequestFacts<'a> {
    /// Source address of the request.
    pub source: IpAddr,
    /// The realm that this request must authenticate in.
    pub realm: &'a str,
    /// What its sender was, or would be, challenged with.
    pub policy: ChallengePolicy,
    /// Request method.
    pub method: &'a str,
    /// Request body, covered by `auth-int`.
    pub body: &'a [u8],
}

/// The outcome of [`DigestServer::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The response is right.
    Ok {
        /// Who it is.
        username: String,
    },
    /// Challenge again with [`Freshness::Stale`]; count nothing.
    Stale,
    /// A wrong response to a live nonce of ours: challenge again and count it in the
    /// [`super::FailureLedger`]. Unknown users look the same.
    WrongPassword {
        /// Who it claims to be.
        username: String,
    },
    /// The realm is not the one asked for: challenge again, count nothing.
    UnknownRealm,
    /// Answer 400.
    Malformed,
}

impl ChallengePolicy {
    /// The algorithms to challenge with, in the order of the headers.
    pub fn algorithms(self) -> &'static [Algorithm] {
        match self {
            Self::Md5 => &[Algorithm::Md5],
            Self::Sha256 => &[Algorithm::Sha256],
            Self::Both => &[Algorithm::Md5, Algorithm::Sha256],
        }
    }
}

impl DigestServer {
    /// A server over a mint.
    pub fn new(mint: NonceMint) -> Self {
        Self { mint, replays: ReplayTable::new(MAX_TRACKED_NONCES) }
    }

    /// The values of the `WWW-Authenticate` or `Proxy-Authenticate` headers to send, in order.
    pub fn challenge(
        &mut self,
        now: u64,
        source: IpAddr,
        realm: &str,
        policy: ChallengePolicy,
        freshness: Freshness,
    ) -> Vec<String> {
        let nonce = self.mint.mint(now, source, realm);
        let stale = match freshness {
            Freshness::New => "",
            Freshness::Stale => ", stale=true",
        };
        let value = |algorithm: &Algorithm| {
            format!(
                "Digest realm={}, nonce=\"{nonce}\", algorithm={}, qop=\"auth\"{stale}",
                quote(realm),
                algorithm.as_str(),
            )
        };
        policy.algorithms().iter().map(value).collect()
    }

    /// Verifies a parsed response. `lookup` finds the stored hash of a user for one base algorithm
    /// (never a `-sess` one) in the request's realm.
    ///
    /// The `uri` parameter is not compared with the Request-URI, because proxies rewrite the
    /// latter (RFC 3261 §22.4 item 5 leaves it to the server). Without qop a nonce serves any number of
    /// requests while it lives, as RFC 2069 clients expect.
    pub fn verify(
        &mut self,
        now: u64,
        request: &RequestFacts<'_>,
        authorization: &Authorization,
        lookup: impl FnOnce(&str, Algorithm) -> Option<Ha1>,
    ) -> Verdict {
        if authorization.realm != request.realm {
            return Verdict::UnknownRealm;
        }
        let algorithm = authorization.algorithm;
        if !request.policy.algorithms().contains(&algorithm.base()) {
            // It knows our nonce but answers another challenge than ours: ask again.
            return Verdict::Stale;
        }
        let Some(nonce) = self.mint.recognise(now, request.source, request.realm, &authorization.nonce)
        else {
            return Verdict::Stale;
        };
        let count = match count(authorization) {
            Ok(count) => count,
            Err(BadCount) => return Verdict::Malformed,
        };
        if count.is_some_and(|count| !self.replays.is_fresh(nonce, count.number)) {
            return Verdict::Stale;
        }

        let stored = lookup(&authorization.username, algorithm.base());
        let known = stored.is_some();
        let decoy = self.mint.decoy(&authorization.username, request.realm);
        let stored = stored.unwrap_or_else(|| Ha1::from_bytes(&decoy, algorithm));
        let expected = response(
            algorithm,
            &stored,
            &ResponseInput {
                nonce: &authorization.nonce,
                uri: &authorization.uri,
                method: request.method,
                body: request.body,
                protection: count.map(|count| (count.qop, count.nc, count.cnonce)),
                cnonce: authorization.cnonce.as_deref().unwrap_or_default(),
            },
        );
        let given = authorization.response.to_ascii_lowercase();
        let right = bool::from(expected.as_bytes().ct_eq(given.as_bytes()));
        let username = authorization.username.clone();
        if !(right && known) {
            return Verdict::WrongPassword { username };
        }
        if let Some(count) = count {
            self.replays.mark(now, nonce, count.number);
        }
        Verdict::Ok { username }
    }
}

/// `nc` and what goes with it.
#[derive(Clone, Copy)]
struct Count<'a> {
    qop: Qop,
    nc: &'a str,
    number: u32,
    cnonce: &'a str,
}

/// An [`Authorization`] with qop but without a usable `nc` and `cnonce`; the parser makes none.
struct BadCount;

fn count(authorization: &Authorization) -> Result<Option<Count<'_>>, BadCount> {
    let Some(qop) = authorization.qop else { return Ok(None) };
    let nc = authorization.nc.as_deref().ok_or(BadCount)?;
    let number = u32::from_str_radix(nc, 16).map_err(|_| BadCount)?;
    let cnonce = authorization.cnonce.as_deref().ok_or(BadCount)?;
    Ok(Some(Count { qop, nc, number, cnonce }))
}
