//! Two partners, a customer with one of everything, its neighbour and its sub-account: built once, then copied for every
//! operation, so that each meets it fresh. Everything of the customer holds the word "canary".

use std::path::PathBuf;

use serde_json::{Value, json};
use tandem_model::{AccountId, CallId, Currency, Money, Rate, clock};
use tandem_store::calls::{CallContext, CallRecord, LiveState, NewCall, RefuseCall, ReserveCall};
use tokio::sync::OnceCell;

use super::database::Witness;
use crate::api::openapi::{Operation, Shape, Who, replaced, replaced_in, sample};
use crate::api::tests::{House, Login, login};
use crate::auth::Vault;
use crate::config::Overrides;

const FREE: Rate = Rate { per_minute: Money::ZERO, pulse_s: 60, minimum_s: 0, connection_fee: Money::ZERO };

/// What does not change from copy to copy.
pub(super) struct Facts {
    _folder: tempfile::TempDir,
    database: PathBuf,
    /// The customer everything belongs to.
    pub(super) owner: Login,
    /// Another customer of the same partner.
    pub(super) sibling: Login,
    /// The owner's partner.
    pub(super) partner: Login,
    /// Another partner, with a customer of its own.
    pub(super) other_partner: Login,
    /// The owner's sub-account.
    pub(super) sub: Login,
    /// The owner's id with a token that is no longer good.
    pub(super) revoked: Login,
    /// The same of the partner.
    pub(super) revoked_partner: Login,
    /// Ids, by the name of the placeholder; those of `{id}` by the segment before it.
    ids: Vec<(&'static str, String)>,
}

/// A copy of the world.
pub(super) struct World {
    pub(super) house: House,
    pub(super) facts: &'static Facts,
}

/// One request.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) method: &'static str,
    pub(super) path: String,
    pub(super) body: Option<Value>,
}

fn options() -> Overrides {
    Overrides::default()
        .set("mail.smtp_url", "smtp://127.0.0.1:1")
        .set("mail.from", "kyc@acme.example")
        .set("kyc.verifier", "sandbox")
        .set("payments.provider", "sandbox")
        .set("api.logins_per_minute", 100_000)
        .set("api.logins_per_minute_source", 100_000)
}

async fn facts() -> &'static Facts {
    static FACTS: OnceCell<Facts> = OnceCell::const_new();
    FACTS.get_or_init(build).await
}

impl World {
    /// A fresh copy.
    pub(super) async fn fresh() -> Self {
        let facts = facts().await;
        let folder = tempfile::tempdir().unwrap();
        std::fs::copy(&facts.database, folder.path().join("tandem.db")).unwrap();
        std::fs::create_dir(folder.path().join("recordings")).unwrap();
        std::fs::write(folder.path().join("recordings/canary.wav"), "RIFF canary").unwrap();
        Self { house: House::at(folder, options()).await, facts }
    }

    pub(super) fn witness(&self) -> Witness {
        Witness::of(&self.house.database())
    }

    /// Who an operation is made for.
    pub(super) fn owner_of(&self, operation: &Operation) -> &'static Login {
        match operation.who {
            Who::Partner => &self.facts.partner,
            _ => &self.facts.owner,
        }
    }

    /// The example request, about what is the owner's.
    pub(super) fn example(&self, operation: &Operation) -> Request {
        let value = |name: &str| self.facts.value(operation, name);
        Request {
            method: operation.method,
            path: replaced(&operation.pattern, &value) + &query(operation, &value),
            body: operation.example().map(|body| replaced_in(&body, &value)),
        }
    }

    /// The same with one parameter of the path replaced.
    pub(super) fn example_with(&self, operation: &Operation, parameter: &str, other: &str) -> Request {
        let value = |name: &str| self.facts.value(operation, name);
        let path = |name: &str| if name == parameter { Some(other.to_owned()) } else { value(name) };
        Request {
            path: replaced(&operation.pattern, &path) + &query(operation, &value),
            ..self.example(operation)
        }
    }

    /// Status and text of the answer.
    pub(super) async fn send(&self, request: &Request, who: Option<&Login>, dialect: &str) -> (u16, String) {
        let mut headers = vec![("content-type", "application/json")];
        match dialect {
            "python" => headers.push(("x-fern-language", "Python")),
            "fern" => headers.push(("x-fern-language", "JavaScript")),
            _ => {}
        }
        if let Some(who) = who {
            headers.extend([("x-auth-id", who.id.as_str()), ("x-auth-token", who.token.as_str())]);
        }
        let body = request.body.as_ref().map(Value::to_string).unwrap_or_default();
        let path = format!("/api/v1{}", request.path);
        let (status, _, text) = self.house.bytes(request.method, &path, &headers, body.into_bytes()).await;
        (status, text)
    }
}

/// The example's query: whole numbers that may be left out are.
fn query(operation: &Operation, value: &dyn Fn(&str) -> Option<String>) -> String {
    let parts = operation
        .query
        .iter()
        .filter(|field| field.required || !matches!(field.shape, Shape::Whole { .. }))
        .filter_map(|field| {
            let example = match field.example.as_ref()? {
                Value::String(text) => replaced(text, value),
                other => other.to_string(),
            };
            Some(format!("{}={example}", field.name))
        });
    let query = parts.collect::<Vec<_>>().join("&");
    if query.is_empty() { query } else { format!("?{query}") }
}

impl Facts {
    /// What stands for a placeholder in an operation.
    fn value(&self, operation: &Operation, name: &str) -> Option<String> {
        let pattern = operation.pattern.as_str();
        let changes = operation.method != "GET";
        let key = match name {
            "id" => pattern.split('/').rev().skip_while(|part| *part != "{id}").nth(1).unwrap_or_default(),
            "call_uuid" if pattern.contains("/cdr") => "record",
            "e164" if changes && operation.method == "POST" && pattern.ends_with("/assign") => "free_e164",
            "e164" if pattern.ends_with("/cancel-release") => "pending_e164",
            "e164" if pattern.ends_with("/assign-subaccount") && operation.method == "DELETE" => "sub_e164",
            "e164" if pattern.contains("/PhoneNumber/") || pattern.contains("/AvailablePrefix/") => {
                "spare_e164"
            }
            "app_id" if operation.method == "DELETE" => "free_app_id",
            name => name,
        };
        let key =
            if key == "kyc-sessions" && pattern.starts_with("/sub-accounts") { "sub-session" } else { key };
        let own = self.ids.iter().find(|(name, _)| *name == key).map(|(_, value)| value.clone());
        own.or_else(|| Some(sample(name)?.value.to_owned()))
    }

    /// What only the owner may see or touch: ids and the planted word.
    pub(super) fn canaries(&self) -> Vec<&str> {
        let ids = self.ids.iter().filter(|(name, _)| {
            !matches!(*name, "currency" | "month" | "email" | "own_email" | "partner_email" | "spare_e164")
        });
        let ids = ids.map(|(_, value)| value.trim_start_matches('+'));
        ids.chain(["canary", &self.owner.token, &self.sub.token, &self.partner.token]).collect()
    }

    /// Whose rows a stranger must not change.
    pub(super) fn tenants(&self) -> [&str; 3] {
        [&self.owner.id, &self.sub.id, "canary"]
    }
}

async fn build() -> Facts {
    let house = House::open_with(options()).await;
    let currency = "INR".to_owned();
    let deck = "prefix,name,rate,pulse,minimum\n91,India,0.6,60,0\n";
    let _ = house.admin("PUT", "/admin/decks/canary", json!({"csv": deck, "currency": "INR"})).await;
    let stock = json!({"numbers": ["+918045670001", "+918045670002", "+918045670003", "+918045670004",
        "+918045670005", "+918045670006"],
        "country": "IN", "setup_fee": "100", "monthly_fee": "500", "currency": "INR"});
    let stocked = house.admin("POST", "/admin/inventory", stock).await;
    assert_eq!(stocked.body["added"], 6, "{}", stocked.body);
    let partner = json!({"name": "Acme", "email": "canary.p@acme.example", "currency": "INR",
        "balance": "1000", "password": "Change-me-1"});
    let partner = login(&house.admin("POST", "/admin/partners", partner).await.body);
    let other_partner = house.partner("q@other.example").await;
    house
        .admin(
            "POST",
            &format!("/admin/accounts/{}/credit", partner.id),
            json!({"amount": "19000", "reference": "r"}),
        )
        .await;
    let old_owner = house.customer(&partner, "canary.a@shop.example", 9000).await;
    let sibling = house.customer(&partner, "b@shop.example", 2000).await;
    let other = house.customer(&other_partner, "c@else.example", 500).await;
    house.run_sql(&format!(
        "update account set name = 'canary owner', company = 'canary ltd', description = 'canary' where auth_id = '{}'",
        old_owner.id
    )).await;
    let vault = Vault::from_master(&[7; 32]);
    let owner = replace_token(&house, &vault, &old_owner, "tk_canary_owner_token").await;
    let revoked_partner = partner.clone();
    let partner = replace_token(&house, &vault, &partner, "tk_canary_partner_token").await;
    let own = |path: &str| format!("/Account/{}{path}", owner.id);
    let make = async |path: String, who: &Login, body: Value, key: &str| {
        let made = house.ask("POST", &path, who, body).await;
        assert!((200..300).contains(&made.status), "{path}: {}", made.body);
        made.body[key].as_str().unwrap_or_default().to_owned()
    };
    let sub = json!({"name": "canary team", "email": "canary.s@shop.example", "kyc_mode": "customer_use",
        "business_type": "private_limited"});
    let sub = house.ask("POST", &own("/sub-accounts"), &owner, sub).await;
    assert_eq!(sub.status, 201, "{}", sub.body);
    let sub = login(&sub.body);
    let signed_in = json!({"email": "canary.a@shop.example", "password": "Change-me-1"});
    let refresh = make("/auth/login".to_owned(), &owner, signed_in, "refresh_token").await;
    for number in ["+918045670001", "+918045670002", "+918045670004", "+918045670005"] {
        make(own("/numbers/purchase-from-inventory"), &owner, json!({ "e164": number }), "message").await;
    }
    let application = json!({"app_name": "canary app", "answer_url": "https://canary.example/answer"});
    let app = make(own("/Application"), &owner, application.clone(), "app_id").await;
    let free_app = make(own("/Application"), &owner, application, "app_id").await;
    let endpoint = json!({"username": "canaryphone", "password": "canary-pass-1", "application": app});
    let endpoint = make(own("/Endpoint"), &owner, endpoint, "endpoint_id").await;
    let trunk = json!({"name": "canary trunk"});
    let trunk = make(own("/trunks"), &owner, trunk, "trunk_id").await;
    let credential = json!({"username": "canarypbx", "password": "canary-pass-2", "trunk_id": trunk});
    let credential = make(own("/credentials"), &owner, credential, "id").await;
    let acl = json!({"ip_address": "9.9.9.1", "name": "canary office", "trunk_id": trunk});
    let acl = make(own("/ip-acl"), &owner, acl, "id").await;
    let uri = json!({"sip_uri": "sip:canary.example:5060", "trunk_id": trunk});
    let uri = make(own("/origination-uris"), &owner, uri, "id").await;
    make(own("/numbers/918045670001/assign"), &owner, json!({ "trunk_group_id": trunk }), "").await;
    make(own("/numbers/918045670001/application"), &owner, json!({ "application_id": app }), "").await;
    make(own("/numbers/918045670004/assign-subaccount"), &owner, json!({ "sub_account_id": sub.id }), "")
        .await;
    let ended = house.ask("DELETE", &own("/numbers/918045670005"), &owner, Value::Null).await;
    assert_eq!(ended.body["status"], "pending_release", "{}", ended.body);
    let session = json!({"account_auth_id": owner.id, "customer_email": "canary.a@shop.example",
        "metadata": {"order": "canary-1"}});
    let session = make("/partner/kyc-sessions".to_owned(), &partner, session, "session_id").await;
    let sub_session = json!({"customer_email": "canary.s@shop.example"});
    let sub_session =
        make(format!("/sub-accounts/{}/kyc-sessions", sub.id), &owner, sub_session, "session_id").await;
    house.run_sql("update kyc_session set mailed_at = mailed_at - 3600000000").await;
    let payment = json!({"amount": 250, "return_url": "https://canary.example/paid"});
    let payment = make(own("/payments"), &owner, payment, "payment_id").await;
    let given = format!("/partner/accounts/{}/concurrency/transfer", owner.id);
    make(given, &partner, json!({"slots": 2, "description": "canary"}), "").await;
    let link = "pwl_canary_link_token";
    house
        .run_sql(&format!(
            "insert into password_link (hash, account_id, expires_at, created_at) values ('{}', '{}', 4000000000000000, 0)",
            vault.token_hash(link),
            owner.id
        ))
        .await;
    let pending = format!("/sub-accounts/test/{}/kyc/verify-pan", sub.id);
    make(pending, &owner, json!({"pan": "TESTPENDING001"}), "").await;
    let live = CallId::random();
    house.submit(ReserveCall { call: live_call(live, &owner), events: Vec::new() }).await;
    let recording = tandem_model::Ids::random().to_string();
    house.run_sql(&recorded(&recording, live, &owner)).await;
    let subscription = tandem_model::Ids::random().to_string();
    house
        .run_sql(&format!(
            "insert into channel_subscription (id, account_id, resource, quantity, monthly_cost, currency, last_billing_at,
               next_billing_at, purchased_at, created_at, updated_at)
             values ('{subscription}', '{}', 'cps', 3, 3897000000, 'INR', 0, 4000000000000000, 0, 0, 0)",
            owner.id
        ))
        .await;
    let record = record(&owner);
    let record_id = record.uuid.to_string();
    house.submit(RefuseCall { record, events: Vec::new() }).await;
    let theirs = CallRecord {
        caller_id_name: "somebody".to_owned(),
        caller_id_number: "918045679999".to_owned(),
        ..self::record(&other)
    };
    house.submit(RefuseCall { record: theirs, events: Vec::new() }).await;

    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("template.db");
    let connection = rusqlite::Connection::open(house.database()).unwrap();
    connection.execute("vacuum into ?1", [database.to_str().unwrap()]).unwrap();
    let revoked = Login { id: owner.id.clone(), token: old_owner.token };
    let ids = vec![
        ("auth_id", owner.id.clone()),
        ("customer", owner.id.clone()),
        ("sub_auth_id", sub.id.clone()),
        ("currency", currency),
        ("email", "person@shop.example".to_owned()),
        ("own_email", "canary.a@shop.example".to_owned()),
        ("partner_email", "canary.p@acme.example".to_owned()),
        ("refresh_token", refresh),
        ("password_link", link.to_owned()),
        ("e164", "+918045670001".to_owned()),
        ("free_e164", "+918045670002".to_owned()),
        ("spare_e164", "+918045670003".to_owned()),
        ("sub_e164", "+918045670004".to_owned()),
        ("pending_e164", "+918045670005".to_owned()),
        ("app_id", app),
        ("free_app_id", free_app),
        ("endpoint_id", endpoint),
        ("trunk_id", trunk),
        ("credentials", credential),
        ("ip-acl", acl),
        ("origination-uris", uri),
        ("kyc-sessions", session),
        ("sub-session", sub_session),
        ("payment_id", payment),
        ("month", format!("{}.csv", clock::wall().strftime("%Y-%m"))),
        ("call_uuid", live.to_string()),
        ("recording_id", recording),
        ("subscription_id", subscription),
        ("record", record_id),
    ];
    Facts {
        _folder: folder,
        database,
        owner,
        sibling,
        partner,
        other_partner,
        sub,
        revoked,
        revoked_partner,
        ids,
    }
}

/// Another token; the one before is no longer good.
async fn replace_token(house: &House, vault: &Vault, who: &Login, token: &str) -> Login {
    house
        .run_sql(&format!(
            "update account set token_hash = '{}' where auth_id = '{}'",
            vault.token_hash(token),
            who.id
        ))
        .await;
    Login { id: who.id.clone(), token: token.to_owned() }
}

/// A recording of the live call, on this node's disk.
fn recorded(id: &str, call: CallId, owner: &Login) -> String {
    format!(
        "insert into recording (recording_id, account_id, call_uuid, kind, format, from_number, to_number, node, file, bytes,
           duration_ms, started_at, created_at)
         select '{id}', '{}', '{call}', 'trunk', 'wav', '+918045670001', '+919812345678', '{}', 'canary.wav', 11, 31040,
           1790000000000000, {now}",
        owner.id,
        crate::config::load(None, &Overrides::default()).unwrap().config.node.name,
        now = clock::wall().as_microsecond(),
    )
}

fn live_call(call: CallId, owner: &Login) -> NewCall {
    NewCall {
        call,
        account: AccountId::new(&owner.id),
        parent_call: None,
        state: LiveState::InProgress,
        direction: tandem_model::CallDirection::Outbound,
        from: "918045670001".to_owned(),
        to: "919812345678".to_owned(),
        trunk: None,
        carrier: None,
        application: None,
        currency: Currency::INR,
        facts: json!({"facts": {"account": owner.id, "caller_name": "canary caller"}}).to_string(),
        plan: "{}".to_owned(),
        rate: FREE,
        hold: Money::ZERO,
        covered_s: None,
        started_at: clock::wall(),
        dialogs: Vec::new(),
    }
}

fn record(owner: &Login) -> CallRecord {
    let now = clock::wall();
    CallRecord {
        id: 0,
        uuid: CallId::random(),
        account: AccountId::new(&owner.id),
        sub_account: None,
        answer_time: None,
        billsec: 0,
        bridge_uuid: None,
        call_direction: tandem_model::CallDirection::Outbound,
        caller_id_name: "canary caller".to_owned(),
        caller_id_number: "918045670001".to_owned(),
        campaign_id: None,
        carrier_ip: None,
        codec: None,
        context: CallContext::VoiceApi,
        cost: Money::ZERO,
        created_at: now,
        currency: Currency::INR,
        customer_endpoint: None,
        destination_number: "919812345678".to_owned(),
        duration: 7,
        end_time: now,
        failure_code: None,
        failure_reason: None,
        hangup_cause: None,
        hangup_cause_code: None,
        hangup_cause_name: None,
        hangup_disposition: None,
        hangup_source: None,
        jitter_micros: None,
        mos_milli: None,
        network_addr: None,
        origination_region: "IN".to_owned(),
        packet_loss_milli: None,
        progress_time: None,
        region: "IN".to_owned(),
        ring_time: 7,
        sip_call_id: "x".to_owned(),
        sip_user_agent: None,
        start_time: now,
        streaming_cost: Money::ZERO,
        terminated_to: None,
        trunk: None,
        updated_at: now,
        parent_call: None,
        application: None,
        carrier: None,
        refused: true,
        code: None,
        occurrences: 1,
        rate: FREE,
        recording: None,
        answered_while_cancelling: false,
    }
}
