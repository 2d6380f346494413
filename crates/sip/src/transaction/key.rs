//! What makes two messages the same transaction (RFC 3261 §17.2.3) or one request that took two
//! paths (§8.2.2.2), as 64-bit numbers keyed by the endpoint's seed: peers cannot aim for collisions.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher, Hash, Hasher};

use crate::message::{Method, Request, Via};

/// A map whose keys are already well mixed.
pub(crate) type KeyMap<V> = HashMap<u64, V, BuildHasherDefault<Mixed>>;

/// Passes a `u64` through.
#[derive(Default)]
pub(crate) struct Mixed(u64);

impl Hasher for Mixed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

/// Makes transaction keys.
#[derive(Debug)]
pub(crate) struct TransactionHasher {
    secret: [u64; 2],
}

impl TransactionHasher {
    pub(crate) fn new(secret: [u64; 2]) -> Self {
        Self { secret }
    }

    /// The key of the server transaction a request belongs to. ACK belongs to its INVITE;
    /// `as_method` lets a CANCEL look for the INVITE it cancels.
    pub(crate) fn server_key(&self, request: &Request<'_>, as_method: Method) -> u64 {
        let common = &request.common;
        match common.via.branch() {
            Some(branch) => {
                let token =
                    if as_method == request.method { request.method_token } else { as_method.as_str() };
                self.branch_key(branch, &common.via, token, common.call_id)
            }
            None => self.rfc2543_key(request, as_method),
        }
    }

    /// The key from a branch and its Via. The Call-ID, which §17.2.3 does not ask for, keeps apart what a careless
    /// peer gives one branch, and keeps a stranger who guesses branches out of other people's transactions.
    pub(crate) fn branch_key(&self, branch: &str, via: &Via<'_>, method: &str, call_id: &str) -> u64 {
        let mut hasher = self.hasher("branch");
        branch.hash(&mut hasher);
        call_id.hash(&mut hasher);
        hash_lower(via.host, &mut hasher);
        via.port.unwrap_or(5060).hash(&mut hasher);
        let method = if method == "ACK" { "INVITE" } else { method };
        method.hash(&mut hasher);
        hasher.finish()
    }

    /// Peers older than RFC 3261: the ACK of such a peer carries a To-tag and may carry another
    /// Request-URI, so neither counts.
    fn rfc2543_key(&self, request: &Request<'_>, as_method: Method) -> u64 {
        let common = &request.common;
        let mut hasher = self.hasher("2543");
        common.call_id.hash(&mut hasher);
        common.cseq.number.hash(&mut hasher);
        common.from.tag().hash(&mut hasher);
        common.via.text.hash(&mut hasher);
        let method = if as_method == Method::Ack { Method::Invite } else { as_method };
        method.hash(&mut hasher);
        hasher.finish()
    }

    /// The key under which a request without To-tag is recognised when it arrives by a second path.
    pub(crate) fn merge_key(&self, request: &Request<'_>) -> u64 {
        let common = &request.common;
        let mut hasher = self.hasher("merge");
        common.call_id.hash(&mut hasher);
        common.cseq.number.hash(&mut hasher);
        request.method_token.hash(&mut hasher);
        common.from.tag().hash(&mut hasher);
        hasher.finish()
    }

    fn hasher(&self, purpose: &str) -> DefaultHasher {
        let mut hasher = DefaultHasher::new();
        self.secret.hash(&mut hasher);
        purpose.hash(&mut hasher);
        hasher
    }
}

fn hash_lower(text: &str, hasher: &mut impl Hasher) {
    for byte in text.bytes() {
        hasher.write_u8(byte.to_ascii_lowercase());
    }
    hasher.write_u8(0xff);
}
