//! `/admin/countries`: countries are closed unless opened; prefixes can be barred.

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tandem_model::{AccountId, clock};
use tandem_store::resources::country_rule::{CountryAction, PutCountryRule};

use super::{commit, operator};
use crate::api::{ApiError, AppState, Payload, RequestId, checks};

pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/admin/countries", get(list).post(set))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    /// ISO 3166 alpha-2, leading digits, or `*` for everywhere.
    country: String,
    action: Action,
    /// Only for this account; everybody when absent.
    account: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    /// Calls may go there.
    Open,
    /// Calls may not, whatever else allows it.
    Bar,
    /// No rule.
    Forget,
}

async fn set(
    State(state): State<AppState>,
    request: RequestId,
    body: Payload<Rule>,
) -> Result<Json<Value>, ApiError> {
    let rule = body.value;
    let country = rule.country.trim().trim_start_matches('+');
    let digits = (1..=15).contains(&country.len()) && country.bytes().all(|byte| byte.is_ascii_digit());
    let country =
        if digits || country == "*" { country.to_owned() } else { checks::country("country", country)? };
    let scope = match rule.account {
        None => "*".to_owned(),
        Some(account) => match state.reader.account_in_full(&AccountId::new(&account)).await? {
            Some(account) => account.id.as_str().to_owned(),
            None => return Err(ApiError::field("account", "is the auth_id of an account")),
        },
    };
    let (action, word) = match rule.action {
        Action::Open => (CountryAction::Allow, "open"),
        Action::Bar => (CountryAction::Bar, "bar"),
        Action::Forget => (CountryAction::Forget, "forget"),
    };
    let shown = json!({ "scope": scope, "country": country, "action": word });
    let command = PutCountryRule { scope, country, action, actor: operator(&request), at: clock::wall() };
    commit(&state, command).await?;
    Ok(Json(shown))
}

async fn list(State(state): State<AppState>) -> Result<Json<Value>, ApiError> {
    let rules: Vec<Value> = state
        .reader
        .directory_country_rules()
        .await?
        .into_iter()
        .map(|rule| {
            let action = if rule.allowed { "open" } else { "bar" };
            json!({ "scope": rule.scope, "country": rule.country, "action": action })
        })
        .collect();
    Ok(Json(json!({ "countries": rules, "open_by_configuration": state.config.billing.open_country_codes })))
}
