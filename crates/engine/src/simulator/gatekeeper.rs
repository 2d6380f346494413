//! Digest, both ways: demanded of the platform, and answered like a customer's PBX.

use std::net::IpAddr;

use tandem_sip::ChallengeKind as Challenged;
use tandem_sip::digest::{
    Attempt, AuthorizeError, ChallengeKind, ChallengePolicy, Credentials, DigestServer, Freshness, NonceMint,
    RequestFacts, Verdict, authorize, ha1, parse_authorization, parse_challenge,
};
use tandem_sip::message::{FieldName, HeaderField};

use super::config::Demand;

/// Judges what the platform shows.
pub(super) struct Gatekeeper {
    server: DigestServer,
}

/// What to do with a request.
pub(super) enum Admission {
    /// It may pass.
    Admitted,
    /// Ask (again) with these challenges.
    Challenge(Vec<String>),
    /// The password is wrong.
    Refused,
}

impl Gatekeeper {
    pub(super) fn new(key: [u8; 32], serial: u64) -> Self {
        Self { server: DigestServer::new(NonceMint::new(key, serial)) }
    }

    /// Judges the Authorization (or Proxy-Authorization) values of a request.
    pub(super) fn judge(
        &mut self,
        now_s: u64,
        demand: &Demand,
        source: IpAddr,
        method: &str,
        values: &[String],
    ) -> Admission {
        let policy = ChallengePolicy::Md5;
        let shown = values
            .iter()
            .filter_map(|value| parse_authorization(value).ok())
            .find(|authorization| authorization.realm == demand.realm);
        let mut freshness = Freshness::New;
        if let Some(authorization) = shown {
            let request = RequestFacts { source, realm: &demand.realm, policy, method, body: &[] };
            let verdict = self.server.verify(now_s, &request, &authorization, |username, algorithm| {
                let is_known = username == demand.username;
                is_known.then(|| ha1(username, &demand.realm, &demand.password, algorithm))
            });
            match verdict {
                Verdict::Ok { .. } => return Admission::Admitted,
                Verdict::WrongPassword { .. } | Verdict::Malformed => return Admission::Refused,
                Verdict::Stale => freshness = Freshness::Stale,
                Verdict::UnknownRealm => {}
            }
        }
        Admission::Challenge(self.server.challenge(now_s, source, &demand.realm, policy, freshness))
    }
}

/// The header that answers a 401 or 407, or why there is none.
pub(super) fn answer_challenge(
    status: u16,
    challenges: &[String],
    (username, password): (&str, &str),
    attempt: Attempt,
    (method, uri, body): (&str, &str, &[u8]),
    cnonce: &str,
) -> Result<HeaderField, AuthorizeError> {
    let (kind, name) = match status {
        407 => (ChallengeKind::Proxy, FieldName::ProxyAuthorization),
        _ => (ChallengeKind::Www, FieldName::Authorization),
    };
    let parsed: Vec<_> = challenges.iter().filter_map(|value| parse_challenge(kind, value).ok()).collect();
    let credentials =
        Credentials { username: username.to_owned(), password: password.to_owned(), expected_realm: None };
    let answer = authorize(&parsed, &credentials, attempt, method, uri, body, cnonce, 1)?;
    HeaderField::new(name, answer.value).map_err(|_| AuthorizeError::Unsupported)
}

/// The two kinds of challenge, and what each is for here.
pub(super) fn challenge_kind(demanded_by_number: bool) -> Challenged {
    if demanded_by_number { Challenged::ProxyAuthenticationRequired } else { Challenged::Unauthorized }
}
