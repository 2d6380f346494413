//! Letters due. A letter is claimed, with its link, before it leaves; what a dead process had claimed is in doubt and is
//! never sent again.

use jiff::Timestamp;
use tandem_model::AccountId;

use super::create::{PUT_LETTER, PUT_LINK};
use crate::audit::{self, Actor, Change};
use crate::command::BoxFuture;
use crate::value::Row;
use crate::{Command, Reader, StoreError, Tx};

/// A letter that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueLetter {
    /// Of which session.
    pub session: String,
    /// Which one.
    pub step: String,
    /// How often it failed.
    pub attempts: u32,
    /// Since when.
    pub due_at: Timestamp,
}

/// A letter, for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Which one.
    pub step: String,
    /// `pending`, `sending`, `sent`, `failed`, `in_doubt` or `dropped`.
    pub state: String,
    /// When it was or is due.
    pub due_at: Timestamp,
    /// What failed.
    pub error: Option<String>,
}

/// What became of a letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LetterState {
    /// The server took it.
    Sent,
    /// Not sent; again then.
    Again(Timestamp, String),
    /// Refused for good.
    Failed(String),
    /// The server may have taken it.
    InDoubt(String),
}

fn due_of(row: &Row) -> Result<DueLetter, StoreError> {
    Ok(DueLetter {
        session: row.string("session_id")?,
        step: row.string("step")?,
        attempts: u32::try_from(row.int("attempts")?).unwrap_or(u32::MAX),
        due_at: row.instant("due_at")?,
    })
}

/// What a session that is over has not sent yet will not be sent, and no verdict on it is asked for.
pub(super) async fn drop_pending(tx: &mut Tx<'_>, session: &str, at: Timestamp) -> Result<(), StoreError> {
    const DROP: &str = "update kyc_letter set state = 'dropped', updated_at = $2
      where session_id = $1 and state = 'pending'";
    const UNASK: &str = "update kyc_check set poll_at = null where session_id = $1 and poll_at is not null";
    tx.execute(DROP, &[session.into(), at.into()]).await?;
    tx.execute(UNASK, &[session.into()]).await?;
    Ok(())
}

/// Claims a letter and opens the link it carries.
pub struct ClaimLetter {
    /// Which.
    pub letter: DueLetter,
    /// Keyed hash of its link.
    pub link_hash: String,
    /// Now.
    pub at: Timestamp,
}

impl Command for ClaimLetter {
    /// Whether this process sends it.
    type Output = bool;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<bool, StoreError>> {
        const CLAIM: &str = "update kyc_letter set state = 'sending', attempts = attempts + 1, node_name = $3, node_epoch = $4,
            updated_at = $5
          where session_id = $1 and step = $2 and state = 'pending' and exists (select 1 from kyc_session
            where kyc_session.id = $1 and status in ('email_sent', 'opened', 'in_progress') and expires_at > $5)";
        Box::pin(async move {
            let (node, epoch) =
                tx.node.map_or((None, None), |node| (Some(node.name.as_str()), Some(node.epoch)));
            let (session, step) = ((&self.letter.session).into(), (&self.letter.step).into());
            if tx.execute(CLAIM, &[session, step, node.into(), epoch.into(), self.at.into()]).await? == 0 {
                return Ok(false);
            }
            let link = [(&self.link_hash).into(), (&self.letter.session).into(), self.at.into()];
            tx.execute(PUT_LINK, &link).await?;
            Ok(true)
        })
    }
}

/// Writes down what became of a claimed letter.
pub struct SettleLetter {
    /// Which.
    pub letter: DueLetter,
    /// What.
    pub state: LetterState,
    /// The link it carried, closed again unless the letter may have arrived.
    pub link_hash: String,
    /// Now.
    pub at: Timestamp,
}

impl Command for SettleLetter {
    type Output = ();

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<(), StoreError>> {
        const SETTLE: &str = "update kyc_letter set state = $3, due_at = $4, error = $5, updated_at = $6
          where session_id = $1 and step = $2 and state = 'sending'";
        const UNLINK: &str = "delete from kyc_link where token_hash = $1";
        Box::pin(async move {
            let (word, due_at, error) = match &self.state {
                LetterState::Sent => ("sent", self.letter.due_at, None),
                LetterState::Again(at, error) => ("pending", *at, Some(error)),
                LetterState::Failed(error) => ("failed", self.letter.due_at, Some(error)),
                LetterState::InDoubt(error) => ("in_doubt", self.letter.due_at, Some(error)),
            };
            let params = [
                (&self.letter.session).into(),
                (&self.letter.step).into(),
                word.into(),
                due_at.into(),
                error.into(),
                self.at.into(),
            ];
            tx.execute(SETTLE, &params).await?;
            if matches!(self.state, LetterState::Again(..) | LetterState::Failed(_)) {
                tx.execute(UNLINK, &[(&self.link_hash).into()]).await?;
            }
            Ok(())
        })
    }
}

/// Marks letters in doubt that a process of this node before this one, or a process silent since `before`, had claimed.
pub struct DoubtLetters {
    /// Claims older than this are nobody's.
    pub before: Timestamp,
    /// Now.
    pub at: Timestamp,
}

impl Command for DoubtLetters {
    /// How many.
    type Output = u64;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<u64, StoreError>> {
        const DOUBT: &str = "update kyc_letter set state = 'in_doubt', error = 'the process ended while it was sent', updated_at = $4
          where state = 'sending' and (updated_at < $3 or (node_name = $1 and node_epoch < $2))";
        Box::pin(async move {
            let (node, epoch) = tx.node.map_or(("", 0), |node| (node.name.as_str(), node.epoch));
            tx.execute(DOUBT, &[node.into(), epoch.into(), self.before.into(), self.at.into()]).await
        })
    }
}

/// Asks for one more letter, unless one was asked for a moment ago.
pub struct QueueLetter {
    /// Of which session.
    pub session: String,
    /// Whom it is about.
    pub account: AccountId,
    /// Which letter.
    pub step: String,
    /// Not when one was asked for after this.
    pub quiet_since: Timestamp,
    /// Who asks.
    pub actor: Actor,
    /// Now.
    pub at: Timestamp,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueOutcome {
    /// It is due.
    Queued,
    /// One was asked for at that instant.
    TooSoon(Timestamp),
    /// The session is over, or sends no letters.
    Over,
}

impl Command for QueueLetter {
    type Output = QueueOutcome;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<QueueOutcome, StoreError>> {
        const QUEUE: &str = "update kyc_session set mailed_at = $3, updated_at = $3, revision = revision + 1
          where id = $1 and mailed_at <= $2 and status in ('email_sent', 'opened', 'in_progress')";
        const ASKED: &str = "select mailed_at from kyc_session
          where id = $1 and status in ('email_sent', 'opened', 'in_progress')";
        Box::pin(async move {
            let id = &self.session;
            if tx.execute(QUEUE, &[id.into(), self.quiet_since.into(), self.at.into()]).await? == 0 {
                let asked = tx.query_one(ASKED, &[id.into()]).await?;
                let asked = asked.map(|row| row.opt_instant("mailed_at")).transpose()?.flatten();
                return Ok(asked.map_or(QueueOutcome::Over, QueueOutcome::TooSoon));
            }
            let params = [id.into(), (&self.step).into(), self.at.into(), self.at.into()];
            tx.execute(PUT_LETTER, &params).await?;
            let change = Change {
                at: self.at,
                account: Some(&self.account),
                action: "resend",
                resource_kind: "kyc_session",
                resource_id: id,
                fields: &[],
            };
            audit::append(tx, &self.actor, change).await?;
            Ok(QueueOutcome::Queued)
        })
    }
}

impl Reader {
    /// Letters that are due, oldest first.
    pub async fn kyc_letters_due(&self, now: Timestamp, limit: u32) -> Result<Vec<DueLetter>, StoreError> {
        const DUE: &str =
            "select * from kyc_letter where state = 'pending' and due_at <= $1 order by due_at limit $2";
        self.query(DUE, &[now.into(), limit.into()]).await?.iter().map(due_of).collect()
    }

    /// The letters of a session, in order.
    pub async fn kyc_letters(&self, session: &str) -> Result<Vec<Letter>, StoreError> {
        const ALL: &str = "select * from kyc_letter where session_id = $1 order by due_at, step";
        let rows = self.query(ALL, &[session.into()]).await?;
        rows.iter()
            .map(|row| {
                Ok(Letter {
                    step: row.string("step")?,
                    state: row.string("state")?,
                    due_at: row.instant("due_at")?,
                    error: row.opt_string("error")?,
                })
            })
            .collect()
    }
}
