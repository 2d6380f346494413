//! What capacity costs by the month, from the configuration, and the clerk who collects each further month.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tandem_model::{Currency, Ids, Money, clock};
use tandem_store::capacity::{RenewChannels, RenewOutcome, Resource};
use tandem_store::{Reader, StoreError, Writer};
use tokio_util::sync::CancellationToken;

use crate::config::CapacityConfig;

/// A month of capacity.
const MONTH: SignedDuration = SignedDuration::from_hours(24 * 30);
/// Between two looks for months that are due.
const LOOK_EVERY: Duration = Duration::from_mins(1);
/// Subscriptions renewed in one look.
const AT_ONCE: u32 = 100;

/// Price lists of capacity, in one currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChannelPrices {
    pub(crate) currency: Currency,
    concurrent_calls: Packs,
    cps: Packs,
}

/// A price of one slot, and how many come in a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packs {
    pub(crate) unit: Money,
    pub(crate) size: u32,
}

/// What a quantity costs by the month.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quote {
    pub(crate) packs: u32,
    pub(crate) pack: Packs,
    pub(crate) monthly: Money,
}

impl ChannelPrices {
    /// From the configuration; says which key is wrong.
    pub(crate) fn of(config: &CapacityConfig) -> Result<Self, String> {
        let packs = |name: &str, price: &str, size: u32| {
            let unit: Money = price.parse().map_err(|error| format!("capacity.{name}_price: {error}"))?;
            if unit < Money::ZERO || unit > Money::from_units(1_000_000) {
                return Err(format!("capacity.{name}_price: is from 0 to 1000000"));
            }
            if size == 0 {
                return Err(format!("capacity.{name}_pack: is at least 1"));
            }
            Ok(Packs { unit, size })
        };
        Ok(Self {
            currency: config.currency.parse().map_err(|error| format!("capacity.currency: {error}"))?,
            concurrent_calls: packs(
                "concurrent_calls",
                &config.concurrent_calls_price,
                config.concurrent_calls_pack,
            )?,
            cps: packs("cps", &config.cps_price, config.cps_pack)?,
        })
    }

    /// What a pack is.
    pub(crate) fn packs(&self, resource: Resource) -> Packs {
        match resource {
            Resource::ConcurrentCalls => self.concurrent_calls,
            Resource::Cps => self.cps,
        }
    }

    /// The price of so many; `None` unless they are whole packs.
    pub(crate) fn quote(&self, resource: Resource, quantity: u32) -> Option<Quote> {
        let pack = self.packs(resource);
        if quantity == 0 || !quantity.is_multiple_of(pack.size) {
            return None;
        }
        let micros = pack.unit.micros.checked_mul(i64::from(quantity))?;
        Some(Quote { packs: quantity / pack.size, pack, monthly: Money::from_micros(micros) })
    }
}

/// When the month that begins at `at` is over.
pub(crate) fn month_after(at: Timestamp) -> Timestamp {
    at.saturating_add(MONTH).unwrap_or(at)
}

/// Collects months that are due until cancelled. It takes no input and is idempotent: a month is one ledger transaction.
pub(crate) async fn renew(reader: Reader, writer: Writer, cancel: CancellationToken) {
    loop {
        if let Err(error) = renew_due(&reader, &writer, clock::wall()).await {
            tracing::warn!(%error, "capacity that is due could not be renewed; trying again");
        }
        tokio::select! {
            () = cancel.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

async fn renew_due(reader: &Reader, writer: &Writer, now: Timestamp) -> Result<(), StoreError> {
    for subscription in reader.channel_subscriptions_due(now, AT_ONCE).await? {
        let (id, account) = (subscription.id, subscription.account.clone());
        let next_billing_at = month_after(subscription.next_billing_at);
        let command = RenewChannels { subscription, transaction: Ids::random(), next_billing_at, at: now };
        if writer.submit(command).await? == RenewOutcome::Cancelled {
            tracing::info!(account_id = %account, subscription_id = %id, "capacity could not be paid and is gone");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> CapacityConfig {
        CapacityConfig {
            currency: "INR".to_owned(),
            concurrent_calls_price: "499".to_owned(),
            concurrent_calls_pack: 10,
            cps_price: "1299".to_owned(),
            cps_pack: 3,
        }
    }

    #[test]
    fn capacity_is_sold_in_whole_packs() {
        let prices = ChannelPrices::of(&config()).unwrap();
        let quote = prices.quote(Resource::ConcurrentCalls, 30).unwrap();
        assert_eq!((quote.packs, quote.monthly), (3, Money::from_units(14_970)));
        assert_eq!(prices.quote(Resource::Cps, 3).unwrap().monthly, Money::from_units(3_897));
        for quantity in [0, 1, 29, 31] {
            assert_eq!(prices.quote(Resource::ConcurrentCalls, quantity), None, "{quantity}");
        }
    }

    #[test]
    fn a_wrong_key_is_named() {
        for (config, key) in [
            (CapacityConfig { currency: "rupees".to_owned(), ..config() }, "capacity.currency"),
            (CapacityConfig { cps_price: "-1".to_owned(), ..config() }, "capacity.cps_price"),
            (CapacityConfig { concurrent_calls_pack: 0, ..config() }, "capacity.concurrent_calls_pack"),
        ] {
            assert!(ChannelPrices::of(&config).unwrap_err().starts_with(key), "{key}");
        }
    }
}
