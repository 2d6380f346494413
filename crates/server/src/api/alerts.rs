//! When an account is told that its money runs low, and how: an endpoint of ours in the place of the original's console.

use axum::Json;
use axum::extract::State;
use axum::routing::get;
use serde_json::{Value, json};
use tandem_model::{ErrorCode, Money, clock};
use tandem_store::resources::account::{Alerts, PutAlerts};

use super::json::money;
use super::lenient::{Fields, Given};
use super::own::Own;
use super::{ApiError, AppState, Payload, Routes, checks};
use crate::webhooks::endpoint_key;

/// The threshold of an account that never said.
const THRESHOLD: Money = Money::from_units(100);
/// Highest threshold.
const THRESHOLD_MAX: Money = Money::from_units(1_000_000_000);
const EMAIL_MAX: usize = 254;

pub(super) fn routes() -> Routes {
    Routes::new().route("/Account/{auth_id}/alerts", get(read).put(update))
}

async fn found(state: &AppState, own: &Own) -> Result<Alerts, ApiError> {
    let alerts = state.reader.alerts(own.id()).await?;
    alerts.ok_or_else(|| ApiError::not_found("The account is gone"))
}

fn view(own: &Own, alerts: &Alerts) -> Value {
    json!({
        "account_id": own.id(),
        "currency": own.0.account.currency,
        "low_balance_threshold": money(alerts.low_balance_threshold),
        "low_balance_url": alerts.url,
        "low_balance_email": alerts.email,
    })
}

/// `GET …/alerts`.
async fn read(State(state): State<AppState>, own: Own) -> Result<Json<Value>, ApiError> {
    let alerts = found(&state, &own).await?;
    Ok(Json(view(&own, &alerts)))
}

fn threshold(fields: &mut Fields) -> Given<Money> {
    let read = match fields.raw(&["low_balance_threshold"]) {
        None => return Given::Absent,
        Some(Value::Null) => return Given::Value(THRESHOLD),
        Some(value) => checks::amount("low_balance_threshold", value).ok(),
    };
    match read.filter(|amount| (Money::ZERO..=THRESHOLD_MAX).contains(amount)) {
        Some(amount) => Given::Value(amount),
        None => {
            fields.refuse("low_balance_threshold", "Must be an amount from 0 to 1000000000");
            Given::Absent
        }
    }
}

/// `PUT …/alerts`: what is not sent stays. From then on each debit through the threshold is told of once: by a signed
/// webhook, by a letter, by both.
async fn update(
    State(state): State<AppState>,
    own: Own,
    Payload { value: mut fields, .. }: Payload<Fields>,
) -> Result<Json<Value>, ApiError> {
    let mut alerts = found(&state, &own).await?;
    let threshold = threshold(&mut fields);
    let url = fields.url(&["low_balance_url"]);
    let mut email = fields.text(&["low_balance_email"], EMAIL_MAX);
    if let Given::Value(text) = &email {
        match checks::email("low_balance_email", text) {
            Ok(address) => email = Given::Value(address),
            Err(_) => fields.refuse("low_balance_email", "Must be an e-mail address"),
        }
    }
    fields.check()?;
    if matches!(email, Given::Value(_)) && state.config.mail.smtp_url.is_empty() {
        return Err(ApiError::new(ErrorCode::MailNotConfigured));
    }
    let mut changed = Vec::new();
    let mut note = |name: &'static str, differs: bool| changed.extend(differs.then_some(name));
    note("low_balance_threshold", threshold.put(&mut alerts.low_balance_threshold));
    note("low_balance_url", url.put_optional(&mut alerts.url));
    note("low_balance_email", email.put_optional(&mut alerts.email));
    alerts.endpoint_key = alerts.url.as_deref().map(endpoint_key);
    let command = PutAlerts {
        account: own.id().clone(),
        alerts: alerts.clone(),
        fields: changed,
        actor: own.0.actor.clone(),
        at: clock::wall(),
    };
    if !state.writer.submit(command).await? {
        return Err(ApiError::not_found("The account is gone"));
    }
    Ok(Json(view(&own, &alerts)))
}
