//! Live calls as stored, and who asks for them: the REST lists, and the reaper looking for orphans.

use jiff::Timestamp;
use tandem_model::{
    AccountId, ApplicationId, CallDirection, CallId, CarrierId, Currency, DialogRecord, Money, OrphanCall,
    Rate, TrunkId,
};

use crate::value::Row;
use crate::writer::NodeIdentity;
use crate::{Reader, StoreError, Tx};

/// How far a live call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LiveState {
    /// Accepted for dialling.
    Queued,
    /// Not answered yet.
    Ringing,
    /// Answered.
    InProgress,
}

impl LiveState {
    /// The column's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Ringing => "ringing",
            Self::InProgress => "in-progress",
        }
    }

    fn parse(text: &str) -> Result<Self, StoreError> {
        match text {
            "queued" => Ok(Self::Queued),
            "ringing" => Ok(Self::Ringing),
            "in-progress" => Ok(Self::InProgress),
            other => Err(StoreError::Data(format!("state {other}"))),
        }
    }
}

/// A call about to live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCall {
    /// The call.
    pub call: CallId,
    /// Who pays.
    pub account: AccountId,
    /// The A leg's call, on a B leg.
    pub parent_call: Option<CallId>,
    /// How far it is.
    pub state: LiveState,
    /// Direction.
    pub direction: CallDirection,
    /// Caller, as webhooks show it.
    pub from: String,
    /// Callee.
    pub to: String,
    /// The trunk it came or goes through.
    pub trunk: Option<TrunkId>,
    /// The carrier it goes out through, as far as it is known.
    pub carrier: Option<CarrierId>,
    /// The application that steers it.
    pub application: Option<ApplicationId>,
    /// Currency of the hold.
    pub currency: Currency,
    /// What a record will need that no column has: JSON of the admission's making, opaque here.
    pub facts: String,
    /// What a reaper needs to tell the customer (hangup URL, method, secret): JSON, opaque here.
    pub plan: String,
    /// Tariff.
    pub rate: Rate,
    /// Money set aside.
    pub hold: Money,
    /// Talk time the hold covers; `None` when the call is free.
    pub covered_s: Option<u64>,
    /// When it began.
    pub started_at: Timestamp,
    /// Dialogs known so far.
    pub dialogs: Vec<DialogRecord>,
}

/// A live call as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveCall {
    /// What it began with, `hold`, `covered_s`, `state` and `dialogs` as they are now.
    pub call: NewCall,
    /// The process that runs it.
    pub node: NodeIdentity,
    /// When billing began.
    pub answered_at: Option<Timestamp>,
    /// Seconds of talk at the last tick.
    pub elapsed_s: u64,
}

impl LiveCall {
    /// What the SIP side needs to end it after a crash.
    pub fn orphan(&self) -> OrphanCall {
        OrphanCall {
            call: self.call.call,
            dialogs: self.call.dialogs.clone(),
            answered: self.answered_at.is_some(),
        }
    }
}

const INSERT: &str =
    "insert into live_call (call_id, account_id, node_name, node_epoch, parent_call_id, state,
    direction, from_number, to_number, trunk_id, application_id, currency, facts, plan, rate, hold, covered_s,
    started_at, dialogs, carrier_id)
  values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)
  on conflict (call_id) do nothing";

/// Inserts the row, owned by this process; false when the call lives already.
pub(super) async fn insert(tx: &mut Tx<'_>, call: &NewCall) -> Result<bool, StoreError> {
    // A tool without a node has epoch 0, which no claimed name ever has: its calls are orphans at once.
    let (node, epoch) = tx.node.map_or(("", 0), |node| (node.name.as_str(), node.epoch));
    let params = [
        call.call.into(),
        (&call.account).into(),
        node.into(),
        epoch.into(),
        call.parent_call.into(),
        call.state.as_str().into(),
        call.direction.as_str().into(),
        (&call.from).into(),
        (&call.to).into(),
        call.trunk.into(),
        call.application.as_ref().into(),
        (&call.currency).into(),
        (&call.facts).into(),
        (&call.plan).into(),
        json(&call.rate)?.into(),
        call.hold.into(),
        call.covered_s.into(),
        call.started_at.into(),
        json(&call.dialogs)?.into(),
        call.carrier.into(),
    ];
    Ok(tx.execute(INSERT, &params).await? == 1)
}

/// A document of ours as JSON.
pub(super) fn json<T: serde::Serialize>(document: &T) -> Result<String, StoreError> {
    serde_json::to_string(document).map_err(|error| StoreError::Data(error.to_string()))
}

fn direction(text: &str) -> Result<CallDirection, StoreError> {
    match text {
        "inbound" => Ok(CallDirection::Inbound),
        "outbound" => Ok(CallDirection::Outbound),
        other => Err(StoreError::Data(format!("direction {other}"))),
    }
}

fn live_of(row: &Row) -> Result<LiveCall, StoreError> {
    let covered = row.opt_int("covered_s")?.map(u64::try_from).transpose();
    Ok(LiveCall {
        call: NewCall {
            call: row.parsed("call_id")?,
            account: row.account("account_id")?,
            parent_call: row.opt_parsed("parent_call_id")?,
            state: LiveState::parse(row.text("state")?)?,
            direction: direction(row.text("direction")?)?,
            from: row.string("from_number")?,
            to: row.string("to_number")?,
            trunk: row.opt_parsed("trunk_id")?,
            carrier: row.opt_parsed("carrier_id")?,
            application: row.opt_text("application_id")?.map(ApplicationId::new),
            currency: row.parsed("currency")?,
            facts: row.string("facts")?,
            plan: row.string("plan")?,
            rate: row.json("rate")?,
            hold: row.money("hold")?,
            covered_s: covered.map_err(|_| StoreError::Data("covered_s below zero".to_owned()))?,
            started_at: row.instant("started_at")?,
            dialogs: row.json("dialogs")?,
        },
        node: NodeIdentity { name: row.string("node_name")?, epoch: row.int("node_epoch")? },
        answered_at: row.opt_instant("answered_at")?,
        elapsed_s: row.count("elapsed_s")?,
    })
}

impl Reader {
    /// One live call.
    pub async fn live_call(&self, call: CallId) -> Result<Option<LiveCall>, StoreError> {
        const ONE: &str = "select * from live_call where call_id = $1";
        self.point(ONE, &[call.into()]).await?.as_ref().map(live_of).transpose()
    }

    /// An account's live calls, oldest first; all states without one.
    pub async fn live_calls(
        &self,
        account: &AccountId,
        state: Option<LiveState>,
    ) -> Result<Vec<LiveCall>, StoreError> {
        const LIST: &str = "select * from live_call
          where account_id = $1 and state = coalesce(cast($2 as text), state)
          order by started_at, call_id";
        let params = [account.into(), state.map(LiveState::as_str).into()];
        self.query(LIST, &params).await?.iter().map(live_of).collect()
    }

    /// Live calls by (live, limit) of the account itself, as its row counts them.
    pub async fn concurrency(&self, account: &AccountId) -> Result<Option<(u64, u64)>, StoreError> {
        const COUNT: &str = "select live_calls, concurrent_limit from account where auth_id = $1";
        let row = self.query_one(COUNT, &[account.into()]).await?;
        row.map(|row| Ok((row.count("live_calls")?, row.count("concurrent_limit")?))).transpose()
    }

    /// How many live calls a trunk has.
    pub async fn live_calls_of_trunk(&self, trunk: TrunkId) -> Result<u64, StoreError> {
        const COUNT: &str = "select count(*) as n from live_call where trunk_id = $1";
        self.query_one(COUNT, &[trunk.into()]).await?.map_or(Ok(0), |row| row.count("n"))
    }

    /// Live calls to each carrier that are not those of `node`: other processes', and those of a process that is gone and not settled.
    pub async fn live_calls_to_carriers(
        &self,
        node: Option<&NodeIdentity>,
    ) -> Result<Vec<(CarrierId, u64)>, StoreError> {
        const COUNT: &str = "select carrier_id, count(*) as n from live_call
          where carrier_id is not null and not (node_name = $1 and node_epoch = $2) group by carrier_id";
        let (name, epoch) = node.map_or(("", 0), |node| (node.name.as_str(), node.epoch));
        let rows = self.query(COUNT, &[name.into(), epoch.into()]).await?;
        rows.iter().map(|row| Ok((row.parsed("carrier_id")?, row.count("n")?))).collect()
    }

    /// Calls whose process is gone: their (node, epoch) is not current, or its last heartbeat is older
    /// than `silent_since`. The oldest first, at most `limit`.
    pub async fn orphans(&self, silent_since: Timestamp, limit: u32) -> Result<Vec<LiveCall>, StoreError> {
        const ORPHANS: &str = "select live_call.* from live_call
          left join node on node.name = live_call.node_name and node.epoch = live_call.node_epoch
          where node.name is null or node.heartbeat_at < $1
          order by live_call.started_at limit $2";
        self.query(ORPHANS, &[silent_since.into(), limit.into()]).await?.iter().map(live_of).collect()
    }
}
