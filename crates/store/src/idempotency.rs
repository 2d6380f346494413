//! Same key, one effect: the row that remembers an `Idempotency-Key` commits with the effect it stands for.
//!
//! Inside one command: [`claim`] first; on [`Claim::Fresh`] do the work, then [`finish`] with the answer to replay. An operation of
//! several steps commits the claim alone, does its steps, and finishes with [`FinishIdempotent`].

use jiff::Timestamp;
use tandem_model::AccountId;

use crate::command::BoxFuture;
use crate::{Command, NodeIdentity, Reader, StoreError, Tx};

/// What a request is known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// Whose key.
    pub account: AccountId,
    /// The header, together with method and path.
    pub key: String,
    /// Hash of the body: the same key with another body is refused.
    pub fingerprint: String,
    /// When it came.
    pub at: Timestamp,
}

/// An answer kept for replay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptAnswer {
    /// HTTP status.
    pub status: u16,
    /// The body, encrypted by the caller: it may hold secrets.
    pub sealed_body: Vec<u8>,
}

/// What a claim found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Never seen: do the work.
    Fresh,
    /// Done before: answer this.
    Replay(KeptAnswer),
    /// Being done, by the given process.
    InProgress {
        /// The process; if it is gone, the operation's recovery rule decides.
        node: NodeIdentity,
    },
    /// Used with another body.
    OtherBody,
}

const INSERT: &str =
    "insert into idempotency (account_id, key, fingerprint, state, node_name, node_epoch, created_at)
  values ($1, $2, $3, 'started', $4, $5, $6) on conflict (account_id, key) do nothing";
const FIND: &str = "select fingerprint, state, node_name, node_epoch, response_status, response_sealed
  from idempotency where account_id = $1 and key = $2";
const FINISH: &str = "update idempotency set state = 'finished', response_status = $3, response_sealed = $4
  where account_id = $1 and key = $2 and state = 'started'";

/// Claims a key inside a command.
pub async fn claim(tx: &mut Tx<'_>, key: &IdempotencyKey) -> Result<Claim, StoreError> {
    let (node, epoch) = tx.node.map_or(("", 0), |node| (node.name.as_str(), node.epoch));
    let params = [
        (&key.account).into(),
        (&key.key).into(),
        (&key.fingerprint).into(),
        node.into(),
        epoch.into(),
        key.at.into(),
    ];
    if tx.execute(INSERT, &params).await? == 1 {
        return Ok(Claim::Fresh);
    }
    let row = tx.query_one(FIND, &[(&key.account).into(), (&key.key).into()]).await?;
    let row = row.ok_or_else(|| StoreError::Retry("an idempotency key vanished".to_owned()))?;
    if row.text("fingerprint")? != key.fingerprint {
        return Ok(Claim::OtherBody);
    }
    if row.text("state")? == "finished" {
        let status = u16::try_from(row.int("response_status")?);
        let status = status.map_err(|_| StoreError::Data("response_status".to_owned()))?;
        return Ok(Claim::Replay(KeptAnswer { status, sealed_body: row.bytes("response_sealed")? }));
    }
    let name = row.opt_string("node_name")?.unwrap_or_default();
    Ok(Claim::InProgress {
        node: NodeIdentity { name, epoch: row.opt_int("node_epoch")?.unwrap_or_default() },
    })
}

/// Keeps the answer of a claimed key, inside the command that did the work.
pub async fn finish(tx: &mut Tx<'_>, key: &IdempotencyKey, answer: &KeptAnswer) -> Result<(), StoreError> {
    let params =
        [(&key.account).into(), (&key.key).into(), answer.status.into(), (&answer.sealed_body).into()];
    tx.execute(FINISH, &params).await?;
    Ok(())
}

/// [`claim`] alone, for operations of several steps.
pub struct ClaimIdempotent(pub IdempotencyKey);

impl Command for ClaimIdempotent {
    type Output = Claim;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<Claim, StoreError>> {
        Box::pin(claim(tx, &self.0))
    }
}

/// [`finish`] alone.
pub struct FinishIdempotent {
    /// The claimed key.
    pub key: IdempotencyKey,
    /// What to replay.
    pub answer: KeptAnswer,
}

impl Command for FinishIdempotent {
    type Output = ();

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(finish(tx, &self.key, &self.answer))
    }
}

/// Forgets a claim whose work was not done, so that the same key may try again.
pub struct AbandonIdempotent(pub IdempotencyKey);

impl Command for AbandonIdempotent {
    type Output = ();

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<(), StoreError>> {
        const ABANDON: &str =
            "delete from idempotency where account_id = $1 and key = $2 and state = 'started'";
        Box::pin(async move {
            tx.execute(ABANDON, &[(&self.0.account).into(), (&self.0.key).into()]).await?;
            Ok(())
        })
    }
}

/// Forgets keys older than the replay window.
pub struct PurgeIdempotent {
    /// Keys that came before this.
    pub before: Timestamp,
}

impl Command for PurgeIdempotent {
    /// How many went.
    type Output = u64;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<u64, StoreError>> {
        const PURGE: &str = "delete from idempotency where created_at < $1";
        Box::pin(async move { tx.execute(PURGE, &[self.before.into()]).await })
    }
}

/// Takes over a claim whose process is gone, so that its work can be finished.
pub struct RetakeIdempotent {
    /// The claimed key.
    pub key: IdempotencyKey,
    /// The process that is gone.
    pub from: NodeIdentity,
}

impl Command for RetakeIdempotent {
    /// False when somebody else did, or it is finished.
    type Output = bool;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<bool, StoreError>> {
        const RETAKE: &str = "update idempotency set node_name = $3, node_epoch = $4
            where account_id = $1 and key = $2 and state = 'started' and node_name = $5 and node_epoch = $6";
        Box::pin(async move {
            let (node, epoch) = tx.node.map_or(("", 0), |node| (node.name.as_str(), node.epoch));
            let params = [
                (&self.key.account).into(),
                (&self.key.key).into(),
                node.into(),
                epoch.into(),
                self.from.name.as_str().into(),
                self.from.epoch.into(),
            ];
            Ok(tx.execute(RETAKE, &params).await? == 1)
        })
    }
}

impl Reader {
    /// When a key was claimed first.
    pub async fn idempotency_claimed_at(
        &self,
        account: &AccountId,
        key: &str,
    ) -> Result<Option<Timestamp>, StoreError> {
        const CLAIMED: &str = "select created_at from idempotency where account_id = $1 and key = $2";
        let row = self.point(CLAIMED, &[account.into(), key.into()]).await?;
        row.map(|row| row.instant("created_at")).transpose()
    }
}
