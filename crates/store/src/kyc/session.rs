//! A hosted session as a row, and the reads of it.

use jiff::Timestamp;
use tandem_model::AccountId;
use tandem_model::kyc::{KycType, SessionStatus};

use crate::conditions::Conditions;
use crate::value::Row;
use crate::{Reader, StoreError};

/// A hosted session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// UUID.
    pub id: String,
    /// The partner or main account that asked.
    pub owner: AccountId,
    /// Whom it is about.
    pub account: AccountId,
    /// Under whose key it is sealed.
    pub subject: String,
    /// `email` or `redirect`.
    pub flow: String,
    /// Where it stands.
    pub status: SessionStatus,
    /// A person or a company, once the PAN was given.
    pub kyc_type: Option<KycType>,
    /// Everything personal; absent once forgotten.
    pub private_sealed: Option<Vec<u8>>,
    /// As it was asked for, JSON.
    pub reminder_schedule: String,
    /// Grows with every change.
    pub revision: i64,
    /// When a letter was last asked for.
    pub mailed_at: Option<Timestamp>,
    /// When it ends by itself.
    pub expires_at: Timestamp,
    /// When its page was first seen.
    pub first_opened_at: Option<Timestamp>,
    /// When the last document was given.
    pub submitted_at: Option<Timestamp>,
    /// When it was verified.
    pub completed_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// What a list shows.
#[derive(Clone, Copy, Debug, Default)]
pub struct SessionFilter<'f> {
    /// Only those about this account.
    pub account: Option<&'f AccountId>,
    /// Only those that stand there.
    pub status: Option<&'f str>,
}

pub(super) fn session_of(row: &Row) -> Result<Session, StoreError> {
    let status = row.text("status")?;
    let kyc_type = row.opt_text("kyc_type")?;
    Ok(Session {
        id: row.string("id")?,
        owner: row.account("owner_id")?,
        account: row.account("account_id")?,
        subject: row.string("subject_id")?,
        flow: row.string("flow")?,
        status: SessionStatus::parse(status)
            .ok_or_else(|| StoreError::Data(format!("column status: {status}")))?,
        kyc_type: kyc_type.and_then(KycType::parse),
        private_sealed: row.opt_bytes("private_sealed")?,
        reminder_schedule: row.string("reminder_schedule")?,
        revision: row.int("revision")?,
        mailed_at: row.opt_instant("mailed_at")?,
        expires_at: row.instant("expires_at")?,
        first_opened_at: row.opt_instant("first_opened_at")?,
        submitted_at: row.opt_instant("submitted_at")?,
        completed_at: row.opt_instant("completed_at")?,
        created_at: row.instant("created_at")?,
        updated_at: row.instant("updated_at")?,
    })
}

impl Reader {
    /// A session, if it is the owner's.
    pub async fn kyc_session(&self, owner: &AccountId, id: &str) -> Result<Option<Session>, StoreError> {
        const OWN: &str = "select * from kyc_session where id = $1 and owner_id = $2";
        let row = self.point(OWN, &[id.into(), owner.into()]).await?;
        row.as_ref().map(session_of).transpose()
    }

    /// A session, whoever asks: for the program itself.
    pub async fn kyc_session_by_id(&self, id: &str) -> Result<Option<Session>, StoreError> {
        const ANY: &str = "select * from kyc_session where id = $1";
        let row = self.point(ANY, &[id.into()]).await?;
        row.as_ref().map(session_of).transpose()
    }

    /// The session a link opens.
    pub async fn kyc_session_by_link(&self, token_hash: &str) -> Result<Option<Session>, StoreError> {
        const LINKED: &str = "select kyc_session.* from kyc_link
          join kyc_session on kyc_session.id = kyc_link.session_id where kyc_link.token_hash = $1";
        let row = self.point(LINKED, &[token_hash.into()]).await?;
        row.as_ref().map(session_of).transpose()
    }

    /// An owner's sessions, newest first, and how many there are.
    pub async fn kyc_sessions(
        &self,
        owner: &AccountId,
        filter: SessionFilter<'_>,
        offset: u64,
        limit: u32,
    ) -> Result<(Vec<Session>, u64), StoreError> {
        let conditions = || {
            Conditions::new("owner_id = ?", owner)
                .and("account_id = ?", filter.account)
                .and("status = ?", filter.status)
        };
        let counted = conditions();
        let count = format!("select count(*) as n from kyc_session{}", counted.sql());
        let total = match self.query_one(count, counted.params()).await? {
            Some(row) => row.count("n")?,
            None => 0,
        };
        let listed = conditions();
        let head = format!("select * from kyc_session{} order by created_at desc, id", listed.sql());
        let (tail, params) = listed.page(limit, offset);
        let rows = self.query(head + &tail, &params).await?;
        Ok((rows.iter().map(session_of).collect::<Result<_, _>>()?, total))
    }

    /// Sessions whose time has run out, oldest first. One whose documents were all given waits for their verdict instead.
    pub async fn kyc_sessions_overdue(&self, now: Timestamp, limit: u32) -> Result<Vec<Session>, StoreError> {
        const OVERDUE: &str = "select * from kyc_session
          where status in ('email_sent', 'link_ready', 'opened', 'in_progress') and expires_at <= $1 and submitted_at is null
          order by expires_at limit $2";
        self.query(OVERDUE, &[now.into(), limit.into()]).await?.iter().map(session_of).collect()
    }

    /// The next instant at which KYC has something to do by itself: a session ends, a letter or a poll is due.
    pub async fn kyc_next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        const NEXT: &str = "select min(at) as at from (
          select min(expires_at) as at from kyc_session
            where status in ('email_sent', 'link_ready', 'opened', 'in_progress') and submitted_at is null
          union all select min(due_at) as at from kyc_letter where state = 'pending'
          union all select min(poll_at) as at from kyc_check where poll_at is not null) as due";
        match self.query_one(NEXT, &[]).await? {
            Some(row) => row.opt_instant("at"),
            None => Ok(None),
        }
    }
}
