//! Buying a number: it and its price change hands together.

use jiff::Timestamp;
use tandem_model::{AccountId, Currency, E164, MOBILE_NUMBERS_MAX, Money, NumberSeries};
use uuid::Uuid;

use super::{Number, noted, number_of};
use crate::audit::Actor;
use crate::command::BoxFuture;
use crate::money::{PostKind, PostOutcome, Posting, post};
use crate::{Command, StoreError, Tx};

/// Buys a number from the inventory for its setup fee and its first month.
pub struct BuyNumber {
    /// Which one.
    pub e164: E164,
    /// In whose name it will stand, and who pays.
    pub owner: AccountId,
    /// The sub-account that asks, if one does.
    pub sub_account: Option<AccountId>,
    /// Id of the ledger transaction, and its reference.
    pub purchase: Uuid,
    /// When the next month is due.
    pub next_billing_at: Timestamp,
    /// Who lets it be sold.
    pub seller: Seller,
    /// Who asks.
    pub actor: Actor,
    /// Now.
    pub at: Timestamp,
}

/// Who sells a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seller {
    /// The inventory: series that anybody may have.
    Inventory,
    /// The operator, to whom he thinks entitled: any series.
    Operator,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BuyOutcome {
    /// Bought.
    Bought(Box<Number>),
    /// Not for sale.
    NotInInventory,
    /// Who wants to buy it has it.
    OwnedAlready,
    /// The account has as many numbers of this series as one person may have.
    TooMany,
    /// It is sold in another currency than the account's.
    OtherCurrency {
        /// That one.
        price: Currency,
    },
    /// The owner has not got the price.
    Insufficient {
        /// The price.
        required: Money,
        /// Balance − held + credit limit.
        available: Money,
        /// Their currency.
        currency: Currency,
    },
}

const TAKE: &str = "update number set account_id = $2, sub_account = $3, source = 'inventory', purchased_at = $4,
    last_billing_at = $4, next_billing_at = $5, rent_try_at = $5, released_at = null, updated_at = $4,
    application_id = (select app_id from application
      where application.account_id = $2 and default_number_app = 1 and enabled = 1 order by created_at limit 1)
  where e164 = $1 and account_id is null and status = 'active' and is_blocked = 0
    and (number_type = 'local' or cast($6 as bigint) = 1)
    and currency = (select currency from account where auth_id = $2)
  returning *";
const GIVE_BACK: &str = "update number set account_id = null, sub_account = null, purchased_at = null,
    last_billing_at = null, next_billing_at = null, rent_try_at = null, application_id = null where e164 = $1";
const OFFER: &str = "select currency from number
  where e164 = $1 and account_id is null and status = 'active' and is_blocked = 0
    and (number_type = 'local' or cast($2 as bigint) = 1)";
// A sub-account is not told of its parent's other numbers.
const OWN: &str = "select e164 from number
  where e164 = $1 and account_id = $2 and (cast($3 as text) is null or sub_account = $3)";
const MOBILE: &str = "select count(*) as n from number where account_id = $1 and number_type = 'mobile'";

impl Command for BuyNumber {
    type Output = BuyOutcome;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<BuyOutcome, StoreError>> {
        Box::pin(async move {
            let by_operator = self.seller == Seller::Operator;
            let params = [
                self.e164.into(),
                (&self.owner).into(),
                self.sub_account.as_ref().into(),
                self.at.into(),
                self.next_billing_at.into(),
                by_operator.into(),
            ];
            let Some(row) = tx.query_one(TAKE, &params).await? else {
                return Ok(match tx.query_one(OFFER, &[self.e164.into(), by_operator.into()]).await? {
                    Some(offer) => BuyOutcome::OtherCurrency { price: offer.parsed("currency")? },
                    None if tx.query_one(OWN, &params[..3]).await?.is_some() => BuyOutcome::OwnedAlready,
                    None => BuyOutcome::NotInInventory,
                });
            };
            let number = number_of(&row)?;
            if NumberSeries::of(self.e164).needs_aadhaar() {
                let have = tx.query_one(MOBILE, &[(&self.owner).into()]).await?;
                // The one just taken counts.
                if have.map_or(Ok(0), |row| row.count("n"))? > MOBILE_NUMBERS_MAX {
                    tx.execute(GIVE_BACK, &[self.e164.into()]).await?;
                    return Ok(BuyOutcome::TooMany);
                }
            }
            let price = number.setup_fee + number.monthly_fee;
            if price > Money::ZERO {
                match post(tx, &self.fee(price)).await? {
                    PostOutcome::Done { .. } => {}
                    PostOutcome::Insufficient { available, currency } => {
                        tx.execute(GIVE_BACK, &[self.e164.into()]).await?;
                        return Ok(BuyOutcome::Insufficient { required: price, available, currency });
                    }
                    // The purchase id was minted for this command, and the account has just been read.
                    other => {
                        return Err(StoreError::Data(format!("the price of a number came to {other:?}")));
                    }
                }
            }
            noted(tx, &self.actor, self.e164, Some(&self.owner), "purchase", &["account_id"], self.at)
                .await?;
            Ok(BuyOutcome::Bought(Box::new(number)))
        })
    }

    fn accounts(&self) -> Vec<&AccountId> {
        vec![&self.owner]
    }
}

impl BuyNumber {
    fn fee(&self, price: Money) -> Posting {
        Posting {
            id: self.purchase,
            account: self.owner.clone(),
            kind: PostKind::Fee,
            amount: -price,
            ref_kind: "did_purchase".to_owned(),
            ref_id: format!("{}:{}", self.e164.plus(), self.purchase.hyphenated()),
            description: format!("Number {}: setup and first month", self.e164.plus()),
            at: self.at,
        }
    }
}
