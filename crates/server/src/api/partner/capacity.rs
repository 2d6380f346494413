//! Channels and calls per second, given to customers and taken back (REST reference §5.5). Slots are a difference, not a
//! target.

use axum::Json;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use serde_json::{Value, json};
use tandem_model::{ErrorCode, Ids, clock};
use tandem_store::capacity::{CapacityMove, MoveCapacity, MoveCapacityOutcome, MovedCapacity, Resource};

use super::{Capability, may};
use crate::api::json::instant;
use crate::api::lenient::Fields;
use crate::api::partner_accounts::customer;
use crate::api::{ApiError, AppState, Posted, Query, Reply, Routes};
use crate::auth::Partner;

const SLOTS_MAX: u64 = 10_000;
const DESCRIPTION_MAX: usize = 500;
const HISTORY: u64 = 50;
const HISTORY_MAX: u64 = 200;

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/partner/accounts/{auth_id}/concurrency", get(view))
        .route("/partner/accounts/{auth_id}/concurrency/transfer", post(give))
        .route("/partner/accounts/{auth_id}/concurrency/reclaim", post(take_back))
        .route("/partner/concurrency/transfers", get(history))
}

async fn give(
    state: State<AppState>,
    partner: Partner,
    id: Path<String>,
    posted: Posted<Fields>,
) -> Result<Reply, ApiError> {
    moved(state, partner, id, posted, CapacityMove::Give).await
}

async fn take_back(
    state: State<AppState>,
    partner: Partner,
    id: Path<String>,
    posted: Posted<Fields>,
) -> Result<Reply, ApiError> {
    moved(state, partner, id, posted, CapacityMove::TakeBack).await
}

/// Both limits and the log change together. What is taken back was given before, on balance, and is still there.
async fn moved(
    State(state): State<AppState>,
    Partner(caller): Partner,
    Path(id): Path<String>,
    posted: Posted<Fields>,
    way: CapacityMove,
) -> Result<Reply, ApiError> {
    let partner = may(&state, &caller, Capability::TransferConcurrency).await?;
    let customer = customer(&state, &partner.id, &id).await?;
    let mut fields = posted.value;
    let resource = fields.word(&["resource"], &["concurrent_calls", "cps"]).value();
    let slots = fields.number(&["slots"], 1, SLOTS_MAX).value();
    let description = fields.text(&["description"], DESCRIPTION_MAX).value().unwrap_or_default();
    if slots.is_none() {
        fields.refuse("slots", "This field is required");
    }
    fields.check()?;
    let slots = slots.and_then(|slots| u32::try_from(slots).ok()).unwrap_or_default();
    let resource = resource.and_then(Resource::parse).unwrap_or(Resource::ConcurrentCalls);
    let reference = format!("cct_{}", Ids::random().simple());
    let command = MoveCapacity {
        reference: reference.clone(),
        partner: partner.id.clone(),
        customer: customer.id.clone(),
        resource,
        slots,
        way,
        description,
        actor: caller.actor,
        at: clock::wall(),
    };
    let (ours, theirs) = (partner.id.clone(), customer.id);
    let answer = move |outcome: &MoveCapacityOutcome| match *outcome {
        MoveCapacityOutcome::Moved { partner: left, customer: now } => {
            let (from, to, word) = match way {
                CapacityMove::Give => (&ours, &theirs, "transferred to"),
                CapacityMove::TakeBack => (&theirs, &ours, "reclaimed from"),
            };
            Ok(Reply::ok(json!({
                "success": true,
                "slots": slots,
                "resource": resource.as_str(),
                "from_account": from,
                "to_account": to,
                "transfer_reference": reference,
                "partner_remaining": left,
                "customer_effective": now,
                "message": format!("{slots} {} slots {word} {theirs}", resource.as_str()),
            })))
        }
        MoveCapacityOutcome::NoCustomer => {
            Err(ApiError::not_found("No customer of yours has that id").word("account_not_found"))
        }
        MoveCapacityOutcome::PartnerShort { available } => {
            Err(short(format!("You have {available} {} slots left", resource.as_str()), available, slots))
        }
        MoveCapacityOutcome::MoreThanGiven { given } => {
            let words = format!("Only {given} {} slots of this customer came from you", resource.as_str());
            Err(short(words, given, slots))
        }
        MoveCapacityOutcome::CustomerShort { available } => {
            let words = format!("The customer has {available} {} slots left", resource.as_str());
            Err(short(words, available, slots))
        }
    };
    posted.effect.run(&partner.id, command, answer).await
}

fn short(words: String, available: u64, requested: u32) -> ApiError {
    ApiError::because(ErrorCode::ValidationError, words)
        .word("insufficient_capacity")
        .with("available", available)
        .with("requested", requested)
}

/// `GET …/concurrency`: what both have, and what of the customer's is the partner's.
async fn view(
    State(state): State<AppState>,
    Partner(caller): Partner,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let partner = &caller.account.id;
    let customer = customer(&state, partner, &id).await?;
    let found = state.reader.capacity(partner, &customer.id).await?;
    let found = found.ok_or_else(|| ApiError::not_found("No customer of yours has that id"))?;
    Ok(Json(json!({
        "partner_auth_id": partner,
        "customer_auth_id": customer.id,
        "partner_concurrent_calls_limit": found.partner_concurrent,
        "customer_concurrent_calls_limit": found.customer_concurrent,
        "net_concurrent_calls_allocated": found.net_concurrent,
        "partner_cps_limit": found.partner_cps,
        "customer_cps_limit": found.customer_cps,
        "net_cps_allocated": found.net_cps,
    })))
}

/// `GET /partner/concurrency/transfers`: every move, newest first.
async fn history(
    State(state): State<AppState>,
    Partner(caller): Partner,
    Query(mut fields): Query<Fields>,
) -> Result<Json<Value>, ApiError> {
    let limit = fields.number(&["limit"], 1, HISTORY_MAX).value().unwrap_or(HISTORY);
    let offset = fields.number(&["offset"], 0, u64::from(u32::MAX)).value().unwrap_or_default();
    fields.check()?;
    let partner = &caller.account.id;
    let (moves, total) = state.reader.capacity_moves(partner, offset, limit as u32).await?;
    let rows: Vec<Value> = moves.iter().map(|one| row(one, partner.as_str())).collect();
    Ok(Json(json!({ "transfers": rows, "total": total, "limit": limit, "offset": offset })))
}

fn row(one: &MovedCapacity, partner: &str) -> Value {
    let given = one.slots > 0;
    let (from, to) = if given { (partner, one.customer.as_str()) } else { (one.customer.as_str(), partner) };
    json!({
        "transfer_reference": one.reference,
        "direction": if given { "transfer" } else { "reclaim" },
        "resource": one.resource.as_str(),
        "slots": one.slots.unsigned_abs(),
        "from_account": from,
        "to_account": to,
        "partner_remaining": one.partner_after,
        "customer_effective": one.customer_after,
        "description": one.description,
        "created_at": instant(one.created_at),
    })
}
