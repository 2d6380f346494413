//! Monthly statements: what the ledger says, by UTC month, as a list and as CSV whose lines add up to its closing balance.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use serde_json::{Value, json};
use tandem_model::{AccountId, Currency, Money, clock};
use tandem_store::money::{LedgerCursor, LedgerDay, LedgerLine};
use tandem_store::{Reader, StoreError};

use super::account::in_full;
use super::json::{instant, money};
use super::own::Own;
use super::{ApiError, AppState, Routes};

/// Lines read at once for a CSV, however many a month has.
const LINES: u32 = 500;
const DAY_S: i64 = 86_400;
const DECIMALS: u32 = 6;

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/Account/{auth_id}/statements", get(list))
        .route("/Account/{auth_id}/statements/{month}", get(csv))
}

/// A UTC month, by its first day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Month(Date);

impl Month {
    fn of(day: Date) -> Self {
        Self(day.first_of_month())
    }

    /// From `2026-01`.
    fn parse(text: &str) -> Option<Self> {
        let (year, month) = text.split_once('-')?;
        let digits = |text: &str, len: usize| text.len() == len && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(year, 4) || !digits(month, 2) {
            return None;
        }
        Date::new(year.parse().ok()?, month.parse().ok()?, 1).ok().map(Self)
    }

    fn next(self) -> Option<Self> {
        self.0.checked_add(1.month()).ok().map(Self)
    }

    fn text(self) -> String {
        self.0.strftime("%Y-%m").to_string()
    }

    /// Its first instant and that of the next.
    fn bounds(self) -> Option<(Timestamp, Timestamp)> {
        let midnight = |day: Date| day.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
        Some((midnight(self.0)?, midnight(self.next()?.0)?))
    }
}

/// What a month added up to.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Statement {
    month: Month,
    opening: Money,
    credit: Money,
    debit: Money,
    count: u64,
}

/// The months from the first movement to `last`, quiet ones too, oldest first.
fn months(days: &[LedgerDay], last: Month) -> Vec<Statement> {
    let month_of = |day: &LedgerDay| {
        let at = Timestamp::from_second(day.day * DAY_S).unwrap_or_default();
        Month::of(at.to_zoned(TimeZone::UTC).date())
    };
    let mut statements: Vec<Statement> = Vec::new();
    for day in days {
        let month = month_of(day);
        fill(&mut statements, month);
        if let Some(statement) = statements.last_mut() {
            statement.credit += day.credit;
            statement.debit += day.debit;
            statement.count += day.count;
        }
    }
    if !statements.is_empty() {
        fill(&mut statements, last);
    }
    statements
}

/// Opens every month up to and including `month`.
fn fill(statements: &mut Vec<Statement>, month: Month) {
    loop {
        let (next, opening) = match statements.last() {
            None => (Some(month), Money::ZERO),
            Some(last) if last.month >= month => return,
            Some(last) => (last.month.next(), last.opening + last.credit - last.debit),
        };
        let Some(next) = next else { return };
        statements.push(Statement {
            month: next,
            opening,
            credit: Money::ZERO,
            debit: Money::ZERO,
            count: 0,
        });
    }
}

/// `GET …/statements`: one a month since money first moved, newest first.
async fn list(State(state): State<AppState>, own: Own) -> Result<Json<Value>, ApiError> {
    let days = state.reader.ledger_days(own.id()).await?;
    let now = Month::of(clock::wall().to_zoned(TimeZone::UTC).date());
    let mut statements = months(&days, now);
    statements.reverse();
    let rows: Vec<Value> = statements
        .iter()
        .map(|statement| {
            let month = statement.month.text();
            json!({
                "opening_balance": money(statement.opening),
                "total_credit": money(statement.credit),
                "total_debit": money(statement.debit),
                "closing_balance": money(statement.opening + statement.credit - statement.debit),
                "transactions": statement.count,
                "is_final": statement.month < now,
                "csv_url": format!("/v1/Account/{}/statements/{month}.csv", own.id()),
                "month": month,
            })
        })
        .collect();
    Ok(Json(json!({
        "account_id": own.id(), "currency": own.0.account.currency, "statements": rows, "total": rows.len(),
    })))
}

/// `GET …/statements/{yyyy-mm}.csv`.
async fn csv(
    State(state): State<AppState>,
    own: Own,
    Path((_, file)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let not_found = || ApiError::not_found("Statements are named by month, such as 2026-01.csv");
    let month = file.strip_suffix(".csv").and_then(Month::parse).ok_or_else(not_found)?;
    let (from, before) = month.bounds().ok_or_else(not_found)?;
    let account = in_full(&state, own.id()).await?;
    if before <= account.created_at || from > clock::wall() {
        return Err(ApiError::not_found(format!("There is no statement of {}", month.text())));
    }
    let opening = state.reader.ledger_before(&account.id, from).await?;
    let written = Written {
        reader: state.reader.clone(),
        account: account.id.clone(),
        currency: account.currency,
        from,
        before,
        balance: opening,
        part: Part::Head,
    };
    let pieces = futures_util::stream::try_unfold(written, Written::piece);
    let name = format!("attachment; filename=\"statement-{}-{}.csv\"", account.id, month.text());
    let headers = [(CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()), (CONTENT_DISPOSITION, name)];
    Ok((headers, Body::from_stream(pieces)).into_response())
}

/// A CSV being written, page by page.
struct Written {
    reader: Reader,
    account: AccountId,
    currency: Currency,
    from: Timestamp,
    before: Timestamp,
    /// After the last line written.
    balance: Money,
    part: Part,
}

enum Part {
    Head,
    Lines(Option<LedgerCursor>),
    Done,
}

const COLUMNS: &str =
    "date,transaction_id,type,reference_type,reference,description,debit,credit,balance,currency\r\n";

impl Written {
    async fn piece(mut self) -> Result<Option<(String, Self)>, StoreError> {
        match self.part {
            Part::Head => {
                let head = format!("{COLUMNS}{}", self.total("Opening balance", self.from));
                self.part = Part::Lines(None);
                Ok(Some((head, self)))
            }
            Part::Lines(after) => {
                let (from, before) = (self.from, self.before);
                let lines = self.reader.ledger_lines_after(&self.account, from, before, after, LINES).await?;
                let mut text: String = lines.iter().map(|line| self.line(line)).collect();
                if lines.len() < LINES as usize {
                    text.push_str(&self.total("Closing balance", before));
                    self.part = Part::Done;
                } else {
                    self.part = Part::Lines(
                        lines.last().map(|line| LedgerCursor { at: line.created_at, id: line.id }),
                    );
                }
                Ok(Some((text, self)))
            }
            Part::Done => Ok(None),
        }
    }

    fn total(&self, words: &str, at: Timestamp) -> String {
        format!("{},,,,,{words},,,{},{}\r\n", instant(at), self.balance.to_fixed(DECIMALS), self.currency)
    }

    fn line(&mut self, line: &LedgerLine) -> String {
        self.balance += line.amount;
        let (debit, credit) = if line.amount < Money::ZERO {
            ((-line.amount).to_fixed(DECIMALS), String::new())
        } else {
            (String::new(), line.amount.to_fixed(DECIMALS))
        };
        format!(
            "{},{},{},{},{},{},{debit},{credit},{},{}\r\n",
            instant(line.created_at),
            line.id,
            cell(&line.kind),
            cell(&line.ref_kind),
            cell(&line.ref_id),
            cell(&line.description),
            self.balance.to_fixed(DECIMALS),
            line.currency,
        )
    }
}

/// A cell that every reader takes for text (RFC 4180 §2), and no spreadsheet for a formula.
fn cell(text: &str) -> String {
    let text =
        if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.to_owned() };
    if text.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quiet_months_carry_the_balance_over() {
        let day = |text: &str, credit: i64, debit: i64| {
            let date: Date = text.parse().unwrap();
            let at = date.to_zoned(TimeZone::UTC).unwrap().timestamp();
            LedgerDay {
                day: at.as_second() / DAY_S,
                credit: Money::from_units(credit),
                debit: Money::from_units(debit),
                count: 1,
            }
        };
        let days = [day("2025-11-30", 10, 0), day("2025-12-01", 0, 3), day("2025-12-31", 1, 0)];
        let rows = months(&days, Month::parse("2026-02").unwrap());
        let shown: Vec<(String, i64, u64)> =
            rows.iter().map(|row| (row.month.text(), row.opening.micros / 1_000_000, row.count)).collect();
        let expected = [("2025-11", 0, 1), ("2025-12", 10, 2), ("2026-01", 8, 0), ("2026-02", 8, 0)];
        assert_eq!(shown, expected.map(|(month, opening, count)| (month.to_owned(), opening, count)));
        assert!(months(&[], Month::parse("2026-02").unwrap()).is_empty());
    }

    #[test]
    fn a_month_is_four_digits_and_two() {
        assert_eq!(Month::parse("2026-01").unwrap().text(), "2026-01");
        for text in ["2026-13", "2026-1", "26-01", "2026", "2026-01-01", "+026-01", ""] {
            assert_eq!(Month::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_cell_is_no_formula_and_no_second_cell() {
        assert_eq!(cell("Call to 1, 2 s"), "\"Call to 1, 2 s\"");
        assert_eq!(cell("=1+1"), "'=1+1");
        assert_eq!(cell("a\"b"), "\"a\"\"b\"");
        assert_eq!(cell("plain"), "plain");
    }
}
