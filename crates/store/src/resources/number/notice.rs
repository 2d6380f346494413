//! What an account is told of its numbers, where it is told that money runs low: by a signed webhook, by a letter, by both,
//! in the transaction of the fact.

use jiff::Timestamp;
use serde_json::json;
use tandem_model::{AccountId, E164, EventId, EventKind, HttpMethod, Money};
use uuid::Uuid;

use crate::outbox::OutboxEvent;
use crate::{StoreError, Tx};

/// Something about a number's rent.
pub(super) struct Notice<'n> {
    /// Names the event; the letter's id differs in the last bit.
    pub(super) id: Uuid,
    pub(super) kind: EventKind,
    pub(super) letter: EventKind,
    pub(super) e164: E164,
    pub(super) account: &'n AccountId,
    /// What a month costs.
    pub(super) fee: Money,
    /// When the month began that is not paid.
    pub(super) due: Timestamp,
    /// When the number goes, or went.
    pub(super) ends: Timestamp,
    pub(super) at: Timestamp,
}

/// Tells whom the account's alerts name; nobody when they name nobody.
pub(super) async fn tell(tx: &mut Tx<'_>, notice: &Notice<'_>) -> Result<(), StoreError> {
    const WHOM: &str = "select name, currency, balance, alert_url, alert_endpoint, alert_email
      from account where auth_id = $1";
    let Some(row) = tx.query_one(WHOM, &[notice.account.into()]).await? else { return Ok(()) };
    let instant = |at: Timestamp| at.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string();
    let body = json!({
        "event": notice.kind.name(),
        "timestamp": instant(notice.at),
        "account_auth_id": notice.account,
        "account_name": row.text("name")?,
        "number": notice.e164,
        "monthly_fee": notice.fee.to_fixed(6),
        "currency": row.text("currency")?,
        "balance": row.money("balance")?.to_fixed(6),
        "due_at": instant(notice.due),
        "released_at": instant(notice.ends),
        "reason": "unpaid",
    })
    .to_string();
    let told = |id: Uuid, url: String, endpoint: String, kind: EventKind| OutboxEvent {
        event: EventId(id),
        account: notice.account.clone(),
        call: None,
        endpoint_key: endpoint,
        kind: kind.name().to_owned(),
        channel: kind.channel(),
        url,
        method: HttpMethod::Post,
        content_type: "application/json".to_owned(),
        body: body.clone(),
        secret_kind: "account".to_owned(),
        secret_ref: notice.account.to_string(),
        sequence: 0,
        created_at: notice.at,
    };
    let mut events = Vec::new();
    if let (Some(url), Some(endpoint)) = (row.opt_string("alert_url")?, row.opt_string("alert_endpoint")?) {
        events.push(told(notice.id, url, endpoint, notice.kind));
    }
    if let Some(email) = row.opt_string("alert_email")? {
        let id = Uuid::from_u128(notice.id.as_u128() ^ 1);
        events.push(told(id, format!("mailto:{email}"), "mail".to_owned(), notice.letter));
    }
    tx.emit(&events).await
}
