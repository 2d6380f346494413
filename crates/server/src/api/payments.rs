//! Paying in: an intent with a provider, and the provider's signed notice that completes it (docs/reference/payment-provider.md).

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};
use tandem_model::{Currency, ErrorCode, Ids, clock};
use tandem_store::payments::{
    OpenIntent, PaymentIntent, PaymentVerdict, SettlePayment, SettlePaymentOutcome,
};
use uuid::Uuid;

use super::json::{instant, money, optional_instant};
use super::lenient::{Fields, Given};
use super::own::Own;
use super::paging::PageQuery;
use super::{ApiError, AppState, Effect, Posted, Query, Reply, Routes, checks};
use crate::billing::payments::{ProviderError, Wish};

const PER_PAGE: u32 = 20;
const PER_PAGE_MAX: u32 = 100;
/// Longest notice.
const NOTICE_BYTES_MAX: usize = 64 * 1024;
const REASON_MAX: usize = 200;

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/Account/{auth_id}/payments", get(list).post(create))
        .route("/Account/{auth_id}/payments/{payment_id}", get(read))
        .route("/payments/sandbox/{payment_id}", post(sandbox))
        .route("/payments/{provider}/webhook", post(notice))
}

fn not_found() -> ApiError {
    ApiError::not_found("No payment has that id").word("payment_not_found")
}

fn view(intent: &PaymentIntent) -> Value {
    json!({
        "payment_id": intent.id,
        "account_id": intent.account,
        "status": intent.state,
        "amount": money(intent.amount),
        "currency": intent.currency,
        "provider": intent.provider,
        "provider_reference": intent.provider_reference,
        "checkout_url": intent.checkout_url,
        "reason": intent.reason,
        "created_at": instant(intent.created_at),
        "updated_at": instant(intent.updated_at),
        "completed_at": optional_instant(intent.completed_at),
    })
}

/// The id of the intent that a request means: under an `Idempotency-Key` always the same, so that its provider is told of one
/// however often it is asked.
fn intent_of(state: &AppState, own: &Own, effect: &Effect) -> Uuid {
    let Some(key) = effect.key(own.id()) else { return Ids::random() };
    let seed = format!("payment {} {} {}", key.account, key.fingerprint, key.key);
    let hash = hex::decode(state.vault.token_hash(&seed)).unwrap_or_default();
    match hash.first_chunk::<16>() {
        Some(bytes) => uuid::Builder::from_random_bytes(*bytes).into_uuid(),
        None => Ids::random(),
    }
}

/// `POST …/payments`: tells the provider, and answers where to pay. The balance changes when the provider says it was paid.
async fn create(State(state): State<AppState>, own: Own, posted: Posted<Fields>) -> Result<Reply, ApiError> {
    let payments = &state.payments;
    let Some(provider) = &payments.provider else {
        return Err(ApiError::new(ErrorCode::PaymentsNotConfigured));
    };
    let mut fields = posted.value;
    let amount = checks::positive_amount("amount", fields.raw(&["amount"]).unwrap_or(&Value::Null))?;
    if amount < payments.least || amount > payments.most || amount.micros % 10_000 != 0 {
        let (least, most) = (payments.least.to_fixed(2), payments.most.to_fixed(2));
        return Err(ApiError::field("amount", &format!("is from {least} to {most}, in hundredths")));
    }
    let currency = own.0.account.currency;
    if let Given::Value(given) = fields.text(&["currency"], 3)
        && given.to_ascii_uppercase().parse::<Currency>() != Ok(currency)
    {
        fields.refuse("currency", format!("Must be {currency}, the account's"));
    }
    let return_url = fields.url(&["return_url"]).value();
    fields.check()?;
    let wish = Wish {
        intent: intent_of(&state, &own, &posted.effect),
        account: own.id().clone(),
        amount,
        currency,
        return_url,
    };
    let checkout = provider.open(&wish).await.map_err(|error| match error {
        ProviderError::Refused(reason) => ApiError::new(ErrorCode::PaymentFailed)
            .details(json!({ "gateway": provider.name(), "reason": reason })),
        ProviderError::Unavailable(words) => {
            tracing::warn!(%words, "the payment provider does not answer");
            ApiError::new(ErrorCode::PaymentProviderUnavailable).retry_after(5)
        }
    })?;
    let at = clock::wall();
    let intent = PaymentIntent {
        id: wish.intent,
        account: wish.account.clone(),
        amount,
        currency,
        provider: provider.name().to_owned(),
        provider_reference: checkout.reference,
        checkout_url: checkout.url,
        state: "pending".to_owned(),
        reason: None,
        created_at: at,
        updated_at: at,
        completed_at: None,
    };
    let body = view(&intent);
    let command = OpenIntent { intent, actor: own.0.actor.clone() };
    posted.effect.run(&wish.account, command, move |()| Ok(Reply::created(body.clone()))).await
}

#[derive(Debug, Deserialize)]
struct ListQuery {
    page: Option<i64>,
    per_page: Option<i64>,
}

/// `GET …/payments`: newest first.
async fn list(
    State(state): State<AppState>,
    own: Own,
    Query(query): Query<ListQuery>,
) -> Result<Json<Value>, ApiError> {
    let page = PageQuery::new(query.page, query.per_page).page(PER_PAGE, PER_PAGE_MAX);
    let (rows, total) = state.reader.payment_intents(own.id(), page.offset(), page.size).await?;
    Ok(Json(page.items(rows.iter().map(view).collect(), total)))
}

/// `GET …/payments/{id}`.
async fn read(
    State(state): State<AppState>,
    own: Own,
    Path((_, id)): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    let id: Uuid = id.parse().map_err(|_| not_found())?;
    let intent = state.reader.payment_intent(id).await?.filter(|intent| intent.account == *own.id());
    Ok(Json(view(&intent.ok_or_else(not_found)?)))
}

async fn settle(
    effect: &Effect,
    intent: &PaymentIntent,
    amount: tandem_model::Money,
    currency: Currency,
    verdict: PaymentVerdict,
) -> Result<Reply, ApiError> {
    let command = SettlePayment {
        id: intent.id,
        account: intent.account.clone(),
        amount,
        currency,
        verdict,
        transaction: Ids::random(),
        at: clock::wall(),
    };
    let id = intent.id;
    let answer = move |outcome: &SettlePaymentOutcome| {
        let word = match outcome {
            SettlePaymentOutcome::Credited { .. } => "credited",
            SettlePaymentOutcome::Failed => "failed",
            SettlePaymentOutcome::Repeated => "repeated",
            SettlePaymentOutcome::OtherAmount => {
                let words = "The amount or currency is not the intent's: nothing was credited";
                return Err(ApiError::because(ErrorCode::Conflict, words)
                    .word("amount_mismatch")
                    .hint("Report what was paid, in the currency of the intent."));
            }
            SettlePaymentOutcome::NoIntent => return Err(not_found()),
        };
        Ok(Reply::ok(json!({ "payment_id": id, "result": word })))
    };
    effect.run(&intent.account, command, answer).await
}

#[derive(Debug, Deserialize)]
struct Notice {
    intent_id: Uuid,
    status: String,
    amount: Value,
    currency: String,
    #[serde(default)]
    reason: String,
}

/// A notice with the exact bytes that its signature is over.
struct Signed {
    headers: HeaderMap,
    bytes: Bytes,
    posted: Posted<Notice>,
}

impl FromRequest<AppState> for Signed {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let bytes = axum::body::to_bytes(body, NOTICE_BYTES_MAX).await.map_err(|_| {
            ApiError::field("", "larger than a notice is").status(StatusCode::PAYLOAD_TOO_LARGE)
        })?;
        let headers = parts.headers.clone();
        let again = Request::from_parts(parts, Body::from(bytes.clone()));
        Ok(Self { headers, bytes, posted: Posted::from_request(again, state).await? })
    }
}

/// `POST /payments/{provider}/webhook`: the provider says what became of an intent. It is believed by its signature alone, and
/// what it says twice happens once.
async fn notice(
    State(state): State<AppState>,
    Path(name): Path<String>,
    Signed { headers, bytes, posted }: Signed,
) -> Result<Reply, ApiError> {
    let Some(provider) = state.payments.provider.as_ref().filter(|provider| provider.name() == name) else {
        return Err(ApiError::not_found("No payment provider has that name"));
    };
    if !provider.is_genuine(&headers, &bytes) {
        return Err(ApiError::because(ErrorCode::InvalidCredentials, "The signature does not fit"));
    }
    let Posted { value: notice, effect } = posted;
    let verdict = match notice.status.as_str() {
        "paid" => PaymentVerdict::Paid,
        "failed" => PaymentVerdict::Failed {
            reason: notice.reason.chars().filter(|c| !c.is_control()).take(REASON_MAX).collect(),
        },
        _ => return Err(ApiError::field("status", "is paid or failed")),
    };
    let amount = checks::amount("amount", &notice.amount)?;
    let currency: Currency = notice.currency.parse().map_err(|remedy| ApiError::field("currency", remedy))?;
    let intent = state.reader.payment_intent(notice.intent_id).await?;
    let intent = intent.filter(|intent| intent.provider == name).ok_or_else(not_found)?;
    settle(&effect, &intent, amount, currency, verdict).await
}

#[derive(Debug, Deserialize)]
struct Word {
    outcome: Option<String>,
}

/// `POST /payments/sandbox/{id}`: the sandbox's checkout. `{"outcome":"paid"}` or `{"outcome":"failed"}`.
async fn sandbox(
    State(state): State<AppState>,
    Path(id): Path<String>,
    posted: Posted<Word>,
) -> Result<Reply, ApiError> {
    let is_there = state.payments.provider.as_ref().is_some_and(|provider| provider.name() == "sandbox");
    let id: Uuid = id.parse().ok().filter(|_| is_there).ok_or_else(not_found)?;
    let intent = state.reader.payment_intent(id).await?;
    let intent = intent.filter(|intent| intent.provider == "sandbox").ok_or_else(not_found)?;
    let verdict = match posted.value.outcome.as_deref() {
        Some("paid") => PaymentVerdict::Paid,
        Some("failed") => PaymentVerdict::Failed { reason: "The payer said no".to_owned() },
        _ => return Err(ApiError::field("outcome", "is paid or failed")),
    };
    settle(&posted.effect, &intent, intent.amount, intent.currency, verdict).await
}
