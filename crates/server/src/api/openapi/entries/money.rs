//! Capacity by the month, low balances, payments, statements (REST reference §2.6, and ours).

use tandem_model::ErrorCode::{
    Conflict, InsufficientBalance, InvalidCredentials, MailNotConfigured, NotFound, PaymentFailed,
    PaymentProviderUnavailable, PaymentsNotConfigured,
};

use crate::api::openapi::operation::{Operation, Who, delete, get, post, put};

const SUBSCRIPTION: &str =
    "{id:uuid account_id:int resource_type:concurrent_calls|cps quantity:int monthly_cost currency status
  last_billing_date:time next_billing_date:time purchased_at:time cancelled_at:time? cancellation_reason?
  is_active:bool created_at:time updated_at:time}";
const ALERTS: &str =
    "{account_id:id currency low_balance_threshold:num low_balance_url:url? low_balance_email:email?}";
const PAYMENT: &str =
    "{payment_id:uuid account_id:id status amount:num currency provider provider_reference checkout_url:url
  reason? created_at:time updated_at:time completed_at:time?}";
const SETTLED: &str = "{payment_id:uuid result:credited|failed|repeated}";

fn of_account() -> Vec<Operation> {
    let at = |path: &str| format!("/Account/{{auth_id}}/{path}");
    vec![
        get(&at("channel-pricing-preview"), "Price capacity by the month")
            .note("Channels and calls per second are sold in packs.")
            .query("resource_type!:concurrent_calls|cps=cps quantity!:int(1..10000)=3")
            .answers(
                200,
                "{resource_type:concurrent_calls|cps quantity:int monthly_cost currency
                breakdown:[{pack_size:int packs:int unit_price cost}]}",
            ),
        get(&at("channel-subscriptions"), "List the capacity that was bought")
            .answers(200, &format!("{{subscriptions:[{SUBSCRIPTION}] total:int}}")),
        post(&at("channel-subscriptions"), "Buy capacity by the month")
            .note("The first month is debited in the same step.")
            .body(r#"resource_type!:concurrent_calls|cps="cps" quantity!:int(1..10000)=3"#)
            .answers(201, SUBSCRIPTION)
            .refuses_as(400, InsufficientBalance),
        delete(&at("channel-subscriptions/{subscription_id}"), "End capacity that was bought")
            .note("The channels go at once; the month that is paid is not given back. A second time changes nothing.")
            .answers(200, SUBSCRIPTION)
            .refuses(&[NotFound]),
        get(&at("alerts"), "Read when and how the account hears of a low balance").answers(200, ALERTS),
        put(&at("alerts"), "Change when and how the account hears of a low balance")
            .note("Each debit through the threshold is told of once: by a signed webhook, by a letter, by both.")
            .body(
                r#"low_balance_threshold:num=50 low_balance_url:url="https://shop.example/low"
                low_balance_email:email="ops@shop.example""#,
            )
            .answers(200, ALERTS)
            .refuses(&[MailNotConfigured]),
        get(&at("payments"), "List payments, newest first")
            .query("page:int(1..)=1 per_page:int(1..100)=20")
            .answers(200, &format!("{{items:[{PAYMENT}] page:int per_page:int total:int}}")),
        post(&at("payments"), "Pay in")
            .note("Answers where to pay; the balance changes when the provider says that it was paid.")
            .body(r#"amount!:num=250 currency:str(3)="{currency}" return_url:url="https://shop.example/paid""#)
            .answers(201, PAYMENT)
            .refuses(&[PaymentsNotConfigured, PaymentFailed, PaymentProviderUnavailable]),
        get(&at("payments/{payment_id}"), "Read a payment").answers(200, PAYMENT).refuses(&[NotFound]),
        get(&at("statements"), "List monthly statements, newest first").answers(
            200,
            "{account_id:id currency statements:[{opening_balance:num total_credit:num total_debit:num closing_balance:num
            transactions:int is_final:bool csv_url month}] total:int}",
        ),
        get(&at("statements/{month}"), "Download a month's statement")
            .note("A line for each change of the balance, between the opening and the closing balance.")
            .answers(200, "str")
            .media("text/csv")
            .refuses(&[NotFound]),
    ]
}

pub(super) fn entries() -> Vec<Operation> {
    let mut entries = of_account();
    entries.extend([
        post("/payments/sandbox/{payment_id}", "Pay, or refuse to, at the sandbox")
            .note("Development only: nobody's money.")
            .by(Who::Nobody)
            .body(r#"outcome!:paid|failed="paid""#)
            .answers(200, SETTLED)
            .refuses(&[NotFound]),
        post("/payments/{provider}/webhook", "Hear from the payment provider what became of a payment")
            .note("Signed by the provider: docs/reference/payment-provider.md. What is said twice happens once.")
            .by(Who::Nobody)
            .body(
                r#"intent_id!:uuid="{payment_id}" status!:paid|failed="paid" amount!:any="250.00" currency!:str(3)="INR"
                reason:str"#,
            )
            .answers(200, SETTLED)
            .refuses(&[InvalidCredentials, NotFound, Conflict]),
    ]);
    entries.into_iter().map(|entry| entry.tag("Money")).collect()
}
