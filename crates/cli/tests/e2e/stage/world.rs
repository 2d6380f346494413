//! A provisioned world: a node, a partner, customers with trunks and numbers, made through the doors that operators,
//! partners and customers use.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};

use serde_json::{Value, json};
use tandem_testkit::{Answer, Credentials, Platform, PlatformOptions, Reply, Request, Sink};

use super::{PATIENCE, genuine, until};

/// RTP ports of one node; nodes of one test process share none.
const RTP_PORTS: u16 = 400;
const FIRST_RTP_PORT: u16 = 10_000;

/// How a world differs from the usual one.
#[derive(Clone, Debug, Default)]
pub(crate) struct WorldOptions {
    /// PostgreSQL instead of SQLite.
    pub(crate) database: Option<String>,
    /// Further environment of the node.
    pub(crate) environment: Vec<(&'static str, &'static str)>,
    /// Without `--dev`.
    pub(crate) plain: bool,
}

/// A node and who uses it.
pub(crate) struct World {
    /// The running node.
    pub(crate) platform: Platform,
    /// The customers' web server.
    pub(crate) sink: Sink,
    /// The one partner.
    pub(crate) partner: Credentials,
    numbers: AtomicU32,
}

/// An account.
#[derive(Clone, Debug)]
pub(crate) struct Customer {
    /// Its id and token.
    pub(crate) who: Credentials,
}

/// A trunk.
#[derive(Clone, Debug)]
pub(crate) struct Trunk {
    /// `trunk_id`.
    pub(crate) id: String,
    /// `trunk_domain`.
    pub(crate) domain: String,
    /// Key of its webhooks.
    pub(crate) secret: String,
}

/// Starts a node with RTP ports of its own.
pub(crate) fn start_node(options: PlatformOptions) -> Platform {
    static NODES: AtomicU16 = AtomicU16::new(0);
    let first = FIRST_RTP_PORT + NODES.fetch_add(1, Ordering::Relaxed) % 50 * RTP_PORTS;
    let mut options = options;
    options.environment.push(("TANDEM_RTP__FIRST_PORT".to_owned(), first.to_string()));
    options.environment.push(("TANDEM_RTP__LAST_PORT".to_owned(), (first + RTP_PORTS - 1).to_string()));
    Platform::start(env!("CARGO_BIN_EXE_tandem"), options)
}

impl World {
    /// Starts a node; its customers' web server answers by `behaviour`. The deck has one line: 0.60 a minute,
    /// by the second, to everywhere in India; calls in are free.
    pub(crate) async fn open(
        options: WorldOptions,
        behaviour: impl Fn(&Request) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::open_with_deck(options, "91,0.60,1,0,0\n", behaviour).await
    }

    /// The same with a deck of one's own.
    pub(crate) async fn open_with_deck(
        options: WorldOptions,
        rates: &str,
        behaviour: impl Fn(&Request) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let sink = Sink::start(behaviour).await;
        let environment = options.environment.iter();
        let platform = start_node(PlatformOptions {
            database: options.database,
            environment: environment.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            plain: options.plain,
            ..PlatformOptions::default()
        });
        let arguments =
            ["partner", "create", "--name", "Partner", "--email", "p@partner.example", "--balance", "100000"];
        let made = platform.admin(&arguments);
        let partner = credentials(&made);
        let csv = format!("prefix,per_minute,pulse,minimum,connection_fee\n{rates}in91,0,60,0,0\n");
        let deck = json!({"currency": "INR", "default": true, "csv": csv});
        platform.operator("PUT", "/admin/decks/standard", Some(&deck)).await.ok();
        Self { platform, sink, partner, numbers: AtomicU32::new(0) }
    }

    /// Opens a customer with so much money, calls per second and live calls.
    pub(crate) async fn customer(&self, name: &str, balance: f64, limits: (u32, u32)) -> Customer {
        let body = json!({"name": name, "email": format!("{name}@customer.example"), "phone": "+919800000001",
            "password": "Change-me-1", "country": "IN", "company": name});
        let made = self.platform.rest("POST", "/partner/accounts", &self.partner, Some(&body)).await.ok();
        let who = credentials(&made);
        let body = json!({"cps_limit": limits.0, "concurrent_limit": limits.1});
        self.platform.operator("PUT", &format!("/admin/accounts/{}", who.id), Some(&body)).await.ok();
        if balance > 0.0 {
            self.transfer(&who.id, balance).await.ok();
        }
        Customer { who }
    }

    /// Money from the partner to a customer.
    pub(crate) async fn transfer(&self, to: &str, amount: f64) -> Reply {
        let path = format!("/partner/accounts/{to}/transfer-balance");
        let body = json!({"amount": amount, "currency": "INR", "description": "for a test"});
        self.platform.rest("POST", &path, &self.partner, Some(&body)).await
    }

    /// A request below `/api/v1/Account/{id}`, as that account.
    pub(crate) async fn api(
        &self,
        customer: &Customer,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Reply {
        let path = format!("/Account/{}{path}", customer.who.id);
        self.platform.rest(method, &path, &customer.who, body).await
    }

    /// A carrier for prefixes, tried in order of priority.
    pub(crate) async fn carrier(&self, name: &str, address: SocketAddr, prefixes: &[&str], priority: u32) {
        let body = json!({"name": name, "host": address.ip().to_string(), "port": address.port(),
            "sources": [address.to_string()], "prefixes": prefixes, "priority": priority});
        self.platform.operator("POST", "/admin/carriers", Some(&body)).await.ok();
    }

    /// Puts new numbers up for sale at a price in whole units.
    pub(crate) async fn stock(&self, count: u32, setup_fee: u32) -> Vec<String> {
        let from = self.numbers.fetch_add(count, Ordering::Relaxed);
        let numbers: Vec<_> = (from..from + count).map(|number| format!("+91804567{number:04}")).collect();
        let body = json!({"numbers": numbers, "country": "IN", "setup_fee": setup_fee.to_string(), "monthly_fee": "0",
            "currency": "INR"});
        self.platform.operator("POST", "/admin/inventory", Some(&body)).await.ok();
        numbers
    }

    /// Gives a customer a number of its own, for nothing. Digits without plus.
    pub(crate) async fn number(&self, customer: &Customer) -> String {
        let number = self.stock(1, 0).await.remove(0);
        let body = json!({ "e164": number });
        self.api(customer, "POST", "/numbers/purchase-from-inventory", Some(&body)).await.ok();
        number.trim_start_matches('+').to_owned()
    }

    /// An outbound trunk; its webhooks go to `/trunk-events` of the sink.
    pub(crate) async fn trunk(&self, customer: &Customer, name: &str) -> Trunk {
        let body = json!({"name": name, "trunk_direction": "outbound", "webhook_url": self.sink.url("trunk-events")});
        let made = self.api(customer, "POST", "/trunks", Some(&body)).await.ok();
        let id = text(&made, "trunk_id");
        let secret = self.api(customer, "GET", &format!("/trunks/{id}/signing-secret"), None).await.ok();
        Trunk { domain: text(&made, "trunk_domain"), secret: text(&secret, "signing_secret"), id }
    }

    /// A user name and password for a trunk.
    pub(crate) async fn credential(
        &self,
        customer: &Customer,
        trunk: &Trunk,
        username: &str,
        password: &str,
    ) {
        let body = json!({"username": username, "password": password, "trunk_id": trunk.id});
        self.api(customer, "POST", "/credentials", Some(&body)).await.ok();
    }

    /// An address a trunk's calls may come from.
    pub(crate) async fn acl(&self, customer: &Customer, trunk: &Trunk, address: &str) {
        let body = json!({"name": "pbx", "ip_address": address, "trunk_id": trunk.id});
        self.api(customer, "POST", "/ip-acl", Some(&body)).await.ok();
    }

    /// An application whose answer URL is a path of the sink; further fields override. Attached to the number.
    pub(crate) async fn application(&self, customer: &Customer, number: &str, answer: &str, further: Value) {
        let mut body = json!({"app_name": format!("app-{number}"), "answer_url": self.sink.url(answer),
            "answer_method": "POST", "hangup_url": self.sink.url(&format!("{answer}-hangup")), "hangup_method": "POST"});
        if let (Some(body), Value::Object(further)) = (body.as_object_mut(), further) {
            body.extend(further);
        }
        let made = self.api(customer, "POST", "/Application/", Some(&body)).await.ok();
        let body = json!({"application_id": text(&made, "app_id")});
        self.api(customer, "POST", &format!("/numbers/%2B{number}/application"), Some(&body)).await.ok();
    }

    /// What an account has, in micro-units: available and held together.
    pub(crate) async fn balance(&self, account: &str) -> i64 {
        let account = self.platform.operator("GET", &format!("/admin/accounts/{account}"), None).await.ok();
        let balance = text(&account, "balance");
        let (whole, fraction) = balance.split_once('.').expect("a decimal");
        assert_eq!(fraction.len(), 6, "{balance} is not said to the micro-unit");
        format!("{whole}{fraction}").parse().expect("digits")
    }

    /// The one record of a call, once it is there.
    pub(crate) async fn record(&self, customer: &Customer, call: &str) -> Value {
        until(format!("record of {call}"), || async {
            let reply = self.api(customer, "GET", &format!("/cdr/{call}"), None).await;
            (reply.status == 200).then(|| reply.body["data"].clone())
        })
        .await
    }

    /// All records of an account.
    pub(crate) async fn records(&self, customer: &Customer) -> Vec<Value> {
        let listed = self.api(customer, "GET", "/cdr?per_page=100", None).await.ok();
        listed["data"].as_array().cloned().unwrap_or_else(|| panic!("no data: {listed}"))
    }

    /// Waits until an account has so many records, and returns them.
    pub(crate) async fn records_once(&self, customer: &Customer, count: usize) -> Vec<Value> {
        until(format!("{count} records"), || async {
            let records = self.records(customer).await;
            (records.len() >= count).then_some(records)
        })
        .await
    }

    /// Live calls of an account.
    pub(crate) async fn live_calls(&self, customer: &Customer) -> Vec<String> {
        let listed = self.api(customer, "GET", "/Call?status=live", None).await.ok();
        let calls = listed["calls"].as_array().cloned().unwrap_or_default();
        calls.iter().filter_map(|call| call.as_str().map(str::to_owned)).collect()
    }

    /// The trunk events of the call between two numbers, once there are so many; signatures checked.
    pub(crate) async fn trunk_events(&self, trunk: &Trunk, to: &str, count: usize) -> Vec<Value> {
        let concerns = |request: &Request| {
            let event = request.json();
            event["TrunkID"] == trunk.id.as_str() && event["To"] == to
        };
        let all =
            self.sink.wait(PATIENCE, |all| all.iter().filter(|one| concerns(one)).count() >= count).await;
        let events: Vec<_> = all.iter().filter(|one| concerns(one)).collect();
        for event in &events {
            genuine::trunk_event(&trunk.secret, event);
        }
        events.iter().map(|event| event.json()).collect()
    }

    /// The ledger's own proof.
    ///
    /// # Panics
    /// When it does not verify.
    #[track_caller]
    pub(crate) fn verify_ledger(&self) {
        let verdict = self.platform.admin(&["verify-ledger"]);
        assert_eq!(verdict["ok"], true, "{verdict}");
    }

    /// Where SIP is served.
    pub(crate) fn sip(&self) -> SocketAddr {
        self.platform.sip
    }
}

/// A second node on a world's database: its own data folder with the same master key.
pub(crate) fn second_node(world: &World, database: &str, folder: PathBuf) -> Platform {
    std::fs::copy(world.platform.data().join("master.key"), folder.join("master.key"))
        .expect("the key is there");
    start_node(PlatformOptions {
        database: Some(database.to_owned()),
        node: Some("tandem-2".to_owned()),
        data: Some(folder),
        ..PlatformOptions::default()
    })
}

fn credentials(made: &Value) -> Credentials {
    Credentials { id: text(made, "auth_id"), token: text(made, "auth_token") }
}

/// A member that must be there.
///
/// # Panics
/// When it is not.
#[track_caller]
pub(crate) fn text(value: &Value, member: &str) -> String {
    value[member].as_str().unwrap_or_else(|| panic!("no {member} in {value}")).to_owned()
}
