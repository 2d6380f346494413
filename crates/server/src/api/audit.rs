//! The audit (ours): who changed what of an account, newest first. Field names and hashes, never values.

use axum::Json;
use axum::extract::State;
use axum::routing::get;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};
use tandem_model::AccountId;
use tandem_store::audit::{AuditEntry, AuditFilter};

use super::json::instant;
use super::{ApiError, AppState, Query, Routes};
use crate::auth::{Partner, Scoped};

/// Entries of a page, unless the request says otherwise, and at most.
const LIMIT: u32 = 50;
const LIMIT_MAX: u32 = 200;
/// Longest action looked for.
const ACTION_MAX: usize = 50;

/// The routes.
pub(super) fn routes() -> Routes {
    Routes::new().route("/Account/{auth_id}/audit", get(of_account)).route("/partner/audit", get(of_partner))
}

#[derive(Debug, Deserialize)]
struct AuditQuery {
    limit: Option<String>,
    cursor: Option<String>,
    from: Option<String>,
    to: Option<String>,
    action: Option<String>,
}

impl AuditQuery {
    fn filter(self) -> Result<(AuditFilter, u32), ApiError> {
        let limit = match self.limit {
            None => LIMIT,
            Some(text) => text
                .parse()
                .ok()
                .filter(|limit| (1..=LIMIT_MAX).contains(limit))
                .ok_or_else(|| ApiError::field("limit", &format!("is 1 to {LIMIT_MAX}")))?,
        };
        let before_id = match self.cursor.as_deref() {
            None | Some("") => None,
            Some(text) => {
                let wrong = |_| ApiError::field("cursor", "is the next_cursor of another page");
                Some(text.parse().map_err(wrong)?)
            }
        };
        if self.action.as_ref().is_some_and(|action| action.len() > ACTION_MAX) {
            return Err(ApiError::field("action", "is one word, such as update"));
        }
        let filter = AuditFilter {
            before_id,
            from: moment("from", self.from.as_deref(), SignedDuration::ZERO)?,
            to: moment(
                "to",
                self.to.as_deref(),
                SignedDuration::from_hours(24) - SignedDuration::from_micros(1),
            )?,
            action: self.action,
            or_actor: None,
        };
        Ok((filter, limit))
    }
}

/// An instant, or a day in UTC: its first moment, or as far into it as `into_day`.
fn moment(name: &str, text: Option<&str>, into_day: SignedDuration) -> Result<Option<Timestamp>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(Some(at));
    }
    let day = text.parse::<Date>().ok().and_then(|day| day.to_zoned(TimeZone::UTC).ok());
    let at = day.and_then(|day| day.timestamp().checked_add(into_day).ok());
    at.map(Some).ok_or_else(|| ApiError::field(name, "is a date or an instant, such as 2026-01-05T06:10:00Z"))
}

/// `GET /Account/{auth_id}/audit?limit=&cursor=&from=&to=&action=`.
async fn of_account(
    State(state): State<AppState>,
    scope: Scoped,
    Query(query): Query<AuditQuery>,
) -> Result<Json<Value>, ApiError> {
    let (filter, limit) = query.filter()?;
    page(&state, scope.id(), &filter, limit).await
}

/// `GET /partner/audit`: of the partner itself, and of its customers what the partner did.
async fn of_partner(
    State(state): State<AppState>,
    Partner(caller): Partner,
    Query(query): Query<AuditQuery>,
) -> Result<Json<Value>, ApiError> {
    let (filter, limit) = query.filter()?;
    let filter = AuditFilter { or_actor: Some(caller.account.id.as_str().to_owned()), ..filter };
    page(&state, &caller.account.id, &filter, limit).await
}

async fn page(
    state: &AppState,
    account: &AccountId,
    filter: &AuditFilter,
    limit: u32,
) -> Result<Json<Value>, ApiError> {
    let entries = state.reader.audit_page(account, filter, limit).await?;
    let next = entries.last().filter(|_| entries.len() == limit as usize).map(|entry| entry.id.to_string());
    Ok(Json(json!({
        "entries": entries.iter().map(view).collect::<Vec<_>>(),
        "next_cursor": next.unwrap_or_default(),
    })))
}

fn view(entry: &AuditEntry) -> Value {
    json!({
        "id": entry.id.to_string(),
        "at": instant(entry.at),
        "actor": entry.actor,
        "account_id": entry.account,
        "action": entry.action,
        "resource_kind": entry.resource_kind,
        "resource_id": entry.resource_id,
        "fields": entry.fields,
        "before_hash": entry.before_hash,
        "after_hash": entry.after_hash,
        "request_id": entry.request_id,
        "source_ip": entry.source_ip,
    })
}
