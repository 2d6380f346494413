//! What a partner reads of its customers, and the capacity it gives them (REST reference §5.2, §5.5, §5.7).

use tandem_model::ErrorCode::{CapabilityMissing, NotFound, ValidationError};

use super::calls::{FILTERS, PAGINATION, RECORD, SINGLE, SUMMARY};
use super::numbers::{NUMBER, OWNED};
use super::partner::PROFILE;
use crate::api::openapi::operation::{Operation, get, post};

const LEDGER: &str = "{account_auth_id:id transactions:[{id:uuid account_id:id balance_id:uuid type:credit|debit amount:num currency
  description reference status processed_at:time created_at:time updated_at:time}]
  summary:{total_transactions:int total_debit:num total_credit:num net_amount:num
  by_reference_type:[{reference_type total_debit:num total_credit:num count:int}]}
  total:int page:int per_page:int total_pages:int}";
const LEDGER_QUERY: &str = "page:int(1..)=1 per_page:int(1..200)=50 from_date to_date transaction_type:recharge|debit|refund|transfer";
const SUMS: &str = "total_calls:int answered_calls:int total_minutes:num total_cost";
const WAY: &str = "{total_calls:int answered_calls:int total_minutes:num}";
const MOVED: &str =
    "{success:bool slots:int resource:concurrent_calls|cps from_account:id to_account:id transfer_reference
  partner_remaining:int customer_effective:int message}";
const MOVE: &str =
    r#"resource:concurrent_calls|cps="concurrent_calls" slots!:int(1..10000)=1 description:str(500)="March""#;

fn overview() -> String {
    format!(
        "{{partner:{{{PROFILE} balance:money?}} period:{{from to}} accounts:{{total:int active:int
        customers:[{{auth_id:id name email phone is_active:bool created_at:time}}]}} total_balance:money currency
        calls:{{{SUMS}}} traffic:{{inbound:{{{SUMS}}} outbound:{{{SUMS}}}}}
        by_product:{{sip_trunking:{{{SUMS}}} voice_api:{{{SUMS}}}}}
        time_series:[{{date {SUMS} inbound:{WAY} outbound:{WAY}}}]}}"
    )
}

pub(super) fn entries() -> Vec<Operation> {
    let records = format!(
        "{{account_id:id count:int data:[{{{RECORD}}}] {PAGINATION} success:bool {SUMMARY} account_auth_id:id}}"
    );
    let numbers = format!("items:[{{{NUMBER} {OWNED}}}] page:int per_page:int total:int");
    let one = |path: &str| format!("/partner/accounts/{{auth_id}}/{path}");
    vec![
        get("/partner/dashboard", "Read what the customers add up to, over thirty days").answers(200, &overview()),
        get("/partner/analytics", "Read what the customers add up to, over the days asked for")
            .note("Both days are included, at most 366; without them the last thirty.")
            .query("from_date to_date")
            .answers(200, &overview()),
        get(&one("transactions"), "List a customer's ledger lines, newest first")
            .query(LEDGER_QUERY)
            .answers(200, LEDGER)
            .refuses(&[NotFound])
            .refuses_as(422, ValidationError),
        get("/partner/transactions", "List the ledger lines of all customers, newest first")
            .note("account picks one of them, or the partner itself.")
            .query(&format!("{LEDGER_QUERY} account search:str(255)"))
            .answers(200, LEDGER)
            .refuses_as(422, ValidationError),
        get(&one("cdrs"), "List a customer's call records, newest first")
            .query(FILTERS)
            .answers(200, &records)
            .refuses(&[NotFound, CapabilityMissing]),
        get(&one("cdrs/{call_uuid}"), "Read a customer's call record")
            .answers(200, &format!("{{{SINGLE}}}"))
            .refuses(&[NotFound, CapabilityMissing]),
        get("/partner/cdrs", "List the call records of all customers, newest first")
            .query(FILTERS)
            .answers(200, &records)
            .refuses(&[CapabilityMissing]),
        get(&one("numbers"), "List a customer's numbers")
            .query("page:int(1..)=1 per_page:int(1..100)=25 search")
            .answers(200, &format!("{{{numbers} account_auth_id:id}}"))
            .refuses(&[NotFound]),
        get("/partner/numbers", "List the numbers of all customers")
            .query("page:int(1..)=1 per_page:int(1..100)=25 search")
            .answers(200, &format!("{{{numbers}}}")),
        get(&one("concurrency"), "Read what capacity a customer has, and what of it you gave")
            .answers(
                200,
                "{partner_auth_id:id customer_auth_id:id partner_concurrent_calls_limit:int
                customer_concurrent_calls_limit:int net_concurrent_calls_allocated:int partner_cps_limit:int
                customer_cps_limit:int net_cps_allocated:int}",
            )
            .refuses(&[NotFound]),
        post(&one("concurrency/transfer"), "Give capacity to a customer")
            .note("slots is a difference, not a target.")
            .body(MOVE)
            .answers(200, MOVED)
            .refuses(&[NotFound, CapabilityMissing]),
        post(&one("concurrency/reclaim"), "Take capacity back from a customer")
            .note("At most what you gave it, on balance, and what it still has.")
            .body(MOVE)
            .answers(200, MOVED)
            .refuses(&[NotFound, CapabilityMissing]),
        get("/partner/concurrency/transfers", "List what capacity was given and taken back, newest first")
            .query("limit:int(1..200)=50 offset:int(0..)=0")
            .answers(
                200,
                "{transfers:[{transfer_reference direction:transfer|reclaim resource:concurrent_calls|cps slots:int
                from_account:id to_account:id partner_remaining:int customer_effective:int description created_at:time}]
                total:int limit:int offset:int}",
            ),
    ]
}
