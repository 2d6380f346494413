//! `/admin/inventory`: numbers that customers can buy, and who has which.

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tandem_model::{Currency, Ids, Money, clock};
use tandem_store::resources::number::{AddInventory, InventoryNumber, Number};

use super::{commit, operator};
use crate::api::{ApiError, AppState, Payload, Query, RequestId, checks};

/// Numbers added by one request.
const NUMBERS_MAX: usize = 10_000;
/// Numbers listed at most by one request.
const PAGE_MAX: u32 = 1000;

pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/admin/inventory", get(list).post(add))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewNumbers {
    numbers: Vec<String>,
    #[serde(default)]
    country: Option<String>,
    #[serde(default)]
    region: String,
    #[serde(default)]
    setup_fee: Value,
    #[serde(default)]
    monthly_fee: Value,
    #[serde(default)]
    currency: Option<String>,
    #[serde(default)]
    minimum_commitment_months: u32,
}

/// Adds numbers. One that is there already stays as it is, whoever has it.
async fn add(
    State(state): State<AppState>,
    request: RequestId,
    body: Payload<NewNumbers>,
) -> Result<Json<Value>, ApiError> {
    let body = body.value;
    if body.numbers.is_empty() || body.numbers.len() > NUMBERS_MAX {
        return Err(ApiError::field("numbers", &format!("is a list of 1 to {NUMBERS_MAX} numbers")));
    }
    let country = checks::country("country", body.country.as_deref().unwrap_or("IN"))?;
    let currency = match &body.currency {
        Some(text) => text.parse::<Currency>().map_err(|remedy| ApiError::field("currency", remedy))?,
        None => Currency::of_country(&country),
    };
    let fee = |name: &str, value: &Value| match value {
        Value::Null => Ok(Money::ZERO),
        value => checks::amount(name, value).and_then(|fee| {
            if fee < Money::ZERO { Err(ApiError::field(name, "is not negative")) } else { Ok(fee) }
        }),
    };
    let numbers = body
        .numbers
        .iter()
        .enumerate()
        .map(|(n, text)| {
            let e164 = checks::number(&format!("numbers[{n}]"), text)?;
            Ok(InventoryNumber { e164, id: Ids::random() })
        })
        .collect::<Result<Vec<_>, ApiError>>()?;
    let asked = numbers.len();
    let command = AddInventory {
        numbers,
        country,
        region: body.region,
        setup_fee: fee("setup_fee", &body.setup_fee)?,
        monthly_fee: fee("monthly_fee", &body.monthly_fee)?,
        currency,
        minimum_commitment_months: body.minimum_commitment_months,
        actor: operator(&request),
        at: clock::wall(),
    };
    let added = commit(&state, command).await?;
    Ok(Json(json!({ "added": added, "known_before": asked as u64 - added })))
}

#[derive(Debug, Deserialize)]
struct ListQuery {
    offset: Option<u64>,
    limit: Option<u32>,
}

async fn list(
    State(state): State<AppState>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Value>, ApiError> {
    let limit = query.limit.unwrap_or(PAGE_MAX).clamp(1, PAGE_MAX);
    let (numbers, total) = state.reader.all_numbers(query.offset.unwrap_or_default(), limit).await?;
    let view = |number: &Number| {
        json!({
            "e164": number.e164, "country": number.country, "region": number.region, "status": number.status,
            "account_id": number.account, "setup_fee": number.setup_fee.to_fixed(2),
            "monthly_fee": number.monthly_fee.to_fixed(2), "currency": number.currency,
        })
    };
    Ok(Json(json!({ "numbers": numbers.iter().map(view).collect::<Vec<_>>(), "total": total })))
}
