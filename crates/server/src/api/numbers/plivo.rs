//! Numbers on the older routes, in Plivo's shapes (REST reference §6.11): views over the same operations. Giving a number
//! back begins its release, with fee and window, as everywhere.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};
use tandem_model::{ApplicationId, E164, clock};
use tandem_store::resources::number::{
    AttachApplication, AttachOutcome, BuyNumber, BuyOutcome, InventoryFilter, Number, OwnedFilter,
    ReleaseOutcome,
};
use tandem_store::{BoxFuture, Command, StoreError, Tx};

use super::buy::{bought, order};
use super::{digits_of, no_number, number_in_path, owned_number, release, sub_account_of};
use crate::api::json::money_text;
use crate::api::lenient::{Fields, Given};
use crate::api::window::WindowQuery;
use crate::api::{ApiError, AppState, Effect, Posted, Query, Reply, RequestId, Routes, checks};
use crate::auth::Scoped;

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/Account/{auth_id}/Number", get(list).post(add))
        .route("/Account/{auth_id}/Number/{e164}", get(read).post(update).delete(remove))
        .route("/Account/{auth_id}/PhoneNumber", get(search))
        .route("/Account/{auth_id}/PhoneNumber/{e164}", post(buy))
        .route("/Account/{auth_id}/AvailablePrefix/{e164}", post(buy))
}

fn view(scope: &Scoped, number: &Number) -> Value {
    let application =
        number.application.as_ref().map(|id| format!("/v1/Account/{}/Application/{id}/", scope.payer()));
    json!({
        "number": number.e164.digits(),
        "alias": "",
        "country": number.country,
        "region": number.region,
        "number_type": number.series.as_str(),
        "type": number.series.as_str(),
        "voice_enabled": true,
        "sms_enabled": false,
        "monthly_rental_rate": money_text(number.monthly_fee),
        "setup_rate": money_text(number.setup_fee),
        "currency": number.currency,
        "application": application,
        "sub_account": number.sub_account,
        "status": number.status,
        "added_on": number.purchased_at.map(|at| at.strftime("%Y-%m-%d").to_string()),
        "resource_uri": format!("/v1/Account/{}/Number/{}/", scope.id(), number.e164.digits()),
    })
}

#[derive(Debug, Deserialize)]
struct ListQuery {
    number_startswith: Option<String>,
    search: Option<String>,
}

/// `GET …/Number/`: what the account owns, newest first.
async fn list(
    State(state): State<AppState>,
    scope: Scoped,
    request: RequestId,
    Query(window): Query<WindowQuery>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Value>, ApiError> {
    let window = window.window();
    let filter = OwnedFilter {
        owner: scope.payer().clone(),
        sub_account: sub_account_of(&scope),
        with_sub_accounts: true,
        search: query.search.or(query.number_startswith).as_deref().and_then(digits_of),
    };
    let (rows, total) = state.reader.owned_numbers(&filter, window.offset, window.limit).await?;
    let objects: Vec<Value> = rows.iter().map(|number| view(&scope, number)).collect();
    let meta = window.plivo_meta(&format!("/v1/Account/{}/Number/", scope.id()), total);
    Ok(Json(json!({ "api_id": request.api_id, "meta": meta, "objects": objects })))
}

/// `GET …/Number/{e164}/`.
async fn read(
    State(state): State<AppState>,
    scope: Scoped,
    request: RequestId,
    Path((_, e164)): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    let number = owned_number(&state, &scope, number_in_path(&e164)?).await?;
    let mut body = view(&scope, &number);
    body["api_id"] = json!(request.api_id);
    Ok(Json(body))
}

#[derive(Debug, Deserialize)]
struct SearchQuery {
    country_iso: Option<String>,
    region: Option<String>,
    pattern: Option<String>,
}

/// `GET …/PhoneNumber/?country_iso=`: what can be bought.
async fn search(
    State(state): State<AppState>,
    scope: Scoped,
    request: RequestId,
    Query(window): Query<WindowQuery>,
    Query(query): Query<SearchQuery>,
) -> Result<Json<Value>, ApiError> {
    let window = window.window();
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    let filter = InventoryFilter {
        country: given(query.country_iso).map(|country| country.to_ascii_uppercase()),
        region: given(query.region),
        search: query.pattern.as_deref().and_then(digits_of),
        exclude: Vec::new(),
    };
    let (rows, total) = state.reader.inventory(&filter, window.offset, window.limit).await?;
    let objects: Vec<Value> = rows.iter().map(|number| view(&scope, number)).collect();
    let meta = window.plivo_meta(&format!("/v1/Account/{}/PhoneNumber/", scope.id()), total);
    Ok(Json(json!({ "api_id": request.api_id, "meta": meta, "objects": objects })))
}

/// Buys a number and lets an application steer it, in one step.
struct BuyAndAttach {
    buy: BuyNumber,
    application: Option<ApplicationId>,
}

impl Command for BuyAndAttach {
    type Output = BuyOutcome;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<BuyOutcome, StoreError>> {
        Box::pin(async move {
            let outcome = self.buy.run(tx).await?;
            if let (BuyOutcome::Bought(_), Some(application)) = (&outcome, &self.application) {
                let attach = AttachApplication {
                    e164: self.buy.e164,
                    owner: self.buy.owner.clone(),
                    application: Some(application.clone()),
                    actor: self.buy.actor.clone(),
                    at: self.buy.at,
                };
                // The application was there when it was looked up; one that went since leaves the number without.
                attach.run(tx).await?;
            }
            Ok(outcome)
        })
    }

    fn accounts(&self) -> Vec<&tandem_model::AccountId> {
        self.buy.accounts()
    }
}

/// The application a request names; it must be the account's.
async fn application(
    state: &AppState,
    scope: &Scoped,
    fields: &mut Fields,
) -> Result<Given<ApplicationId>, ApiError> {
    let asked = fields.text(&["app_id", "application_id"], 32);
    fields.check()?;
    let Given::Value(id) = &asked else { return Ok(asked.map(|id| ApplicationId::new(&id))) };
    let id = ApplicationId::new(id);
    // A sub-account's numbers are steered by applications of its own.
    if state.reader.application(scope.id(), &id).await?.is_none() {
        return Err(ApiError::field("app_id", "is an application of this account"));
    }
    Ok(Given::Value(id))
}

async fn purchase(
    state: &AppState,
    scope: &Scoped,
    e164: E164,
    request: RequestId,
    mut fields: Fields,
    effect: &Effect,
) -> Result<Reply, ApiError> {
    let application = application(state, scope, &mut fields).await?.value();
    let command = BuyAndAttach { buy: order(scope, e164), application };
    let own = scope.account.currency;
    let answer = move |outcome: &BuyOutcome| {
        bought(outcome, own)?;
        Ok(Reply::created(json!({
            "api_id": request.api_id, "message": "created", "status": "fulfilled",
            "numbers": [{ "number": e164.digits(), "status": "Success" }],
        })))
    };
    effect.run(&scope.caller.account.id, command, answer).await
}

/// `POST …/PhoneNumber/{e164}/` and `POST …/AvailablePrefix/{e164}/`: buys it; `app_id` steers its calls.
async fn buy(
    State(state): State<AppState>,
    scope: Scoped,
    request: RequestId,
    Path((_, e164)): Path<(String, String)>,
    Posted { value, effect }: Posted<Fields>,
) -> Result<Reply, ApiError> {
    purchase(&state, &scope, number_in_path(&e164)?, request, value, &effect).await
}

/// `POST …/Number/`: the same, with the number in the body.
async fn add(
    State(state): State<AppState>,
    scope: Scoped,
    request: RequestId,
    Posted { mut value, effect }: Posted<Fields>,
) -> Result<Reply, ApiError> {
    let wanted = value.required(&["number", "numbers"], 32);
    value.check()?;
    purchase(
        &state,
        &scope,
        checks::written_number("number", &wanted, scope.account.country_rules())?,
        request,
        value,
        &effect,
    )
    .await
}

/// `POST …/Number/{e164}/`: another application, or none with `""`.
async fn update(
    State(state): State<AppState>,
    scope: Scoped,
    request: RequestId,
    Path((_, e164)): Path<(String, String)>,
    Posted { mut value, effect }: Posted<Fields>,
) -> Result<Reply, ApiError> {
    let number = owned_number(&state, &scope, number_in_path(&e164)?).await?;
    let e164 = number.e164;
    let asked = application(&state, &scope, &mut value).await?;
    value.check_known()?;
    let command = AttachApplication {
        e164,
        owner: scope.payer().clone(),
        application: match asked {
            Given::Absent => number.application,
            Given::Null => None,
            Given::Value(id) => Some(id),
        },
        actor: scope.caller.actor.clone(),
        at: clock::wall(),
    };
    let answer = move |outcome: &AttachOutcome| match outcome {
        AttachOutcome::Done => {
            let body = json!({ "api_id": request.api_id, "message": "changed" });
            Ok(Reply::json(StatusCode::ACCEPTED, body))
        }
        AttachOutcome::NoNumber => Err(no_number(e164)),
        AttachOutcome::NoApplication => Err(ApiError::field("app_id", "is an application of this account")),
    };
    effect.run(&scope.caller.account.id, command, answer).await
}

/// `DELETE …/Number/{e164}/`: begins its release.
async fn remove(
    State(state): State<AppState>,
    scope: Scoped,
    Path((_, e164)): Path<(String, String)>,
    effect: Effect,
) -> Result<Reply, ApiError> {
    let (command, _) = release::order(&state, &scope, number_in_path(&e164)?, false).await?;
    let answer = |outcome: &ReleaseOutcome| release::released(outcome).map(|_| Reply::no_content());
    effect.run(&scope.caller.account.id, command, answer).await
}
