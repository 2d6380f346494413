//! Forgetting: the subject's key goes, with everything sealed under it. What stays is that something was verified,
//! when, and who asked.

use jiff::Timestamp;
use tandem_model::AccountId;

use crate::audit::{self, Actor, Change};
use crate::command::BoxFuture;
use crate::{Command, StoreError, Tx};

/// Erases an account's KYC data.
pub struct EraseSubject {
    /// Whose.
    pub account: AccountId,
    /// Who asks.
    pub actor: Actor,
    /// Now.
    pub at: Timestamp,
}

/// What went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// Keys: 0 when there was nothing.
    pub subjects: u64,
    /// Sessions whose data is gone.
    pub sessions: u64,
    /// Documents whose data is gone.
    pub documents: u64,
    /// Events that told of them.
    pub events: u64,
}

impl Command for EraseSubject {
    type Output = Erased;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<Erased, StoreError>> {
        const OVERWRITE: &str =
            "update kyc_subject set key_sealed = $2 where account_id = $1 returning subject_id";
        const SHRED: &str = "delete from kyc_subject where account_id = $1";
        const SESSIONS: &str = "update kyc_session set private_sealed = null, revision = revision + 1, updated_at = $2,
            status = case when status in ('email_sent', 'link_ready', 'opened', 'in_progress') then 'revoked' else status end
          where account_id = $1 and private_sealed is not null";
        const ANSWERS: &str = "delete from idempotency where exists (select 1 from kyc_session
          where kyc_session.account_id = $1 and kyc_session.owner_id = idempotency.account_id
            and kyc_session.request_key = idempotency.key)";
        const LINKS: &str =
            "delete from kyc_link where session_id in (select id from kyc_session where account_id = $1)";
        const LETTERS: &str = "update kyc_letter set state = 'dropped', updated_at = $2
          where state = 'pending' and session_id in (select id from kyc_session where account_id = $1)";
        const CHECKS: &str =
            "update kyc_check set evidence_sealed = null, reference = null, poll_at = null, updated_at = $2,
            state = case when state = 'pending' then 'failed' else state end
          where account_id = $1 and evidence_sealed is not null";
        const ATTEMPTS: &str = "delete from delivery_attempt where event_id in (select event_id from outbox
          where secret_kind = 'subject' and secret_ref = $1)";
        const EVENTS: &str = "delete from outbox where secret_kind = 'subject' and secret_ref = $1";
        Box::pin(async move {
            let account = || (&self.account).into();
            let blank = [0_u8; 96];
            let keys = tx.query(OVERWRITE, &[account(), blank.as_slice().into()]).await?;
            let mut erased = Erased { subjects: keys.len() as u64, ..Erased::default() };
            tx.execute(ANSWERS, &[account()]).await?;
            tx.execute(LINKS, &[account()]).await?;
            tx.execute(LETTERS, &[account(), self.at.into()]).await?;
            erased.sessions = tx.execute(SESSIONS, &[account(), self.at.into()]).await?;
            erased.documents = tx.execute(CHECKS, &[account(), self.at.into()]).await?;
            for key in &keys {
                let subject = key.text("subject_id")?;
                tx.execute(ATTEMPTS, &[subject.into()]).await?;
                erased.events += tx.execute(EVENTS, &[subject.into()]).await?;
            }
            tx.execute(SHRED, &[account()]).await?;
            let change = Change {
                at: self.at,
                account: Some(&self.account),
                action: "erase",
                resource_kind: "kyc",
                resource_id: self.account.as_str(),
                fields: &[],
            };
            audit::append(tx, &self.actor, change).await?;
            Ok(erased)
        })
    }

    fn accounts(&self) -> Vec<&AccountId> {
        vec![&self.account]
    }
}

/// Forgets what is kept longer than it may be: of sessions that led to nothing, of verified ones, and delivered events.
pub struct ForgetAbandoned {
    /// Sessions revoked, expired or failed before this.
    pub abandoned_before: Timestamp,
    /// Sessions and documents verified before this.
    pub verified_before: Timestamp,
    /// Events delivered or dead that were made before this.
    pub events_before: Timestamp,
    /// Rows of each kind at most.
    pub limit: u32,
}

impl Command for ForgetAbandoned {
    /// How many rows.
    type Output = u64;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<u64, StoreError>> {
        const SESSIONS: &str = "update kyc_session set private_sealed = null, revision = revision + 1
          where id in (select id from kyc_session where private_sealed is not null
            and ((status in ('revoked', 'expired', 'kyc_failed') and updated_at < $1)
              or (status = 'kyc_completed' and updated_at < $2)) limit $3) returning id";
        const OF_SESSION: &str = "update kyc_check set evidence_sealed = null where session_id = $1";
        const LINKS: &str = "delete from kyc_link where session_id = $1";
        const CHECKS: &str = "update kyc_check set evidence_sealed = null
          where check_id in (select check_id from kyc_check where evidence_sealed is not null and state <> 'pending'
            and updated_at < $1 limit $2)";
        const EVENTS: &str = "delete from outbox where event_id in (select event_id from outbox
          where secret_kind = 'subject' and state <> 'pending' and created_at < $1 limit $2) returning event_id";
        const ATTEMPTS: &str = "delete from delivery_attempt where event_id = $1";
        Box::pin(async move {
            let params = [self.abandoned_before.into(), self.verified_before.into(), self.limit.into()];
            let sessions = tx.query(SESSIONS, &params).await?;
            for row in &sessions {
                tx.execute(OF_SESSION, &[row.text("id")?.into()]).await?;
                tx.execute(LINKS, &[row.text("id")?.into()]).await?;
            }
            let checks = tx.execute(CHECKS, &[self.verified_before.into(), self.limit.into()]).await?;
            let events = tx.query(EVENTS, &[self.events_before.into(), self.limit.into()]).await?;
            for row in &events {
                tx.execute(ATTEMPTS, &[row.text("event_id")?.into()]).await?;
            }
            Ok(sessions.len() as u64 + checks + events.len() as u64)
        })
    }
}
