//! Complaints about unwanted calls (REST reference §2.9): who complained of which number, once for each of the regulator's
//! references; its account is told where it asked to be told, in the transaction of the complaint.

use jiff::Timestamp;
use serde_json::json;
use tandem_model::{AccountId, E164, EventId, EventKind, HttpMethod};

use crate::audit::{self, Actor, Change};
use crate::command::BoxFuture;
use crate::directory::DirectoryKind;
use crate::outbox::OutboxEvent;
use crate::value::Row;
use crate::{Command, Reader, StoreError, Tx};

/// Says where an account is told of complaints, and with which secret; nothing takes it away.
pub struct PutNdncWebhook {
    /// Whose.
    pub account: AccountId,
    /// URL, what delivery counts it by, and the sealed secret.
    pub webhook: Option<(String, String, Vec<u8>)>,
    /// Who asks.
    pub actor: Actor,
    /// Now.
    pub at: Timestamp,
}

impl Command for PutNdncWebhook {
    /// False when there is no such account.
    type Output = bool;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<bool, StoreError>> {
        const PUT: &str = "update account set ndnc_url = cast($2 as text), ndnc_endpoint = cast($3 as text),
            ndnc_secret_sealed = $4, updated_at = $5 where auth_id = $1";
        Box::pin(async move {
            let (url, endpoint, secret) = match &self.webhook {
                Some((url, endpoint, secret)) => (Some(url), Some(endpoint), Some(secret)),
                None => (None, None, None),
            };
            let params = [(&self.account).into(), url.into(), endpoint.into(), secret.into(), self.at.into()];
            if tx.execute(PUT, &params).await? == 0 {
                return Ok(false);
            }
            let change = Change {
                at: self.at,
                account: Some(&self.account),
                action: "update",
                resource_kind: DirectoryKind::Account.as_str(),
                resource_id: self.account.as_str(),
                fields: &["ndnc_url", "ndnc_secret"],
            };
            audit::append(tx, &self.actor, change).await?;
            tx.directory_changed(DirectoryKind::Account, self.account.as_str(), self.at).await?;
            Ok(true)
        })
    }

    fn accounts(&self) -> Vec<&AccountId> {
        vec![&self.account]
    }
}

/// A complaint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// The regulator's reference.
    pub urn: String,
    /// The number that called.
    pub number: E164,
    /// Who complained.
    pub complainant: E164,
    /// When, as `YYYY-MM-DD`.
    pub date: String,
    /// In their words.
    pub description: String,
}

/// Writes a complaint down and tells the number's account.
pub struct RecordComplaint {
    /// What was complained of.
    pub complaint: Complaint,
    /// Id of what is told, minted by the maker.
    pub event: EventId,
    /// Who asks.
    pub actor: Actor,
    /// Now.
    pub at: Timestamp,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ComplaintOutcome {
    /// Written down.
    Recorded {
        /// Whose number it is.
        account: AccountId,
        /// Whether the account is told.
        told: bool,
    },
    /// The reference is known: nothing changed.
    Known,
    /// The number is nobody's.
    NobodysNumber,
}

const OWNER: &str =
    "select account.auth_id, account.name, account.email, account.ndnc_url, account.ndnc_endpoint
  from number join account on account.auth_id = coalesce(number.account_id, '') where number.e164 = $1";
const INSERT: &str =
    "insert into ndnc_complaint (urn, e164, account_id, complainant, complaint_date, description,
    event_id, created_at)
  values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict (urn) do nothing";

impl Command for RecordComplaint {
    type Output = ComplaintOutcome;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<ComplaintOutcome, StoreError>> {
        Box::pin(async move {
            let complaint = &self.complaint;
            let Some(owner) = tx.query_one(OWNER, &[complaint.number.into()]).await? else {
                return Ok(ComplaintOutcome::NobodysNumber);
            };
            let account = owner.account("auth_id")?;
            let event = self.event_of(&account, &owner)?;
            let params = [
                (&complaint.urn).into(),
                complaint.number.into(),
                (&account).into(),
                complaint.complainant.into(),
                (&complaint.date).into(),
                (&complaint.description).into(),
                event.as_ref().map(|event| event.event.to_string()).into(),
                self.at.into(),
            ];
            if tx.execute(INSERT, &params).await? == 0 {
                return Ok(ComplaintOutcome::Known);
            }
            let change = Change {
                at: self.at,
                account: Some(&account),
                action: "create",
                resource_kind: "ndnc_complaint",
                resource_id: &complaint.urn,
                fields: &[],
            };
            audit::append(tx, &self.actor, change).await?;
            let told = event.is_some();
            tx.emit(event.as_slice()).await?;
            Ok(ComplaintOutcome::Recorded { account, told })
        })
    }
}

impl RecordComplaint {
    fn event_of(&self, account: &AccountId, owner: &Row) -> Result<Option<OutboxEvent>, StoreError> {
        let place = owner.opt_string("ndnc_url")?.zip(owner.opt_string("ndnc_endpoint")?);
        let Some((url, endpoint_key)) = place else { return Ok(None) };
        let complaint = &self.complaint;
        let name = owner.text("name")?;
        let body = json!({
            "accountName": name,
            "totalComplaints": 1,
            "complaints": [{
                "urn": complaint.urn,
                "did": complaint.number,
                "complainantNumber": complaint.complainant,
                "complaintDate": complaint.date,
                "description": complaint.description,
                "accountId": account,
                "accountName": name,
                "accountEmail": owner.opt_text("email")?.unwrap_or_default(),
            }],
        });
        Ok(Some(OutboxEvent {
            event: self.event,
            account: account.clone(),
            call: None,
            endpoint_key,
            kind: EventKind::NdncComplaint.name().to_owned(),
            channel: EventKind::NdncComplaint.channel(),
            url,
            method: HttpMethod::Post,
            content_type: "application/json".to_owned(),
            body: body.to_string(),
            secret_kind: "ndnc".to_owned(),
            secret_ref: account.to_string(),
            sequence: 0,
            created_at: self.at,
        }))
    }
}

/// A complaint as it was written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedComplaint {
    /// What was complained of.
    pub complaint: Complaint,
    /// Whose number it was.
    pub account: AccountId,
    /// What was told of it, if anybody was.
    pub event: Option<String>,
    /// When.
    pub at: Timestamp,
}

impl Reader {
    /// Complaints, newest first.
    pub async fn ndnc_complaints(&self, limit: u32) -> Result<Vec<RecordedComplaint>, StoreError> {
        const LIST: &str = "select * from ndnc_complaint order by created_at desc, urn limit $1";
        let rows = self.query(LIST, &[limit.into()]).await?;
        rows.iter()
            .map(|row| {
                Ok(RecordedComplaint {
                    complaint: Complaint {
                        urn: row.string("urn")?,
                        number: row.parsed("e164")?,
                        complainant: row.parsed("complainant")?,
                        date: row.string("complaint_date")?,
                        description: row.string("description")?,
                    },
                    account: row.account("account_id")?,
                    event: row.opt_string("event_id")?,
                    at: row.instant("created_at")?,
                })
            })
            .collect()
    }

    /// How many complaints an account's number has had since then.
    pub async fn ndnc_complaints_of(
        &self,
        account: &AccountId,
        number: E164,
        since: Timestamp,
    ) -> Result<u64, StoreError> {
        const COUNT: &str = "select count(*) as n from ndnc_complaint
          where account_id = $1 and created_at >= $3 and e164 = $2";
        let row = self.query_one(COUNT, &[account.into(), number.into(), since.into()]).await?;
        row.map_or(Ok(0), |row| row.count("n"))
    }
}
