//! How a number fares: its calls by the day or the hour (REST reference §6.9), from hours that a clerk sums.

use axum::Json;
use axum::extract::{Path, State};
use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::{Value, json};
use tandem_model::{E164, clock};
use tandem_store::resources::number::TrafficStep;

use super::{number_in_path, owned_number};
use crate::api::json::instant;
use crate::api::{ApiError, AppState, Query};
use crate::auth::Scoped;

/// Days looked back at most, and unless asked otherwise.
const DAILY: (i64, i64) = (90, 30);
const HOURLY: (i64, i64) = (7, 1);
/// A number without a call for so long is idle.
const IDLE_AFTER: SignedDuration = SignedDuration::from_hours(30 * 24);
/// So many complaints within so long make a number a spammer's (TRAI's TCCCPR 2018, as amended in 2025).
const SPAM: (u64, SignedDuration) = (5, SignedDuration::from_hours(10 * 24));

#[derive(Debug, Deserialize)]
pub(super) struct HealthQuery {
    granularity: Option<String>,
    days: Option<i64>,
}

/// `GET …/numbers/{e164}/health`.
pub(super) async fn read(
    State(state): State<AppState>,
    scope: Scoped,
    Path((_, e164)): Path<(String, String)>,
    Query(query): Query<HealthQuery>,
) -> Result<Json<Value>, ApiError> {
    let number = owned_number(&state, &scope, number_in_path(&e164)?).await?;
    let (granularity, step_hours, (most, usual)) = match query.granularity.as_deref().unwrap_or("daily") {
        "" | "daily" => ("daily", 24, DAILY),
        "hourly" => ("hourly", 1, HOURLY),
        _ => return Err(ApiError::field("granularity", "is daily or hourly")),
    };
    let days = query.days.unwrap_or(usual);
    if !(1..=most).contains(&days) {
        return Err(ApiError::field("days", &format!("is 1 to {most}")));
    }
    let now = clock::wall();
    let from = now.saturating_sub(SignedDuration::from_hours(24 * days)).unwrap_or(now);
    let steps = state.reader.number_traffic(scope.payer(), number.e164, from, step_hours).await?;
    let since = now.saturating_sub(SPAM.1).unwrap_or(now);
    let complaints = state.reader.ndnc_complaints_of(scope.payer(), number.e164, since).await?;
    let newest = steps.first().map(|step| step.begins).max(number.last_call_at);
    let usage = match newest {
        None => "unused",
        Some(last) if now.duration_since(last) < IDLE_AFTER => "active",
        Some(_) => "idle",
    };
    let total =
        steps.iter().fold(TrafficStep { begins: now, calls: 0, answered: 0, billsec: 0 }, |sum, step| {
            TrafficStep {
                begins: sum.begins,
                calls: sum.calls + step.calls,
                answered: sum.answered + step.answered,
                billsec: sum.billsec + step.billsec,
            }
        });
    Ok(Json(json!({
        "e164": number.e164,
        "status": number.status,
        "usage_status": usage,
        "is_spam": complaints >= SPAM.0,
        "granularity": granularity,
        "summary": {
            "period_days": days,
            "total_calls": total.calls,
            "answered_calls": total.answered,
            "answer_rate": share(total),
            "total_minutes": minutes(total),
            "avg_duration": average(total),
        },
        "snapshots": steps.iter().map(|step| snapshot(number.e164, *step)).collect::<Vec<_>>(),
    })))
}

fn snapshot(e164: E164, step: TrafficStep) -> Value {
    json!({
        "id": format!("{}{}", e164.digits(), step.begins.as_second()),
        "ts": instant(step.begins),
        "total_calls": step.calls,
        "answered_calls": step.answered,
        "failed_calls": step.calls.saturating_sub(step.answered),
        "answer_rate": share(step),
        "total_duration": step.billsec,
        "avg_duration": average(step),
        "total_minutes": minutes(step),
    })
}

/// Of a hundred calls, so many were answered; two decimals.
fn share(step: TrafficStep) -> Value {
    hundredths(step.answered * 10_000, step.calls)
}

/// Seconds of an answered call.
fn average(step: TrafficStep) -> Value {
    hundredths(step.billsec * 100, step.answered)
}

fn minutes(step: TrafficStep) -> Value {
    hundredths(step.billsec * 100, 60)
}

/// `of / by`, where `of` comes in hundredths; whole ones without a fraction, which some typed clients refuse.
fn hundredths(of: u64, by: u64) -> Value {
    match of.checked_div(by).unwrap_or_default() {
        whole if whole.is_multiple_of(100) => (whole / 100).into(),
        broken => (broken as f64 / 100.0).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_averages_have_two_decimals_and_nothing_divides_by_nothing() {
        let step = TrafficStep { begins: jiff::Timestamp::UNIX_EPOCH, calls: 3, answered: 2, billsec: 100 };
        assert_eq!((share(step), average(step), minutes(step)), (json!(66.66), json!(50), json!(1.66)));
        let none = TrafficStep { calls: 0, answered: 0, billsec: 0, ..step };
        assert_eq!((share(none), average(none), minutes(none)), (json!(0), json!(0), json!(0)));
    }
}
