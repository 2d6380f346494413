//! Phone numbers: what is for sale, buying, what an account owns, and where calls to it go (REST
//! reference §6).

use axum::Json;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tandem_model::{AccountId, ApplicationId, E164, ErrorCode, Ids, TrunkId, clock};
use tandem_store::resources::number::{
    AssignOutcome, AssignTrunk, AttachApplication, AttachOutcome, BuyNumber, BuyOutcome, InventoryFilter,
    Number, OwnedFilter,
};

use super::json::{instant, money, optional_instant, whole_money};
use super::paging::PageQuery;
use super::{
    ApiError, AppState, Dialect, Effect, Posted, Query, Reply, RequestId, Routes, applications, checks,
};
use crate::auth::Scoped;

const PER_PAGE: u32 = 25;
const PER_PAGE_MAX: u32 = 100;
/// A month of rental.
const MONTH: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The routes.
pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/Account/{auth_id}/inventory/numbers", get(inventory))
        .route("/Account/{auth_id}/numbers", get(list))
        .route("/Account/{auth_id}/numbers/purchase-from-inventory", post(purchase))
        .route("/Account/{auth_id}/numbers/{e164}", get(read).delete(release))
        .route("/Account/{auth_id}/numbers/{e164}/application", post(attach).delete(detach))
        .route("/Account/{auth_id}/numbers/{e164}/assign", post(assign).delete(unassign))
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
            .map(|country| country.to_ascii_uppercase()),
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
        sub_account: sub_account(&scope),
        with_sub_accounts: !without,
        search: query.search.as_deref().and_then(digits_of),
    };
    let (numbers, total) = state.reader.owned_numbers(&filter, page.offset(), page.size).await?;
    Ok(Json(page.items(numbers.iter().map(|number| owned(number, dialect)).collect(), total)))
}

/// The sub-account a request is for, if it is one.
fn sub_account(scope: &Scoped) -> Option<AccountId> {
    scope.account.parent.is_some().then(|| scope.id().clone())
}

/// The number, if the account of the path may see it: a sub-account sees its own only.
async fn owned_number(state: &AppState, scope: &Scoped, e164: E164) -> Result<Number, ApiError> {
    let number = state.reader.owned_number(scope.payer(), e164).await?;
    let sub_account = sub_account(scope);
    number
        .filter(|number| sub_account.is_none() || number.sub_account == sub_account)
        .ok_or_else(|| no_number(e164))
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

/// `DELETE …/numbers/{e164}`: giving a number back.
async fn release(
    State(state): State<AppState>,
    scope: Scoped,
    Path((_, e164)): Path<(String, String)>,
) -> Result<Reply, ApiError> {
    let e164 = number_in_path(&e164)?;
    if owned_number(&state, &scope, e164).await.is_err() {
        return Err(ApiError::because(ErrorCode::AccountMismatch, "account does not own this number")
            .word("forbidden"));
    }
    Err(super::not_built::sentence("Releasing a number; ask the operator"))
}

#[derive(Debug, Deserialize)]
struct PurchaseBody {
    e164: Option<String>,
    number: Option<String>,
    #[serde(rename = "phoneNumber")]
    phone_number: Option<String>,
    currency: Option<String>,
}

/// `POST …/numbers/purchase-from-inventory`: debits setup fee and first month, and the number is the
/// account's, in one step. For a sub-account its parent pays.
async fn purchase(scope: Scoped, dialect: Dialect, posted: Posted<PurchaseBody>) -> Result<Reply, ApiError> {
    let body = posted.value;
    let wanted = body.e164.or(body.number).or(body.phone_number);
    let e164 = checks::number("e164", &checks::text("e164", wanted.as_deref(), 32)?)?;
    let own = scope.account.currency;
    if body.currency.is_some_and(|asked| !asked.is_empty() && !asked.eq_ignore_ascii_case(own.as_str())) {
        return Err(ApiError::field("currency", &format!("is {own}, the account's")));
    }
    let at = clock::wall();
    let command = BuyNumber {
        e164,
        owner: scope.payer().clone(),
        sub_account: sub_account(&scope),
        purchase: Ids::random(),
        next_billing_at: at + MONTH,
        actor: scope.caller.actor.clone(),
        at,
    };
    let answer = move |outcome: &BuyOutcome| match outcome {
        BuyOutcome::Bought(number) => Ok(Reply::ok(json!({
            "message": "Number purchased successfully", "number": owned(number, dialect),
        }))),
        BuyOutcome::NotInInventory => {
            Err(ApiError::not_found("number not found in inventory").word("not_found"))
        }
        BuyOutcome::OtherCurrency { price } => {
            Err(ApiError::field("e164", &format!("is sold in {price}, and the account's currency is {own}")))
        }
        BuyOutcome::Insufficient { required, available, currency } => {
            let words = format!("Insufficient balance: {} {currency} needed", required.to_fixed(2));
            Err(ApiError::because(ErrorCode::InsufficientBalance, words).details(json!({
                "required": money(*required), "available": money(*available), "currency": currency,
                "shortfall": money(*required - *available),
            })))
        }
    };
    posted.effect.run(&scope.caller.account.id, command, answer).await
}

#[derive(Debug, Deserialize)]
struct AttachBody {
    application_id: Option<Value>,
    app_id: Option<Value>,
}

/// `POST …/numbers/{e164}/application`: calls to the number are steered by the application. Attaching
/// another replaces it.
async fn attach(
    State(state): State<AppState>,
    scope: Scoped,
    Path((_, e164)): Path<(String, String)>,
    id: RequestId,
    posted: Posted<AttachBody>,
) -> Result<Reply, ApiError> {
    let e164 = owned_number(&state, &scope, number_in_path(&e164)?).await?.e164;
    let wanted = match posted.value.application_id.or(posted.value.app_id) {
        Some(Value::String(text)) => text,
        Some(Value::Number(number)) => number.to_string(),
        _ => return Err(ApiError::field("application_id", "is required")),
    };
    let no_application = || {
        ApiError::not_found("Application not found")
            .word("Application not found")
            .with("app_id", wanted.as_str())
    };
    let application = state.reader.application(scope.payer(), &ApplicationId::new(&wanted)).await?;
    let application = application.ok_or_else(no_application)?;
    let command = AttachApplication {
        e164,
        owner: scope.payer().clone(),
        application: Some(application.id.clone()),
        actor: scope.caller.actor.clone(),
        at: clock::wall(),
    };
    let view = applications::detail(&state, application, id.api_id);
    let answer = move |outcome: &AttachOutcome| match outcome {
        AttachOutcome::Done => Ok(Reply::ok(json!({
            "message": "Number attached to application", "number": e164, "application": view,
        }))),
        AttachOutcome::NoNumber => Err(no_number(e164)),
        AttachOutcome::NoApplication => {
            Err(ApiError::not_found("Application not found").word("Application not found"))
        }
    };
    posted.effect.run(&scope.caller.account.id, command, answer).await
}

/// `DELETE …/numbers/{e164}/application`: nothing happens when nothing is attached.
async fn detach(
    State(state): State<AppState>,
    scope: Scoped,
    Path((_, e164)): Path<(String, String)>,
    effect: Effect,
) -> Result<Reply, ApiError> {
    let e164 = owned_number(&state, &scope, number_in_path(&e164)?).await?.e164;
    let command = AttachApplication {
        e164,
        owner: scope.payer().clone(),
        application: None,
        actor: scope.caller.actor.clone(),
        at: clock::wall(),
    };
    let answer = move |outcome: &AttachOutcome| match outcome {
        AttachOutcome::NoNumber => Err(no_number(e164)),
        _ => Ok(Reply::ok(json!({ "message": "Number detached from application", "number": e164 }))),
    };
    effect.run(&scope.caller.account.id, command, answer).await
}

#[derive(Debug, Deserialize)]
struct AssignBody {
    trunk_group_id: Option<String>,
    trunk_id: Option<String>,
}

/// `POST …/numbers/{e164}/assign`: calls to the number go to the trunk. Unassign it first to move it.
async fn assign(
    State(state): State<AppState>,
    scope: Scoped,
    Path((_, e164)): Path<(String, String)>,
    posted: Posted<AssignBody>,
) -> Result<Reply, ApiError> {
    let e164 = owned_number(&state, &scope, number_in_path(&e164)?).await?.e164;
    let wanted = posted.value.trunk_group_id.or(posted.value.trunk_id);
    let wanted = checks::text("trunk_group_id", wanted.as_deref(), 36)?;
    let trunk: TrunkId = checks::parsed("trunk_group_id", &wanted, "is a trunk's UUID")?;
    let answer = move |outcome: &AssignOutcome| match outcome {
        AssignOutcome::Done => Ok(Reply::no_content()),
        AssignOutcome::Assigned => {
            let words = "This number is already assigned to a trunk.";
            Err(ApiError::because(ErrorCode::ValidationError, words).word("invalid request"))
        }
        AssignOutcome::NoTrunk => Err(ApiError::new(ErrorCode::TrunkNotFound)),
        AssignOutcome::NoNumber | AssignOutcome::NotAssigned => Err(no_number(e164)),
    };
    posted.effect.run(&scope.caller.account.id, assignment(&scope, e164, Some(trunk)), answer).await
}

/// `DELETE …/numbers/{e164}/assign`.
async fn unassign(
    State(state): State<AppState>,
    scope: Scoped,
    Path((_, e164)): Path<(String, String)>,
    effect: Effect,
) -> Result<Reply, ApiError> {
    let e164 = owned_number(&state, &scope, number_in_path(&e164)?).await?.e164;
    let answer = move |outcome: &AssignOutcome| match outcome {
        AssignOutcome::Done => Ok(Reply::no_content()),
        AssignOutcome::NotAssigned => {
            Err(ApiError::not_found("This number is not assigned to a trunk.").word("Number not assigned"))
        }
        _ => Err(no_number(e164)),
    };
    effect.run(&scope.caller.account.id, assignment(&scope, e164, None), answer).await
}

fn assignment(scope: &Scoped, e164: E164, trunk: Option<TrunkId>) -> AssignTrunk {
    AssignTrunk {
        e164,
        owner: scope.payer().clone(),
        trunk,
        actor: scope.caller.actor.clone(),
        at: clock::wall(),
    }
}
