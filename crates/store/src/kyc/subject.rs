//! The subject of KYC data: one key per account, sealed by the caller. Whoever removes the row shreds what is sealed
//! under it, in backups too as far as they lack the row.

use jiff::Timestamp;
use tandem_model::AccountId;

use crate::command::BoxFuture;
use crate::value::Row;
use crate::{Command, Reader, StoreError, Tx};

/// A subject and its sealed key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Its id.
    pub id: String,
    /// The account it is about.
    pub account: AccountId,
    /// Its key, sealed under the master key.
    pub key_sealed: Vec<u8>,
}

const OF_ACCOUNT: &str = "select * from kyc_subject where account_id = $1";

fn subject_of(row: &Row) -> Result<Subject, StoreError> {
    Ok(Subject {
        id: row.string("subject_id")?,
        account: row.account("account_id")?,
        key_sealed: row.bytes("key_sealed")?,
    })
}

/// Makes an account's subject unless it has one.
pub struct EnsureSubject {
    /// The one to make.
    pub subject: Subject,
    /// Now.
    pub at: Timestamp,
}

impl Command for EnsureSubject {
    /// The one that stands.
    type Output = Subject;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<Subject, StoreError>> {
        const INSERT: &str = "insert into kyc_subject (subject_id, account_id, key_sealed, created_at)
          values ($1, $2, $3, $4) on conflict (account_id) do nothing";
        Box::pin(async move {
            let Subject { id, account, key_sealed } = &self.subject;
            tx.execute(INSERT, &[id.into(), account.into(), key_sealed.into(), self.at.into()]).await?;
            let row = tx.query_one(OF_ACCOUNT, &[account.into()]).await?;
            subject_of(&row.ok_or_else(|| StoreError::Retry("a KYC subject vanished".to_owned()))?)
        })
    }
}

impl Reader {
    /// An account's subject.
    pub async fn kyc_subject(&self, account: &AccountId) -> Result<Option<Subject>, StoreError> {
        let row = self.point(OF_ACCOUNT, &[account.into()]).await?;
        row.as_ref().map(subject_of).transpose()
    }

    /// A subject by its id.
    pub async fn kyc_subject_by_id(&self, id: &str) -> Result<Option<Subject>, StoreError> {
        const BY_ID: &str = "select * from kyc_subject where subject_id = $1";
        let row = self.point(BY_ID, &[id.into()]).await?;
        row.as_ref().map(subject_of).transpose()
    }
}
