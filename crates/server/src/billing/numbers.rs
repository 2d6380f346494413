//! What numbers cost beside their price, from the configuration, and the clerk who sees to them: collects months, ends
//! releases whose day is over, puts numbers that have rested back on sale, adds calls up by the hour.
//!
//! The clerk takes no input. What he does next stands in the database, each step is one command that changes nothing when
//! it is repeated, and so he may be killed at any instant and may work on several nodes at once.

use std::time::Duration;

use futures_util::future::try_join_all;
use jiff::{SignedDuration, Timestamp};
use tandem_model::{Currency, Ids, Money, clock, month_end_after};
use tandem_store::resources::number::{
    AddTraffic, EndQuarantines, FinishRelease, Grace, PurgeTraffic, RentNumber, RentOutcome, TRAFFIC_KEPT,
};
use tandem_store::{Reader, StoreError, Writer};
use tokio_util::sync::CancellationToken;

use crate::config::NumbersConfig;

/// Between two looks for what is due.
const LOOK_EVERY: Duration = Duration::from_mins(1);
/// Numbers charged in one batch of the Writer: small enough that a call waits for no more than its commit.
const AT_ONCE: u32 = 64;
/// Records added up in one step.
const RECORDS_AT_ONCE: u32 = 2_000;
/// A month that could not be paid is tried again so much later.
const RETRY: SignedDuration = SignedDuration::from_hours(6);
/// So long before its end the grace is told of again.
const WARNS: SignedDuration = SignedDuration::from_hours(24);

/// The terms on which numbers are rented and given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NumberTerms {
    release_fee: Money,
    /// Of the fee: accounts of another pay none.
    currency: Currency,
    /// How long a release can be cancelled.
    pub(crate) release_window: SignedDuration,
    /// How long a number that was given back rests.
    pub(crate) quarantine: SignedDuration,
    /// How long a number whose month is not paid stays in service.
    grace: SignedDuration,
    /// How long a number stays with its sub-account after a call.
    pub(crate) cool_off: SignedDuration,
}

impl NumberTerms {
    /// The fee for an account of that currency.
    pub(crate) fn release_fee_in(&self, currency: Currency) -> Money {
        if currency == self.currency { self.release_fee } else { Money::ZERO }
    }

    /// From the configuration; says which key is wrong.
    pub(crate) fn of(config: &NumbersConfig) -> Result<Self, String> {
        let release_fee: Money =
            config.release_fee.parse().map_err(|error| format!("numbers.release_fee: {error}"))?;
        if release_fee < Money::ZERO || release_fee > Money::from_units(1_000_000) {
            return Err("numbers.release_fee: is from 0 to 1000000".to_owned());
        }
        let days = |days: u32| SignedDuration::from_hours(24 * i64::from(days));
        for (key, value, most) in [
            ("release_window_h", config.release_window_h, 24 * 30),
            ("quarantine_days", config.quarantine_days, 3_650),
            ("grace_days", config.grace_days, 365),
            ("cool_off_days", config.cool_off_days, 365),
        ] {
            if value > most {
                return Err(format!("numbers.{key}: is at most {most}"));
            }
        }
        Ok(Self {
            release_fee,
            currency: config.currency.parse().map_err(|error| format!("numbers.currency: {error}"))?,
            release_window: SignedDuration::from_hours(i64::from(config.release_window_h)),
            quarantine: days(config.quarantine_days),
            grace: days(config.grace_days),
            cool_off: days(config.cool_off_days),
        })
    }

    fn without_money(&self) -> Grace {
        Grace { lasts: self.grace, retry: RETRY, warns: WARNS, quarantine: self.quarantine }
    }
}

/// The clerk.
pub(crate) struct NumberClerk {
    pub(crate) reader: Reader,
    pub(crate) writer: Writer,
    pub(crate) terms: NumberTerms,
}

impl NumberClerk {
    /// Works until cancelled.
    pub(crate) async fn run(self, cancel: CancellationToken) {
        // Records up to this one were there a look ago: none before it is still under way.
        let mut settled = 0;
        loop {
            if let Err(error) = self.work(clock::wall(), &cancel).await {
                tracing::warn!(%error, "numbers could not be seen to; trying again");
            }
            match self.add_up(settled).await {
                Ok(newest) => settled = newest,
                Err(error) => tracing::warn!(%error, "calls of numbers could not be added up; trying again"),
            }
            tokio::select! {
                () = cancel.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Everything that is due at `now`.
    async fn work(&self, now: Timestamp, cancel: &CancellationToken) -> Result<(), StoreError> {
        self.finish_releases(now).await?;
        self.collect(now, cancel).await?;
        let back = self.writer.submit(EndQuarantines { at: now, limit: AT_ONCE }).await?;
        if back > 0 {
            tracing::info!(numbers = back, "numbers have rested and are for sale again");
        }
        Ok(())
    }

    async fn finish_releases(&self, now: Timestamp) -> Result<(), StoreError> {
        let quarantine_until = now.saturating_add(self.terms.quarantine).unwrap_or(now);
        loop {
            let due = self.reader.releases_due(now, AT_ONCE).await?;
            if due.is_empty() {
                return Ok(());
            }
            let finish = due.into_iter().map(|(e164, owner)| {
                self.writer.submit(FinishRelease { e164, owner, quarantine_until, at: now })
            });
            let _ = try_join_all(finish).await?;
        }
    }

    /// Collects months until none is due. Every step moves its number on, so that none is met twice for nothing.
    async fn collect(&self, now: Timestamp, cancel: &CancellationToken) -> Result<(), StoreError> {
        let (mut paid, mut owed, mut released) = (0_u64, 0_u64, 0_u64);
        while !cancel.is_cancelled() {
            let due = self.reader.rentals_due(now, AT_ONCE).await?;
            if due.is_empty() {
                break;
            }
            let rents = due.into_iter().map(|number| {
                let next = month_end_after(number.bought, number.due);
                let grace = self.terms.without_money();
                self.writer.submit(RentNumber { number, transaction: Ids::random(), next, grace, at: now })
            });
            for outcome in try_join_all(rents).await? {
                match outcome {
                    RentOutcome::Paid => paid += 1,
                    RentOutcome::Unpaid { .. } => owed += 1,
                    RentOutcome::Released => released += 1,
                    RentOutcome::NotDue => {}
                }
            }
        }
        if paid + owed + released > 0 {
            tracing::info!(paid, owed, released, "months of numbers are collected");
        }
        Ok(())
    }

    /// Adds records up to `settled`; answers the newest there is.
    async fn add_up(&self, settled: i64) -> Result<i64, StoreError> {
        let mut added = -1;
        while added < settled {
            let upto = self.writer.submit(AddTraffic { upto: settled, limit: RECORDS_AT_ONCE }).await?;
            if upto == added {
                break;
            }
            added = upto;
        }
        let before = clock::wall().saturating_sub(TRAFFIC_KEPT).unwrap_or(Timestamp::MIN);
        self.writer.submit(PurgeTraffic { before }).await?;
        self.reader.newest_record().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> NumbersConfig {
        NumbersConfig {
            currency: "INR".to_owned(),
            release_fee: "700".to_owned(),
            release_window_h: 24,
            quarantine_days: 45,
            grace_days: 7,
            cool_off_days: 15,
        }
    }

    #[test]
    fn terms_are_read_and_a_wrong_key_is_named() {
        let terms = NumberTerms::of(&config()).unwrap();
        assert_eq!((terms.release_fee, terms.quarantine.as_hours()), (Money::from_units(700), 45 * 24));
        for (config, key) in [
            (NumbersConfig { release_fee: "-1".to_owned(), ..config() }, "numbers.release_fee"),
            (NumbersConfig { currency: "rupees".to_owned(), ..config() }, "numbers.currency"),
            (NumbersConfig { release_window_h: 721, ..config() }, "numbers.release_window_h"),
            (NumbersConfig { quarantine_days: 3_651, ..config() }, "numbers.quarantine_days"),
            (NumbersConfig { grace_days: 366, ..config() }, "numbers.grace_days"),
            (NumbersConfig { cool_off_days: 366, ..config() }, "numbers.cool_off_days"),
        ] {
            assert!(NumberTerms::of(&config).unwrap_err().starts_with(key), "{key}");
        }
    }
}
