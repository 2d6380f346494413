//! `/admin/partners`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tandem_model::{Currency, ErrorCode, Ids, Money, clock};
use tandem_store::resources::account::{
    Capabilities, CreateAccount, CreateAccountOutcome, NewAccount, Opening,
};

use super::{commit, operator};
use crate::api::{ApiError, AppState, Payload, RequestId, checks};
use crate::auth::{context, hash_password, mint_token};

/// Ids drawn for one partner.
const DRAWS: usize = 4;
/// Longest name or company.
const TEXT_MAX: usize = 200;
/// What a partner that says nothing may have.
const MAX_ACCOUNTS: u32 = 1000;
/// A partner makes no calls itself; its customers have their own limits.
const CPS: u32 = 1;
const CONCURRENT: u32 = 3;

pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/admin/partners", get(list).post(create))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPartner {
    name: String,
    email: String,
    #[serde(default)]
    currency: Option<String>,
    #[serde(default)]
    balance: Value,
    #[serde(default)]
    company: Option<String>,
    #[serde(default)]
    phone: Option<String>,
    #[serde(default)]
    country: Option<String>,
    #[serde(default)]
    max_accounts: Option<u32>,
    /// With one it may sign in; it can also be set later by "forgotten password".
    #[serde(default)]
    password: Option<String>,
}

/// Makes a partner with every capability. Its token is answered here and nowhere else.
async fn create(
    State(state): State<AppState>,
    id: RequestId,
    body: Payload<NewPartner>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let body = body.value;
    let name = checks::text("name", Some(&body.name), TEXT_MAX)?;
    let email = checks::email("email", &body.email)?;
    let country = checks::country("country", body.country.as_deref().unwrap_or("IN"))?;
    let currency = match &body.currency {
        Some(text) => text.parse::<Currency>().map_err(|remedy| ApiError::field("currency", remedy))?,
        None => Currency::of_country(&country),
    };
    let balance =
        if body.balance.is_null() { Money::ZERO } else { checks::amount("balance", &body.balance)? };
    if balance < Money::ZERO {
        return Err(ApiError::field("balance", "is not negative"));
    }
    let phone = match body.phone.as_deref().filter(|phone| !phone.is_empty()) {
        Some(phone) => checks::number("phone", phone)?.plus(),
        None => String::new(),
    };
    let password_hash = match body.password {
        Some(password) => {
            checks::password("password", &password)?;
            Some(hash_password(password).await.map_err(ApiError::internal)?)
        }
        None => None,
    };
    let token = mint_token();
    let command = CreateAccount {
        account: NewAccount {
            candidates: (0..DRAWS).map(|_| Ids::account("PA")).collect(),
            api_id: Ids::random(),
            kind: "partner",
            partner: None,
            name: name.clone(),
            email: email.clone(),
            phone,
            description: String::new(),
            company: body.company.filter(|company| !company.is_empty()).unwrap_or_else(|| name.clone()),
            timezone: if country == "IN" { "Asia/Kolkata".to_owned() } else { "UTC".to_owned() },
            country,
            currency,
            profile: "{}".to_owned(),
            kyc_status: "verified",
            token_hash: state.vault.token_hash(&token),
            token_sealed: state.vault.seal(context::AUTH_TOKEN, &token),
            password_hash,
            cps_limit: CPS,
            concurrent_limit: CONCURRENT,
            capabilities: Capabilities::ALL,
            max_accounts: body.max_accounts.unwrap_or(MAX_ACCOUNTS),
        },
        opening: (balance > Money::ZERO).then(|| Opening { id: Ids::random(), amount: balance }),
        actor: operator(&id),
        at: clock::wall(),
    };
    match commit(&state, command).await? {
        CreateAccountOutcome::Created(id) => Ok((
            StatusCode::CREATED,
            Json(json!({
                "auth_id": id, "auth_token": token, "name": name, "email": email,
                "balance": balance.to_fixed(2), "currency": currency,
            })),
        )),
        CreateAccountOutcome::EmailTaken => Err(ApiError::because(
            ErrorCode::Conflict,
            format!("An account with the e-mail address {email} exists"),
        )),
        other => Err(ApiError::internal(format!("a partner came to {other:?}"))),
    }
}

async fn list(State(state): State<AppState>) -> Result<Json<Value>, ApiError> {
    let partners: Vec<Value> = state
        .reader
        .partners()
        .await?
        .into_iter()
        .map(|(partner, customers)| {
            json!({
                "auth_id": partner.id, "name": partner.name, "email": partner.email,
                "balance": partner.balance.to_fixed(2), "currency": partner.currency,
                "account_count": customers, "max_accounts": partner.max_accounts, "enabled": partner.enabled,
            })
        })
        .collect();
    Ok(Json(json!({ "partners": partners })))
}
