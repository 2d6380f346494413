//! Who rents what, provisioned through the doors that an operator and a partner use, and what the ledger must hold of it.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use tandem_testkit::{Credentials, Platform};

/// Months that each number is charged in the end.
pub(crate) const MONTHS: f64 = 3.0;
/// Customers; numbers are dealt out among them.
const CUSTOMERS: usize = 20;
/// Prices, and what each customer begins with.
const SETUP: i64 = 1;
const MONTHLY: i64 = 10;
const OPENING: i64 = 1_000_000;
/// Requests under way at once.
const AT_ONCE: usize = 16;
/// Numbers that one request puts on sale.
const STOCKED: usize = 10_000;
/// Rows of a page of the ledger.
const PAGE: usize = 1_000;
/// The days on which months begin, by when the number was bought.
const FIRST_HALF: [&str; 3] = ["2061-02-28", "2061-03-31", "2061-04-30"];
const SECOND_HALF: [&str; 3] = ["2061-03-10", "2061-04-10", "2061-05-10"];
/// A customer with the money of one month and no more, and one that gives its number back.
const POOR: &str = "+912233000001";
const GIVEN_BACK: &str = "+912233000002";

pub(crate) struct Estate {
    customers: Vec<Credentials>,
    poor: Credentials,
    numbers: Vec<String>,
}

async fn operator(platform: &Platform, method: &str, path: &str, body: Value) -> Value {
    platform.operator(method, path, Some(&body)).await.ok()
}

async fn give(platform: &Platform, number: &str, to: &Credentials) {
    operator(platform, "POST", &format!("/admin/numbers/{number}/give"), json!({ "account": to.id })).await;
}

impl Estate {
    /// Customers with money, and numbers on sale.
    pub(crate) async fn build(platform: &Platform, count: usize) -> Self {
        let partner =
            json!({"name": "Estate", "email": "p@estate.example", "currency": "INR", "balance": "0"});
        let partner = credentials(&operator(platform, "POST", "/admin/partners", partner).await);
        let mut customers = Vec::new();
        for n in 0..=CUSTOMERS {
            let account = json!({"name": "Tenant", "email": format!("t{n}@estate.example"),
                "phone": "+919800000001", "password": "Change-me-1", "country": "IN"});
            let made = platform.rest("POST", "/partner/accounts", &partner, Some(&account)).await.ok();
            customers.push(credentials(&made));
        }
        let poor = customers.pop().expect("one more than dealt to");
        for (who, amount) in customers.iter().map(|who| (who, OPENING)).chain([(&poor, SETUP + 2 * MONTHLY)])
        {
            let credit = json!({"amount": amount.to_string(), "reference": "opening"});
            operator(platform, "POST", &format!("/admin/accounts/{}/credit", who.id), credit).await;
        }
        let numbers: Vec<String> = (0..count).map(|n| format!("+9180{n:08}")).collect();
        let all: Vec<String> =
            numbers.iter().cloned().chain([POOR.to_owned(), GIVEN_BACK.to_owned()]).collect();
        for numbers in all.chunks(STOCKED) {
            let stock = json!({"numbers": numbers, "country": "IN", "setup_fee": SETUP.to_string(),
                "monthly_fee": MONTHLY.to_string(), "currency": "INR"});
            operator(platform, "POST", "/admin/inventory", stock).await;
        }
        Self { customers, poor, numbers }
    }

    fn owner(&self, index: usize) -> &Credentials {
        &self.customers[index % self.customers.len()]
    }

    async fn buy(&self, platform: &Platform, range: std::ops::Range<usize>) {
        let give = |index: usize| give(platform, &self.numbers[index], self.owner(index));
        stream::iter(range).for_each_concurrent(AT_ONCE, give).await;
    }

    /// On 31 January; one number more is given back on the same day.
    pub(crate) async fn buy_first_half(&mut self, platform: &Platform) {
        self.buy(platform, 0..self.numbers.len() / 2).await;
        give(platform, POOR, &self.poor).await;
        let owner = self.owner(0);
        give(platform, GIVEN_BACK, owner).await;
        let path = format!("/Account/{}/numbers/{GIVEN_BACK}", owner.id);
        let released = platform.rest("DELETE", &path, owner, None).await.ok();
        assert_eq!(released["status"], "pending_release");
    }

    /// On 10 February, when the day in which the release could be cancelled is long over.
    pub(crate) async fn buy_second_half(&mut self, platform: &Platform) {
        self.buy(platform, self.numbers.len() / 2..self.numbers.len()).await;
        let state = operator(platform, "GET", &format!("/admin/numbers/{GIVEN_BACK}"), Value::Null).await;
        assert_eq!(
            (state["status"].as_str(), &state["account_id"]),
            (Some("released"), &Value::Null),
            "{state}"
        );
    }

    /// How many months are charged when so many have passed for a number: half a month is the first half's first. The poor
    /// customer's one is among them.
    pub(crate) fn rents_after(&self, months: f64) -> u64 {
        (self.numbers.len() as f64 * months) as u64 + 1
    }

    /// How many the ledger holds.
    pub(crate) async fn rents(&self, platform: &Platform) -> u64 {
        let mut all = 0;
        for who in self.customers.iter().chain([&self.poor]) {
            let path = format!("/Account/{}/transactions?reference_type=did_rental&per_page=1", who.id);
            all += platform.rest("GET", &path, who, None).await.ok()["total"].as_u64().expect("a total");
        }
        all
    }

    /// Each number's months, each once and none other; balances and ledger.
    pub(crate) async fn judge(&self, platform: &Platform) {
        let half = self.numbers.len() / 2;
        for (index, who) in self.customers.iter().enumerate() {
            let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
            for page in 1.. {
                let path = format!(
                    "/Account/{}/transactions?reference_type=did_rental&per_page={PAGE}&page={page}",
                    who.id
                );
                let list = platform.rest("GET", &path, who, None).await.ok();
                let rows = list["transactions"].as_array().map(Vec::as_slice).unwrap_or_default();
                for row in rows {
                    assert_eq!(row["amount"], MONTHLY, "{row}");
                    let reference = row["reference"].as_str().expect("a reference");
                    let (number, day) = reference
                        .trim_start_matches("did_rental:")
                        .split_once(':')
                        .expect("a number and a day");
                    found.entry(number.to_owned()).or_default().push(day.to_owned());
                }
                if rows.len() < PAGE {
                    break;
                }
            }
            let own: BTreeSet<usize> =
                (0..self.numbers.len()).filter(|n| n % self.customers.len() == index).collect();
            for &n in &own {
                let mut days = found.remove(&self.numbers[n]).unwrap_or_default();
                days.sort();
                let expected = if n < half { FIRST_HALF } else { SECOND_HALF };
                assert_eq!(days, expected, "{}", self.numbers[n]);
            }
            assert!(found.is_empty(), "months of nobody's numbers: {found:?}");
            let given_back = if index == 0 { SETUP + MONTHLY + 700 } else { 0 };
            let spent = own.len() as i64 * (SETUP + 4 * MONTHLY) + given_back;
            let balance =
                platform.rest("GET", &format!("/Account/{}/balance/INR", who.id), who, None).await.ok();
            assert_eq!(balance["balance"], OPENING - spent, "customer {index}");
        }
        let state = operator(platform, "GET", &format!("/admin/numbers/{POOR}"), Value::Null).await;
        assert_eq!(state["status"], "released", "unpaid since April, and the grace is over: {state}");
        let state = operator(platform, "GET", &format!("/admin/numbers/{GIVEN_BACK}"), Value::Null).await;
        assert_eq!(
            (state["status"].as_str(), &state["account_id"]),
            (Some("active"), &Value::Null),
            "for sale again"
        );
        let report = platform.admin(&["verify-ledger"]);
        assert_eq!(report["ok"], true, "{report}");
    }
}

fn credentials(body: &Value) -> Credentials {
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    Credentials { id: text("auth_id"), token: text("auth_token") }
}
