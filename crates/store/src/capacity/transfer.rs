//! Capacity from a partner to its customer and back: both limits, the log and both audits in one command.

use jiff::Timestamp;
use tandem_model::AccountId;

use super::Resource;
use crate::audit::{self, Actor, Change};
use crate::command::BoxFuture;
use crate::directory::DirectoryKind;
use crate::value::{Row, Value};
use crate::{Command, Reader, StoreError, Tx};

/// Which way capacity goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CapacityMove {
    /// From the partner to the customer.
    Give,
    /// Back to the partner: never more than it gave on balance.
    TakeBack,
}

/// Moves slots between a partner and one customer of its own.
pub struct MoveCapacity {
    /// The name of this move, minted by the maker.
    pub reference: String,
    /// The partner.
    pub partner: AccountId,
    /// Its customer.
    pub customer: AccountId,
    /// Of what.
    pub resource: Resource,
    /// How many; at least one.
    pub slots: u32,
    /// Which way.
    pub way: CapacityMove,
    /// For people.
    pub description: String,
    /// Who asks.
    pub actor: Actor,
    /// Now.
    pub at: Timestamp,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoveCapacityOutcome {
    /// Moved.
    Moved {
        /// What the partner has left.
        partner: u64,
        /// What the customer has now.
        customer: u64,
    },
    /// No such customer of this partner.
    NoCustomer,
    /// The partner has not got so many.
    PartnerShort {
        /// It has these.
        available: u64,
    },
    /// More than was given on balance.
    MoreThanGiven {
        /// So many can be taken back.
        given: u64,
    },
    /// The customer has not got so many.
    CustomerShort {
        /// It has these.
        available: u64,
    },
}

const CUSTOMER: &str = "select customer.concurrent_limit, customer.cps_limit, partner.concurrent_limit as partner_concurrent_limit,
    partner.cps_limit as partner_cps_limit,
    cast((select coalesce(sum(slots), 0) from capacity_transfer
      where capacity_transfer.account_id = $2 and capacity_transfer.partner_id = $1 and resource = $3) as bigint) as given
  from account as customer join account as partner on partner.auth_id = customer.partner_id
  where customer.auth_id = $2 and partner.auth_id = $1 and customer.kind = 'master' and partner.kind = 'partner'";
const CONCURRENT: &str = "update account set concurrent_limit = concurrent_limit + $2, updated_at = $3
  where auth_id = $1 and concurrent_limit + $2 >= 0";
const CPS: &str = "update account set cps_limit = cps_limit + $2, updated_at = $3
  where auth_id = $1 and cps_limit + $2 >= 0";
const LOG: &str =
    "insert into capacity_transfer (reference, partner_id, account_id, resource, slots, partner_after,
    account_after, description, actor, created_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";

impl Command for MoveCapacity {
    type Output = MoveCapacityOutcome;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<Self::Output, StoreError>> {
        Box::pin(async move {
            let whose = [(&self.partner).into(), (&self.customer).into(), self.resource.as_str().into()];
            let Some(row) = tx.query_one(CUSTOMER, &whose).await? else {
                return Ok(MoveCapacityOutcome::NoCustomer);
            };
            let (partner, customer) = match self.resource {
                Resource::ConcurrentCalls => ("partner_concurrent_limit", "concurrent_limit"),
                Resource::Cps => ("partner_cps_limit", "cps_limit"),
            };
            let (partner, customer) = (row.count(partner)?, row.count(customer)?);
            let given = u64::try_from(row.int("given")?).unwrap_or_default();
            let slots = u64::from(self.slots);
            let to_customer = match self.way {
                CapacityMove::Give if partner < slots => {
                    return Ok(MoveCapacityOutcome::PartnerShort { available: partner });
                }
                CapacityMove::TakeBack if given < slots => {
                    return Ok(MoveCapacityOutcome::MoreThanGiven { given });
                }
                CapacityMove::TakeBack if customer < slots => {
                    return Ok(MoveCapacityOutcome::CustomerShort { available: customer });
                }
                CapacityMove::Give => i64::from(self.slots),
                CapacityMove::TakeBack => -i64::from(self.slots),
            };
            let partner = partner.saturating_add_signed(-to_customer);
            let customer = customer.saturating_add_signed(to_customer);
            self.apply(tx, to_customer).await?;
            self.log(tx, to_customer, partner, customer).await?;
            Ok(MoveCapacityOutcome::Moved { partner, customer })
        })
    }

    /// Both rows are locked where several Writers share the database: what was read stays true.
    fn accounts(&self) -> Vec<&AccountId> {
        vec![&self.partner, &self.customer]
    }
}

impl MoveCapacity {
    async fn apply(&self, tx: &mut Tx<'_>, to_customer: i64) -> Result<(), StoreError> {
        let sql = match self.resource {
            Resource::ConcurrentCalls => CONCURRENT,
            Resource::Cps => CPS,
        };
        for (account, slots) in [(&self.partner, -to_customer), (&self.customer, to_customer)] {
            if tx.execute(sql, &[account.into(), slots.into(), self.at.into()]).await? != 1 {
                return Err(StoreError::Retry("a limit changed beneath a move of capacity".to_owned()));
            }
            let change = Change {
                at: self.at,
                account: Some(account),
                action: "update",
                resource_kind: DirectoryKind::Account.as_str(),
                resource_id: account.as_str(),
                fields: &[self.resource.field()],
            };
            audit::append(tx, &self.actor, change).await?;
            tx.directory_changed(DirectoryKind::Account, account.as_str(), self.at).await?;
        }
        Ok(())
    }

    async fn log(
        &self,
        tx: &mut Tx<'_>,
        slots: i64,
        partner_after: u64,
        account_after: u64,
    ) -> Result<(), StoreError> {
        let params = [
            (&self.reference).into(),
            (&self.partner).into(),
            (&self.customer).into(),
            self.resource.as_str().into(),
            slots.into(),
            partner_after.into(),
            account_after.into(),
            (&self.description).into(),
            (&self.actor.name).into(),
            self.at.into(),
        ];
        tx.execute(LOG, &params).await?;
        Ok(())
    }
}

/// What a partner and a customer have, and what of the customer's is the partner's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CapacityState {
    /// The partner's live calls.
    pub partner_concurrent: u64,
    /// The customer's.
    pub customer_concurrent: u64,
    /// Given on balance.
    pub net_concurrent: i64,
    /// The partner's calls per second.
    pub partner_cps: u64,
    /// The customer's.
    pub customer_cps: u64,
    /// Given on balance.
    pub net_cps: i64,
}

/// One move, from the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MovedCapacity {
    /// Its name.
    pub reference: String,
    /// The customer.
    pub customer: AccountId,
    /// Of what.
    pub resource: Resource,
    /// Positive when given.
    pub slots: i64,
    /// What the partner had left.
    pub partner_after: u64,
    /// What the customer had then.
    pub customer_after: u64,
    /// For people.
    pub description: String,
    /// Who asked.
    pub actor: String,
    /// When.
    pub created_at: Timestamp,
}

fn moved_of(row: &Row) -> Result<MovedCapacity, StoreError> {
    let resource = Resource::parse(row.text("resource")?);
    Ok(MovedCapacity {
        reference: row.string("reference")?,
        customer: row.account("account_id")?,
        resource: resource.ok_or_else(|| StoreError::Data("column resource".to_owned()))?,
        slots: row.int("slots")?,
        partner_after: row.count("partner_after")?,
        customer_after: row.count("account_after")?,
        description: row.string("description")?,
        actor: row.string("actor")?,
        created_at: row.instant("created_at")?,
    })
}

impl Reader {
    /// The capacity of a partner and of one customer of its own.
    pub async fn capacity(
        &self,
        partner: &AccountId,
        customer: &AccountId,
    ) -> Result<Option<CapacityState>, StoreError> {
        let mut state = CapacityState {
            partner_concurrent: 0,
            customer_concurrent: 0,
            net_concurrent: 0,
            partner_cps: 0,
            customer_cps: 0,
            net_cps: 0,
        };
        for resource in [Resource::ConcurrentCalls, Resource::Cps] {
            let whose = [partner.into(), customer.into(), resource.as_str().into()];
            let Some(row) = self.query_one(CUSTOMER, &whose).await? else { return Ok(None) };
            match resource {
                Resource::ConcurrentCalls => {
                    state.partner_concurrent = row.count("partner_concurrent_limit")?;
                    state.customer_concurrent = row.count("concurrent_limit")?;
                    state.net_concurrent = row.int("given")?;
                }
                Resource::Cps => {
                    state.partner_cps = row.count("partner_cps_limit")?;
                    state.customer_cps = row.count("cps_limit")?;
                    state.net_cps = row.int("given")?;
                }
            }
        }
        Ok(Some(state))
    }

    /// A page of a partner's moves, newest first, and how many there are in all.
    pub async fn capacity_moves(
        &self,
        partner: &AccountId,
        offset: u64,
        limit: u32,
    ) -> Result<(Vec<MovedCapacity>, u64), StoreError> {
        const COUNT: &str = "select count(*) as n from capacity_transfer where partner_id = $1";
        const PAGE: &str = "select * from capacity_transfer where partner_id = $1
          order by created_at desc, reference desc limit $2 offset $3";
        let total = self.query_one(COUNT, &[partner.into()]).await?.map_or(Ok(0), |row| row.count("n"))?;
        let params: [Value<'_>; 3] = [partner.into(), limit.into(), offset.into()];
        let rows = self.query(PAGE, &params).await?;
        Ok((rows.iter().map(moved_of).collect::<Result<_, _>>()?, total))
    }
}
