//! Account, balance, ledger, concurrency (REST reference §2).

use tandem_model::ErrorCode::NotFound;

use crate::api::openapi::operation::{Operation, get};

const ME: &str = "{type:MASTER|SUB_ACCOUNT|PARTNER id api_id:uuid name email phone description auth_id:id auth_secret
  auth_token_expire_time:time? country timezone city state address zip_code company account_type postpaid:bool
  auto_recharge:bool auto_recharge_config:{}? enabled:bool carrier_type? customer_type? credit_limit:num cps_limit:int
  concurrent_calls_limit:int base_cps_limit:int base_concurrent_calls_limit:int purchased_cps:int
  purchased_concurrent_calls:int risk_rating:int risk_status? features:{call_queue:bool} ip_auth_enabled:bool
  ip_whitelist_rules:{} allow_aws_ips:bool role is_active:bool is_verified:bool is_trial_account:bool created_at:time
  updated_at:time last_login:time pricing_tier_id pricing_tier:{id name description currency rate_per_minute:num
  billing_increment_seconds:int minimum_duration_seconds:int is_active:bool is_default:bool}}";

const BALANCE: &str = "{id:uuid account_id:id currency balance:num reserved_funds:num promotional_balance:int
  promotional_reserved_balance:int available_balance:num credit_limit:num is_postpaid:bool credit_limit_type
  low_balance_threshold:num status created_at:time updated_at:time}";

const LEDGER: &str =
    "{transactions:[{id:uuid account_id:id balance_id:uuid type:credit|debit amount:num currency description
  reference reference_type? status processed_at:time created_at:time updated_at:time}]
  summary:{total_transactions:int total_debit:num total_credit:num net_amount:num
  by_reference_type:[{reference_type total_debit:num total_credit:num count:int}]}
  total:int page:int per_page:int total_pages:int}";

pub(super) fn entries() -> Vec<Operation> {
    vec![
        get("/auth/me", "Read the account of the credentials").tag("Account").answers(200, ME),
        get("/Account/{auth_id}/balance/{currency}", "Read a balance")
            .note("A sub-account's is its parent's.")
            .answers(200, BALANCE)
            .refuses(&[NotFound]),
        get("/Account/{auth_id}/transactions", "List ledger lines, newest first")
            .note("from_date and to_date are days (YYYY-MM-DD, UTC) or instants, each alone or both. Filters are joined by and; the summary covers all that match. More than 1000 a page counts as 50.")
            .query(
                "page:int(1..)=1 per_page:int(1..1000)=50 from_date to_date type status:completed|pending|failed|cancelled
                currency reference_type description reference transaction_id:uuid",
            )
            .answers(200, LEDGER),
        get("/Account/{auth_id}/transactions/reference-types", "List the kinds of ledger lines the account has")
            .answers(200, "{reference_types:[str]}"),
        get("/Account/{auth_id}/concurrency", "Count live calls against the limit")
            .note("With a capital, as /Concurrency/, the answer has limit and current too, which older clients read.")
            .answers(
                200,
                "{account_id:id concurrent_calls:int max_concurrent:int utilization_pct:int request_id}",
            ),
    ]
}
