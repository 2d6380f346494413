//! The ledger as a customer reads it (REST reference §2.3, §2.4). A sub-account's is its parent's.

use axum::Json;
use axum::extract::State;
use axum::routing::get;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use serde::Deserialize;
use serde_json::{Value, json};
use tandem_model::{Currency, Money};
use tandem_store::money::{LedgerLine, TransactionFilter, TransactionSummary};
use uuid::Uuid;

use super::json::{instant, money, whole_money};
use super::paging::PageQuery;
use super::{ApiError, AppState, Dialect, Query, Routes};
use crate::auth::Scoped;

const PER_PAGE: u32 = 50;
const PER_PAGE_MAX: u32 = 1000;

/// The routes.
pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/Account/{auth_id}/transactions", get(list))
        .route("/Account/{auth_id}/transactions/reference-types", get(reference_types))
}

#[derive(Debug, Default, Deserialize)]
struct Filters {
    page: Option<i64>,
    per_page: Option<i64>,
    #[serde(alias = "start_date")]
    from_date: Option<String>,
    #[serde(alias = "end_date")]
    to_date: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    status: Option<String>,
    currency: Option<String>,
    reference_type: Option<String>,
    description: Option<String>,
    reference: Option<String>,
    transaction_id: Option<String>,
}

impl Filters {
    /// `None` when nothing can match.
    fn filter(&self) -> Result<Option<TransactionFilter>, ApiError> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        const STATUSES: [&str; 4] = ["completed", "pending", "failed", "cancelled"];
        if given(&self.status).is_some_and(|status| !STATUSES.contains(&status.as_str())) {
            return Err(ApiError::field("status", &format!("is one of: {}", STATUSES.join(", "))));
        }
        // Nothing is ever pending here: a posting is complete or it does not exist.
        if given(&self.status).is_some_and(|status| status != "completed") {
            return Ok(None);
        }
        let id = match given(&self.transaction_id).map(|text| text.parse::<Uuid>()) {
            Some(Ok(id)) => Some(id),
            Some(Err(_)) => return Ok(None),
            None => None,
        };
        let currency = match given(&self.currency).map(|text| text.parse::<Currency>()) {
            Some(Ok(currency)) => Some(currency),
            Some(Err(_)) => return Ok(None),
            None => None,
        };
        let (credits, exact) = match given(&self.kind).as_deref() {
            Some("credit") => (Some(true), None),
            Some("debit") => (Some(false), None),
            Some(exact) => (None, Some(exact.to_owned())),
            None => (None, None),
        };
        let reference_type = given(&self.reference_type);
        if exact.is_some() && reference_type.is_some() && exact != reference_type {
            return Ok(None);
        }
        Ok(Some(TransactionFilter {
            from: given(&self.from_date)
                .map(|text| day_or_instant("from_date", &text, Edge::Start))
                .transpose()?,
            before: given(&self.to_date)
                .map(|text| day_or_instant("to_date", &text, Edge::End))
                .transpose()?,
            credits,
            kind: None,
            ref_kind: reference_type.or(exact),
            description: given(&self.description),
            reference: given(&self.reference),
            id,
            currency,
            search: None,
        }))
    }

    fn page(&self) -> super::paging::Page {
        PageQuery::new(self.page, self.per_page).page_or(PER_PAGE, PER_PAGE_MAX, PER_PAGE)
    }
}

/// Which end of a range a date stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edge {
    Start,
    End,
}

/// A date (UTC; the end of a range includes the whole day) or an instant, as an exclusive bound at the end.
pub(super) fn day_or_instant(name: &str, text: &str, edge: Edge) -> Result<Timestamp, ApiError> {
    let remedy =
        || ApiError::field(name, "is a date such as 2026-01-31, or an instant such as 2026-01-31T12:00:00Z");
    if let Ok(instant) = text.parse::<Timestamp>() {
        let tick = i64::from(edge == Edge::End);
        return instant.checked_add(tick.microseconds()).map_err(|_| remedy());
    }
    let day: Date = text.parse().map_err(|_| remedy())?;
    let day = if edge == Edge::End { day.tomorrow().map_err(|_| remedy())? } else { day };
    day.to_zoned(TimeZone::UTC).map(|zoned| zoned.timestamp()).map_err(|_| remedy())
}

/// `GET …/transactions`: newest first; the summary covers the whole filtered set.
async fn list(
    State(state): State<AppState>,
    scope: Scoped,
    Query(filters): Query<Filters>,
    dialect: Dialect,
) -> Result<Json<Value>, ApiError> {
    let payer = scope.payer();
    let page = filters.page();
    let Some(filter) = filters.filter()? else {
        return Ok(Json(body(Vec::new(), &TransactionSummary::default(), 0, page, dialect)));
    };
    let found = state.reader.transactions(payer, &filter, page.offset(), page.size).await?;
    let summary = state.reader.transaction_summary(payer, &filter).await?;
    let lines = found.lines.iter().map(line_view).collect();
    Ok(Json(body(lines, &summary, found.total, page, dialect)))
}

pub(super) fn body(
    lines: Vec<Value>,
    summary: &TransactionSummary,
    total: u64,
    page: super::paging::Page,
    dialect: Dialect,
) -> Value {
    let by_reference: Vec<Value> = summary
        .by_reference
        .iter()
        .map(|total| {
            json!({
                "reference_type": total.ref_kind,
                "total_debit": money(total.debit),
                "total_credit": whole_money(total.credit, dialect),
                "count": total.count,
            })
        })
        .collect();
    json!({
        "transactions": lines,
        "summary": {
            "total_transactions": summary.count(),
            "total_debit": money(summary.debit()),
            "total_credit": whole_money(summary.credit(), dialect),
            "net_amount": money(summary.credit() - summary.debit()),
            "by_reference_type": by_reference,
        },
        "total": total,
        "page": page.number,
        "per_page": page.size,
        "total_pages": page.pages(total),
    })
}

pub(super) fn line_view(line: &LedgerLine) -> Value {
    let at = instant(line.created_at);
    let (kind, amount) =
        if line.amount < Money::ZERO { ("debit", -line.amount) } else { ("credit", line.amount) };
    json!({
        "id": line.id,
        "account_id": line.account,
        "balance_id": line.balance_id,
        "type": kind,
        "amount": money(amount),
        "currency": line.currency,
        "description": line.description,
        "reference": format!("{}:{}", line.ref_kind, line.ref_id),
        "reference_type": line.ref_kind,
        "status": "completed",
        "processed_at": at,
        "created_at": at,
        "updated_at": at,
    })
}

/// `GET …/transactions/reference-types`: those the account has.
async fn reference_types(State(state): State<AppState>, scope: Scoped) -> Result<Json<Value>, ApiError> {
    let summary = state.reader.transaction_summary(scope.payer(), &TransactionFilter::default()).await?;
    let kinds: Vec<&str> = summary.by_reference.iter().map(|total| total.ref_kind.as_str()).collect();
    Ok(Json(json!({ "reference_types": kinds })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_date_is_a_whole_utc_day() {
        let at = |text: &str, edge| day_or_instant("d", text, edge).unwrap().to_string();
        assert_eq!(at("2026-01-31", Edge::Start), "2026-01-31T00:00:00Z");
        assert_eq!(at("2026-01-31", Edge::End), "2026-02-01T00:00:00Z");
        assert_eq!(at("2026-01-31T10:00:00Z", Edge::End), "2026-01-31T10:00:00.000001Z");
        assert!(day_or_instant("d", "yesterday", Edge::Start).is_err());
    }
}
