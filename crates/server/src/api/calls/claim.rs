//! A request for calls under an `Idempotency-Key`. Dialling is no database command, so the key is claimed
//! first and the answer kept afterwards. Call ids are drawn from the key and the moment of its claim: when
//! the process dies in between, whoever retries knows which calls were made and makes only the others.

use jiff::{SignedDuration, Timestamp};
use tandem_model::{AccountId, CallId, ErrorCode, clock};
use tandem_store::NodeIdentity;
use tandem_store::idempotency::{
    AbandonIdempotent, Claim, ClaimIdempotent, FinishIdempotent, IdempotencyKey, RetakeIdempotent,
};

use crate::api::effect::{TWIN_LOOKS, TWIN_WAITS, running};
use crate::api::{ApiError, AppState, Effect, Reply};

/// A process that was silent this long is gone.
const SILENCE: SignedDuration = SignedDuration::from_secs(15);

/// What a claim came to.
pub(crate) enum Claimed {
    /// Make the calls.
    Go(Hold),
    /// Made before.
    Replay(Reply),
}

/// The right to make the calls of one request.
pub(crate) struct Hold {
    key: Option<IdempotencyKey>,
    /// Another process began and is gone: calls may exist.
    pub(super) resumed: bool,
}

/// Claims the request's key, if it has one. A twin of a request that is being worked on waits a while for its answer.
pub(crate) async fn claim(
    state: &AppState,
    effect: &Effect,
    account: &AccountId,
) -> Result<Claimed, ApiError> {
    let Some(key) = effect.key(account) else {
        return Ok(Claimed::Go(Hold { key: None, resumed: false }));
    };
    let since = clock::monotonic();
    loop {
        match claim_once(state, key.clone()).await? {
            Some(claimed) => return Ok(claimed),
            None if since.elapsed() < TWIN_WAITS => tokio::time::sleep(TWIN_LOOKS).await,
            None => return Err(running()),
        }
    }
}

/// `None` while somebody works on it.
async fn claim_once(state: &AppState, key: IdempotencyKey) -> Result<Option<Claimed>, ApiError> {
    let account = key.account.clone();
    match state.writer.submit(ClaimIdempotent(key.clone())).await? {
        Claim::Fresh => Ok(Some(Claimed::Go(Hold { key: Some(key), resumed: false }))),
        Claim::Replay(kept) => Ok(Some(Claimed::Replay(Reply::replay(&kept, &state.vault)?))),
        Claim::OtherBody => Err(ApiError::new(ErrorCode::IdempotencyMismatch)),
        Claim::InProgress { node } => {
            let at = state.reader.idempotency_claimed_at(&account, &key.key).await?;
            let Some(at) = at.filter(|_| state.writer.node() != Some(&node)) else { return Ok(None) };
            if lives(state, &node).await? {
                return Ok(None);
            }
            let key = IdempotencyKey { at, ..key };
            let retake = RetakeIdempotent { key: key.clone(), from: node };
            if !state.writer.submit(retake).await? {
                return Ok(None);
            }
            Ok(Some(Claimed::Go(Hold { key: Some(key), resumed: true })))
        }
    }
}

async fn lives(state: &AppState, node: &NodeIdentity) -> Result<bool, ApiError> {
    let silent_since = clock::wall() - SILENCE;
    let nodes = state.reader.nodes().await?;
    Ok(nodes
        .iter()
        .any(|row| row.name == node.name && row.epoch == node.epoch && row.heartbeat_at >= silent_since))
}

impl Hold {
    /// The id of the request's call at `index`: always the same for a key, random without one.
    pub(super) fn call_id(&self, state: &AppState, index: usize) -> CallId {
        match &self.key {
            None => CallId::random(),
            Some(IdempotencyKey { account, key, at, .. }) => {
                let seed = format!("call {account} {} {index} {key}", at.as_microsecond());
                seeded(&state.vault.token_hash(&seed), *at)
            }
        }
    }

    /// Keeps the answer, or lets the key go when the answer is a refusal.
    pub(crate) async fn keep(&self, state: &AppState, answer: &Result<Reply, ApiError>) {
        let Some(key) = self.key.clone() else { return };
        let kept = match answer {
            Ok(reply) => {
                let answer = reply.kept(&state.vault);
                state.writer.submit(FinishIdempotent { key, answer }).await
            }
            Err(_) => state.writer.submit(AbandonIdempotent(key)).await,
        };
        // The calls are made: a 5xx now would make the client repeat them.
        if let Err(error) = kept {
            tracing::error!(%error, "the answer to an idempotency key could not be kept");
        }
    }
}

/// An id of the form of [`CallId::random`]: the clock leads, a keyed hash stands for the random bits.
fn seeded(hash: &str, at: Timestamp) -> CallId {
    let random = u128::from_str_radix(hash.get(..20).unwrap_or_default(), 16).unwrap_or_default();
    let millis = u128::try_from(at.as_millisecond()).unwrap_or_default() & 0xffff_ffff_ffff;
    let bytes = (millis << 80 | random).to_be_bytes();
    CallId(uuid::Builder::from_random_bytes(bytes).into_uuid())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seeded_id_has_the_form_of_any_other_and_depends_on_seed_and_moment() {
        let at = Timestamp::from_second(1_790_000_000).unwrap();
        let hash = "0123456789abcdef0123456789abcdef";
        let id = seeded(hash, at);
        assert_eq!(id, seeded(hash, at));
        assert_eq!(id.0.get_version_num(), 4);
        assert_ne!(id, seeded(&hash.replace('0', "f"), at));
        assert_ne!(id, seeded(hash, at + SignedDuration::from_secs(1)));
        assert!(id.to_string() < CallId::random().to_string(), "the clock leads");
    }
}
