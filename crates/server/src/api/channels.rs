//! Capacity bought by the month (REST reference §2.6).

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{delete, get};
use serde_json::{Value, json};
use tandem_model::{Currency, ErrorCode, Ids, clock};
use tandem_store::capacity::{
    BuyChannels, BuyChannelsOutcome, CancelChannels, CancelChannelsOutcome, ChannelSubscription, Resource,
};

use super::json::{instant, money, optional_instant};
use super::lenient::Fields;
use super::own::Own;
use super::{ApiError, AppState, Effect, Payload, Posted, Query, Reply, Routes};
use crate::billing::ChannelPrices;
use crate::billing::channels::{Quote, month_after};

const QUANTITY_MAX: u64 = 10_000;
/// Characters of a reason at most.
const REASON_MAX: usize = 255;
/// Subscriptions listed, the newest.
const LISTED_MAX: u32 = 500;

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/Account/{auth_id}/channel-pricing-preview", get(preview))
        .route("/Account/{auth_id}/channel-subscriptions", get(list).post(buy))
        .route("/Account/{auth_id}/channel-subscriptions/{subscription_id}", delete(cancel))
}

/// What was asked for, priced.
struct Order {
    resource: Resource,
    quantity: u32,
    currency: Currency,
    quote: Quote,
}

fn order(state: &AppState, own: &Own, mut fields: Fields) -> Result<Order, ApiError> {
    let words = &["concurrent_calls", "cps"];
    let resource = fields.word(&["resource_type", "resource"], words).value().and_then(Resource::parse);
    let quantity = fields.number(&["quantity"], 1, QUANTITY_MAX).value();
    for (name, absent) in [("resource_type", resource.is_none()), ("quantity", quantity.is_none())] {
        if absent {
            fields.refuse(name, "This field is required");
        }
    }
    fields.check()?;
    let prices = ChannelPrices::of(&state.config.capacity).map_err(ApiError::internal)?;
    if own.0.account.currency != prices.currency {
        let words = format!("No pricing tier of capacity in {}", own.0.account.currency);
        return Err(ApiError::because(ErrorCode::ValidationError, words).word("no_pricing_tier"));
    }
    let resource = resource.unwrap_or(Resource::ConcurrentCalls);
    let quantity = quantity.and_then(|quantity| u32::try_from(quantity).ok()).unwrap_or_default();
    let quote = prices.quote(resource, quantity).ok_or_else(|| {
        ApiError::field("quantity", &format!("comes in packs of {}", prices.packs(resource).size))
    })?;
    Ok(Order { resource, quantity, currency: prices.currency, quote })
}

/// `GET …/channel-pricing-preview`: what so many slots cost a month.
async fn preview(
    State(state): State<AppState>,
    own: Own,
    Query(fields): Query<Fields>,
) -> Result<Json<Value>, ApiError> {
    let Order { resource, quantity, currency, quote } = order(&state, &own, fields)?;
    Ok(Json(json!({
        "resource_type": resource.as_str(),
        "quantity": quantity,
        "monthly_cost": quote.monthly.to_fixed(2),
        "currency": currency,
        "breakdown": [{
            "pack_size": quote.pack.size,
            "packs": quote.packs,
            "unit_price": quote.pack.unit.to_fixed(2),
            "cost": quote.monthly.to_fixed(2),
        }],
    })))
}

/// `POST …/channel-subscriptions`: the slots are the account's and the first month is paid, or neither.
async fn buy(State(state): State<AppState>, own: Own, posted: Posted<Fields>) -> Result<Reply, ApiError> {
    let Order { resource, quantity, currency, quote } = order(&state, &own, posted.value)?;
    let (id, at) = (Ids::random(), clock::wall());
    let next_billing_at = month_after(at);
    let account = own.id().clone();
    let command = BuyChannels {
        id,
        transaction: Ids::random(),
        account: account.clone(),
        resource,
        quantity,
        monthly_cost: quote.monthly,
        currency,
        next_billing_at,
        actor: own.0.actor.clone(),
        at,
    };
    let bought = ChannelSubscription {
        id,
        account: account.clone(),
        resource,
        quantity: quantity.into(),
        monthly_cost: quote.monthly,
        currency,
        status: "active".to_owned(),
        last_billing_at: at,
        next_billing_at,
        purchased_at: at,
        cancelled_at: None,
        cancellation_reason: None,
        updated_at: at,
    };
    let answer = move |outcome: &BuyChannelsOutcome| match outcome {
        BuyChannelsOutcome::Bought { numeric_id } => Ok(Reply::created(view(&bought, *numeric_id))),
        BuyChannelsOutcome::Insufficient { available } => {
            let words = format!("The first month costs {} {currency}", quote.monthly.to_fixed(2));
            Err(ApiError::because(ErrorCode::InsufficientBalance, words)
                .status(StatusCode::BAD_REQUEST)
                .details(json!({
                    "required": money(quote.monthly), "available": money(*available), "currency": currency,
                    "shortfall": money(quote.monthly - *available),
                })))
        }
        BuyChannelsOutcome::NoAccount => Err(ApiError::not_found("The account is gone")),
    };
    posted.effect.run(&account, command, answer).await
}

/// `DELETE …/channel-subscriptions/{id}`: the slots go at once; the month that is paid stays paid.
async fn cancel(
    own: Own,
    Path((_, id)): Path<(String, String)>,
    effect: Effect,
    Query(query): Query<Fields>,
    body: Payload<Fields>,
) -> Result<Reply, ApiError> {
    let not_found = || ApiError::not_found("No subscription of yours has that id");
    let mut fields = query.or(body.value);
    let reason = fields.text(&["reason", "cancellation_reason"], REASON_MAX).value();
    fields.check()?;
    let command = CancelChannels {
        id: id.parse().map_err(|_| not_found())?,
        account: own.id().clone(),
        reason,
        actor: own.0.actor.clone(),
        at: clock::wall(),
    };
    let answer = move |outcome: &CancelChannelsOutcome| match outcome {
        CancelChannelsOutcome::Cancelled { subscription, numeric_id } => {
            Ok(Reply::ok(view(subscription, *numeric_id)))
        }
        CancelChannelsOutcome::NotFound => Err(not_found()),
    };
    effect.run(own.id(), command, answer).await
}

fn view(subscription: &ChannelSubscription, numeric_id: i64) -> Value {
    json!({
        "id": subscription.id,
        "account_id": numeric_id,
        "resource_type": subscription.resource.as_str(),
        "quantity": subscription.quantity,
        "monthly_cost": subscription.monthly_cost.to_fixed(2),
        "currency": subscription.currency,
        "status": subscription.status,
        "last_billing_date": instant(subscription.last_billing_at),
        "next_billing_date": instant(subscription.next_billing_at),
        "purchased_at": instant(subscription.purchased_at),
        "cancelled_at": optional_instant(subscription.cancelled_at),
        "cancellation_reason": subscription.cancellation_reason,
        "is_active": subscription.status == "active",
        "created_at": instant(subscription.purchased_at),
        "updated_at": instant(subscription.updated_at),
    })
}

/// `GET …/channel-subscriptions`: the newest first, ended ones too.
async fn list(State(state): State<AppState>, own: Own) -> Result<Json<Value>, ApiError> {
    let number = super::account::in_full(&state, own.id()).await?.numeric_id;
    let rows = state.reader.channel_subscriptions(own.id(), LISTED_MAX).await?;
    let rows: Vec<Value> = rows.iter().map(|row| view(row, number)).collect();
    Ok(Json(json!({ "subscriptions": rows, "total": rows.len() })))
}
