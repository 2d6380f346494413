//! A balance that falls through its account's threshold is told of, once each time it falls: by the debit that made it
//! fall, in the same transaction. Balances change by one conditional update at a time, so each crossing has one debit that
//! saw the balance on both sides of it.

use jiff::Timestamp;
use serde_json::json;
use tandem_model::{AccountId, EventId, EventKind, HttpMethod, Money};
use uuid::Uuid;

use crate::outbox::OutboxEvent;
use crate::value::Row;
use crate::{StoreError, Tx};

/// What a debit left, and what was there before.
pub(crate) struct Fall<'f> {
    /// Whose balance.
    pub(crate) account: &'f AccountId,
    /// The ledger transaction; names the event, so that no second one can be made of it.
    pub(crate) transaction: Uuid,
    /// Taken; positive.
    pub(crate) taken: Money,
    /// After it.
    pub(crate) balance: Money,
    /// The account's threshold, from the row the debit changed.
    pub(crate) threshold: Money,
    /// When.
    pub(crate) at: Timestamp,
}

impl Fall<'_> {
    fn crosses(&self) -> bool {
        self.balance < self.threshold && self.balance + self.taken >= self.threshold
    }
}

/// Whom to tell, and how.
const WHOM: &str =
    "select name, currency, alert_url, alert_endpoint, alert_email from account where auth_id = $1";

/// Tells of the fall if it crosses the threshold. Costs nothing otherwise.
pub(crate) async fn tell(tx: &mut Tx<'_>, fall: &Fall<'_>) -> Result<(), StoreError> {
    if !fall.crosses() {
        return Ok(());
    }
    let Some(row) = tx.query_one(WHOM, &[fall.account.into()]).await? else { return Ok(()) };
    let events = events(fall, &row)?;
    tx.emit(&events).await
}

fn events(fall: &Fall<'_>, row: &Row) -> Result<Vec<OutboxEvent>, StoreError> {
    let body = json!({
        "event": EventKind::BalanceLow.name(),
        "timestamp": fall.at.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string(),
        "account_auth_id": fall.account,
        "account_name": row.text("name")?,
        "currency": row.text("currency")?,
        "balance": fall.balance.to_fixed(6),
        "threshold": fall.threshold.to_fixed(6),
        "transaction_id": fall.transaction.hyphenated().to_string(),
    });
    let told = |id: Uuid, url: String, endpoint: String, kind: EventKind| OutboxEvent {
        event: EventId(id),
        account: fall.account.clone(),
        call: None,
        endpoint_key: endpoint,
        kind: kind.name().to_owned(),
        channel: kind.channel(),
        url,
        method: HttpMethod::Post,
        content_type: "application/json".to_owned(),
        body: body.to_string(),
        secret_kind: "account".to_owned(),
        secret_ref: fall.account.to_string(),
        sequence: 0,
        created_at: fall.at,
    };
    let mut events = Vec::new();
    if let (Some(url), Some(endpoint)) = (row.opt_string("alert_url")?, row.opt_string("alert_endpoint")?) {
        events.push(told(fall.transaction, url, endpoint, EventKind::BalanceLow));
    }
    if let Some(email) = row.opt_string("alert_email")? {
        // The letter is an event beside the webhook: its id differs in the last bit.
        let id = Uuid::from_u128(fall.transaction.as_u128() ^ 1);
        events.push(told(id, format!("mailto:{email}"), "mail".to_owned(), EventKind::BalanceLowLetter));
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_debit_that_passes_the_threshold_crosses_it() {
        let account = AccountId::new("MA_A");
        let crosses = |balance: i64, taken: i64| {
            let (taken, balance) = (Money::from_units(taken), Money::from_units(balance));
            let threshold = Money::from_units(10);
            let at = Timestamp::UNIX_EPOCH;
            Fall { account: &account, transaction: Uuid::nil(), taken, balance, threshold, at }.crosses()
        };
        assert!(crosses(9, 1), "from the threshold itself to below it");
        assert!(!crosses(10, 5), "to the threshold is not below it");
        assert!(!crosses(8, 1), "below before");
        assert!(crosses(-5, 100));
    }
}
