//! Numbers of one customer, or of all, to read.

use axum::Json;
use axum::extract::{Path, State};
use axum::routing::get;
use serde::Deserialize;
use serde_json::{Value, json};
use tandem_store::resources::number::OwnedFilter;

use crate::api::numbers::{digits_of, owned};
use crate::api::paging::{Page, PageQuery};
use crate::api::partner_accounts::customer;
use crate::api::{ApiError, AppState, Dialect, Query, Routes};
use crate::auth::Partner;

const PER_PAGE: u32 = 25;
const PER_PAGE_MAX: u32 = 100;

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/partner/numbers", get(all))
        .route("/partner/accounts/{auth_id}/numbers", get(of_one))
}

#[derive(Debug, Deserialize)]
struct Filters {
    page: Option<i64>,
    per_page: Option<i64>,
    search: Option<String>,
}

impl Filters {
    fn page(&self) -> Page {
        PageQuery::new(self.page, self.per_page).page(PER_PAGE, PER_PAGE_MAX)
    }

    fn search(&self) -> Option<String> {
        self.search.as_deref().and_then(digits_of)
    }
}

/// `GET /partner/accounts/{MA}/numbers`: its sub-accounts' included.
async fn of_one(
    State(state): State<AppState>,
    Partner(caller): Partner,
    Path(id): Path<String>,
    Query(filters): Query<Filters>,
    dialect: Dialect,
) -> Result<Json<Value>, ApiError> {
    let account = customer(&state, &caller.account.id, &id).await?;
    let page = filters.page();
    let filter = OwnedFilter {
        owner: account.id.clone(),
        sub_account: None,
        with_sub_accounts: true,
        search: filters.search(),
    };
    let (numbers, total) = state.reader.owned_numbers(&filter, page.offset(), page.size).await?;
    let mut body = page.items(numbers.iter().map(|number| owned(number, dialect)).collect(), total);
    body["account_auth_id"] = json!(account.id);
    Ok(Json(body))
}

/// `GET /partner/numbers`: of all customers.
async fn all(
    State(state): State<AppState>,
    Partner(caller): Partner,
    Query(filters): Query<Filters>,
    dialect: Dialect,
) -> Result<Json<Value>, ApiError> {
    let (partner, page, search) = (&caller.account.id, filters.page(), filters.search());
    let found = state.reader.customers_numbers(partner, search.as_deref(), page.offset(), page.size).await?;
    Ok(Json(page.items(found.0.iter().map(|number| owned(number, dialect)).collect(), found.1)))
}
