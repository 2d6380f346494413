//! Calls as networks make them: proxies in between, late offers, forks, races, lost and repeated messages, challenges.
//! Each scenario is one function here, named in docs/reference/sip-scenarios.md; all run at once on one node, those that
//! wait for SIP's own timers on a second one whose timers are short.

mod carriers;
mod endings;
mod media;
mod offers;
mod overload;
mod phones;
mod routes;
mod timers;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::atomic::{AtomicU16, Ordering};

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tandem_testkit::Answer;

use crate::stage::wire::{Calling, Message, Sdp, Wire};
use crate::stage::{Customer, Trunk, World, WorldOptions};

const PBX: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 6));
const CARRIER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 7));
/// Nobody listens there: RTP of scenarios without audio.
const NOWHERE: SocketAddr = SocketAddr::new(CARRIER, 9);
/// The tag of callees that have one only.
const TAG: &str = "callee";

type Scenario<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// A node with a customer, whose PBX is known by its address.
struct Network {
    world: World,
    customer: Customer,
    number: String,
    trunk: Trunk,
    next: AtomicU16,
}

/// A callee's own carrier, and a number that leads there.
struct Callee {
    wire: Wire,
    to: String,
}

/// An answered call with both ends in hand.
struct Talk<'a> {
    caller: Calling<'a>,
    /// The platform's INVITE to the callee.
    invite: Message,
    /// The platform's 200 to the caller.
    ok: Message,
}

/// What the customer's web server says: a document for calls to its number, nothing to events.
fn customers_document(request: &tandem_testkit::Request) -> Answer {
    if request.path() != "/ring-the-phone" {
        return Answer::status(204);
    }
    Answer::xml(format!(
        "<Response><Dial><User>sip:{}@{}</User></Dial></Response>",
        phones::USER,
        phones::REGISTRAR
    ))
}

impl Network {
    async fn open(environment: Vec<(&'static str, &'static str)>) -> Self {
        let world =
            World::open(WorldOptions { environment, ..WorldOptions::default() }, customers_document).await;
        let customer = world.customer("network", 1_000.0, (1_000, 1_000)).await;
        let number = world.number(&customer).await;
        let trunk = world.trunk(&customer, "pbx").await;
        world.acl(&customer, &trunk, &PBX.to_string()).await;
        Self { world, customer, number, trunk, next: AtomicU16::new(1) }
    }

    /// A callee with a carrier of its own; `further` fields of the carrier override.
    async fn callee(&self, further: Value) -> Callee {
        let wire = Wire::open(CARRIER).await;
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("9190{number:03}");
        let mut fields = json!({"name": prefix, "host": wire.address.ip().to_string(), "port": wire.address.port(),
            "sources": [wire.address.to_string()], "prefixes": [prefix], "priority": 1});
        if let (Some(fields), Value::Object(further)) = (fields.as_object_mut(), further) {
            fields.extend(further);
        }
        self.world.platform.operator("POST", "/admin/carriers", Some(&fields)).await.ok();
        Callee { wire, to: format!("{prefix}12345") }
    }

    /// A call of the PBX to a callee.
    fn calling<'a>(&self, pbx: &'a Wire, callee: &Callee) -> Calling<'a> {
        Calling::new(pbx, self.world.sip(), &self.number, &callee.to, &self.trunk.domain)
    }

    /// A call that is answered at once; nobody speaks.
    async fn talk<'a>(&self, pbx: &'a Wire, callee: &Callee, lines: &str, answer_lines: &str) -> Talk<'a> {
        let mut caller = self.calling(pbx, callee);
        caller.invite(lines, &Sdp::talk(NOWHERE).text()).await;
        let invite = callee.wire.asked("INVITE").await;
        callee.wire.reply(&invite, 200, TAG, answer_lines, &Sdp::talk(NOWHERE).text()).await;
        let ok = caller.answered("").await;
        callee.wire.asked("ACK").await;
        Talk { caller, invite, ok }
    }

    /// Its record and its Hangup event, exactly one of each, of one mind.
    async fn ended(&self, callee: &Callee) -> Ended {
        let mut events = self.world.trunk_events(&self.trunk, &callee.to, 2).await;
        assert_eq!(events.len(), 2, "CallInitiated and Hangup, once each: {events:#?}");
        events.sort_by_key(|event| event["Event"] != "CallInitiated");
        let hangup = events.pop().expect("two");
        let call = hangup["CallUUID"].as_str().expect("an id").to_owned();
        let record = self.world.record(&self.customer, &call).await;
        assert_eq!(record["hangup_cause_code"], hangup["HangupCauseCode"], "{record}");
        assert_eq!(record["billsec"], hangup["Billsec"], "{record}");
        Ended { record, hangup }
    }

    /// No scenario left a second record, a live call or a wrong sum.
    async fn close(self, calls: usize) {
        let records = self.world.records_once(&self.customer, calls).await;
        assert_eq!(records.len(), calls, "one record for each call: {records:#?}");
        assert!(self.world.live_calls(&self.customer).await.is_empty());
        let spent: f64 = records.iter().filter_map(|record| record["total_cost"].as_f64()).sum();
        let balance = self.world.balance(&self.customer.who.id).await;
        assert_eq!(balance, 1_000_000_000 - (spent * 1e6).round() as i64);
        self.world.verify_ledger();
    }
}

impl Talk<'_> {
    /// The caller hangs up, the callee is told.
    async fn end(&mut self, callee: &Wire) {
        self.caller.hang_up().await;
        let bye = callee.asked("BYE").await;
        callee.reply(&bye, 200, "", "", "").await;
    }
}

/// What a call came to, in the record and the webhook.
struct Ended {
    record: Value,
    hangup: Value,
}

impl Ended {
    #[track_caller]
    fn came_to(&self, code: i64, source: &str) -> &Self {
        let told = (&self.record["hangup_cause_code"], &self.record["hangup_source"]);
        assert_eq!(told, (&Value::from(code), &Value::from(source)), "{}", self.record);
        assert_eq!(self.hangup["HangupSource"], source, "{}", self.hangup);
        self
    }

    /// Nobody talked and nobody pays.
    #[track_caller]
    fn is_free(&self) {
        assert_eq!(
            (self.record["billsec"].as_i64(), self.record["total_cost"].as_f64()),
            (Some(0), Some(0.0)),
            "{}",
            self.record
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_as_networks_make_them() {
    let network = Network::open(Vec::new()).await;
    let scenarios = [
        routes::scenarios(&network),
        offers::scenarios(&network),
        endings::scenarios(&network),
        carriers::scenarios(&network),
        media::scenarios(&network),
        phones::scenarios(&network),
    ];
    let calls = run(scenarios.into_iter().flatten()).await;
    network.close(calls).await;
}

/// T1 is 50 ms, so that what SIP gives up after 64 of them takes 3.2 s; sessions may expire after 4 s.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_as_networks_lose_them() {
    let hasty = vec![
        ("TANDEM_SIP__T1_MS", "50"),
        ("TANDEM_SIP__MIN_SESSION_EXPIRES_S", "4"),
        ("TANDEM_SIP__RING_TIMEOUT_S", "4"),
    ];
    let network = Network::open(hasty).await;
    let calls = run(timers::scenarios(&network)).await;
    network.close(calls).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_at_a_full_node() {
    let network = Network::open(vec![("TANDEM_SIP__MAX_SESSIONS", overload::SESSIONS)]).await;
    overload::a_full_node_turns_calls_away_before_it_asks_for_a_password(&network).await;
    network.close(2).await;
}

/// Runs all at once and each to its end; how many calls they made.
async fn run(scenarios: impl IntoIterator<Item = (usize, Scenario<'_>)>) -> usize {
    let (calls, scenarios): (Vec<usize>, Vec<Scenario<'_>>) = scenarios.into_iter().unzip();
    let caught = scenarios.into_iter().map(|scenario| AssertUnwindSafe(scenario).catch_unwind());
    let failed = join_all(caught).await.into_iter().filter(Result::is_err).count();
    assert_eq!(failed, 0, "scenarios failed; each said why above");
    calls.into_iter().sum()
}
