//! Who proves to be whom: digest challenges, verification and bans, over the endpoint's raw facts.

use std::net::IpAddr;

use secrecy::{ExposeSecret as _, SecretString};
use tandem_model::ports::{DigestPolicy, DigestScope, Directory};
use tandem_model::{clock, entropy};
use tandem_sip::RequestFacts;
use tandem_sip::digest::{
    ChallengePolicy, DigestServer, FailureLedger, Freshness, NonceMint, RequestFacts as DigestRequest,
    Verdict, ha1, parse_authorization,
};

use super::{Shard, now_s};

/// Most Authorization headers of one request that are looked at.
const MAX_CREDENTIALS: usize = 4;

/// Hashed for users that do not exist, so that they cost what others cost.
const NOBODYS_PASSWORD: &str = "no such user";

/// The digest state of one shard.
pub(crate) struct Guard {
    server: DigestServer,
    ledger: FailureLedger,
}

/// What a request must prove itself against.
pub(crate) struct Demand<'a> {
    pub(crate) scope: DigestScope,
    pub(crate) realm: &'a str,
    pub(crate) policy: DigestPolicy,
}

/// What came of a request's answer, and whether it was a wrong one to a live challenge.
struct Judgement {
    proof: Proof,
    is_guess: bool,
}

/// The outcome.
pub(crate) enum Proof {
    /// Proven.
    Is(String),
    /// Ask with these challenges.
    Ask(Vec<String>),
    /// Refuse with 403: too many wrong answers lately.
    Banned,
    /// Refuse with 400.
    Malformed,
}

impl Guard {
    /// A guard whose nonces live under `key`.
    pub(crate) fn new(key: [u8; 32]) -> Self {
        Self {
            server: DigestServer::new(NonceMint::new(key, entropy::number())),
            ledger: FailureLedger::new(),
        }
    }

    /// Judges a request at `now` (seconds since the epoch).
    fn judge(
        &mut self,
        now: u64,
        directory: &dyn Directory,
        request: &RequestFacts,
        demand: &Demand<'_>,
    ) -> Judgement {
        let mut is_guess = false;
        let proof = self.weigh(now, directory, request, demand, &mut is_guess);
        Judgement { proof, is_guess }
    }

    fn weigh(
        &mut self,
        now: u64,
        directory: &dyn Directory,
        request: &RequestFacts,
        demand: &Demand<'_>,
        is_guess: &mut bool,
    ) -> Proof {
        let source = request.flow.remote.ip();
        let policy = challenge_policy(demand.policy);
        let given = request
            .authorization
            .iter()
            .chain(&request.proxy_authorization)
            .take(MAX_CREDENTIALS)
            .filter_map(|value| parse_authorization(value).ok())
            .find(|authorization| authorization.realm.eq_ignore_ascii_case(demand.realm));
        let Some(authorization) = given else {
            return self.ask(now, source, demand.realm, policy, Freshness::New);
        };
        if self.ledger.banned_until(now, source, &authorization.username).is_some() {
            return Proof::Banned;
        }
        let body = request.sdp.as_deref().or(request.body.as_ref().map(|body| body.bytes.as_slice()));
        let facts = DigestRequest {
            source,
            realm: demand.realm,
            policy,
            method: request.method.as_str(),
            body: body.unwrap_or_default(),
        };
        let verdict = self.server.verify(now, &facts, &authorization, |username, algorithm| {
            let password = directory.password(&demand.scope, username);
            let secret = password.as_ref().map_or(NOBODYS_PASSWORD, SecretString::expose_secret);
            let stored = ha1(username, demand.realm, secret, algorithm);
            password.is_some().then_some(stored)
        });
        match verdict {
            Verdict::Ok { username } => {
                self.ledger.clear(source, &username);
                Proof::Is(username)
            }
            Verdict::Stale => self.ask(now, source, demand.realm, policy, Freshness::Stale),
            Verdict::UnknownRealm => self.ask(now, source, demand.realm, policy, Freshness::New),
            Verdict::WrongPassword { username } => {
                *is_guess = true;
                if self.ledger.record(now, source, &username, &authorization.response).is_some() {
                    tracing::warn!(%source, "a source guesses passwords and is not listened to for a while");
                    return Proof::Banned;
                }
                self.ask(now, source, demand.realm, policy, Freshness::New)
            }
            Verdict::Malformed => Proof::Malformed,
        }
    }

    fn ask(
        &mut self,
        now: u64,
        source: IpAddr,
        realm: &str,
        policy: ChallengePolicy,
        freshness: Freshness,
    ) -> Proof {
        Proof::Ask(self.server.challenge(now, source, realm, policy, freshness))
    }
}

impl Shard {
    /// Judges a request, and tells the gate what it has shown of its source.
    pub(super) fn judge_digest(&self, request: &RequestFacts, demand: &Demand<'_>) -> Proof {
        let (now, wall_s) = (clock::monotonic(), now_s());
        let directory = self.ports.directory.as_ref();
        let Judgement { proof, is_guess } = self.guard.borrow_mut().judge(wall_s, directory, request, demand);
        let (flow, mut gate) = (request.flow, self.gate.borrow_mut());
        if is_guess {
            gate.guessed(now, wall_s, flow.remote.ip(), &|| self.is_known(flow));
        } else if matches!(proof, Proof::Is(_)) {
            gate.proved(now, flow.remote.ip());
        }
        proof
    }
}

fn challenge_policy(policy: DigestPolicy) -> ChallengePolicy {
    match policy {
        DigestPolicy::Md5 => ChallengePolicy::Md5,
        DigestPolicy::Sha256 => ChallengePolicy::Sha256,
        DigestPolicy::Both => ChallengePolicy::Both,
    }
}
