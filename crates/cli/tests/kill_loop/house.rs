//! What the loop needs on the platform, provisioned through the doors that an operator, a partner and a customer use.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tandem_testkit::{Credentials, Platform};

use super::customer::{ANSWER, Customer, HANGUP, Keys, TRUNK_EVENTS};
use super::evidence::{Books, Record, record};

/// Per minute, billed by the second: 10,000 micro-units a second out, 5,000 in.
const DECK: &str = "prefix,per_minute,pulse,minimum,connection_fee\n91,0.60,1,0,0\nin91,0.30,1,0,0\n";
pub(crate) const SECOND_MICROS: (i64, i64) = (10_000, 5_000);
/// The customer's number; calls to it run the application.
pub(crate) const NUMBER: &str = "+918045671200";
/// The PBX's user.
pub(crate) const PBX_USER: &str = "loop-pbx";
const PBX_PASSWORD: &str = "kept-by-the-pbx-42";
/// Far above what the loop makes live at once, so that no refusal is for lack of room.
const LIMIT: u32 = 5_000;
/// Rows of a page of records.
const PAGE: usize = 100;

/// The provisioned customer.
#[derive(Clone, Debug)]
pub(crate) struct House {
    pub(crate) account: Credentials,
    pub(crate) trunk_domain: String,
    pub(crate) opening_micros: i64,
}

impl House {
    /// The PBX's user and password.
    pub(crate) fn pbx_credentials() -> (String, String) {
        (PBX_USER.to_owned(), PBX_PASSWORD.to_owned())
    }

    /// Provisions, with a `pause` after each step: a platform that is told to answer before it has stored something must
    /// be given the time, or there is nothing to kill.
    pub(crate) async fn build(
        platform: &Platform,
        customer: &Customer,
        carrier: SocketAddr,
        pause: Duration,
    ) -> Self {
        let operator = async |method: &str, path: &str, body: Value| {
            let reply = platform.operator(method, path, Some(&body)).await.ok();
            tokio::time::sleep(pause).await;
            reply
        };
        let partner = json!({"name": "Loop Partner", "email": "partner@loop.example", "currency": "INR",
            "balance": "1000000", "country": "IN"});
        let partner = operator("POST", "/admin/partners", partner).await;
        let partner = credentials(&partner);
        let carrier = json!({"name": "simulator", "host": carrier.ip().to_string(), "port": carrier.port(),
            "sources": [carrier.to_string()]});
        operator("POST", "/admin/carriers", carrier).await;
        operator("PUT", "/admin/decks/standard", json!({"currency": "INR", "default": true, "csv": DECK}))
            .await;
        let inventory = json!({"numbers": [NUMBER], "country": "IN", "setup_fee": "0", "monthly_fee": "0",
            "currency": "INR"});
        operator("POST", "/admin/inventory", inventory).await;

        let account = json!({"name": "Loop Customer", "email": "customer@loop.example", "phone": "+919800000001",
            "password": "Change-me-1", "country": "IN", "company": "Loop"});
        let as_partner = async |path: &str, body: Value| {
            let reply = platform.rest("POST", path, &partner, Some(&body)).await.ok();
            tokio::time::sleep(pause).await;
            reply
        };
        let account = credentials(&as_partner("/partner/accounts", account).await);
        let limits = json!({"cps_limit": LIMIT, "concurrent_limit": LIMIT});
        operator("PUT", &format!("/admin/accounts/{}", account.id), limits).await;
        let transfer = json!({"amount": 100_000, "currency": "INR", "description": "Opening"});
        as_partner(&format!("/partner/accounts/{}/transfer-balance", account.id), transfer).await;

        let base = format!("/Account/{}", account.id);
        let call = async |method: &str, path: &str, body: Option<Value>| {
            let reply = platform.rest(method, &format!("{base}{path}"), &account, body.as_ref()).await.ok();
            tokio::time::sleep(pause).await;
            reply
        };
        let trunk =
            json!({"name": "loop", "trunk_direction": "outbound", "webhook_url": customer.url(TRUNK_EVENTS)});
        let trunk = call("POST", "/trunks", Some(trunk)).await;
        let trunk_id = text(&trunk, "trunk_id");
        let pbx = json!({"username": PBX_USER, "password": PBX_PASSWORD, "trunk_id": trunk_id});
        call("POST", "/credentials", Some(pbx)).await;
        let secret = call("GET", &format!("/trunks/{trunk_id}/signing-secret"), None).await;
        call("POST", "/numbers/purchase-from-inventory", Some(json!({"e164": NUMBER}))).await;
        let application = json!({"app_name": "loop", "answer_url": customer.url(ANSWER), "answer_method": "POST",
            "hangup_url": customer.url(HANGUP), "hangup_method": "POST"});
        let application = call("POST", "/Application/", Some(application)).await;
        let path = format!("/numbers/%2B{}/application", NUMBER.trim_start_matches('+'));
        call("POST", &path, Some(json!({"application_id": application["app_id"]}))).await;

        customer.trust(Keys {
            account_token: account.token.clone(),
            trunk_secret: text(&secret, "signing_secret"),
        });
        let opening_micros = balance(platform, &account, "balance").await;
        Self { trunk_domain: text(&trunk, "trunk_domain"), account, opening_micros }
    }

    /// Every record, by REST. What the lists add up to is a daily roll-up and a tail: it must be what the records say, however
    /// often the job that folds them was killed.
    pub(crate) async fn records(&self, platform: &Platform) -> Vec<Record> {
        let mut records = Vec::new();
        for page in 1.. {
            let path = format!("/Account/{}/cdr?per_page={PAGE}&page={page}", self.account.id);
            let list = platform.rest("GET", &path, &self.account, None).await.ok();
            let rows = list["data"].as_array().map(Vec::as_slice).unwrap_or_default();
            records.extend(rows.iter().map(record));
            let (counted, cost) = (&list["summary"]["totalCalls"], list["summary"]["total_cost"].as_f64());
            if rows.len() < PAGE {
                assert_eq!(*counted, records.len(), "the roll-up counts every record once");
                let sum: i64 = records.iter().map(|record| record.cost_micros).sum();
                let told = cost.map(|cost| (cost * 1e6).round() as i64);
                assert_eq!(told, Some(sum), "and adds up every price once");
                break;
            }
        }
        records
    }

    /// How many calls the platform says are live.
    pub(crate) async fn live_calls(&self, platform: &Platform) -> u64 {
        let account =
            platform.operator("GET", &format!("/admin/accounts/{}", self.account.id), None).await.ok();
        account["live_calls"].as_u64().expect("live_calls")
    }

    /// The books as they stand.
    pub(crate) async fn books(&self, platform: &Platform) -> Books {
        let mut listed_live = 0;
        for status in ["live", "queued"] {
            let path = format!("/Account/{}/Call/?status={status}", self.account.id);
            let list = platform.rest("GET", &path, &self.account, None).await.ok();
            listed_live += list["calls"].as_array().expect("calls").len();
        }
        let ledger = platform.operator("GET", "/admin/ledger/verify", None).await.ok();
        Books {
            opening_micros: self.opening_micros,
            closing_micros: balance(platform, &self.account, "balance").await,
            held_micros: balance(platform, &self.account, "held").await,
            live_calls: self.live_calls(platform).await,
            listed_live,
            ledger: (ledger["ok"] != true).then(|| short(&ledger.to_string())),
            second_micros: SECOND_MICROS,
        }
    }
}

/// The operator's view writes money with six decimals.
async fn balance(platform: &Platform, account: &Credentials, member: &str) -> i64 {
    let account = platform.operator("GET", &format!("/admin/accounts/{}", account.id), None).await.ok();
    let text = text(&account, member);
    let (units, micros) = text.split_once('.').expect("six decimals");
    assert_eq!(micros.len(), 6, "{text}");
    format!("{units}{micros}").parse().expect("an amount")
}

fn credentials(account: &Value) -> Credentials {
    Credentials { id: text(account, "auth_id"), token: text(account, "auth_token") }
}

#[track_caller]
fn text(value: &Value, member: &str) -> String {
    value[member].as_str().unwrap_or_else(|| panic!("no {member} in {value}")).to_owned()
}

fn short(text: &str) -> String {
    text.chars().take(600).collect()
}
