//! A new session: it replaces the account's live ones without a word, and its first letter is due at once.

use jiff::Timestamp;
use tandem_model::AccountId;
use tandem_model::kyc::SessionStatus;

use crate::audit::{self, Actor, Change};
use crate::command::BoxFuture;
use crate::{Command, OutboxEvent, StoreError, Tx};

/// What a session begins with.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// UUID.
    pub id: String,
    /// Who asks.
    pub owner: AccountId,
    /// Whom it is about.
    pub account: AccountId,
    /// Under whose key it is sealed.
    pub subject: String,
    /// `email` or `redirect`.
    pub flow: &'static str,
    /// Where it begins.
    pub status: SessionStatus,
    /// Everything personal.
    pub private_sealed: Vec<u8>,
    /// As it was asked for, JSON.
    pub reminder_schedule: String,
    /// The idempotency key whose kept answer tells of it.
    pub request_key: Option<String>,
    /// When it ends by itself.
    pub expires_at: Timestamp,
    /// Keyed hash of a link that is handed out with it.
    pub link_hash: Option<String>,
}

/// A letter due.
#[derive(Clone, Debug)]
pub struct NewLetter {
    /// Which one; once per session.
    pub step: String,
    /// When.
    pub due_at: Timestamp,
}

/// Makes it.
pub struct CreateSession {
    /// What.
    pub session: NewSession,
    /// Letters it will send.
    pub letters: Vec<NewLetter>,
    /// What its owner is told.
    pub events: Vec<OutboxEvent>,
    /// Who asks.
    pub actor: Actor,
    /// Now.
    pub at: Timestamp,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreateOutcome {
    /// Made; so many live sessions were replaced.
    Created {
        /// How many.
        replaced: u64,
    },
    /// The subject was erased meanwhile.
    SubjectGone,
}

pub(super) const PUT_LETTER: &str =
    "insert into kyc_letter (session_id, step, state, due_at, updated_at) values ($1, $2, 'pending', $3, $4)
  on conflict (session_id, step) do nothing";
pub(super) const PUT_LINK: &str =
    "insert into kyc_link (token_hash, session_id, created_at) values ($1, $2, $3)";

impl Command for CreateSession {
    type Output = CreateOutcome;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<Self::Output, StoreError>> {
        const STANDS: &str = "select subject_id from kyc_subject where subject_id = $1 and account_id = $2";
        const REPLACE: &str = "update kyc_session set status = 'revoked', revision = revision + 1, updated_at = $2
          where account_id = $1 and status in ('email_sent', 'link_ready', 'opened', 'in_progress') returning id";
        const INSERT: &str =
            "insert into kyc_session (id, owner_id, account_id, subject_id, flow, status, private_sealed,
            reminder_schedule, request_key, mailed_at, expires_at, created_at, updated_at)
          values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12)";
        Box::pin(async move {
            let Self { session, at, .. } = self;
            let subject = [(&session.subject).into(), (&session.account).into()];
            if tx.query_one(STANDS, &subject).await?.is_none() {
                return Ok(CreateOutcome::SubjectGone);
            }
            let replaced = tx.query(REPLACE, &[(&session.account).into(), (*at).into()]).await?;
            for row in &replaced {
                super::letter::drop_pending(tx, row.text("id")?, *at).await?;
            }
            let mailed_at = self.letters.iter().any(|letter| letter.due_at <= *at).then_some(*at);
            let params = [
                (&session.id).into(),
                (&session.owner).into(),
                (&session.account).into(),
                (&session.subject).into(),
                session.flow.into(),
                session.status.as_str().into(),
                (&session.private_sealed).into(),
                (&session.reminder_schedule).into(),
                session.request_key.as_ref().into(),
                mailed_at.into(),
                session.expires_at.into(),
                (*at).into(),
            ];
            tx.execute(INSERT, &params).await?;
            if let Some(hash) = &session.link_hash {
                tx.execute(PUT_LINK, &[hash.into(), (&session.id).into(), (*at).into()]).await?;
            }
            for letter in &self.letters {
                let params =
                    [(&session.id).into(), (&letter.step).into(), letter.due_at.into(), (*at).into()];
                tx.execute(PUT_LETTER, &params).await?;
            }
            tx.emit(&self.events).await?;
            let change = Change {
                at: *at,
                account: Some(&session.account),
                action: "create",
                resource_kind: "kyc_session",
                resource_id: &session.id,
                fields: &[],
            };
            audit::append(tx, &self.actor, change).await?;
            Ok(CreateOutcome::Created { replaced: replaced.len() as u64 })
        })
    }

    fn accounts(&self) -> Vec<&AccountId> {
        vec![&self.session.account]
    }
}
