//! May this call exist, and what did it come to? Each answer stands behind one durable command.

use std::net::SocketAddr;
use std::path::PathBuf;

use jiff::Timestamp;
use secrecy::SecretString;
use thiserror::Error;

use super::Pending;
use super::directory::Transport;
use super::routing::{CarrierChannel, Failover};
use crate::{
    AccountId, ApplicationPlan, CallEnd, CallFacts, CallId, CarrierId, DialogRecord, RecordingId, Refusal,
    TrunkId,
};

/// The database cannot be written: admission closes, live calls run to the end of their reservation.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("the store is unavailable: {0}")]
pub struct StoreUnavailable(pub String);

/// Who calls, proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallerIdentity {
    /// A customer's PBX.
    Trunk(TrunkId),
    /// A registered or authenticated SIP endpoint, by user name.
    Endpoint(String),
    /// The telephone network.
    Carrier(CarrierId),
}

/// An authenticated INVITE.
#[derive(Clone, Debug)]
pub struct InviteFacts {
    /// The id the call will have; minted by the engine.
    pub call: CallId,
    /// Who calls.
    pub identity: CallerIdentity,
    /// User part of the Request-URI, as dialled.
    pub dialled: String,
    /// Host of the Request-URI.
    pub domain: String,
    /// User part of From.
    pub from_user: String,
    /// Display name of From.
    pub display_name: Option<String>,
    /// User part of P-Asserted-Identity, else of Remote-Party-ID.
    pub asserted_user: Option<String>,
    /// `Privacy: id` was asked.
    pub privacy: bool,
    /// User part of the first Diversion.
    pub diversion: Option<String>,
    /// `X-VH-*`/`X-PH-*` headers, names without the prefix; bounded.
    pub custom_headers: Vec<(String, String)>,
    /// Where it came from.
    pub source: SocketAddr,
    /// Call-ID.
    pub sip_call_id: String,
    /// User-Agent.
    pub user_agent: Option<String>,
    /// `X-Tandem-Hops`, as it came: how often the call was here before, if the signature is ours.
    pub hop_cookie: Option<String>,
    /// When it came.
    pub received_at: Timestamp,
    /// The A dialog so far, for a crash before the answer.
    pub dialog: DialogRecord,
}

/// Money set aside for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// Seconds of talk the held money covers; `None` when the call costs nothing. Ask for more at 80 %.
    pub covered_s: Option<u64>,
}

/// Record this call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingSpec {
    /// Its id.
    pub recording: RecordingId,
    /// The file to write (WAV, stereo: caller left, callee right).
    pub path: PathBuf,
}

/// One address of a named host (RFC 3263).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextHop {
    /// Resolved and vetted.
    pub address: SocketAddr,
    /// Over what.
    pub transport: Transport,
    /// The name before any resolution: a TLS peer's certificate must be good for it (RFC 5922 §4).
    pub name: String,
    /// UDP is only the default: an INVITE too long for a datagram is tried over TCP first.
    pub may_use_tcp: bool,
}

/// Where an INVITE goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteDestination {
    /// A resolved and vetted address.
    Address(SocketAddr, Transport),
    /// The resolved and vetted addresses of a named host, tried in order until one can be reached (RFC 3263 §4.3).
    Hosts(Vec<NextHop>),
    /// Every live contact of a registered endpoint, by user name.
    Endpoint(String),
}

/// Digest credentials we answer a carrier's challenge with.
#[derive(Clone, Debug)]
pub struct RouteCredentials {
    /// User name.
    pub username: String,
    /// Password.
    pub password: SecretString,
    /// The only realm answered, once known.
    pub realm: Option<String>,
}

/// One way to reach a destination. Routes of a call are tried in order.
#[derive(Clone, Debug)]
pub struct Route {
    /// The carrier, when it is one.
    pub carrier: Option<CarrierId>,
    /// Where.
    pub destination: RouteDestination,
    /// Request-URI (for endpoints the contact replaces it).
    pub request_uri: String,
    /// From URI.
    pub from_uri: String,
    /// From display name; empty for none.
    pub display_name: String,
    /// To URI.
    pub to_uri: String,
    /// P-Asserted-Identity URI.
    pub asserted_identity: Option<String>,
    /// `X-VH-*` and other allow-listed headers, with full names.
    pub headers: Vec<(String, String)>,
    /// Credentials for a challenge.
    pub credentials: Option<RouteCredentials>,
    /// The far side is expected behind NAT: latch RTP, keep to the flow.
    pub nat: bool,
    /// When the next route is tried.
    pub failover: Failover,
}

/// What an admitted call runs.
#[derive(Clone, Debug)]
pub enum Plan {
    /// Straight to these routes: a trunk call.
    Bridge {
        /// In order of preference.
        routes: Vec<Route>,
        /// Seconds of ringing before 6010.
        ring_timeout_s: u32,
    },
    /// XML steers it.
    Application(ApplicationPlan),
}

/// An admitted call.
#[derive(Clone, Debug)]
pub struct Admitted {
    /// Identity of the call.
    pub facts: CallFacts,
    /// What it runs.
    pub plan: Plan,
    /// Money set aside.
    pub reservation: Reservation,
    /// Hard limit on talk time, seconds.
    pub max_duration_s: u64,
    /// Record it.
    pub recording: Option<RecordingSpec>,
    /// The caller is expected behind NAT: latch its RTP, keep to its flow.
    pub nat: bool,
}

/// The answer to [`Admission::admit`].
#[derive(Clone, Debug)]
pub enum Decision {
    /// Go on.
    Admit(Box<Admitted>),
    /// Refused; the record and the event are written already.
    Refuse(Refusal),
}

/// Whom a Dial leg or an API call reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LegTarget {
    /// A number as written.
    Number(String),
    /// A SIP URI as written.
    User(String),
}

/// A further leg of a live session (`<Dial>`).
#[derive(Clone, Debug)]
pub struct LegRequest {
    /// The id the leg's call will have.
    pub call: CallId,
    /// The session's A call.
    pub parent: CallFacts,
    /// Whom.
    pub target: LegTarget,
    /// `callerId` as written; the A leg's caller when absent.
    pub caller_id: Option<String>,
    /// `callerName`.
    pub caller_name: Option<String>,
    /// Custom headers, names without prefix.
    pub custom_headers: Vec<(String, String)>,
    /// Now.
    pub requested_at: Timestamp,
}

/// An admitted leg.
#[derive(Clone, Debug)]
pub struct AdmittedLeg {
    /// Identity of the leg's call.
    pub facts: CallFacts,
    /// In order of preference.
    pub routes: Vec<Route>,
    /// Money set aside.
    pub reservation: Reservation,
    /// Hard limit on talk time, seconds.
    pub max_duration_s: u64,
    /// Record it.
    pub recording: Option<RecordingSpec>,
}

/// The answer to [`Admission::admit_leg`].
#[derive(Clone, Debug)]
pub enum LegDecision {
    /// Go on.
    Admit(Box<AdmittedLeg>),
    /// Refused; the record is written already, unless nothing was decided (`CallerIdNotOwned` makes none).
    Refuse(Refusal),
}

/// An answered call.
#[derive(Clone, Debug)]
pub struct Answered {
    /// The call.
    pub call: CallId,
    /// The instant billing begins.
    pub at: Timestamp,
    /// Every dialog of the call, for a crash.
    pub dialogs: Vec<DialogRecord>,
}

/// The answer to [`Admission::extend`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extension {
    /// The reservation now covers this much talk in all, seconds.
    Covered(Reservation),
    /// No money: hang up when what is covered ends.
    Exhausted,
}

/// Admission, reservation, settlement.
pub trait Admission: Send + Sync {
    /// Decides an authenticated INVITE: one durable command takes the reservation, the concurrency
    /// lease and the `CallInitiated` event, or writes the refusal's record and event.
    fn admit(&self, facts: InviteFacts) -> Pending<'_, Decision>;

    /// Decides a further leg of a session, the same way.
    fn admit_leg(&self, request: LegRequest) -> Pending<'_, LegDecision>;

    /// Takes a channel of a carrier for an INVITE of `call` about to leave, and one of its calls of this second; `None` when the
    /// carrier is at its limit and the next route's turn has come. The carrier is the call's until another one is taken.
    fn seize(&self, call: CallId, carrier: CarrierId) -> Option<CarrierChannel>;

    /// Notes the dialogs of legs being dialled, for a crash. Does not wait; may be dropped under load.
    fn dialling(&self, call: CallId, dialogs: Vec<DialogRecord>);

    /// Makes the answer durable. Awaited before the 200 goes to A.
    fn answered(&self, answered: Answered) -> Pending<'_, Result<(), StoreUnavailable>>;

    /// Asks for more talk time at `elapsed_s` seconds of talk.
    fn extend(&self, call: CallId, elapsed_s: u64) -> Pending<'_, Result<Extension, StoreUnavailable>>;

    /// Notes how long live calls have talked, for the reaper. Does not wait; coalesces.
    fn ticked(&self, elapsed: Vec<(CallId, u64)>);

    /// Settles an ended call: record, ledger, release, events, in one durable command keyed by the call.
    /// Repeating it changes nothing. On error the engine keeps the end and tries again.
    fn ended(&self, end: CallEnd) -> Pending<'_, Result<(), StoreUnavailable>>;

    /// Commands that wait to be made durable: above a few hundred, new calls had better go elsewhere.
    fn backlog(&self) -> usize {
        0
    }

    /// The account that pays for a live call, for tracing.
    fn account_of(&self, call: CallId) -> Option<AccountId>;
}
