//! KYC end to end: the real binary, its hosted page filled in, letters at a real mail server, events at a customer's web
//! server with their signatures checked by an implementation of the test's own, kill -9 in between, and nothing personal left
//! anywhere after erasure.

mod browser;
mod erasure;
mod flows;
mod kills;
mod visitor;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tandem_testkit::{Answer, Mailbox};

use crate::stage::world::text;
use crate::stage::{Customer, World, WorldOptions};

/// A PAN that the sandbox verifies; nothing of it but its end may be seen anywhere.
const PAN: &str = "CANPY7531K";

/// A world whose letters go to `mailbox`.
async fn world(mailbox: &Mailbox, database: Option<String>) -> World {
    let url: &'static str = mailbox.url().leak();
    let environment =
        vec![("TANDEM_MAIL__SMTP_URL", url), ("TANDEM_MAIL__FROM", "Partner <kyc@partner.example>")];
    World::open(WorldOptions { database, environment, ..WorldOptions::default() }, |request| {
        Answer::status(if request.path() == "/down" { 503 } else { 204 })
    })
    .await
}

/// Asks for a session about a customer.
async fn session(world: &World, customer: &Customer, further: Value) -> Value {
    let mut body = json!({
        "account_auth_id": customer.who.id, "webhook_url": world.sink.url("kyc"), "metadata": {"order": "CANARY-ORDER"},
    });
    for (name, value) in further.as_object().expect("an object") {
        body[name] = value.clone();
    }
    world.platform.rest("POST", "/partner/kyc-sessions", &world.partner, Some(&body)).await.ok()
}

/// A session as its owner reads it.
async fn read(world: &World, id: &str) -> Value {
    world.platform.rest("GET", &format!("/partner/kyc-sessions/{id}"), &world.partner, None).await.ok()
}

/// A mail's parts as people read them: base64, or quoted-printable, which breaks lines with `=` and writes it `=3D`.
fn readable(mail: &str) -> String {
    let parts = mail.split("\r\n\r\n").map(|part| part.split("\r\n--").next().unwrap_or_default());
    parts
        .map(|part| {
            let compact: String = part.chars().filter(|c| !c.is_whitespace()).collect();
            let decoded = STANDARD.decode(compact).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            decoded.unwrap_or_else(|| part.replace("=\r\n", "").replace("=3D", "="))
        })
        .collect::<Vec<_>>()
        .join("\n")
}

/// The first link in a mail of ours.
fn link_of(mail: &str) -> String {
    let plain = readable(mail);
    let at = plain.find("/verify?token=kst_").expect("a link");
    let start = plain[..at].rfind("http").expect("its beginning");
    let end = at + "/verify?token=kst_".len() + 64;
    plain[start..end].to_owned()
}

fn id_of(session: &Value) -> String {
    text(session, "session_id")
}
