//! Telephone numbers: the inventory, who owns which, and where their calls go.

mod buy;
mod notice;
mod release;
mod rent;
mod route;
mod sub_account;
mod traffic;
mod update;
mod urls;

use jiff::Timestamp;
use tandem_model::{AccountId, ApplicationId, Currency, E164, Money, NumberSeries, TrunkId};
use uuid::Uuid;

pub use buy::{BuyNumber, BuyOutcome, Seller};
pub use release::{
    CancelOutcome, CancelRelease, EndQuarantines, FinishRelease, ReleaseNumber, ReleaseOutcome, ReleaseWhen,
};
pub use rent::{DueNumber, Grace, RentNumber, RentOutcome};
pub use route::{AssignOutcome, AssignTrunk, AttachApplication, AttachOutcome};
pub use sub_account::{AssignSubAccount, AssignSubOutcome};
pub use traffic::{AddTraffic, PurgeTraffic, TRAFFIC_KEPT, TrafficStep};
pub use update::UpdateNumber;
pub(crate) use urls::urls_of;
pub use urls::{NumberUrls, PutNumberUrls};

use crate::audit::{self, Actor, Change};
use crate::calls::contains;
use crate::command::BoxFuture;
use crate::directory::DirectoryKind;
use crate::value::{Row, Value};
use crate::{Command, Reader, StoreError, Tx};

/// Prefixes that one inventory search may leave out.
pub const EXCLUDED_MAX: usize = 20;

/// A number in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Number {
    /// The number.
    pub e164: E164,
    /// Its id.
    pub id: Uuid,
    /// Its owner; absent in inventory.
    pub account: Option<AccountId>,
    /// The sub-account it is assigned to.
    pub sub_account: Option<AccountId>,
    /// ISO 3166 alpha-2.
    pub country: String,
    /// Region.
    pub region: String,
    /// Where it comes from.
    pub provider: String,
    /// Its series.
    pub series: NumberSeries,
    /// Price of buying it.
    pub setup_fee: Money,
    /// Price of a month.
    pub monthly_fee: Money,
    /// Of its prices.
    pub currency: Currency,
    /// Steers its calls.
    pub application: Option<ApplicationId>,
    /// Takes its calls.
    pub trunk: Option<TrunkId>,
    /// `active`, `pending_release`, …
    pub status: String,
    /// JSON object of flags.
    pub capabilities: String,
    /// JSON list of texts.
    pub tags: String,
    /// `inventory` or `purchased`.
    pub source: String,
    /// Blocked by the operator.
    pub is_blocked: bool,
    /// Given for trying out.
    pub is_trial: bool,
    /// Shortest rental.
    pub minimum_commitment_months: u64,
    /// Needs Aadhaar.
    pub aadhaar_required: bool,
    /// Has it.
    pub aadhaar_verified: bool,
    /// When it was bought.
    pub purchased_at: Option<Timestamp>,
    /// When a month was last charged.
    pub last_billing_at: Option<Timestamp>,
    /// When the next one is due.
    pub next_billing_at: Option<Timestamp>,
    /// When a release that was asked for becomes real.
    pub release_at: Option<Timestamp>,
    /// When it was released.
    pub released_at: Option<Timestamp>,
    /// Until when nobody may buy it.
    pub quarantine_until: Option<Timestamp>,
    /// Since when a month of it is owed.
    pub unpaid_since: Option<Timestamp>,
    /// When it last had a call, as far as it is added up.
    pub last_call_at: Option<Timestamp>,
    /// URLs of its own.
    pub urls: NumberUrls,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

fn number_of(row: &Row) -> Result<Number, StoreError> {
    Ok(Number {
        e164: row.parsed("e164")?,
        id: row.parsed("id")?,
        account: row.opt_text("account_id")?.map(AccountId::new),
        sub_account: row.opt_text("sub_account")?.map(AccountId::new),
        country: row.string("country")?,
        region: row.string("region")?,
        provider: row.string("provider")?,
        series: NumberSeries::parse(row.text("number_type")?).unwrap_or(NumberSeries::Local),
        setup_fee: row.money("setup_fee")?,
        monthly_fee: row.money("monthly_fee")?,
        currency: row.parsed("currency")?,
        application: row.opt_text("application_id")?.map(ApplicationId::new),
        trunk: row.opt_parsed("trunk_id")?,
        status: row.string("status")?,
        capabilities: row.string("capabilities")?,
        tags: row.string("tags")?,
        source: row.string("source")?,
        is_blocked: row.flag("is_blocked")?,
        is_trial: row.flag("is_trial")?,
        minimum_commitment_months: row.count("minimum_commitment_months")?,
        aadhaar_required: row.flag("aadhaar_required")?,
        aadhaar_verified: row.flag("aadhaar_verified")?,
        purchased_at: row.opt_instant("purchased_at")?,
        last_billing_at: row.opt_instant("last_billing_at")?,
        next_billing_at: row.opt_instant("next_billing_at")?,
        release_at: row.opt_instant("release_at")?,
        released_at: row.opt_instant("released_at")?,
        quarantine_until: row.opt_instant("quarantine_until")?,
        unpaid_since: row.opt_instant("unpaid_since")?,
        last_call_at: row.opt_instant("last_call_at")?,
        urls: urls_of(row)?,
        created_at: row.instant("created_at")?,
        updated_at: row.instant("updated_at")?,
    })
}

/// A number for sale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InventoryNumber {
    /// The number.
    pub e164: E164,
    /// Its id.
    pub id: Uuid,
}

/// Adds numbers to the inventory. One that is there already stays as it is.
pub struct AddInventory {
    /// Which.
    pub numbers: Vec<InventoryNumber>,
    /// ISO 3166 alpha-2.
    pub country: String,
    /// Region.
    pub region: String,
    /// Price of buying one.
    pub setup_fee: Money,
    /// Price of a month.
    pub monthly_fee: Money,
    /// Of the prices.
    pub currency: Currency,
    /// Shortest rental.
    pub minimum_commitment_months: u32,
    /// Who asks.
    pub actor: Actor,
    /// Now.
    pub at: Timestamp,
}

impl Command for AddInventory {
    /// How many are new.
    type Output = u64;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<u64, StoreError>> {
        const ADD: &str = "insert into number (e164, id, country, region, setup_fee, monthly_fee, currency,
            number_type, tags, aadhaar_required, minimum_commitment_months, created_at, updated_at)
          values ($1, $2, $3, $4, $5, $6, $7, $9, $10, $11, $12, $8, $8) on conflict (e164) do nothing";
        Box::pin(async move {
            let mut added = 0;
            for number in &self.numbers {
                let id = number.id.hyphenated().to_string();
                let series = NumberSeries::of(number.e164);
                // What a series is, customers read in the tags.
                let tags = match series {
                    NumberSeries::Local => "[]".to_owned(),
                    other => format!("[\"{}\"]", other.as_str()),
                };
                let params = [
                    number.e164.into(),
                    id.into(),
                    (&self.country).into(),
                    (&self.region).into(),
                    self.setup_fee.into(),
                    self.monthly_fee.into(),
                    (&self.currency).into(),
                    self.at.into(),
                    series.as_str().into(),
                    tags.into(),
                    series.needs_aadhaar().into(),
                    self.minimum_commitment_months.into(),
                ];
                if tx.execute(ADD, &params).await? == 0 {
                    continue;
                }
                added += 1;
                noted(tx, &self.actor, number.e164, None, "create", &[], self.at).await?;
            }
            Ok(added)
        })
    }
}

/// The audit entry of a number's change, and the directories' notice.
async fn noted(
    tx: &mut Tx<'_>,
    actor: &Actor,
    e164: E164,
    account: Option<&AccountId>,
    action: &str,
    fields: &[&str],
    at: Timestamp,
) -> Result<(), StoreError> {
    let id = e164.plus();
    let change = Change { at, account, action, resource_kind: "number", resource_id: &id, fields };
    audit::append(tx, actor, change).await?;
    tx.directory_changed(DirectoryKind::Number, &id, at).await
}

/// Which numbers of the inventory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InventoryFilter {
    /// ISO 3166 alpha-2.
    pub country: Option<String>,
    /// Part of the region, in any case.
    pub region: Option<String>,
    /// Part of the number.
    pub search: Option<String>,
    /// Digits (without `+`) that a number must not begin with; at most [`EXCLUDED_MAX`] are looked at.
    pub exclude: Vec<String>,
}

/// Which numbers of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedFilter {
    /// The account in whose name they stand.
    pub owner: AccountId,
    /// Only this sub-account's.
    pub sub_account: Option<AccountId>,
    /// Those of sub-accounts too.
    pub with_sub_accounts: bool,
    /// Part of the number.
    pub search: Option<String>,
}

impl Reader {
    /// Numbers for sale, in order, and how many match in all.
    pub async fn inventory(
        &self,
        filter: &InventoryFilter,
        offset: u64,
        limit: u32,
    ) -> Result<(Vec<Number>, u64), StoreError> {
        let mut sql = " from number where account_id is null and status = 'active' and is_blocked = 0 and number_type = 'local'
            and (cast($1 as text) is null or country = cast($1 as text))
            and (cast($2 as text) is null or lower(region) like lower(cast($2 as text)) escape '\\')
            and (cast($3 as text) is null or e164 like cast($3 as text) escape '\\')"
            .to_owned();
        let mut params: Vec<Value<'_>> = vec![
            filter.country.as_ref().into(),
            filter.region.as_deref().map(contains).into(),
            filter.search.as_deref().map(contains).into(),
        ];
        for prefix in filter.exclude.iter().take(EXCLUDED_MAX) {
            params.push(format!("+{prefix}%").into());
            sql.push_str(&format!(" and e164 not like ${}", params.len()));
        }
        self.page_of_numbers(&sql, params, offset, limit).await
    }

    /// An account's numbers, newest first, and how many match in all.
    pub async fn owned_numbers(
        &self,
        filter: &OwnedFilter,
        offset: u64,
        limit: u32,
    ) -> Result<(Vec<Number>, u64), StoreError> {
        const WHERE: &str = " from number where account_id = $1
            and (cast($2 as text) is null or sub_account = cast($2 as text))
            and (cast($3 as bigint) = 1 or sub_account is null)
            and (cast($4 as text) is null or e164 like cast($4 as text) escape '\\')";
        let params: Vec<Value<'_>> = vec![
            (&filter.owner).into(),
            filter.sub_account.as_ref().into(),
            (filter.with_sub_accounts || filter.sub_account.is_some()).into(),
            filter.search.as_deref().map(contains).into(),
        ];
        self.page_of_numbers(WHERE, params, offset, limit).await
    }

    /// The numbers of a partner's customers, newest first, and how many match in all. `search` is part of the number.
    pub async fn customers_numbers(
        &self,
        partner: &AccountId,
        search: Option<&str>,
        offset: u64,
        limit: u32,
    ) -> Result<(Vec<Number>, u64), StoreError> {
        const WHERE: &str = " from number
          where account_id in (select auth_id from account where partner_id = $1 and kind = 'master')
            and (cast($2 as text) is null or e164 like cast($2 as text) escape '\\')";
        self.page_of_numbers(WHERE, vec![partner.into(), search.map(contains).into()], offset, limit).await
    }

    /// Every number there is, in order: the operator's list.
    pub async fn all_numbers(&self, offset: u64, limit: u32) -> Result<(Vec<Number>, u64), StoreError> {
        self.page_of_numbers(" from number where e164 is not null", Vec::new(), offset, limit).await
    }

    /// One number, if it is the account's.
    pub async fn owned_number(&self, owner: &AccountId, e164: E164) -> Result<Option<Number>, StoreError> {
        const ONE: &str = "select * from number where e164 = $1 and account_id = $2";
        self.point(ONE, &[e164.into(), owner.into()]).await?.as_ref().map(number_of).transpose()
    }

    async fn page_of_numbers(
        &self,
        conditions: &str,
        mut params: Vec<Value<'_>>,
        offset: u64,
        limit: u32,
    ) -> Result<(Vec<Number>, u64), StoreError> {
        let count = self.query_one(format!("select count(*) as n{conditions}"), &params).await?;
        params.extend([limit.into(), offset.into()]);
        let (limit, offset) = (params.len() - 1, params.len());
        let page =
            format!("select *{conditions} order by created_at desc, e164 limit ${limit} offset ${offset}");
        let rows = self.query(page, &params).await?;
        let total = count.map_or(Ok(0), |row| row.count("n"))?;
        Ok((rows.iter().map(number_of).collect::<Result<_, _>>()?, total))
    }
}
