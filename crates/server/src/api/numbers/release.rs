//! Giving a number back, and taking that back (REST reference §6.4, §6.5).

use axum::extract::{Path, State};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use tandem_model::{E164, ErrorCode, Ids, Money, Shortage, clock};
use tandem_store::resources::number::{
    CancelOutcome, CancelRelease, ReleaseNumber, ReleaseOutcome, ReleaseWhen,
};

use super::{number_in_path, owned_number, switch};
use crate::api::error::shortage_details;
use crate::api::json::{instant, money};
use crate::api::{ApiError, AppState, Effect, Posted, Query, Reply};
use crate::auth::Scoped;
use crate::billing::NumberTerms;

#[derive(Debug, Deserialize)]
pub(super) struct ReleaseQuery {
    immediate: Option<String>,
}

/// `DELETE …/numbers/{e164}`: the account's release fee is taken and the number leads nowhere any more; for a day that can
/// be cancelled. `immediate=true` leaves that day out. Afterwards nobody can buy it for a while.
pub(super) async fn release(
    State(state): State<AppState>,
    scope: Scoped,
    Path((_, e164)): Path<(String, String)>,
    Query(query): Query<ReleaseQuery>,
    effect: Effect,
) -> Result<Reply, ApiError> {
    let immediate = switch("immediate", query.immediate.as_deref())?;
    let e164 = number_in_path(&e164)?;
    let (command, cooldown_ends_at) = order(&state, &scope, e164, immediate).await?;
    let account = scope.id().clone();
    let answer = move |outcome: &ReleaseOutcome| {
        let fee = released(outcome)?;
        let shown = instant(cooldown_ends_at);
        Ok(Reply::ok(if immediate {
            json!({
                "cancel_url": "", "cooldown_ends_at": shown, "message": "number released",
                "release_fee": money(fee), "status": "released",
            })
        } else {
            json!({
                "cancel_url": format!("/api/v1/account/{account}/numbers/{}/cancel-release", e164.plus()),
                "cooldown_ends_at": shown,
                "message": "number release initiated",
                "note": "Until then the release can be cancelled; what the number led to is detached already.",
                "release_fee": money(fee),
                "status": "pending_release",
            })
        }))
    };
    effect.run(&scope.caller.account.id, command, answer).await
}

/// The command that ends a number for who asks, and when that becomes real.
pub(super) async fn order(
    state: &AppState,
    scope: &Scoped,
    e164: E164,
    immediate: bool,
) -> Result<(ReleaseNumber, Timestamp), ApiError> {
    if owned_number(state, scope, e164).await.is_err() {
        return Err(not_owned());
    }
    let terms = NumberTerms::of(&state.config.numbers).map_err(ApiError::internal)?;
    let at = clock::wall();
    let ends = if immediate { at } else { at.saturating_add(terms.release_window).unwrap_or(at) };
    let command = ReleaseNumber {
        e164,
        owner: scope.payer().clone(),
        fee: terms.release_fee_in(scope.account.currency),
        transaction: Ids::random(),
        when: if immediate { ReleaseWhen::Now } else { ReleaseWhen::At(ends) },
        quarantine_until: ends.saturating_add(terms.quarantine).unwrap_or(ends),
        actor: scope.caller.actor.clone(),
        at,
    };
    Ok((command, ends))
}

fn not_owned() -> ApiError {
    ApiError::because(ErrorCode::AccountMismatch, "account does not own this number").word("forbidden")
}

/// The fee, or why the number stays.
pub(super) fn released(outcome: &ReleaseOutcome) -> Result<Money, ApiError> {
    match outcome {
        ReleaseOutcome::Accepted { fee } => Ok(*fee),
        ReleaseOutcome::NotOwned => Err(not_owned()),
        ReleaseOutcome::Pending { until } => {
            let words = "The number is being released already; cancel that, or ask for immediate=true";
            Err(ApiError::because(ErrorCode::Conflict, words)
                .word("release_pending")
                .hint("Cancel the release at …/cancel-release, or end the number now with immediate=true.")
                .with("cooldown_ends_at", instant(*until)))
        }
        ReleaseOutcome::Committed { until } => {
            let words = format!("The number is rented until {}", instant(*until));
            Err(ApiError::because(ErrorCode::Conflict, words)
                .word("minimum_commitment")
                .hint("Release it once that instant has passed.")
                .with("committed_until", instant(*until)))
        }
        ReleaseOutcome::Insufficient { required, available, currency } => {
            let words = format!(
                "Insufficient balance for the release fee of {} {currency}: {} {currency} are there",
                required.to_fixed(2),
                available.to_fixed(2)
            );
            let shortage = Shortage { required: *required, available: *available, currency: *currency };
            Err(ApiError::because(ErrorCode::InsufficientBalance, words).details(shortage_details(shortage)))
        }
    }
}

/// `POST …/numbers/{e164}/cancel-release`: while the window is open the number returns to service and its fee to the
/// account. What the number led to is not restored.
pub(super) async fn cancel(
    State(state): State<AppState>,
    scope: Scoped,
    Path((_, e164)): Path<(String, String)>,
    posted: Posted<Value>,
) -> Result<Reply, ApiError> {
    let e164 = number_in_path(&e164)?;
    let no_number =
        move || ApiError::not_found(format!("This account has no number {e164}")).word("number not found");
    owned_number(&state, &scope, e164).await.map_err(|_| no_number())?;
    let command = CancelRelease {
        e164,
        owner: scope.payer().clone(),
        transaction: Ids::random(),
        actor: scope.caller.actor.clone(),
        at: clock::wall(),
    };
    let answer = move |outcome: &CancelOutcome| match outcome {
        CancelOutcome::Cancelled { refund, currency } => {
            let mut body = json!({
                "message": "release cancelled, number restored to active status", "status": "active",
            });
            if *refund > Money::ZERO {
                body["currency"] = json!(currency);
                body["refund_amount"] = money(*refund);
                body["refund_status"] = json!("success");
            }
            Ok(Reply::ok(body))
        }
        CancelOutcome::NotPending => Err(ApiError::because(
            ErrorCode::ValidationError,
            "The number is in service, or its window is over",
        )
        .word("number is not pending release")),
        CancelOutcome::NotOwned => Err(no_number()),
    };
    posted.effect.run(&scope.caller.account.id, command, answer).await
}
