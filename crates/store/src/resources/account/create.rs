//! A new account, with its opening balance and its audit entry.

use jiff::Timestamp;
use tandem_model::{AccountId, Currency, Money};
use uuid::Uuid;

use super::Capabilities;
use crate::audit::Actor;
use crate::command::BoxFuture;
use crate::directory::DirectoryKind;
use crate::money::{PostKind, PostOutcome, Posting, post};
use crate::resources::change::{Noted, note};
use crate::{Command, StoreError, Tx};

/// What an account starts with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAccount {
    /// Ids to try, in order: they are short enough to collide.
    pub candidates: Vec<AccountId>,
    /// A stable UUID.
    pub api_id: Uuid,
    /// `partner`, `master` or `sub`.
    pub kind: &'static str,
    /// The partner it belongs to, whose `max_accounts` it counts against.
    pub partner: Option<AccountId>,
    /// Its name.
    pub name: String,
    /// Its e-mail address.
    pub email: String,
    /// Its phone number.
    pub phone: String,
    /// For people.
    pub description: String,
    /// Company name.
    pub company: String,
    /// ISO 3166 alpha-2.
    pub country: String,
    /// IANA name.
    pub timezone: String,
    /// Of its money.
    pub currency: Currency,
    /// A JSON object.
    pub profile: String,
    /// `pending`, `verified`, …
    pub kyc_status: &'static str,
    /// Keyed hash of its token.
    pub token_hash: String,
    /// Its token, encrypted.
    pub token_sealed: Vec<u8>,
    /// Hash of its password, if it may sign in.
    pub password_hash: Option<String>,
    /// New calls per second.
    pub cps_limit: u32,
    /// Live calls.
    pub concurrent_limit: u32,
    /// What it may do as a partner.
    pub capabilities: Capabilities,
    /// Most customers of a partner.
    pub max_accounts: u32,
}

/// Money it starts with, paid in from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// Id of the ledger transaction.
    pub id: Uuid,
    /// How much; positive.
    pub amount: Money,
}

/// Makes an account.
pub struct CreateAccount {
    /// What it starts with.
    pub account: NewAccount,
    /// Its opening balance.
    pub opening: Option<Opening>,
    /// Who asks.
    pub actor: Actor,
    /// Now.
    pub at: Timestamp,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CreateAccountOutcome {
    /// Made, under this id.
    Created(AccountId),
    /// Another account has the e-mail address.
    EmailTaken,
    /// The partner has as many customers as it may.
    LimitReached {
        /// So many.
        max: u64,
    },
    /// Every candidate id is taken: draw others.
    NoFreeId,
}

const ROOM: &str = "select max_accounts, (select count(*) from account as customer
    where customer.partner_id = $1 and customer.kind = 'master') as customers
  from account where auth_id = $1";
const INSERT: &str = "insert into account (auth_id, numeric_id, api_id, kind, partner_id, name, email, phone, description,
    company, country, timezone, currency, profile, kyc_status, token_hash, token_sealed, password_hash, cps_limit,
    concurrent_limit, can_create_accounts, can_transfer_balance, can_view_cdrs, can_create_pricing_tiers,
    can_transfer_concurrency, max_accounts, created_at, updated_at)
  values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23,
    $24, $25, $26, $27, $27)
  on conflict do nothing";
const EMAIL: &str = "select auth_id from account where email = $1";

impl Command for CreateAccount {
    type Output = CreateAccountOutcome;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<Self::Output, StoreError>> {
        Box::pin(async move {
            if let Some(max) = self.full_partner(tx).await? {
                return Ok(CreateAccountOutcome::LimitReached { max });
            }
            for id in &self.account.candidates {
                if self.insert(tx, id).await? {
                    self.finish(tx, id).await?;
                    return Ok(CreateAccountOutcome::Created(id.clone()));
                }
                if tx.query_one(EMAIL, &[(&self.account.email).into()]).await?.is_some() {
                    return Ok(CreateAccountOutcome::EmailTaken);
                }
            }
            Ok(CreateAccountOutcome::NoFreeId)
        })
    }

    /// The partner's row is locked, so that two nodes cannot both take its last place.
    fn accounts(&self) -> Vec<&AccountId> {
        self.account.partner.iter().collect()
    }
}

impl CreateAccount {
    async fn full_partner(&self, tx: &mut Tx<'_>) -> Result<Option<u64>, StoreError> {
        let Some(partner) = &self.account.partner else { return Ok(None) };
        let Some(row) = tx.query_one(ROOM, &[partner.into()]).await? else { return Ok(Some(0)) };
        let (max, customers) = (row.count("max_accounts")?, row.count("customers")?);
        Ok((customers >= max).then_some(max))
    }

    async fn insert(&self, tx: &mut Tx<'_>, id: &AccountId) -> Result<bool, StoreError> {
        let account = &self.account;
        let numeric_id = tx.next_number("account").await?;
        let api_id = account.api_id.hyphenated().to_string();
        let params = [
            id.into(),
            numeric_id.into(),
            api_id.into(),
            account.kind.into(),
            account.partner.as_ref().into(),
            (&account.name).into(),
            (&account.email).into(),
            (&account.phone).into(),
            (&account.description).into(),
            (&account.company).into(),
            (&account.country).into(),
            (&account.timezone).into(),
            (&account.currency).into(),
            (&account.profile).into(),
            account.kyc_status.into(),
            (&account.token_hash).into(),
            (&account.token_sealed).into(),
            account.password_hash.as_ref().into(),
            account.cps_limit.into(),
            account.concurrent_limit.into(),
            account.capabilities.create_accounts.into(),
            account.capabilities.transfer_balance.into(),
            account.capabilities.view_cdrs.into(),
            account.capabilities.create_pricing_tiers.into(),
            account.capabilities.transfer_concurrency.into(),
            account.max_accounts.into(),
            self.at.into(),
        ];
        Ok(tx.execute(INSERT, &params).await? == 1)
    }

    async fn finish(&self, tx: &mut Tx<'_>, id: &AccountId) -> Result<(), StoreError> {
        if let Some(opening) = &self.opening {
            let posting = Posting {
                id: opening.id,
                account: id.clone(),
                kind: PostKind::TopUp,
                amount: opening.amount,
                ref_kind: "payment".to_owned(),
                ref_id: "opening".to_owned(),
                description: "Opening balance".to_owned(),
                at: self.at,
            };
            let outcome = post(tx, &posting).await?;
            if !matches!(outcome, PostOutcome::Done { .. }) {
                return Err(StoreError::Data(format!("an opening balance came to {outcome:?}")));
            }
        }
        let noted = Noted {
            kind: DirectoryKind::Account,
            id: id.as_str(),
            account: id,
            action: "create",
            fields: &[],
            at: self.at,
        };
        note(tx, &self.actor, noted).await
    }
}
