//! What an operator changes on an account: switches and limits, never money.

use jiff::Timestamp;
use tandem_model::AccountId;

use crate::audit::Actor;
use crate::command::BoxFuture;
use crate::directory::DirectoryKind;
use crate::resources::change::{Noted, note};
use crate::{Command, StoreError, Tx};

/// Changes what is given.
pub struct UpdateAccount {
    /// Which one.
    pub id: AccountId,
    /// May do anything at all.
    pub enabled: Option<bool>,
    /// New calls per second.
    pub cps_limit: Option<u32>,
    /// Live calls.
    pub concurrent_limit: Option<u32>,
    /// `pending`, `verified`, …
    pub kyc_status: Option<String>,
    /// Id of a rate deck of the account's currency; `Some(None)` for the default one.
    pub deck_id: Option<Option<String>>,
    /// What it may do as a partner.
    pub granted: Granted,
    /// Names of the fields that change, for the audit.
    pub fields: Vec<&'static str>,
    /// Who asks.
    pub actor: Actor,
    /// Now.
    pub at: Timestamp,
}

/// What changes of a partner's capabilities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Granted {
    /// Make customers.
    pub create_accounts: Option<bool>,
    /// Move balance to customers.
    pub transfer_balance: Option<bool>,
    /// Read customers' call records.
    pub view_cdrs: Option<bool>,
    /// Make pricing tiers.
    pub create_pricing_tiers: Option<bool>,
    /// Move capacity to customers.
    pub transfer_concurrency: Option<bool>,
    /// Most customers.
    pub max_accounts: Option<u32>,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateAccountOutcome {
    /// Changed.
    Updated,
    /// No such account.
    NotFound,
    /// No such deck, or its currency is another.
    NoSuchDeck,
}

const UPDATE: &str = "update account set enabled = coalesce(cast($2 as bigint), enabled),
    cps_limit = coalesce(cast($3 as bigint), cps_limit),
    concurrent_limit = coalesce(cast($4 as bigint), concurrent_limit),
    kyc_status = coalesce(cast($5 as text), kyc_status),
    deck_id = case when cast($6 as bigint) = 1 then cast($7 as text) else deck_id end, updated_at = $8,
    can_create_accounts = coalesce(cast($9 as bigint), can_create_accounts),
    can_transfer_balance = coalesce(cast($10 as bigint), can_transfer_balance),
    can_view_cdrs = coalesce(cast($11 as bigint), can_view_cdrs),
    can_create_pricing_tiers = coalesce(cast($12 as bigint), can_create_pricing_tiers),
    can_transfer_concurrency = coalesce(cast($13 as bigint), can_transfer_concurrency),
    max_accounts = coalesce(cast($14 as bigint), max_accounts)
  where auth_id = $1 and (cast($7 as text) is null or exists (select 1 from rate_deck
    where rate_deck.deck_id = cast($7 as text) and rate_deck.kind = 'sell' and rate_deck.currency = account.currency))";
const EXISTS: &str = "select auth_id from account where auth_id = $1";

impl Command for UpdateAccount {
    type Output = UpdateAccountOutcome;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<Self::Output, StoreError>> {
        Box::pin(async move {
            let params = [
                (&self.id).into(),
                self.enabled.into(),
                self.cps_limit.into(),
                self.concurrent_limit.into(),
                self.kyc_status.as_ref().into(),
                self.deck_id.is_some().into(),
                self.deck_id.as_ref().and_then(Option::as_ref).into(),
                self.at.into(),
                self.granted.create_accounts.into(),
                self.granted.transfer_balance.into(),
                self.granted.view_cdrs.into(),
                self.granted.create_pricing_tiers.into(),
                self.granted.transfer_concurrency.into(),
                self.granted.max_accounts.into(),
            ];
            if tx.execute(UPDATE, &params).await? == 0 {
                return Ok(match tx.query_one(EXISTS, &[(&self.id).into()]).await? {
                    Some(_) => UpdateAccountOutcome::NoSuchDeck,
                    None => UpdateAccountOutcome::NotFound,
                });
            }
            let noted = Noted {
                kind: DirectoryKind::Account,
                id: self.id.as_str(),
                account: &self.id,
                action: "update",
                fields: &self.fields,
                at: self.at,
            };
            note(tx, &self.actor, noted).await?;
            Ok(UpdateAccountOutcome::Updated)
        })
    }

    fn accounts(&self) -> Vec<&AccountId> {
        vec![&self.id]
    }
}
