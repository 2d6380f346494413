//! Buying a number (REST reference §6.3).

use serde::Deserialize;
use serde_json::json;
use tandem_model::{Currency, E164, ErrorCode, Ids, Shortage, clock, month_end_after};
use tandem_store::resources::number::{BuyNumber, BuyOutcome, Number, Seller};

use super::{owned, sub_account_of};
use crate::api::error::shortage_details;
use crate::api::{ApiError, Dialect, Posted, Reply, checks};
use crate::auth::Scoped;

#[derive(Debug, Deserialize)]
pub(super) struct PurchaseBody {
    e164: Option<String>,
    number: Option<String>,
    #[serde(rename = "phoneNumber")]
    phone_number: Option<String>,
    currency: Option<String>,
}

/// `POST …/numbers/purchase-from-inventory`: debits setup fee and first month, and the number is the
/// account's, in one step. For a sub-account its parent pays.
pub(super) async fn purchase(
    scope: Scoped,
    dialect: Dialect,
    posted: Posted<PurchaseBody>,
) -> Result<Reply, ApiError> {
    let body = posted.value;
    let wanted = body.e164.or(body.number).or(body.phone_number);
    let wanted = checks::text("e164", wanted.as_deref(), 32)?;
    let e164 = checks::written_number("e164", &wanted, scope.account.country_rules())?;
    let own = scope.account.currency;
    if body.currency.is_some_and(|asked| !asked.is_empty() && !asked.eq_ignore_ascii_case(own.as_str())) {
        return Err(ApiError::field("currency", &format!("is {own}, the account's")));
    }
    let answer = move |outcome: &BuyOutcome| {
        let number = bought(outcome, own)?;
        Ok(Reply::ok(json!({
            "message": "Number purchased successfully", "number": owned(number, dialect),
        })))
    };
    posted.effect.run(&scope.caller.account.id, order(&scope, e164), answer).await
}

/// The command that buys it for who asks.
pub(super) fn order(scope: &Scoped, e164: E164) -> BuyNumber {
    let at = clock::wall();
    BuyNumber {
        e164,
        owner: scope.payer().clone(),
        sub_account: sub_account_of(scope),
        purchase: Ids::random(),
        next_billing_at: month_end_after(at, at),
        seller: Seller::Inventory,
        actor: scope.caller.actor.clone(),
        at,
    }
}

/// The number, or why it was not sold.
pub(super) fn bought(outcome: &BuyOutcome, own: Currency) -> Result<&Number, ApiError> {
    match outcome {
        BuyOutcome::Bought(number) => Ok(number),
        BuyOutcome::NotInInventory => {
            Err(ApiError::not_found("number not found in inventory").word("not_found").hint(
                "It is unknown here, somebody else's, or resting after its release; GET …/inventory/numbers lists what is for sale.",
            ))
        }
        BuyOutcome::TooMany => {
            let words = "The account has as many numbers of this series as one person may have";
            Err(ApiError::because(ErrorCode::Conflict, words)
                .hint("Release one of them first, or choose a number of another series."))
        }
        BuyOutcome::OwnedAlready => {
            Err(ApiError::because(ErrorCode::Conflict, "The account has this number already")
                .word("already_owned")
                .hint("Nothing is to be done: see GET …/numbers."))
        }
        BuyOutcome::OtherCurrency { price } => {
            Err(ApiError::field("e164", &format!("is sold in {price}, and the account's currency is {own}")))
        }
        BuyOutcome::Insufficient { required, available, currency } => {
            let words = format!("Insufficient balance: {} {currency} needed", required.to_fixed(2));
            let shortage = Shortage { required: *required, available: *available, currency: *currency };
            Err(ApiError::because(ErrorCode::InsufficientBalance, words).details(shortage_details(shortage)))
        }
    }
}
