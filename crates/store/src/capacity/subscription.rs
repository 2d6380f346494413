//! Capacity bought by the month: the price of a month and the slots change hands together, and a month that cannot be
//! paid takes the slots back.

use jiff::Timestamp;
use tandem_model::{AccountId, Currency, Money};
use uuid::Uuid;

use super::Resource;
use crate::audit::{self, Actor, Change};
use crate::command::BoxFuture;
use crate::directory::DirectoryKind;
use crate::money::{PostKind, PostOutcome, Posting, post};
use crate::value::Row;
use crate::{Command, Reader, StoreError, Tx};

/// Kind of reference of its debits.
const REF_KIND: &str = "channel_subscription";

/// A subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelSubscription {
    /// Its id.
    pub id: Uuid,
    /// Whose.
    pub account: AccountId,
    /// Of what.
    pub resource: Resource,
    /// How many.
    pub quantity: u64,
    /// Price of a month.
    pub monthly_cost: Money,
    /// Of the price.
    pub currency: Currency,
    /// `active` or `cancelled`.
    pub status: String,
    /// When a month was last paid.
    pub last_billing_at: Timestamp,
    /// When the next one is due.
    pub next_billing_at: Timestamp,
    /// When it began.
    pub purchased_at: Timestamp,
    /// When it ended.
    pub cancelled_at: Option<Timestamp>,
    /// Why.
    pub cancellation_reason: Option<String>,
    /// When it last changed.
    pub updated_at: Timestamp,
}

fn subscription_of(row: &Row) -> Result<ChannelSubscription, StoreError> {
    let resource = Resource::parse(row.text("resource")?);
    Ok(ChannelSubscription {
        id: row.parsed("id")?,
        account: row.account("account_id")?,
        resource: resource.ok_or_else(|| StoreError::Data("column resource".to_owned()))?,
        quantity: row.count("quantity")?,
        monthly_cost: row.money("monthly_cost")?,
        currency: row.parsed("currency")?,
        status: row.string("status")?,
        last_billing_at: row.instant("last_billing_at")?,
        next_billing_at: row.instant("next_billing_at")?,
        purchased_at: row.instant("purchased_at")?,
        cancelled_at: row.opt_instant("cancelled_at")?,
        cancellation_reason: row.opt_string("cancellation_reason")?,
        updated_at: row.instant("updated_at")?,
    })
}

/// Buys slots: the first month is paid at once or nothing happens.
pub struct BuyChannels {
    /// Id of the subscription, minted by the maker.
    pub id: Uuid,
    /// Id of the ledger transaction, minted by the maker.
    pub transaction: Uuid,
    /// Who buys and pays.
    pub account: AccountId,
    /// Of what.
    pub resource: Resource,
    /// How many.
    pub quantity: u32,
    /// Price of a month.
    pub monthly_cost: Money,
    /// Of the price: the account's own.
    pub currency: Currency,
    /// When the second month is due.
    pub next_billing_at: Timestamp,
    /// Who asks.
    pub actor: Actor,
    /// Now.
    pub at: Timestamp,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BuyChannelsOutcome {
    /// Bought.
    Bought {
        /// Number of the account in `account_id` fields.
        numeric_id: i64,
    },
    /// Not enough money.
    Insufficient {
        /// Balance − held + credit limit.
        available: Money,
    },
    /// No such account, or its currency is another.
    NoAccount,
}

const ADD: &str = "update account set purchased_concurrent = purchased_concurrent + $2,
    concurrent_limit = concurrent_limit + $2, purchased_cps = purchased_cps + $3, cps_limit = cps_limit + $3,
    updated_at = $4
  where auth_id = $1 returning numeric_id";
const INSERT: &str =
    "insert into channel_subscription (id, account_id, resource, quantity, monthly_cost, currency,
    last_billing_at, next_billing_at, purchased_at, created_at, updated_at)
  values ($1, $2, $3, $4, $5, $6, $7, $8, $7, $7, $7)";
const OF_CURRENCY: &str = "select auth_id from account where auth_id = $1 and currency = $2";

fn split(resource: Resource, slots: i64) -> (i64, i64) {
    match resource {
        Resource::ConcurrentCalls => (slots, 0),
        Resource::Cps => (0, slots),
    }
}

async fn noted(
    tx: &mut Tx<'_>,
    actor: &Actor,
    account: &AccountId,
    resource: Resource,
    at: Timestamp,
) -> Result<(), StoreError> {
    let change = Change {
        at,
        account: Some(account),
        action: "update",
        resource_kind: DirectoryKind::Account.as_str(),
        resource_id: account.as_str(),
        fields: &[resource.field()],
    };
    audit::append(tx, actor, change).await?;
    tx.directory_changed(DirectoryKind::Account, account.as_str(), at).await
}

fn month(
    id: Uuid,
    account: &AccountId,
    subscription: Uuid,
    due: Timestamp,
    cost: Money,
    words: String,
    at: Timestamp,
) -> Posting {
    Posting {
        id,
        account: account.clone(),
        kind: PostKind::Fee,
        amount: -cost,
        ref_kind: REF_KIND.to_owned(),
        // One debit a month, whoever asks for it and how often.
        ref_id: format!("{}:{}", subscription.hyphenated(), due.as_second()),
        description: words,
        at,
    }
}

impl Command for BuyChannels {
    type Output = BuyChannelsOutcome;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<Self::Output, StoreError>> {
        Box::pin(async move {
            let account = &self.account;
            let currency = self.currency.as_str();
            if tx.query_one(OF_CURRENCY, &[account.into(), currency.into()]).await?.is_none() {
                return Ok(BuyChannelsOutcome::NoAccount);
            }
            let words = format!("{} × {}, first month", self.quantity, self.resource.as_str());
            let posting =
                month(self.transaction, account, self.id, self.at, self.monthly_cost, words, self.at);
            match post(tx, &posting).await? {
                PostOutcome::Done { .. } => {}
                PostOutcome::Insufficient { available, .. } => {
                    return Ok(BuyChannelsOutcome::Insufficient { available });
                }
                PostOutcome::NoAccount => return Ok(BuyChannelsOutcome::NoAccount),
                other => return Err(StoreError::Data(format!("a first month came to {other:?}"))),
            }
            let (concurrent, cps) = split(self.resource, i64::from(self.quantity));
            let added = [account.into(), concurrent.into(), cps.into(), self.at.into()];
            let row = tx.query_one(ADD, &added).await?;
            let row = row.ok_or_else(|| StoreError::Data("the buyer vanished".to_owned()))?;
            let id = self.id.hyphenated().to_string();
            let params = [
                id.into(),
                account.into(),
                self.resource.as_str().into(),
                self.quantity.into(),
                self.monthly_cost.into(),
                currency.into(),
                self.at.into(),
                self.next_billing_at.into(),
            ];
            tx.execute(INSERT, &params).await?;
            noted(tx, &self.actor, account, self.resource, self.at).await?;
            Ok(BuyChannelsOutcome::Bought { numeric_id: row.int("numeric_id")? })
        })
    }

    fn accounts(&self) -> Vec<&AccountId> {
        vec![&self.account]
    }
}

/// Pays the next month of a subscription that is due, or ends it.
pub struct RenewChannels {
    /// As it was read.
    pub subscription: ChannelSubscription,
    /// Id of the ledger transaction, minted by the maker.
    pub transaction: Uuid,
    /// When the month after is due.
    pub next_billing_at: Timestamp,
    /// Now.
    pub at: Timestamp,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenewOutcome {
    /// Paid.
    Renewed,
    /// Not paid: the slots are gone.
    Cancelled,
    /// Done by somebody else.
    NotDue,
}

const RENEW: &str =
    "update channel_subscription set last_billing_at = next_billing_at, next_billing_at = $3, updated_at = $4
  where id = $1 and status = 'active' and next_billing_at = $2";
const CANCEL: &str =
    "update channel_subscription set status = 'cancelled', cancelled_at = $3, updated_at = $3,
    cancellation_reason = 'insufficient balance'
  where id = $1 and status = 'active' and next_billing_at = $2";
/// A limit that was given away or lowered meanwhile stops at zero.
const TAKE: &str = "update account set
    purchased_concurrent = case when purchased_concurrent > $2 then purchased_concurrent - $2 else 0 end,
    concurrent_limit = case when concurrent_limit > $2 then concurrent_limit - $2 else 0 end,
    purchased_cps = case when purchased_cps > $3 then purchased_cps - $3 else 0 end,
    cps_limit = case when cps_limit > $3 then cps_limit - $3 else 0 end, updated_at = $4
  where auth_id = $1";

impl Command for RenewChannels {
    type Output = RenewOutcome;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<Self::Output, StoreError>> {
        Box::pin(async move {
            let subscription = &self.subscription;
            let account = &subscription.account;
            let id = subscription.id.hyphenated().to_string();
            let due = subscription.next_billing_at;
            let renew = [(&id).into(), due.into(), self.next_billing_at.into(), self.at.into()];
            if tx.execute(RENEW, &renew).await? == 0 {
                return Ok(RenewOutcome::NotDue);
            }
            let words =
                format!("{} × {}, another month", subscription.quantity, subscription.resource.as_str());
            let cost = subscription.monthly_cost;
            let posting = month(self.transaction, account, subscription.id, due, cost, words, self.at);
            if let PostOutcome::Done { .. } | PostOutcome::AlreadyDone { .. } = post(tx, &posting).await? {
                return Ok(RenewOutcome::Renewed);
            }
            tx.execute(CANCEL, &[(&id).into(), self.next_billing_at.into(), self.at.into()]).await?;
            let slots = i64::try_from(subscription.quantity).unwrap_or(i64::MAX);
            let (concurrent, cps) = split(subscription.resource, slots);
            tx.execute(TAKE, &[account.into(), concurrent.into(), cps.into(), self.at.into()]).await?;
            noted(tx, &Actor::system(), account, subscription.resource, self.at).await?;
            Ok(RenewOutcome::Cancelled)
        })
    }

    fn accounts(&self) -> Vec<&AccountId> {
        vec![&self.subscription.account]
    }
}

/// Ends a subscription: its slots go at once, the month that is paid is not given back.
pub struct CancelChannels {
    /// Which one.
    pub id: Uuid,
    /// Whose.
    pub account: AccountId,
    /// Why, in the account's words.
    pub reason: Option<String>,
    /// Who asks.
    pub actor: Actor,
    /// Now.
    pub at: Timestamp,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CancelChannelsOutcome {
    /// It is over, now or since before: as it stands.
    Cancelled {
        /// The subscription.
        subscription: Box<ChannelSubscription>,
        /// Number of the account in `account_id` fields.
        numeric_id: i64,
    },
    /// No such subscription of this account.
    NotFound,
}

impl Command for CancelChannels {
    type Output = CancelChannelsOutcome;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<Self::Output, StoreError>> {
        const END: &str =
            "update channel_subscription set status = 'cancelled', cancelled_at = $3, updated_at = $3,
            cancellation_reason = $4
          where id = $1 and account_id = $2 and status = 'active'";
        const ONE: &str = "select channel_subscription.*, account.numeric_id from channel_subscription
          join account on account.auth_id = channel_subscription.account_id
          where channel_subscription.id = $1 and channel_subscription.account_id = $2";
        Box::pin(async move {
            let id = self.id.hyphenated().to_string();
            let reason = self.reason.as_deref().unwrap_or("cancelled by the account");
            let end = [(&id).into(), (&self.account).into(), self.at.into(), reason.into()];
            let ended = tx.execute(END, &end).await? == 1;
            let Some(row) = tx.query_one(ONE, &[(&id).into(), (&self.account).into()]).await? else {
                return Ok(CancelChannelsOutcome::NotFound);
            };
            let subscription = Box::new(subscription_of(&row)?);
            if ended {
                let slots = i64::try_from(subscription.quantity).unwrap_or(i64::MAX);
                let (concurrent, cps) = split(subscription.resource, slots);
                let taken = [(&self.account).into(), concurrent.into(), cps.into(), self.at.into()];
                tx.execute(TAKE, &taken).await?;
                noted(tx, &self.actor, &self.account, subscription.resource, self.at).await?;
            }
            Ok(CancelChannelsOutcome::Cancelled { subscription, numeric_id: row.int("numeric_id")? })
        })
    }

    fn accounts(&self) -> Vec<&AccountId> {
        vec![&self.account]
    }
}

impl Reader {
    /// An account's subscriptions, newest first.
    pub async fn channel_subscriptions(
        &self,
        account: &AccountId,
        limit: u32,
    ) -> Result<Vec<ChannelSubscription>, StoreError> {
        const LIST: &str = "select * from channel_subscription where account_id = $1
          order by created_at desc, id desc limit $2";
        let rows = self.query(LIST, &[account.into(), limit.into()]).await?;
        rows.iter().map(subscription_of).collect()
    }

    /// Subscriptions whose next month is due, the longest waiting first.
    pub async fn channel_subscriptions_due(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<ChannelSubscription>, StoreError> {
        const DUE: &str =
            "select * from channel_subscription where status = 'active' and next_billing_at <= $1
          order by next_billing_at limit $2";
        let rows = self.query(DUE, &[now.into(), limit.into()]).await?;
        rows.iter().map(subscription_of).collect()
    }
}
