//! Transactions of one customer, or of all. The typed clients read whole numbers here (REST reference §5.7).

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use serde::Deserialize;
use serde_json::{Value, json};
use tandem_model::AccountId;
use tandem_store::money::{LedgerLine, LedgerOf, TransactionFilter, TransactionSummary};

use crate::api::json::whole_money;
use crate::api::paging::{Page, PageQuery};
use crate::api::partner_accounts::customer;
use crate::api::transactions::{Edge, day_or_instant, line_view};
use crate::api::{ApiError, AppState, Dialect, Query, Routes};
use crate::auth::Partner;

const PER_PAGE: u32 = 50;
const PER_PAGE_MAX: i64 = 200;
const TYPES: &str = "is recharge, debit, refund or transfer";
/// Longest search looked for.
const SEARCH_MAX: usize = 255;

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/partner/transactions", get(all))
        .route("/partner/accounts/{auth_id}/transactions", get(of_one))
}

#[derive(Debug, Deserialize)]
struct Filters {
    page: Option<i64>,
    per_page: Option<i64>,
    from_date: Option<String>,
    to_date: Option<String>,
    transaction_type: Option<String>,
    account: Option<String>,
    search: Option<String>,
}

fn given(text: Option<&String>) -> Option<&str> {
    text.map(|text| text.trim()).filter(|text| !text.is_empty())
}

impl Filters {
    /// Senseless sizes fall back to the default, greedy ones are refused.
    fn page(&self) -> Result<Page, ApiError> {
        if self.per_page.is_some_and(|size| size > PER_PAGE_MAX) {
            return Err(ApiError::field("per_page", &format!("is at most {PER_PAGE_MAX}"))
                .status(StatusCode::UNPROCESSABLE_ENTITY));
        }
        Ok(PageQuery::new(self.page, self.per_page).page(PER_PAGE, PER_PAGE_MAX as u32))
    }

    fn filter(&self) -> Result<TransactionFilter, ApiError> {
        let (credits, kind) = match given(self.transaction_type.as_ref()) {
            None => (None, None),
            Some("recharge") => (None, Some("topup")),
            Some("debit") => (Some(false), None),
            Some("refund") => (None, Some("refund")),
            Some("transfer") => (None, Some("transfer")),
            Some(_) => return Err(ApiError::field("transaction_type", TYPES)),
        };
        let search = given(self.search.as_ref());
        if search.is_some_and(|text| text.chars().count() > SEARCH_MAX) {
            return Err(ApiError::field("search", &format!("is at most {SEARCH_MAX} characters")));
        }
        let edge = |name: &str, text: Option<&String>, edge: Edge| {
            given(text).map(|text| day_or_instant(name, text, edge)).transpose()
        };
        Ok(TransactionFilter {
            from: edge("from_date", self.from_date.as_ref(), Edge::Start)?,
            before: edge("to_date", self.to_date.as_ref(), Edge::End)?,
            credits,
            kind: kind.map(str::to_owned),
            search: search.map(str::to_owned),
            ..TransactionFilter::default()
        })
    }
}

async fn listed(
    state: &AppState,
    whose: Option<LedgerOf<'_>>,
    account: &AccountId,
    filters: &Filters,
    dialect: Dialect,
) -> Result<Json<Value>, ApiError> {
    let (page, filter) = (filters.page()?, filters.filter()?);
    let (lines, total, summary) = match whose {
        Some(whose) => {
            let found = state.reader.transactions(whose, &filter, page.offset(), page.size).await?;
            (found.lines, found.total, state.reader.transaction_summary(whose, &filter).await?)
        }
        None => (Vec::new(), 0, TransactionSummary::default()),
    };
    Ok(Json(json!({
        "account_auth_id": account,
        "transactions": lines.iter().map(|line| view(line, dialect)).collect::<Vec<_>>(),
        "summary": summed(&summary, dialect),
        "total": total,
        "page": page.number,
        "per_page": page.size,
        "total_pages": page.pages(total),
    })))
}

/// A row of §2.3 without `reference_type`.
fn view(line: &LedgerLine, dialect: Dialect) -> Value {
    let mut view = line_view(line);
    if let Some(members) = view.as_object_mut() {
        let amount = if line.amount < tandem_model::Money::ZERO { -line.amount } else { line.amount };
        members.insert("amount".to_owned(), whole_money(amount, dialect));
        members.remove("reference_type");
    }
    view
}

fn summed(summary: &TransactionSummary, dialect: Dialect) -> Value {
    let by_reference: Vec<Value> = summary
        .by_reference
        .iter()
        .map(|total| {
            json!({
                "reference_type": total.ref_kind,
                "total_debit": whole_money(total.debit, dialect),
                "total_credit": whole_money(total.credit, dialect),
                "count": total.count,
            })
        })
        .collect();
    json!({
        "total_transactions": summary.count(),
        "total_debit": whole_money(summary.debit(), dialect),
        "total_credit": whole_money(summary.credit(), dialect),
        "net_amount": whole_money(summary.credit() - summary.debit(), dialect),
        "by_reference_type": by_reference,
    })
}

/// `GET /partner/accounts/{MA}/transactions`: newest first; the summary covers all that match.
async fn of_one(
    State(state): State<AppState>,
    Partner(caller): Partner,
    Path(id): Path<String>,
    Query(filters): Query<Filters>,
    dialect: Dialect,
) -> Result<Json<Value>, ApiError> {
    let account = customer(&state, &caller.account.id, &id).await?;
    listed(&state, Some(LedgerOf::Account(&account.id)), &account.id, &filters, dialect).await
}

/// `GET /partner/transactions`: of all customers; `account` picks one of them, or the partner itself, whose own ledger is
/// read nowhere else.
async fn all(
    State(state): State<AppState>,
    Partner(caller): Partner,
    Query(filters): Query<Filters>,
    dialect: Dialect,
) -> Result<Json<Value>, ApiError> {
    let partner = &caller.account.id;
    let asked = given(filters.account.as_ref()).map(AccountId::new);
    let whose = match &asked {
        None => Some(LedgerOf::CustomersOf(partner)),
        Some(own) if own == partner => Some(LedgerOf::Account(partner)),
        Some(id) => state.reader.customer(partner, id).await?.map(|_| LedgerOf::Account(id)),
    };
    listed(&state, whose, partner, &filters, dialect).await
}
