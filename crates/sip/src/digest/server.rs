//! Challenging requests and verifying their answers.

use std::net::IpAddr;

use super::algorithm::{Algorithm, Ha1};
use super::authorization::Authorization;
use super::nonce::NonceMint;

/// The server side of digest authentication for one process.
pub struct DigestServer {
    mint: NonceMint,
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

impl DigestServer {
    /// A server over a mint.
    pub fn new(mint: NonceMint) -> Self {
        Self { mint }
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
        let _ = (now, source, realm, policy, freshness, &self.mint);
        todo!()
    }

    /// Verifies a parsed response. `lookup` finds the stored hash of a user for one base algorithm
    /// (never a `-sess` one) in the request's realm.
    pub fn verify(
        &mut self,
        now: u64,
        request: &RequestFacts<'_>,
        authorization: &Authorization,
        lookup: impl FnOnce(&str, Algorithm) -> Option<Ha1>,
    ) -> Verdict {
        let _ = (now, request, authorization, lookup);
        todo!()
    }
}
