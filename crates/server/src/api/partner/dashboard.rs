//! What a partner's customers add up to: accounts, money, calls by direction, product and day, from their records.

use axum::Json;
use axum::extract::State;
use axum::routing::get;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use serde::Deserialize;
use serde_json::{Value, json};
use tandem_model::{CallDirection, Money, clock};
use tandem_store::calls::{CallContext, Traffic};

use super::profile;
use crate::api::account::in_full;
use crate::api::json::{instant, money_text};
use crate::api::{ApiError, AppState, Query, Routes};
use crate::auth::{Caller, Partner};

/// Days without a range asked for, today included.
const DAYS: i64 = 30;
/// Longest range, days: one row each.
const DAYS_MAX: i32 = 366;
/// Customers listed, the newest.
const CUSTOMERS_MAX: u32 = 100;
const DAY_S: i64 = 86_400;

pub(super) fn routes() -> Routes {
    Routes::new().route("/partner/dashboard", get(dashboard)).route("/partner/analytics", get(analytics))
}

#[derive(Debug, Deserialize)]
struct Range {
    from_date: Option<String>,
    to_date: Option<String>,
}

/// Whole days, UTC, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Period {
    from: Date,
    to: Date,
}

impl Period {
    fn of(range: &Range, today: Date) -> Result<Self, ApiError> {
        let day = |name: &str, text: Option<&String>| match text.map(|text| text.trim()) {
            None | Some("") => Ok(None),
            // An instant counts by its day.
            Some(text) => match text.get(..10).unwrap_or(text).parse::<Date>() {
                Ok(day) => Ok(Some(day)),
                Err(_) => Err(ApiError::field(name, "is a date such as 2026-01-31")),
            },
        };
        let to = day("to_date", range.to_date.as_ref())?.unwrap_or(today);
        let first =
            to.checked_sub((DAYS - 1).days()).map_err(|_| ApiError::field("to_date", "is out of range"))?;
        let from = day("from_date", range.from_date.as_ref())?.unwrap_or(first);
        if from > to {
            return Err(ApiError::field("from_date", "is not after to_date"));
        }
        if (to - from).get_days() >= DAYS_MAX {
            return Err(ApiError::field(
                "from_date",
                &format!("is less than {DAYS_MAX} days before to_date"),
            ));
        }
        Ok(Self { from, to })
    }

    fn bounds(self) -> Result<(Timestamp, Timestamp), ApiError> {
        let midnight = |day: Date| day.to_zoned(TimeZone::UTC).map(|zoned| zoned.timestamp());
        let bounds = self.to.tomorrow().and_then(|after| Ok((midnight(self.from)?, midnight(after)?)));
        bounds.map_err(|_| ApiError::field("to_date", "is out of range"))
    }

    fn days(self) -> impl Iterator<Item = Date> {
        self.from.series(1.day()).take_while(move |day| *day <= self.to)
    }
}

/// What some calls add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sums {
    calls: u64,
    answered: u64,
    billsec: u64,
    cost: Money,
}

impl Sums {
    fn of<'t>(rows: impl Iterator<Item = &'t Traffic>) -> Self {
        rows.fold(Self::default(), |sums, row| Self {
            calls: sums.calls + row.calls,
            answered: sums.answered + row.answered,
            billsec: sums.billsec + row.billsec,
            cost: sums.cost + row.cost,
        })
    }

    /// To the hundredth, without a fraction it does not need.
    fn minutes(self) -> Value {
        let hundredths = (self.billsec * 100 + 30) / 60;
        if hundredths.is_multiple_of(100) {
            (hundredths / 100).into()
        } else {
            json!(hundredths as f64 / 100.0)
        }
    }

    fn view(self) -> Value {
        json!({
            "total_calls": self.calls, "answered_calls": self.answered, "total_minutes": self.minutes(),
            "total_cost": self.cost.to_fixed(2),
        })
    }

    /// Products are counted in whole minutes.
    fn product(self) -> Value {
        let mut view = self.view();
        view["total_minutes"] = ((self.billsec + 30) / 60).into();
        view
    }

    /// Directions of a day are without a price.
    fn direction(self) -> Value {
        json!({ "total_calls": self.calls, "answered_calls": self.answered, "total_minutes": self.minutes() })
    }
}

fn flowing(rows: &[Traffic], direction: CallDirection) -> Sums {
    Sums::of(rows.iter().filter(|row| row.direction == direction))
}

fn using(rows: &[Traffic], context: CallContext) -> Sums {
    Sums::of(rows.iter().filter(|row| row.context == context))
}

fn day_view(day: Date, rows: &[Traffic]) -> Value {
    let mut view = Sums::of(rows.iter()).view();
    view["date"] = day.to_string().into();
    view["inbound"] = flowing(rows, CallDirection::Inbound).direction();
    view["outbound"] = flowing(rows, CallDirection::Outbound).direction();
    view
}

async fn overview(state: &AppState, caller: &Caller, range: &Range) -> Result<Json<Value>, ApiError> {
    let partner = in_full(state, &caller.account.id).await?;
    let today = clock::wall().to_zoned(TimeZone::UTC).date();
    let period = Period::of(range, today)?;
    let (from, before) = period.bounds()?;
    let traffic = state.reader.customers_traffic(&partner.id, from, before).await?;
    let (total, active, balance) = state.reader.customer_totals(&partner.id, partner.currency).await?;
    let (customers, _) = state.reader.customers(&partner.id, None, 0, CUSTOMERS_MAX).await?;
    let customers: Vec<Value> = customers
        .iter()
        .map(|customer| {
            json!({
                "auth_id": customer.id, "name": customer.name, "email": customer.email, "phone": customer.phone,
                "is_active": customer.enabled, "created_at": instant(customer.created_at),
            })
        })
        .collect();
    let mut own = profile(state, &partner).await?;
    own["balance"] = Value::Null;
    let first_day = from.as_second() / DAY_S;
    let series = period.days().zip(first_day..).map(|(day, number)| {
        let rows: Vec<Traffic> = traffic.iter().filter(|row| row.day == number).cloned().collect();
        day_view(day, &rows)
    });
    Ok(Json(json!({
        "partner": own,
        "period": { "from": period.from.to_string(), "to": period.to.to_string() },
        "accounts": { "total": total, "active": active, "customers": customers },
        "total_balance": money_text(balance),
        "currency": partner.currency,
        "calls": Sums::of(traffic.iter()).view(),
        "traffic": {
            "inbound": flowing(&traffic, CallDirection::Inbound).view(),
            "outbound": flowing(&traffic, CallDirection::Outbound).view(),
        },
        "by_product": {
            "sip_trunking": using(&traffic, CallContext::SipTrunking).product(),
            "voice_api": using(&traffic, CallContext::VoiceApi).product(),
        },
        "time_series": series.collect::<Vec<_>>(),
    })))
}

/// `GET /partner/dashboard`: the last thirty days.
async fn dashboard(State(state): State<AppState>, Partner(caller): Partner) -> Result<Json<Value>, ApiError> {
    overview(&state, &caller, &Range { from_date: None, to_date: None }).await
}

/// `GET /partner/analytics`: the same of the days asked for, at most a year.
async fn analytics(
    State(state): State<AppState>,
    Partner(caller): Partner,
    Query(range): Query<Range>,
) -> Result<Json<Value>, ApiError> {
    overview(&state, &caller, &range).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn period(from: &str, to: &str) -> Result<Period, ApiError> {
        let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        Period::of(&Range { from_date: given(from), to_date: given(to) }, "2026-03-31".parse().unwrap())
    }

    #[test]
    fn a_period_is_thirty_days_unless_asked_and_a_year_at_most() {
        let days = |from: &str, to: &str| period(from, to).unwrap().days().count();
        assert_eq!(days("", ""), 30);
        assert_eq!(period("", "").unwrap().from.to_string(), "2026-03-02");
        assert_eq!(days("2026-03-31", ""), 1);
        assert_eq!(days("2026-01-01T10:00:00Z", "2026-01-02"), 2);
        assert_eq!(days("2025-03-31", ""), 366);
        assert!(period("2025-03-30", "").is_err() && period("2026-04-01", "").is_err());
        assert!(period("yesterday", "").is_err() && period("", "31.3.2026").is_err());
    }

    #[test]
    fn minutes_have_two_decimals_at_most() {
        let sums = |billsec| Sums { billsec, ..Sums::default() };
        assert_eq!((sums(60).minutes(), sums(90).minutes()), (json!(1), json!(1.5)));
        assert_eq!(sums(100).minutes(), json!(1.67));
        assert_eq!(sums(89).product()["total_minutes"], 1);
    }
}
