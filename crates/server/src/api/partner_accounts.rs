//! A partner's customers: make them, read them, give them money (REST reference §5.3, §5.4).

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tandem_model::{AccountId, Currency, ErrorCode, Ids, Money, Rate, clock};
use tandem_store::audit::{Audited, Entry};
use tandem_store::money::{Transfer, TransferOutcome};
use tandem_store::resources::account::{
    Account, Capabilities, CreateAccount, CreateAccountOutcome, NewAccount,
};
use tandem_store::resources::deck::PricingTier;
use uuid::Uuid;

use super::account::{account_type, is_verified, profile_of, profile_text, tier_of};
use super::checks;
use super::error::Together;
use super::json::{instant, joined, money, money_text, optional_instant};
use super::paging::PageQuery;
use super::partner::{Capability, may};
use super::{ApiError, AppState, Posted, Query, Reply, Routes};
use crate::auth::{Partner, context, hash_password, mint_token};
use crate::billing::NumberTerms;

/// Longest name, company, address line.
const TEXT_MAX: usize = 200;
/// Longest description.
const DESCRIPTION_MAX: usize = 500;
/// Ids drawn for one account.
const DRAWS: usize = 4;
/// What a customer may do before anybody raises it (REST reference §1.5).
const CPS_INCLUDED: u32 = 1;
const CONCURRENT_INCLUDED: u32 = 3;

/// The routes.
pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/partner/accounts", get(list).post(create))
        .route("/partner/accounts/{auth_id}", get(read))
        .route("/partner/accounts/{auth_id}/balance", get(balance))
        .route("/partner/accounts/{auth_id}/transfer-balance", post(transfer))
}

#[derive(Debug, Deserialize)]
struct NewCustomer {
    name: Option<String>,
    email: Option<String>,
    phone: Option<String>,
    password: Option<String>,
    country: Option<String>,
    company: Option<String>,
    description: Option<String>,
    timezone: Option<String>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// What of a new customer's body goes into its profile as it stands.
const PROFILE_FIELDS: &[&str] =
    &["address", "city", "state", "zip_code", "gstin", "gst_status", "account_type"];

/// `POST /partner/accounts`: a customer with no balance, KYC pending, its currency its country's. Answers
/// its credentials; an `Idempotency-Key` answers the same ones again.
async fn create(
    State(state): State<AppState>,
    Partner(caller): Partner,
    posted: Posted<NewCustomer>,
) -> Result<Reply, ApiError> {
    let partner = may(&state, &caller, Capability::CreateAccounts).await?;
    let body = posted.value;
    // Whatever is wrong is told at once.
    let mut wrong = Together::default();
    let name = wrong.keep(checks::text("name", body.name.as_deref(), TEXT_MAX));
    let email = checks::text("email", body.email.as_deref(), TEXT_MAX);
    let email = wrong.keep(email.and_then(|email| checks::email("email", &email)));
    let phone = wrong.keep(match body.phone.as_deref().map(str::trim).filter(|phone| !phone.is_empty()) {
        Some(phone) => checks::number("phone", phone).map(|phone| phone.plus()),
        None => Err(ApiError::field("phone", "is required, in E.164, such as +919800000001")),
    });
    let country = checks::text("country", body.country.as_deref(), 2);
    let country = wrong.keep(country.and_then(|country| checks::country("country", &country)));
    let password = body.password.unwrap_or_default();
    wrong.keep(checks::password("password", &password));
    let timezone = wrong.keep(match body.timezone.filter(|zone| !zone.is_empty()) {
        Some(zone) => match jiff::tz::TimeZone::get(&zone) {
            Ok(_) => Ok(zone),
            Err(_) => Err(ApiError::field("timezone", "is an IANA name, such as Asia/Kolkata")),
        },
        None if country == "IN" => Ok("Asia/Kolkata".to_owned()),
        None => Ok("UTC".to_owned()),
    });
    let description = checks::optional_text("description", body.description.as_deref(), DESCRIPTION_MAX);
    let description = wrong.keep(description);
    let company = wrong.keep(checks::optional_text("company", body.company.as_deref(), TEXT_MAX));
    let mut profile = Map::new();
    for field in PROFILE_FIELDS {
        match body.rest.get(*field) {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) => {
                let text = wrong.keep(checks::optional_text(field, Some(text), TEXT_MAX));
                profile.insert((*field).to_owned(), text.into());
            }
            Some(_) => wrong.keep(Err(ApiError::field(field, "is text"))),
        }
    }
    wrong.refuse()?;
    let token = mint_token();
    let currency = Currency::of_country(&country);
    let at = clock::wall();
    let command = CreateAccount {
        account: NewAccount {
            candidates: (0..DRAWS).map(|_| Ids::account("MA")).collect(),
            api_id: Ids::random(),
            kind: "master",
            partner: Some(partner.id.clone()),
            name: name.clone(),
            email: email.clone(),
            phone,
            description,
            company: if company.is_empty() { name.clone() } else { company },
            country: country.clone(),
            timezone,
            currency,
            profile: Value::Object(profile).to_string(),
            kyc_status: "pending",
            token_hash: state.vault.token_hash(&token),
            token_sealed: state.vault.seal(context::AUTH_TOKEN, &token),
            password_hash: Some(hash_password(password).await.map_err(ApiError::internal)?),
            cps_limit: CPS_INCLUDED,
            concurrent_limit: CONCURRENT_INCLUDED,
            capabilities: Capabilities::default(),
            max_accounts: 0,
        },
        opening: None,
        actor: caller.actor,
        at,
    };
    let answer = move |outcome: &CreateAccountOutcome| match outcome {
        CreateAccountOutcome::Created(id) => Ok(Reply::created(json!({
            "auth_id": id, "auth_token": token, "name": name, "email": email, "status": "active",
            "balance": 0, "currency": currency, "country": country, "created_at": instant(at),
        }))),
        CreateAccountOutcome::EmailTaken => {
            Err(ApiError::because(ErrorCode::Conflict, "An account with this e-mail address exists")
                .word("email_taken")
                .hint("Use another e-mail address, or go on with the account that has this one.")
                .details(json!({ "email": "is taken" })))
        }
        CreateAccountOutcome::LimitReached { max } => {
            let words = format!("This partner may have {max} accounts and has them");
            Err(ApiError::because(ErrorCode::CapabilityMissing, words)
                .word("max_accounts_reached")
                .hint("Ask the operator to raise max_accounts."))
        }
        CreateAccountOutcome::NoFreeId => Err(ApiError::internal("every account id drawn was taken")),
    };
    posted.effect.run(&partner.id, command, answer).await
}

#[derive(Debug, Deserialize)]
struct CustomerQuery {
    page: Option<i64>,
    per_page: Option<i64>,
    size: Option<i64>,
    search: Option<String>,
}

/// `GET /partner/accounts`: newest first; `search` is part of a name or e-mail address.
async fn list(
    State(state): State<AppState>,
    Partner(caller): Partner,
    Query(query): Query<CustomerQuery>,
) -> Result<Json<Value>, ApiError> {
    let page = PageQuery::new(query.page, query.per_page.or(query.size)).page(20, 100);
    let search = query.search.as_deref().filter(|search| !search.is_empty());
    let found = state.reader.customers(&caller.account.id, search, page.offset(), page.size).await?;
    let mut customers = Vec::with_capacity(found.0.len());
    for account in &found.0 {
        customers.push(customer_view(&state, account).await?);
    }
    Ok(Json(json!({ "accounts": customers, "total": found.1, "page": page.number, "size": page.size })))
}

pub(super) async fn customer(state: &AppState, partner: &AccountId, id: &str) -> Result<Account, ApiError> {
    let found = state.reader.customer(partner, &AccountId::new(id)).await?;
    found.ok_or_else(|| ApiError::not_found("No customer of yours has that id").word("account_not_found"))
}

/// `GET /partner/accounts/{MA}`: the customer in full, its auth_token included.
async fn read(
    State(state): State<AppState>,
    Partner(caller): Partner,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let account = customer(&state, &caller.account.id, &id).await?;
    Ok(Json(customer_view(&state, &account).await?))
}

/// `GET /partner/accounts/{MA}/balance`.
async fn balance(
    State(state): State<AppState>,
    Partner(caller): Partner,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let account = customer(&state, &caller.account.id, &id).await?;
    Ok(Json(json!({
        "auth_id": account.id, "name": account.name, "cash_credits": money_text(account.balance),
        "currency": account.currency, "updated_at": instant(account.updated_at),
    })))
}

async fn customer_view(state: &AppState, account: &Account) -> Result<Value, ApiError> {
    let tier = tier_of(state, account).await?;
    let profile = profile_of(account);
    let text = |name: &str| profile_text(&profile, name);
    let or_null = |name: &str| profile.get(name).cloned().unwrap_or(Value::Null);
    let token = match &account.token_sealed {
        Some(sealed) => state.vault.open_secret(context::AUTH_TOKEN, sealed)?.expose_secret().to_owned(),
        None => String::new(),
    };
    let business_type = match text("business_type") {
        text if text.is_empty() => "individual".to_owned(),
        text => text,
    };
    let person = json!({
        "name": account.name,
        "email": account.email,
        "phone": account.phone,
        "description": account.description,
        "gstin": or_null("gstin"),
        "gst_status": or_null("gst_status"),
        "tds_enabled": false,
        "tds_percentage": 0,
        "business_type": business_type,
        "id": account.numeric_id.to_string(),
        "auth_id": account.id,
        "api_id": account.api_id,
        "account_type": account_type(&profile),
        "role": "user",
        "postpaid": account.postpaid,
        "address": or_null("address"),
        "city": or_null("city"),
        "state": or_null("state"),
        "timezone": account.timezone,
        "country": account.country,
        "zip_code": or_null("zip_code"),
        "company": account.company,
    });
    let terms = json!({
        "billing_mode": if account.postpaid { "postpaid" } else { "prepaid" },
        "auto_recharge": false,
        "cash_credits": money_text(account.balance),
        "cps_limit": account.cps_limit,
        "concurrent_calls_limit": account.concurrent_limit,
        "base_cps_limit": account.cps_limit.saturating_sub(account.purchased_cps),
        "base_concurrent_calls_limit": account.concurrent_limit.saturating_sub(account.purchased_concurrent),
        "purchased_cps": account.purchased_cps,
        "purchased_concurrent_calls": account.purchased_concurrent,
        "is_active": account.enabled,
        "is_verified": is_verified(account),
        "is_trial_account": false,
        "enabled": account.enabled,
        "kyc_status": account.kyc_status,
        "google_id": null,
        "referral_code": null,
        "referral_disabled": true,
        "custom_referrer_reward_amount": null,
        "custom_referee_reward_amount": null,
        "created_at": instant(account.created_at),
        "updated_at": instant(account.updated_at),
        "last_login": optional_instant(account.last_login_at),
        "pricing_tier_id": tier.id,
        "pricing_tier": tier_view(&tier, release_fee(state, account.currency)?),
        "partner_id": account.partner,
        "auto_recharge_config": null,
        "resource_uri": format!("/v1/Account/{}/", account.id),
        "auth_token": token,
    });
    Ok(joined(person, terms))
}

/// What giving a number back costs an account.
fn release_fee(state: &AppState, currency: Currency) -> Result<Money, ApiError> {
    let terms = NumberTerms::of(&state.config.numbers).map_err(ApiError::internal)?;
    Ok(terms.release_fee_in(currency))
}

fn tier_view(tier: &PricingTier, release_fee: Money) -> Value {
    json!({
        "id": tier.id,
        "name": tier.name,
        "currency": tier.currency,
        "rate_per_minute": money(tier.rate.unwrap_or(Rate::FREE).per_minute),
        "streaming_rate_per_minute": 0,
        "recording_rate_per_minute": 0,
        "whatsapp_voice_rate": 0,
        "transcription_rate_per_minute": 0,
        "pii_redaction_rate_per_minute": 0,
        "charge_non_connected_calls": false,
        "non_connected_call_fee": 0,
        "did_release_fee": money(release_fee),
        "is_active": true,
        "is_default": tier.is_default,
        "partner_id": null,
    })
}

#[derive(Debug, Deserialize)]
struct TransferBody {
    #[serde(default)]
    amount: Value,
    currency: Option<String>,
    description: Option<String>,
}

/// `POST /partner/accounts/{MA}/transfer-balance`: moves money from the partner to its customer, at once
/// and for good; both ledgers show it.
async fn transfer(
    State(state): State<AppState>,
    Partner(caller): Partner,
    Path(id): Path<String>,
    posted: Posted<TransferBody>,
) -> Result<Reply, ApiError> {
    let partner = may(&state, &caller, Capability::TransferBalance).await?;
    let customer = customer(&state, &partner.id, &id).await?;
    let amount = checks::positive_amount("amount", &posted.value.amount)
        .map_err(|error| error.word("invalid_amount"))?;
    let currency = checks::text("currency", posted.value.currency.as_deref(), 3)?;
    if currency.parse::<Currency>() != Ok(partner.currency) || customer.currency != partner.currency {
        let words = format!("currency: is {}, the partner's, for both accounts", partner.currency);
        return Err(ApiError::because(ErrorCode::ValidationError, words).word("currency_mismatch"));
    }
    let description = posted.value.description.unwrap_or_default();
    if description.chars().count() > 500 {
        return Err(ApiError::field("description", "is at most 500 characters"));
    }
    let at = clock::wall();
    let transaction = Ids::random();
    let command = Transfer {
        id: transaction,
        from: partner.id.clone(),
        to: customer.id.clone(),
        amount,
        ref_kind: "ptc".to_owned(),
        // Seconds alone would let two transfers of one second pass for one.
        ref_id: format!("{}:{}:{}", partner.id, customer.id, at.as_nanosecond()),
        description: format!("Transfer from partner {}: {description}", partner.name),
        at,
    };
    let (from, to, currency) = (partner.id.clone(), customer.id, partner.currency);
    let of = [from.clone(), to.clone()];
    let entry = move |outcome: &TransferOutcome| match outcome {
        TransferOutcome::Done { .. } => {
            of.iter().map(|account| moved(account, "transfer", transaction, at)).collect()
        }
        _ => Vec::new(),
    };
    let command = Audited { command, entry, actor: caller.actor };
    let answer = move |outcome: &TransferOutcome| match outcome {
        TransferOutcome::Done { from_balance, to_balance } => Ok(Reply::ok(json!({
            "transaction_id": format!("txn_{}", transaction.simple()),
            "from_account": from,
            "to_account": to,
            "amount": money(amount),
            "currency": currency,
            "description": description,
            "status": "completed",
            "partner_balance_after": money(*from_balance),
            "customer_balance_after": money(*to_balance),
            "timestamp": instant(at),
        }))),
        TransferOutcome::Insufficient { available, currency } => {
            Err(insufficient(*available, amount, *currency))
        }
        TransferOutcome::AlreadyDone => {
            Err(ApiError::because(ErrorCode::Conflict, "Another transfer was made in the same instant")
                .hint("Send it again.")
                .retry_after(1))
        }
        TransferOutcome::Impossible => {
            Err(ApiError::because(ErrorCode::ValidationError, "This transfer cannot be made")
                .word("invalid_request"))
        }
    };
    posted.effect.run(&partner.id, command, answer).await
}

/// What the audit says of money that moved; how much stands in the ledger.
pub(crate) fn moved(account: &AccountId, action: &'static str, transaction: Uuid, at: Timestamp) -> Entry {
    Entry {
        at,
        account: Some(account.clone()),
        action,
        resource_kind: "ledger_tx",
        resource_id: transaction.hyphenated().to_string(),
        fields: vec!["balance"],
    }
}

/// 400 rather than 402: the contract's own answer here.
fn insufficient(available: Money, requested: Money, currency: Currency) -> ApiError {
    let words = format!("Insufficient balance: {} {currency} available", available.to_fixed(2));
    ApiError::because(ErrorCode::InsufficientBalance, words)
        .status(StatusCode::BAD_REQUEST)
        .word("insufficient_balance")
        .with("current_balance", money(available))
        .with("requested_amount", money(requested))
        .with("currency", currency.as_str())
}
