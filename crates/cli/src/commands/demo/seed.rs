//! What the demo provisions, through the same doors a partner, a customer and an operator use. Remembered
//! in the data folder, so that a second start finds everything as it was.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context as _;
use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::app::ExampleApp;
use crate::http as wire;

/// Price of a minute in the demo's deck, in micro-units; pulses of 60 s.
pub(super) const MINUTE_MICROS: i64 = 450_000;
/// Opening balance of the customer.
const BALANCE: &str = "1000";

/// Everything provisioned: secrets included, so the file is the owner's only.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Seeds {
    pub(super) partner_id: String,
    pub(super) partner_token: String,
    pub(super) account_id: String,
    pub(super) account_token: String,
    pub(super) outbound_trunk: String,
    pub(super) outbound_domain: String,
    pub(super) trunk_username: String,
    pub(super) trunk_password: String,
    pub(super) trunk_secret: String,
    pub(super) inbound_trunk: String,
    pub(super) inbound_secret: String,
    pub(super) number: String,
    pub(super) trunk_number: String,
    pub(super) application: String,
    pub(super) endpoint: String,
    pub(super) endpoint_password: String,
    pub(super) registrar: String,
    #[serde(default)]
    phone_application: String,
    #[serde(default)]
    origination_uri: String,
}

/// The doors.
pub(super) struct Doors<'a> {
    pub(super) api: &'a str,
    pub(super) data: &'a Path,
}

impl Doors<'_> {
    /// The operator's door.
    pub(super) async fn operator(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> anyhow::Result<Value> {
        let socket = self.data.join("admin.sock");
        wire::accepted(wire::to_socket(&socket, method, path, body.as_ref()).await?)
            .with_context(|| format!("operator {path}"))
    }

    /// The API, as somebody.
    pub(super) async fn api(
        &self,
        method: Method,
        path: &str,
        id: &str,
        token: &str,
        body: Option<Value>,
    ) -> anyhow::Result<Value> {
        let url = format!("{}/api/v1{path}", self.api);
        let headers = [("x-auth-id", id), ("x-auth-token", token)];
        wire::accepted(wire::to_url(method.clone(), &url, &headers, body.as_ref()).await?)
            .with_context(|| format!("{method} {path}"))
    }
}

/// Provisions on the first start; afterwards only points things at this run's ports.
pub(super) async fn provision(
    doors: &Doors<'_>,
    app: &ExampleApp,
    carrier: SocketAddr,
    customer_pbx: SocketAddr,
) -> anyhow::Result<Seeds> {
    let path = doors.data.join("demo.json");
    let seeds = match std::fs::read(&path) {
        Ok(bytes) => {
            let seeds: Seeds = serde_json::from_slice(&bytes).context("demo.json in the data folder")?;
            point(doors, &seeds, app, carrier, customer_pbx).await?;
            seeds
        }
        Err(_) => {
            let seeds = first(doors, app, carrier, customer_pbx).await?;
            write_private(&path, &serde_json::to_vec_pretty(&seeds)?)?;
            seeds
        }
    };
    let secrets = [seeds.trunk_secret.clone(), seeds.inbound_secret.clone()];
    app.trust(&seeds.account_token, &secrets, &seeds.number);
    Ok(seeds)
}

async fn first(
    doors: &Doors<'_>,
    app: &ExampleApp,
    carrier: SocketAddr,
    customer_pbx: SocketAddr,
) -> anyhow::Result<Seeds> {
    let operator =
        |method, path: String, body| async move { doors.operator(method, &path, Some(body)).await };
    let partner = operator(
        Method::POST,
        "/admin/partners".to_owned(),
        json!({"name": "Demo Partner", "email": "partner@demo.example", "currency": "INR", "balance": "100000", "country": "IN"}),
    )
    .await?;
    let (partner_id, partner_token) = (text(&partner, "auth_id")?, text(&partner, "auth_token")?);
    operator(
        Method::POST,
        "/admin/carriers".to_owned(),
        json!({"name": "simulator", "host": carrier.ip().to_string(), "port": carrier.port(),
            "sources": [carrier.to_string()]}),
    )
    .await?;
    let csv = "prefix,per_minute,pulse,minimum,connection_fee\n91,0.45,60,0,0\nin91,0,60,0,0\n";
    operator(
        Method::PUT,
        "/admin/decks/standard".to_owned(),
        json!({"currency": "INR", "default": true, "csv": csv}),
    )
    .await?;
    let (number, trunk_number) = ("+918045671200".to_owned(), "+918045671201".to_owned());
    operator(
        Method::POST,
        "/admin/inventory".to_owned(),
        json!({"numbers": [number, trunk_number], "country": "IN", "setup_fee": "0", "monthly_fee": "0", "currency": "INR"}),
    )
    .await?;

    let as_partner = |path: &str, body| {
        let path = path.to_owned();
        let (id, token) = (partner_id.clone(), partner_token.clone());
        async move { doors.api(Method::POST, &path, &id, &token, Some(body)).await }
    };
    let customer = as_partner(
        "/partner/accounts",
        json!({"name": "Demo Customer", "email": "customer@demo.example", "phone": "+919800000001",
            "password": "Change-me-1", "country": "IN", "company": "Demo"}),
    )
    .await?;
    let (account_id, account_token) = (text(&customer, "auth_id")?, text(&customer, "auth_token")?);
    operator(
        Method::PUT,
        format!("/admin/accounts/{account_id}"),
        json!({"cps_limit": 100, "concurrent_limit": 100}),
    )
    .await?;
    let amount: f64 = BALANCE.parse()?;
    as_partner(
        &format!("/partner/accounts/{account_id}/transfer-balance"),
        json!({"amount": amount, "currency": "INR", "description": "Welcome"}),
    )
    .await?;

    let base = format!("/Account/{account_id}");
    let call = |method: Method, path: &str, body: Value| {
        let path = format!("{base}{path}");
        let (id, token) = (account_id.clone(), account_token.clone());
        async move { doors.api(method, &path, &id, &token, Some(body)).await }
    };
    let trunk_events = app.url("trunk-events");
    let outbound = call(
        Method::POST,
        "/trunks",
        json!({"name": "demo-outbound", "trunk_direction": "outbound", "webhook_url": trunk_events, "recording": true}),
    )
    .await?;
    let outbound_trunk = text(&outbound, "trunk_id")?;
    let trunk_password = secret_word();
    call(
        Method::POST,
        "/credentials",
        json!({"username": "demopbx", "password": trunk_password, "trunk_id": outbound_trunk}),
    )
    .await?;
    let trunk_secret = signing_secret(doors, &account_id, &account_token, &outbound_trunk).await?;
    let inbound = call(
        Method::POST,
        "/trunks",
        json!({"name": "demo-inbound", "trunk_direction": "inbound", "webhook_url": trunk_events}),
    )
    .await?;
    let inbound_trunk = text(&inbound, "trunk_id")?;
    let inbound_secret = signing_secret(doors, &account_id, &account_token, &inbound_trunk).await?;
    let uri = call(
        Method::POST,
        "/origination-uris",
        json!({"name": "demo-pbx", "sip_uri": format!("sip:{customer_pbx}"), "priority": 1, "trunk_id": inbound_trunk}),
    )
    .await?;
    for wanted in [&number, &trunk_number] {
        call(Method::POST, "/numbers/purchase-from-inventory", json!({"e164": wanted})).await?;
    }
    let application = application(doors, &account_id, &account_token, app, "demo-answer", "answer").await?;
    let phone_application =
        self::application(doors, &account_id, &account_token, app, "demo-phone", "phone").await?;
    let plain = |number: &str| number.trim_start_matches('+').to_owned();
    call(
        Method::POST,
        &format!("/numbers/%2B{}/application", plain(&number)),
        json!({"application_id": application}),
    )
    .await?;
    call(
        Method::POST,
        &format!("/numbers/%2B{}/assign", plain(&trunk_number)),
        json!({"trunk_group_id": inbound_trunk}),
    )
    .await?;
    let endpoint_password = secret_word();
    let endpoint = call(
        Method::POST,
        "/Endpoint/",
        json!({"username": "demophone", "password": endpoint_password, "alias": "Demo phone",
            "application": phone_application}),
    )
    .await?;
    let sip_uri = endpoint["sip_uri"].as_str().unwrap_or_default();
    Ok(Seeds {
        registrar: sip_uri
            .rsplit('@')
            .next()
            .filter(|host| !host.is_empty())
            .unwrap_or("registrar.tandem.localhost")
            .to_owned(),
        outbound_domain: text(&outbound, "trunk_domain")?,
        origination_uri: text(&uri, "id")?,
        partner_id,
        partner_token,
        account_id,
        account_token,
        outbound_trunk,
        trunk_username: "demopbx".to_owned(),
        trunk_password,
        trunk_secret,
        inbound_trunk,
        inbound_secret,
        number,
        trunk_number,
        application,
        endpoint: "demophone".to_owned(),
        endpoint_password,
        phone_application,
    })
}

/// This run's simulator and application may stand on other ports than the last one's.
async fn point(
    doors: &Doors<'_>,
    seeds: &Seeds,
    app: &ExampleApp,
    carrier: SocketAddr,
    customer_pbx: SocketAddr,
) -> anyhow::Result<()> {
    doors
        .operator(
            Method::PUT,
            "/admin/carriers/simulator",
            Some(json!({"name": "simulator", "host": carrier.ip().to_string(), "port": carrier.port(),
                "sources": [carrier.to_string()]})),
        )
        .await?;
    let base = format!("/Account/{}", seeds.account_id);
    let call = |method: Method, path: String, body: Value| async move {
        doors.api(method, &path, &seeds.account_id, &seeds.account_token, Some(body)).await
    };
    for trunk in [&seeds.outbound_trunk, &seeds.inbound_trunk] {
        call(Method::PUT, format!("{base}/trunks/{trunk}"), json!({"webhook_url": app.url("trunk-events")}))
            .await?;
    }
    for (id, page) in [(&seeds.application, "answer"), (&seeds.phone_application, "phone")] {
        let urls = json!({"answer_url": app.url(page), "hangup_url": app.url("hangup")});
        call(Method::POST, format!("{base}/Application/{id}/"), urls).await?;
    }
    call(
        Method::PUT,
        format!("{base}/origination-uris/{}", seeds.origination_uri),
        json!({"name": "demo-pbx", "sip_uri": format!("sip:{customer_pbx}"), "priority": 1}),
    )
    .await?;
    Ok(())
}

async fn application(
    doors: &Doors<'_>,
    account: &str,
    token: &str,
    app: &ExampleApp,
    name: &str,
    page: &str,
) -> anyhow::Result<String> {
    let body = json!({"app_name": name, "answer_url": app.url(page), "answer_method": "POST",
        "hangup_url": app.url("hangup"), "hangup_method": "POST"});
    let made = doors
        .api(Method::POST, &format!("/Account/{account}/Application/"), account, token, Some(body))
        .await?;
    text(&made, "app_id")
}

async fn signing_secret(
    doors: &Doors<'_>,
    account: &str,
    token: &str,
    trunk: &str,
) -> anyhow::Result<String> {
    let path = format!("/Account/{account}/trunks/{trunk}/signing-secret");
    text(&doors.api(Method::GET, &path, account, token, None).await?, "signing_secret")
}

fn text(value: &Value, member: &str) -> anyhow::Result<String> {
    value[member].as_str().map(str::to_owned).with_context(|| format!("the answer has no {member}: {value}"))
}

fn secret_word() -> String {
    tandem_server::random_word(20)
}

fn write_private(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    Ok(())
}
