//! Accounts in full: partners, customers, sub-accounts. Money of an account moves through [`crate::money`] only.

mod alerts;
mod create;
mod settings;
mod sub_account;
mod sub_account_end;
mod token;
mod update;

use jiff::Timestamp;
use tandem_model::{AccountId, Currency, Money, PartnerId};
use uuid::Uuid;

pub use alerts::{Alerts, PutAlerts};
pub use create::{CreateAccount, CreateAccountOutcome, NewAccount, Opening};
pub use settings::{ChangeProfile, ChangeSettings, Settings};
pub use sub_account::{
    CreateSubAccount, CreateSubAccountOutcome, NewSubAccount, SUB_ACCOUNTS_MAX, SubAccountChange,
    UpdateSubAccount, UpdateSubAccountOutcome,
};
pub use sub_account_end::{RemoveSubAccount, RemoveSubAccountOutcome};
pub use token::RotateToken;
pub use update::{Granted, UpdateAccount, UpdateAccountOutcome};

use crate::calls::contains;
use crate::value::{Row, Value};
use crate::{Reader, StoreError};

/// What a partner may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Make customers.
    pub create_accounts: bool,
    /// Move balance to customers.
    pub transfer_balance: bool,
    /// Read customers' call records.
    pub view_cdrs: bool,
    /// Make pricing tiers.
    pub create_pricing_tiers: bool,
    /// Move capacity to customers.
    pub transfer_concurrency: bool,
}

impl Capabilities {
    /// Everything.
    pub const ALL: Self = Self {
        create_accounts: true,
        transfer_balance: true,
        view_cdrs: true,
        create_pricing_tiers: true,
        transfer_concurrency: true,
    };
}

/// An account in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its auth_id.
    pub id: AccountId,
    /// Its number in `account_id` fields.
    pub numeric_id: i64,
    /// A stable UUID.
    pub api_id: Uuid,
    /// `partner`, `master` or `sub`.
    pub kind: String,
    /// The partner at the root of its tree.
    pub partner: Option<PartnerId>,
    /// The main account of a sub-account.
    pub parent: Option<AccountId>,
    /// Its name.
    pub name: String,
    /// Its e-mail address, unique over the platform.
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
    /// Address and tax fields, a JSON object.
    pub profile: String,
    /// May do anything at all.
    pub enabled: bool,
    /// `pending`, `verified`, …
    pub kyc_status: String,
    /// Its auth_token, encrypted.
    pub token_sealed: Option<Vec<u8>>,
    /// Its rate deck; the default one of its currency when absent.
    pub deck_id: Option<String>,
    /// Paid in minus charged.
    pub balance: Money,
    /// Set aside for live calls.
    pub held: Money,
    /// Calls it has now.
    pub live_calls: u64,
    /// How far below zero it may go.
    pub credit_limit: Money,
    /// It is told when its balance falls below this.
    pub low_balance_threshold: Money,
    /// Pays afterwards.
    pub postpaid: bool,
    /// New calls per second, bought ones included.
    pub cps_limit: u64,
    /// Live calls, bought ones included.
    pub concurrent_limit: u64,
    /// Of these, bought.
    pub purchased_cps: u64,
    /// Of these, bought.
    pub purchased_concurrent: u64,
    /// What it may do as a partner.
    pub capabilities: Capabilities,
    /// Most customers of a partner.
    pub max_accounts: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed, its balance included.
    pub updated_at: Timestamp,
    /// When somebody last signed in.
    pub last_login_at: Option<Timestamp>,
}

fn account_of(row: &Row) -> Result<Account, StoreError> {
    Ok(Account {
        id: row.account("auth_id")?,
        numeric_id: row.int("numeric_id")?,
        api_id: row.parsed("api_id")?,
        kind: row.string("kind")?,
        partner: row.opt_text("partner_id")?.map(PartnerId::new),
        parent: row.opt_text("parent_id")?.map(AccountId::new),
        name: row.string("name")?,
        email: row.opt_string("email")?.unwrap_or_default(),
        phone: row.string("phone")?,
        description: row.string("description")?,
        company: row.string("company")?,
        country: row.string("country")?,
        timezone: row.string("timezone")?,
        currency: row.parsed("currency")?,
        profile: row.string("profile")?,
        enabled: row.flag("enabled")?,
        kyc_status: row.string("kyc_status")?,
        token_sealed: row.opt_bytes("token_sealed")?,
        deck_id: row.opt_string("deck_id")?,
        balance: row.money("balance")?,
        held: row.money("held")?,
        live_calls: row.count("live_calls")?,
        credit_limit: row.money("credit_limit")?,
        low_balance_threshold: row.money("low_balance_threshold")?,
        postpaid: row.flag("postpaid")?,
        cps_limit: row.count("cps_limit")?,
        concurrent_limit: row.count("concurrent_limit")?,
        purchased_cps: row.count("purchased_cps")?,
        purchased_concurrent: row.count("purchased_concurrent")?,
        capabilities: Capabilities {
            create_accounts: row.flag("can_create_accounts")?,
            transfer_balance: row.flag("can_transfer_balance")?,
            view_cdrs: row.flag("can_view_cdrs")?,
            create_pricing_tiers: row.flag("can_create_pricing_tiers")?,
            transfer_concurrency: row.flag("can_transfer_concurrency")?,
        },
        max_accounts: row.count("max_accounts")?,
        created_at: row.instant("created_at")?,
        updated_at: row.instant("updated_at")?,
        last_login_at: row.opt_instant("last_login_at")?,
    })
}

impl Reader {
    /// One account in full.
    pub async fn account_in_full(&self, id: &AccountId) -> Result<Option<Account>, StoreError> {
        const ONE: &str = "select * from account where auth_id = $1";
        self.point(ONE, &[id.into()]).await?.as_ref().map(account_of).transpose()
    }

    /// One customer, if it is the partner's.
    pub async fn customer(&self, partner: &AccountId, id: &AccountId) -> Result<Option<Account>, StoreError> {
        const ONE: &str = "select * from account where auth_id = $1 and partner_id = $2 and kind = 'master'";
        self.point(ONE, &[id.into(), partner.into()]).await?.as_ref().map(account_of).transpose()
    }

    /// A page of a partner's customers, newest first, and how many there are in all. `search` is part of
    /// a name or e-mail address, in any case.
    pub async fn customers(
        &self,
        partner: &AccountId,
        search: Option<&str>,
        offset: u64,
        limit: u32,
    ) -> Result<(Vec<Account>, u64), StoreError> {
        const WHERE: &str = " from account where partner_id = $1 and kind = 'master'
          and (cast($2 as text) is null or lower(name) like lower(cast($2 as text)) escape '\\'
               or lower(email) like lower(cast($2 as text)) escape '\\')";
        let pattern = search.map(contains);
        let mut params: Vec<Value<'_>> = vec![partner.into(), pattern.into()];
        let count = self.query_one(format!("select count(*) as n{WHERE}"), &params).await?;
        params.extend([limit.into(), offset.into()]);
        let page = format!("select *{WHERE} order by created_at desc, auth_id desc limit $3 offset $4");
        let rows = self.query(page, &params).await?;
        let total = count.map_or(Ok(0), |row| row.count("n"))?;
        Ok((rows.iter().map(account_of).collect::<Result<_, _>>()?, total))
    }

    /// One sub-account, if it is the main account's.
    pub async fn sub_account(
        &self,
        parent: &AccountId,
        id: &AccountId,
    ) -> Result<Option<Account>, StoreError> {
        const ONE: &str = "select * from account where auth_id = $1 and parent_id = $2 and kind = 'sub'";
        self.point(ONE, &[id.into(), parent.into()]).await?.as_ref().map(account_of).transpose()
    }

    /// A page of a main account's sub-accounts, newest first, and how many match in all.
    pub async fn sub_accounts(
        &self,
        parent: &AccountId,
        enabled: Option<bool>,
        offset: u64,
        limit: u32,
    ) -> Result<(Vec<Account>, u64), StoreError> {
        const WHERE: &str = " from account where parent_id = $1 and kind = 'sub'
          and (cast($2 as bigint) is null or enabled = cast($2 as bigint))";
        let mut params: Vec<Value<'_>> = vec![parent.into(), enabled.into()];
        let count = self.query_one(format!("select count(*) as n{WHERE}"), &params).await?;
        params.extend([limit.into(), offset.into()]);
        let page = format!("select *{WHERE} order by created_at desc, auth_id desc limit $3 offset $4");
        let rows = self.query(page, &params).await?;
        let total = count.map_or(Ok(0), |row| row.count("n"))?;
        Ok((rows.iter().map(account_of).collect::<Result<_, _>>()?, total))
    }

    /// How many customers a partner has, how many of them are enabled, and what they have together in `currency`.
    pub async fn customer_totals(
        &self,
        partner: &AccountId,
        currency: Currency,
    ) -> Result<(u64, u64, Money), StoreError> {
        const TOTALS: &str = "select count(*) as n, cast(coalesce(sum(enabled), 0) as bigint) as active,
            cast(coalesce(sum(case when currency = $2 then balance else 0 end), 0) as bigint) as balance
          from account where partner_id = $1 and kind = 'master'";
        match self.query_one(TOTALS, &[partner.into(), currency.as_str().into()]).await? {
            Some(row) => Ok((row.count("n")?, row.count("active")?, row.money("balance")?)),
            None => Ok((0, 0, Money::ZERO)),
        }
    }

    /// How many customers a partner has.
    pub async fn customer_count(&self, partner: &AccountId) -> Result<u64, StoreError> {
        const COUNT: &str = "select count(*) as n from account where partner_id = $1 and kind = 'master'";
        self.query_one(COUNT, &[partner.into()]).await?.map_or(Ok(0), |row| row.count("n"))
    }

    /// Every partner with how many customers it has, by name.
    pub async fn partners(&self) -> Result<Vec<(Account, u64)>, StoreError> {
        const ALL: &str = "select account.*, (select count(*) from account as customer
            where customer.partner_id = account.auth_id and customer.kind = 'master') as customers
          from account where kind = 'partner' order by name, auth_id";
        let rows = self.query(ALL, &[]).await?;
        rows.iter().map(|row| Ok((account_of(row)?, row.count("customers")?))).collect()
    }
}
