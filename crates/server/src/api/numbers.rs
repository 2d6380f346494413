//! Phone numbers: what is for sale and what an account owns (REST reference §6). Below: [`buy`]ing, where calls go
//! ([`routing`], [`urls`]), giving back ([`release`]), whose they are ([`sub_account`]), how they fare ([`health`]), and all
//! of it once more as older clients ask for it ([`plivo`]).

mod buy;
mod health;
mod plivo;
mod release;
mod routing;
mod sub_account;
mod urls;

use axum::Json;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tandem_model::{AccountId, E164};
use tandem_store::resources::number::{InventoryFilter, Number, OwnedFilter};

use super::json::{instant, optional_instant, whole_money};
use super::paging::PageQuery;
use super::{ApiError, AppState, Dialect, Query, Routes, checks};
use crate::auth::Scoped;

const PER_PAGE: u32 = 25;
const PER_PAGE_MAX: u32 = 100;

/// The routes.
pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/Account/{auth_id}/inventory/numbers", get(inventory))
        .route("/Account/{auth_id}/numbers", get(list))
        .route("/Account/{auth_id}/numbers/purchase-from-inventory", post(buy::purchase))
        .route("/Account/{auth_id}/numbers/{e164}", get(read).delete(release::release))
        .route("/Account/{auth_id}/numbers/{e164}/cancel-release", post(release::cancel))
        .route("/Account/{auth_id}/numbers/{e164}/application", post(routing::attach).delete(routing::detach))
        .route("/Account/{auth_id}/numbers/{e164}/assign", post(routing::assign).delete(routing::unassign))
        .route(
            "/Account/{auth_id}/numbers/{e164}/assign-subaccount",
            post(sub_account::assign).delete(sub_account::unassign),
        )
        .route("/Account/{auth_id}/numbers/{e164}/health", get(health::read))
        .route("/Account/{auth_id}/numbers/{e164}/urls", get(urls::read).put(urls::update))
        .merge(plivo::routes())
}

/// The number of a path, which the canonicaliser has brought into one spelling.
fn number_in_path(text: &str) -> Result<E164, ApiError> {
    checks::number("number", text)
}

#[derive(Debug, Deserialize)]
struct InventoryQuery {
    country: Option<String>,
    region: Option<String>,
    search: Option<String>,
    page: Option<i64>,
    per_page: Option<i64>,
    #[serde(default)]
    exclude: Vec<String>,
}

/// Digits of a search or prefix: `+`, spaces and dashes are people's decoration.
pub(super) fn digits_of(text: &str) -> Option<String> {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    (!digits.is_empty()).then_some(digits)
}

/// `GET …/inventory/numbers`: what can be bought. `search` is part of the number; `exclude` leaves out
/// prefixes with country code, repeated or separated by commas.
async fn inventory(
    State(state): State<AppState>,
    _scope: Scoped,
    Query(query): Query<InventoryQuery>,
    dialect: Dialect,
) -> Result<Json<Value>, ApiError> {
    let page = PageQuery::new(query.page, query.per_page).page(PER_PAGE, PER_PAGE_MAX);
    let filter = InventoryFilter {
        country: query
            .country
            .filter(|country| !country.is_empty())
            .map(|country| checks::country("country", &country))
            .transpose()?,
        region: query.region.filter(|region| !region.is_empty()),
        search: query.search.as_deref().and_then(digits_of),
        exclude: query.exclude.iter().flat_map(|list| list.split(',')).filter_map(digits_of).collect(),
    };
    let (numbers, total) = state.reader.inventory(&filter, page.offset(), page.size).await?;
    let items = numbers.iter().map(|number| Value::Object(for_sale(number, dialect))).collect();
    Ok(Json(page.items(items, total)))
}

/// A number of the inventory, in exactly its keys.
fn for_sale(number: &Number, dialect: Dialect) -> Map<String, Value> {
    let capabilities: Value = serde_json::from_str(&number.capabilities).unwrap_or_default();
    let flag = |name: &str| capabilities.get(name).and_then(Value::as_bool).unwrap_or_default();
    let owner = number.sub_account.as_ref().or(number.account.as_ref());
    let Value::Object(view) = json!({
        "id": number.id,
        "account_id": owner.map_or("", AccountId::as_str),
        "e164": number.e164,
        "country": number.country,
        "capabilities": {
            "voice": flag("voice"), "sms": flag("sms"), "mms": flag("mms"), "fax": flag("fax"),
        },
        "status": number.status,
        "provider": number.provider,
        "setup_fee": whole_money(number.setup_fee, dialect),
        "monthly_fee": whole_money(number.monthly_fee, dialect),
        "currency": number.currency,
        "voice_enabled": flag("voice"),
        "tags": serde_json::from_str::<Vec<String>>(&number.tags).unwrap_or_default(),
        "is_blocked": number.is_blocked,
        "created_at": instant(number.created_at),
        "updated_at": instant(number.updated_at),
        "is_trial_number": number.is_trial,
        "minimum_commitment_months": number.minimum_commitment_months,
        "aadhaar_verification_required": number.aadhaar_required,
        "aadhaar_verified": number.aadhaar_verified,
        "region": number.region,
    }) else {
        return Map::new();
    };
    view
}

/// An owned number: what the inventory shows, and what only an owner's number has.
pub(super) fn owned(number: &Number, dialect: Dialect) -> Value {
    let mut view = for_sale(number, dialect);
    view.insert("application_id".to_owned(), json!(number.application));
    view.insert("purchased_at".to_owned(), instant(number.purchased_at.unwrap_or(number.created_at)).into());
    view.insert("last_billing_date".to_owned(), optional_instant(number.last_billing_at));
    view.insert("next_billing_date".to_owned(), optional_instant(number.next_billing_at));
    view.insert("source".to_owned(), number.source.as_str().into());
    view.insert("released_at".to_owned(), optional_instant(number.released_at));
    view.insert("trunk_group_id".to_owned(), json!(number.trunk));
    Value::Object(view)
}

#[derive(Debug, Deserialize)]
struct OwnedQuery {
    page: Option<i64>,
    per_page: Option<i64>,
    search: Option<String>,
    include_subaccounts: Option<String>,
}

/// `GET …/numbers`: what the account owns; its sub-accounts' too, unless `include_subaccounts=false`.
async fn list(
    State(state): State<AppState>,
    scope: Scoped,
    Query(query): Query<OwnedQuery>,
    dialect: Dialect,
) -> Result<Json<Value>, ApiError> {
    let page = PageQuery::new(query.page, query.per_page).page(PER_PAGE, PER_PAGE_MAX);
    let without =
        query.include_subaccounts.as_deref().is_some_and(|word| matches!(word, "false" | "0" | "no"));
    let filter = OwnedFilter {
        owner: scope.payer().clone(),
        sub_account: sub_account_of(&scope),
        with_sub_accounts: !without,
        search: query.search.as_deref().and_then(digits_of),
    };
    let (numbers, total) = state.reader.owned_numbers(&filter, page.offset(), page.size).await?;
    Ok(Json(page.items(numbers.iter().map(|number| owned(number, dialect)).collect(), total)))
}

/// The sub-account a request is for, if it is one.
fn sub_account_of(scope: &Scoped) -> Option<AccountId> {
    scope.account.parent.is_some().then(|| scope.id().clone())
}

/// The number, if the account of the path may see it: a sub-account sees its own only.
async fn owned_number(state: &AppState, scope: &Scoped, e164: E164) -> Result<Number, ApiError> {
    let number = state.reader.owned_number(scope.payer(), e164).await?;
    let sub_account = sub_account_of(scope);
    number
        .filter(|number| sub_account.is_none() || number.sub_account == sub_account)
        .ok_or_else(|| no_number(e164))
}

/// A switch of a query that changes something: absent is off, and nonsense is refused.
fn switch(name: &str, value: Option<&str>) -> Result<bool, ApiError> {
    match value {
        None | Some("false" | "0") => Ok(false),
        Some("true" | "1") => Ok(true),
        Some(_) => Err(ApiError::field(name, "is true or false")),
    }
}

fn no_number(e164: E164) -> ApiError {
    ApiError::not_found(format!("This account has no number {e164}")).word("Number not found")
}

/// `GET …/numbers/{e164}`.
async fn read(
    State(state): State<AppState>,
    scope: Scoped,
    Path((_, e164)): Path<(String, String)>,
    dialect: Dialect,
) -> Result<Json<Value>, ApiError> {
    let number = owned_number(&state, &scope, number_in_path(&e164)?).await?;
    Ok(Json(owned(&number, dialect)))
}
