//! Documents shown: one row each time, the newest of its kind counts.

use jiff::Timestamp;
use tandem_model::AccountId;
use tandem_model::kyc::{BusinessType, CheckState, Document};

use super::change::set_account_status;
use crate::audit::{self, Actor, Change};
use crate::command::BoxFuture;
use crate::value::Row;
use crate::{Command, Reader, StoreError, Tx};

/// A document as it is shown.
#[derive(Clone, Debug)]
pub struct NewCheck {
    /// UUID.
    pub id: String,
    /// Whose.
    pub account: AccountId,
    /// Under whose key it is sealed.
    pub subject: String,
    /// In which session, if in one.
    pub session: Option<String>,
    /// Which document.
    pub document: Document,
    /// The verdict, or that there is none yet.
    pub state: CheckState,
    /// Who looks: `sandbox`, `manual`, `http`.
    pub verifier: &'static str,
    /// Of the test mode.
    pub mock: bool,
    /// What the verifier knows it by.
    pub reference: Option<String>,
    /// When to ask for the verdict.
    pub poll_at: Option<Timestamp>,
    /// What was shown and learnt, sealed.
    pub evidence_sealed: Vec<u8>,
    /// Now.
    pub at: Timestamp,
}

/// A document on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// UUID.
    pub id: String,
    /// Whose.
    pub account: AccountId,
    /// Under whose key it is sealed.
    pub subject: String,
    /// In which session.
    pub session: Option<String>,
    /// Which document.
    pub document: Document,
    /// The verdict.
    pub state: CheckState,
    /// Who looks.
    pub verifier: String,
    /// Of the test mode.
    pub mock: bool,
    /// What the verifier knows it by.
    pub reference: Option<String>,
    /// How often it was asked.
    pub polls: u32,
    /// What was shown and learnt; absent once forgotten.
    pub evidence_sealed: Option<Vec<u8>>,
    /// When it was shown.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// Which checks to list.
#[derive(Clone, Copy, Debug)]
pub enum CheckWork {
    /// Those that wait for a person.
    Manual,
    /// Those whose verifier may know more now.
    Poll(Timestamp),
}

const PUT: &str =
    "insert into kyc_check (check_id, account_id, subject_id, session_id, document, state, verifier, mock,
    reference, poll_at, evidence_sealed, created_at, updated_at)
  values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12)";
const DECIDE: &str = "update kyc_check set state = $2, evidence_sealed = $3, poll_at = null, updated_at = $4
  where check_id = $1 and state = 'pending'";

pub(super) async fn put(tx: &mut Tx<'_>, check: &NewCheck) -> Result<(), StoreError> {
    let params = [
        (&check.id).into(),
        (&check.account).into(),
        (&check.subject).into(),
        check.session.as_ref().into(),
        check.document.as_str().into(),
        check.state.as_str().into(),
        check.verifier.into(),
        check.mock.into(),
        check.reference.as_ref().into(),
        check.poll_at.into(),
        (&check.evidence_sealed).into(),
        check.at.into(),
    ];
    tx.execute(PUT, &params).await?;
    Ok(())
}

pub(super) async fn decide(
    tx: &mut Tx<'_>,
    check: &str,
    state: CheckState,
    evidence_sealed: &Vec<u8>,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let params = [check.into(), state.as_str().into(), evidence_sealed.into(), at.into()];
    Ok(tx.execute(DECIDE, &params).await? == 1)
}

fn check_of(row: &Row) -> Result<Check, StoreError> {
    let word = |column: &str| StoreError::Data(format!("column {column} is no word of KYC"));
    Ok(Check {
        id: row.string("check_id")?,
        account: row.account("account_id")?,
        subject: row.string("subject_id")?,
        session: row.opt_string("session_id")?,
        document: Document::parse(row.text("document")?).ok_or_else(|| word("document"))?,
        state: CheckState::parse(row.text("state")?).ok_or_else(|| word("state"))?,
        verifier: row.string("verifier")?,
        mock: row.flag("mock")?,
        reference: row.opt_string("reference")?,
        polls: u32::try_from(row.int("polls")?).unwrap_or(u32::MAX),
        evidence_sealed: row.opt_bytes("evidence_sealed")?,
        created_at: row.instant("created_at")?,
        updated_at: row.instant("updated_at")?,
    })
}

/// The newest of each kind.
const CURRENT: &str = "select * from kyc_check where account_id = $1 order by created_at, check_id";

fn newest(rows: &[Row]) -> Result<Vec<Check>, StoreError> {
    let mut newest: Vec<Check> = Vec::new();
    for row in rows {
        let check = check_of(row)?;
        newest.retain(|older| older.document != check.document);
        newest.push(check);
    }
    Ok(newest)
}

/// What an account's documents come to; nothing when there are none.
async fn overall(
    tx: &mut Tx<'_>,
    account: &AccountId,
    business: BusinessType,
) -> Result<Option<CheckState>, StoreError> {
    let checks = newest(&tx.query(CURRENT, &[account.into()]).await?)?;
    let states: Vec<_> = checks.iter().map(|check| (check.document, check.state)).collect();
    Ok(business.overall(&states))
}

const fn account_word(state: Option<CheckState>) -> &'static str {
    match state {
        Some(CheckState::Verified) => "completed",
        Some(CheckState::Failed) => "failed",
        Some(CheckState::Pending) | None => "pending",
    }
}

/// Shows a document of an account outside any session.
pub struct PutCheck {
    /// The document.
    pub check: NewCheck,
    /// What the account must show.
    pub business: BusinessType,
    /// Who asks.
    pub actor: Actor,
}

impl Command for PutCheck {
    /// What the account's documents come to; nothing when its subject was erased meanwhile.
    type Output = Option<CheckState>;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<Self::Output, StoreError>> {
        const STANDS: &str = "select subject_id from kyc_subject where subject_id = $1";
        Box::pin(async move {
            let Self { check, business, actor } = self;
            if tx.query_one(STANDS, &[(&check.subject).into()]).await?.is_none() {
                return Ok(None);
            }
            put(tx, check).await?;
            let state = overall(tx, &check.account, *business).await?;
            set_account_status(tx, &check.account, account_word(state), check.at).await?;
            let change = Change {
                at: check.at,
                account: Some(&check.account),
                action: "verify",
                resource_kind: "kyc_check",
                resource_id: &check.id,
                fields: &[check.document.as_str()],
            };
            audit::append(tx, actor, change).await?;
            Ok(state)
        })
    }

    fn accounts(&self) -> Vec<&AccountId> {
        vec![&self.check.account]
    }
}

/// The verdict on a document outside any session.
pub struct DecideCheck {
    /// Which check.
    pub id: String,
    /// Whose.
    pub account: AccountId,
    /// The verdict.
    pub state: CheckState,
    /// What was learnt, sealed.
    pub evidence_sealed: Vec<u8>,
    /// What the account must show.
    pub business: BusinessType,
    /// Who says so.
    pub actor: Actor,
    /// Now.
    pub at: Timestamp,
}

impl Command for DecideCheck {
    /// False when it has its verdict already.
    type Output = bool;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            if !decide(tx, &self.id, self.state, &self.evidence_sealed, self.at).await? {
                return Ok(false);
            }
            let state = overall(tx, &self.account, self.business).await?;
            set_account_status(tx, &self.account, account_word(state), self.at).await?;
            let change = Change {
                at: self.at,
                account: Some(&self.account),
                action: self.state.as_str(),
                resource_kind: "kyc_check",
                resource_id: &self.id,
                fields: &["state"],
            };
            audit::append(tx, &self.actor, change).await?;
            Ok(true)
        })
    }

    fn accounts(&self) -> Vec<&AccountId> {
        vec![&self.account]
    }
}

/// Writes down that somebody read what was shown.
pub struct NoteReading {
    /// Which check.
    pub check: String,
    /// Whose.
    pub account: AccountId,
    /// Who.
    pub actor: Actor,
    /// When.
    pub at: Timestamp,
}

impl Command for NoteReading {
    type Output = ();

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let change = Change {
                at: self.at,
                account: Some(&self.account),
                action: "read",
                resource_kind: "kyc_check",
                resource_id: &self.check,
                fields: &[],
            };
            audit::append(tx, &self.actor, change).await
        })
    }
}

/// Puts the next question to the verifier off; only one of several nodes succeeds.
pub struct PostponePoll {
    /// Which check.
    pub id: String,
    /// How often it was asked, as read.
    pub polls: u32,
    /// When to ask next.
    pub poll_at: Timestamp,
}

impl Command for PostponePoll {
    /// Whether this node asks now.
    type Output = bool;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<bool, StoreError>> {
        const POSTPONE: &str = "update kyc_check set polls = polls + 1, poll_at = $3
          where check_id = $1 and polls = $2 and state = 'pending'";
        Box::pin(async move {
            let params = [(&self.id).into(), self.polls.into(), self.poll_at.into()];
            Ok(tx.execute(POSTPONE, &params).await? == 1)
        })
    }
}

impl Reader {
    /// A check.
    pub async fn kyc_check(&self, id: &str) -> Result<Option<Check>, StoreError> {
        const ONE: &str = "select * from kyc_check where check_id = $1";
        let row = self.point(ONE, &[id.into()]).await?;
        row.as_ref().map(check_of).transpose()
    }

    /// The newest check of each kind of an account.
    pub async fn kyc_current(&self, account: &AccountId) -> Result<Vec<Check>, StoreError> {
        newest(&self.query(CURRENT, &[account.into()]).await?)
    }

    /// The newest check of each kind of a session.
    pub async fn kyc_session_checks(&self, session: &str) -> Result<Vec<Check>, StoreError> {
        const OF_SESSION: &str =
            "select * from kyc_check where session_id = $1 order by created_at, check_id";
        newest(&self.query(OF_SESSION, &[session.into()]).await?)
    }

    /// Checks that somebody must look at, oldest first.
    pub async fn kyc_work(&self, work: CheckWork, limit: u32) -> Result<Vec<Check>, StoreError> {
        const MANUAL: &str = "select * from kyc_check where state = 'pending' and verifier = 'manual'
            and (session_id is null or session_id in (select id from kyc_session
              where status in ('email_sent', 'link_ready', 'opened', 'in_progress')))
          order by created_at limit $1";
        const POLL: &str =
            "select * from kyc_check where poll_at is not null and poll_at <= $2 and state = 'pending'
          order by poll_at limit $1";
        let rows = match work {
            CheckWork::Manual => self.query(MANUAL, &[limit.into()]).await?,
            CheckWork::Poll(now) => self.query(POLL, &[limit.into(), now.into()]).await?,
        };
        rows.iter().map(check_of).collect()
    }
}
