//! The one way a session changes: applied to the revision that was read, with the documents, the account's standing and
//! the events that belong to it.

use jiff::Timestamp;
use tandem_model::AccountId;
use tandem_model::kyc::{CheckState, KycType, SessionStatus};

use super::check::{NewCheck, decide, put};
use super::letter::drop_pending;
use crate::audit::{self, Actor, Change};
use crate::command::BoxFuture;
use crate::directory::DirectoryKind;
use crate::{Command, OutboxEvent, StoreError, Tx};

/// A document of the session.
#[derive(Clone, Debug)]
pub enum DocumentChange {
    /// Was shown.
    Put(NewCheck),
    /// Has its verdict.
    Decide {
        /// Which check.
        check: String,
        /// The verdict.
        state: CheckState,
        /// What was learnt, sealed.
        evidence_sealed: Vec<u8>,
    },
}

/// A session as it is to be.
pub struct ChangeSession {
    /// Which one.
    pub id: String,
    /// The revision read.
    pub revision: i64,
    /// Whom it is about.
    pub account: AccountId,
    /// Where it stands then.
    pub status: SessionStatus,
    /// A person or a company.
    pub kyc_type: Option<KycType>,
    /// Everything personal.
    pub private_sealed: Vec<u8>,
    /// When its page was first seen.
    pub first_opened_at: Option<Timestamp>,
    /// When the last document was given.
    pub submitted_at: Option<Timestamp>,
    /// When it was verified.
    pub completed_at: Option<Timestamp>,
    /// The document it is about, if it is about one.
    pub document: Option<DocumentChange>,
    /// What the account's KYC comes to, when that changes.
    pub account_status: Option<&'static str>,
    /// What its owner is told.
    pub events: Vec<OutboxEvent>,
    /// `open`, `submit`, `revoke`, `expire`, `approve`, …, for the audit; the customer's own steps are not audited.
    pub audited: Option<(&'static str, Actor)>,
    /// Now.
    pub at: Timestamp,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionOutcome {
    /// Changed.
    Changed,
    /// It has changed since it was read: read it again.
    Stale,
}

/// Sets an account's KYC status and tells the directories.
pub(super) async fn set_account_status(
    tx: &mut Tx<'_>,
    account: &AccountId,
    status: &str,
    at: Timestamp,
) -> Result<(), StoreError> {
    const SET: &str =
        "update account set kyc_status = $2, updated_at = $3 where auth_id = $1 and kyc_status <> $2";
    if tx.execute(SET, &[account.into(), status.into(), at.into()]).await? == 1 {
        tx.directory_changed(DirectoryKind::Account, account.as_str(), at).await?;
    }
    Ok(())
}

impl Command for ChangeSession {
    type Output = SessionOutcome;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<Self::Output, StoreError>> {
        const CHANGE: &str = "update kyc_session set revision = revision + 1, status = $3, kyc_type = $4,
            private_sealed = $5, first_opened_at = $6, submitted_at = $7, completed_at = $8, updated_at = $9
          where id = $1 and revision = $2 and private_sealed is not null
            and status in ('email_sent', 'link_ready', 'opened', 'in_progress')";
        Box::pin(async move {
            let params = [
                (&self.id).into(),
                self.revision.into(),
                self.status.as_str().into(),
                self.kyc_type.map(KycType::as_str).into(),
                (&self.private_sealed).into(),
                self.first_opened_at.into(),
                self.submitted_at.into(),
                self.completed_at.into(),
                self.at.into(),
            ];
            if tx.execute(CHANGE, &params).await? == 0 {
                return Ok(SessionOutcome::Stale);
            }
            match &self.document {
                None => {}
                Some(DocumentChange::Put(check)) => put(tx, check).await?,
                Some(DocumentChange::Decide { check, state, evidence_sealed }) => {
                    // The revision guards a session's documents: nobody else can have decided it.
                    decide(tx, check, *state, evidence_sealed, self.at).await?;
                }
            }
            if let Some(status) = self.account_status {
                set_account_status(tx, &self.account, status, self.at).await?;
            }
            if self.status.is_final() {
                drop_pending(tx, &self.id, self.at).await?;
            }
            tx.emit(&self.events).await?;
            if let Some((action, actor)) = &self.audited {
                let change = Change {
                    at: self.at,
                    account: Some(&self.account),
                    action,
                    resource_kind: "kyc_session",
                    resource_id: &self.id,
                    fields: &["status"],
                };
                audit::append(tx, actor, change).await?;
            }
            Ok(SessionOutcome::Changed)
        })
    }

    fn accounts(&self) -> Vec<&AccountId> {
        vec![&self.account]
    }
}
