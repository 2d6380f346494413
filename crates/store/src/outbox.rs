//! Events on their way to customers. A row is inserted in the transaction of the fact it tells of, leased
//! to the node that commits it; delivery attempts, retries and dead letters are updates of that row.

mod attempts;
mod lease;
mod reads;

use jiff::{SignedDuration, Timestamp};
use tandem_model::{AccountId, CallId, DeliveryChannel, EventId, HttpMethod};
use tokio::sync::mpsc;

pub use attempts::{AttemptOutcome, AttemptVerdict, RecordAttempts};
pub use lease::{LeaseDue, PurgeOutbox, ReleaseFormer, ReplayDead};
pub use reads::{Attempt, OutboxCounts, OutboxRow};

use crate::command::{BoxFuture, Interleaving};
use crate::value::Row;
use crate::{Command, StoreError, Tx};

/// How long a row inserted for immediate delivery stays with the node that committed it.
const FIRST_LEASE: SignedDuration = SignedDuration::from_secs(30);

/// An event and where it goes: all that a delivery needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxEvent {
    /// The event; `webhook-id` of every attempt.
    pub event: EventId,
    /// Whose event.
    pub account: AccountId,
    /// The call it tells of.
    pub call: Option<CallId>,
    /// What fairness and the breaker count by: one customer endpoint.
    pub endpoint_key: String,
    /// Its name on the wire: `CallInitiated`, `Hangup`, `kyc.completed`, …
    pub kind: String,
    /// Which signature and retry schedule.
    pub channel: DeliveryChannel,
    /// Absolute URL as the customer wrote it.
    pub url: String,
    /// The method.
    pub method: HttpMethod,
    /// `application/json` or `application/x-www-form-urlencoded`.
    pub content_type: String,
    /// The exact bytes to sign and send.
    pub body: String,
    /// What kind of secret signs: `trunk`, `account`, …; `subject`: the account's, and the body is sealed
    pub secret_kind: String,
    /// Which one: a trunk's id, an account's id, the subject whose key opens the body.
    pub secret_ref: String,
    /// Position among the events of its call.
    pub sequence: u64,
    /// When the fact happened.
    pub created_at: Timestamp,
}

/// Committed events for their first delivery attempt. Dropping it stops the hand-over; rows are then
/// found by the scan of due rows alone.
pub struct EventFeed {
    events: mpsc::Receiver<OutboxEvent>,
}

impl EventFeed {
    pub(crate) fn new(events: mpsc::Receiver<OutboxEvent>) -> Self {
        Self { events }
    }

    /// The next committed event; `None` when the Writer has stopped.
    pub async fn next(&mut self) -> Option<OutboxEvent> {
        self.events.recv().await
    }

    /// An event that is there already.
    pub fn try_next(&mut self) -> Option<OutboxEvent> {
        self.events.try_recv().ok()
    }
}

/// Puts events into the outbox that belong to no other change.
pub struct EnqueueEvents(pub Vec<OutboxEvent>);

impl Command for EnqueueEvents {
    type Output = ();

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(tx.emit(&self.0))
    }

    fn interleaving(&self) -> Interleaving {
        Interleaving::Free
    }
}

const INSERT: &str = "insert into outbox (event_id, account_id, call_id, endpoint_key, kind, channel, url,
    method, content_type, body, secret_kind, secret_ref, sequence, state, due_at, lease_owner, lease_until,
    created_at)
  values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 'pending', $14, $15, $16, $14)
  on conflict (event_id) do nothing";

/// Inserts one event, leased to this node. An event that is there already stays as it is.
pub(crate) async fn insert(tx: &mut Tx<'_>, event: &OutboxEvent) -> Result<(), StoreError> {
    let owner = tx.node.map(|node| node.lease_owner());
    let lease_until = owner.is_some().then(|| event.created_at.saturating_add(FIRST_LEASE));
    let lease_until = lease_until.transpose().map_err(|_| StoreError::Data("lease end".to_owned()))?;
    let params = [
        event.event.into(),
        (&event.account).into(),
        event.call.into(),
        (&event.endpoint_key).into(),
        (&event.kind).into(),
        channel_name(event.channel).into(),
        (&event.url).into(),
        event.method.as_str().into(),
        (&event.content_type).into(),
        (&event.body).into(),
        (&event.secret_kind).into(),
        (&event.secret_ref).into(),
        event.sequence.into(),
        event.created_at.into(),
        owner.into(),
        lease_until.into(),
    ];
    tx.execute(INSERT, &params).await?;
    Ok(())
}

fn event_of(row: &Row) -> Result<OutboxEvent, StoreError> {
    Ok(OutboxEvent {
        event: row.parsed("event_id")?,
        account: row.account("account_id")?,
        call: row.opt_parsed("call_id")?,
        endpoint_key: row.string("endpoint_key")?,
        kind: row.string("kind")?,
        channel: parse_channel(row.text("channel")?)?,
        url: row.string("url")?,
        method: HttpMethod::parse(row.text("method")?)
            .ok_or_else(|| StoreError::Data("column method is no method".to_owned()))?,
        content_type: row.string("content_type")?,
        body: row.string("body")?,
        secret_kind: row.string("secret_kind")?,
        secret_ref: row.string("secret_ref")?,
        sequence: row.count("sequence")?,
        created_at: row.instant("created_at")?,
    })
}

const fn channel_name(channel: DeliveryChannel) -> &'static str {
    match channel {
        DeliveryChannel::Callback => "callback",
        DeliveryChannel::DurableCallback => "durable_callback",
        DeliveryChannel::Trunk => "trunk",
        DeliveryChannel::DurableTrunk => "durable_trunk",
        DeliveryChannel::DurableSealed => "durable_sealed",
        DeliveryChannel::DurableAccount => "durable_account",
        DeliveryChannel::DurableNdnc => "durable_ndnc",
        DeliveryChannel::Mail => "mail",
    }
}

/// The names of [`channel_name`] are serde's, so that the column, JSON and logs agree.
fn parse_channel(name: &str) -> Result<DeliveryChannel, StoreError> {
    serde_json::from_value(serde_json::Value::String(name.to_owned()))
        .map_err(|error| StoreError::Data(format!("column channel: {error}")))
}
