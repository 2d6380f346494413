//! Money paid in through a payment provider: an intent, and the one change that completes it and credits the account.

use jiff::Timestamp;
use tandem_model::{AccountId, Currency, Money};
use uuid::Uuid;

use crate::audit::{self, Actor, Change};
use crate::command::BoxFuture;
use crate::money::{PostKind, PostOutcome, Posting, post};
use crate::value::Row;
use crate::{Command, Reader, StoreError, Tx};

/// An intent to pay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentIntent {
    /// Its id.
    pub id: Uuid,
    /// Whose balance it is for.
    pub account: AccountId,
    /// How much.
    pub amount: Money,
    /// The account's currency.
    pub currency: Currency,
    /// Which provider.
    pub provider: String,
    /// The provider's name for it.
    pub provider_reference: String,
    /// Where it is paid.
    pub checkout_url: String,
    /// `pending`, `failed` or `completed`.
    pub state: String,
    /// Why it failed, in the provider's words.
    pub reason: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When the money was credited.
    pub completed_at: Option<Timestamp>,
}

fn intent_of(row: &Row) -> Result<PaymentIntent, StoreError> {
    Ok(PaymentIntent {
        id: row.parsed("id")?,
        account: row.account("account_id")?,
        amount: row.money("amount")?,
        currency: row.parsed("currency")?,
        provider: row.string("provider")?,
        provider_reference: row.string("provider_reference")?,
        checkout_url: row.string("checkout_url")?,
        state: row.string("state")?,
        reason: row.opt_string("reason")?,
        created_at: row.instant("created_at")?,
        updated_at: row.instant("updated_at")?,
        completed_at: row.opt_instant("completed_at")?,
    })
}

/// Keeps an intent that the provider knows already. One of the same id stays as it is.
pub struct OpenIntent {
    /// The intent; its state is `pending`.
    pub intent: PaymentIntent,
    /// Who asks.
    pub actor: Actor,
}

impl Command for OpenIntent {
    type Output = ();

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<(), StoreError>> {
        const INSERT: &str =
            "insert into payment_intent (id, account_id, amount, currency, provider, provider_reference,
            checkout_url, created_at, updated_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $8)
          on conflict (id) do nothing";
        Box::pin(async move {
            let intent = &self.intent;
            let id = intent.id.hyphenated().to_string();
            let params = [
                (&id).into(),
                (&intent.account).into(),
                intent.amount.into(),
                (&intent.currency).into(),
                (&intent.provider).into(),
                (&intent.provider_reference).into(),
                (&intent.checkout_url).into(),
                intent.created_at.into(),
            ];
            if tx.execute(INSERT, &params).await? == 1 {
                let change = Change {
                    at: intent.created_at,
                    account: Some(&intent.account),
                    action: "create",
                    resource_kind: "payment",
                    resource_id: &id,
                    fields: &[],
                };
                audit::append(tx, &self.actor, change).await?;
            }
            Ok(())
        })
    }
}

/// What the provider says of an intent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PaymentVerdict {
    /// Paid.
    Paid,
    /// Not paid.
    Failed {
        /// Why.
        reason: String,
    },
}

/// Acts on what the provider says: once, however often it says it.
pub struct SettlePayment {
    /// Which intent.
    pub id: Uuid,
    /// Whose it is, as it was read.
    pub account: AccountId,
    /// What the provider says was paid.
    pub amount: Money,
    /// In this currency.
    pub currency: Currency,
    /// What became of it.
    pub verdict: PaymentVerdict,
    /// Id of the ledger transaction, minted by the maker.
    pub transaction: Uuid,
    /// Now.
    pub at: Timestamp,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettlePaymentOutcome {
    /// Credited now.
    Credited {
        /// After it.
        balance: Money,
    },
    /// Noted as failed.
    Failed,
    /// Said before; nothing changed.
    Repeated,
    /// The amount or currency is not the intent's; nothing changed.
    OtherAmount,
    /// No such intent of that account.
    NoIntent,
}

/// Paid beats failed: who paid after all gets the money.
const PAY: &str =
    "update payment_intent set state = 'completed', completed_at = $3, updated_at = $3, reason = null
  where id = $1 and account_id = $2 and state <> 'completed' and amount = $4 and currency = $5";
const FAIL: &str = "update payment_intent set state = 'failed', updated_at = $3, reason = $4
  where id = $1 and account_id = $2 and state = 'pending'";
const FIND: &str = "select * from payment_intent where id = $1 and account_id = $2";

impl Command for SettlePayment {
    type Output = SettlePaymentOutcome;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<Self::Output, StoreError>> {
        Box::pin(async move {
            let id = self.id.hyphenated().to_string();
            let changed = match &self.verdict {
                PaymentVerdict::Paid => {
                    let params = [
                        (&id).into(),
                        (&self.account).into(),
                        self.at.into(),
                        self.amount.into(),
                        (&self.currency).into(),
                    ];
                    tx.execute(PAY, &params).await?
                }
                PaymentVerdict::Failed { reason } => {
                    let params = [(&id).into(), (&self.account).into(), self.at.into(), reason.into()];
                    tx.execute(FAIL, &params).await?
                }
            };
            if changed == 0 {
                return self.why_not(tx, &id).await;
            }
            if self.verdict != PaymentVerdict::Paid {
                return Ok(SettlePaymentOutcome::Failed);
            }
            let posting = Posting {
                id: self.transaction,
                account: self.account.clone(),
                kind: PostKind::TopUp,
                amount: self.amount,
                ref_kind: "payment".to_owned(),
                ref_id: format!("intent:{id}"),
                description: "Payment received".to_owned(),
                at: self.at,
            };
            match post(tx, &posting).await? {
                PostOutcome::Done { balance } => Ok(SettlePaymentOutcome::Credited { balance }),
                other => Err(StoreError::Data(format!("a payment came to {other:?}"))),
            }
        })
    }

    fn accounts(&self) -> Vec<&AccountId> {
        vec![&self.account]
    }
}

impl SettlePayment {
    async fn why_not(&self, tx: &mut Tx<'_>, id: &String) -> Result<SettlePaymentOutcome, StoreError> {
        let Some(row) = tx.query_one(FIND, &[id.into(), (&self.account).into()]).await? else {
            return Ok(SettlePaymentOutcome::NoIntent);
        };
        let intent = intent_of(&row)?;
        let same = intent.amount == self.amount && intent.currency == self.currency;
        let paid = self.verdict == PaymentVerdict::Paid;
        Ok(if paid && !same { SettlePaymentOutcome::OtherAmount } else { SettlePaymentOutcome::Repeated })
    }
}

impl Reader {
    /// An intent, whosever it is: for its provider, never behind an account's request.
    pub async fn payment_intent(&self, id: Uuid) -> Result<Option<PaymentIntent>, StoreError> {
        const ONE: &str = "select * from payment_intent where id = $1";
        let row = self.point(ONE, &[id.hyphenated().to_string().into()]).await?;
        row.as_ref().map(intent_of).transpose()
    }

    /// A page of an account's intents, newest first, and how many there are in all.
    pub async fn payment_intents(
        &self,
        account: &AccountId,
        offset: u64,
        limit: u32,
    ) -> Result<(Vec<PaymentIntent>, u64), StoreError> {
        const COUNT: &str = "select count(*) as n from payment_intent where account_id = $1";
        const PAGE: &str = "select * from payment_intent where account_id = $1
          order by created_at desc, id desc limit $2 offset $3";
        let total = self.query_one(COUNT, &[account.into()]).await?.map_or(Ok(0), |row| row.count("n"))?;
        let rows = self.query(PAGE, &[account.into(), limit.into(), offset.into()]).await?;
        Ok((rows.iter().map(intent_of).collect::<Result<_, _>>()?, total))
    }
}
