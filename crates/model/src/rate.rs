//! What a minute costs, and the one formula that turns seconds into money.

use serde::{Deserialize, Serialize};

use crate::Money;

/// A tariff for one prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// Price of sixty billed seconds, micro-units.
    pub per_minute: Money,
    /// Billing increment in seconds, at least 1.
    pub pulse_s: u32,
    /// Least billed time of an answered call, in seconds.
    pub minimum_s: u32,
    /// Charged once per call with at least one billed second, micro-units.
    pub connection_fee: Money,
}

impl Rate {
    /// Costs nothing.
    pub const FREE: Self =
        Self { per_minute: Money::ZERO, pulse_s: 1, minimum_s: 0, connection_fee: Money::ZERO };

    /// `ceil(max(seconds, minimum) / pulse) × pulse`.
    pub fn billed_seconds(&self, seconds: u64) -> u64 {
        let pulse = u64::from(self.pulse_s.max(1));
        seconds.max(u64::from(self.minimum_s)).div_ceil(pulse) * pulse
    }

    /// The cumulative price of `seconds`, rounded up once: `ceil(rate × billed / 60) + fee`.
    /// Nothing for a call of no seconds. Slices are charged as `cost(now) − cost(before)`, so that
    /// a call cut into any slices costs what the whole costs.
    pub fn cost(&self, seconds: u64) -> Money {
        if seconds == 0 {
            return Money::ZERO;
        }
        let billed = i128::from(self.billed_seconds(seconds));
        let price = (i128::from(self.per_minute.micros) * billed + 59).div_euclid(60);
        let total = price + i128::from(self.connection_fee.micros);
        Money::from_micros(i64::try_from(total).unwrap_or(i64::MAX))
    }

    /// The longest call, in whole seconds, whose cost is at most `budget`; `None` when it is free.
    pub fn seconds_for(&self, budget: Money) -> Option<u64> {
        if self.per_minute.micros <= 0 {
            return if self.connection_fee.micros <= budget.micros { None } else { Some(0) };
        }
        let (mut affordable, mut too_dear) = (0_u64, 86_401_u64);
        if self.cost(too_dear) <= budget {
            return Some(too_dear);
        }
        while too_dear - affordable > 1 {
            let middle = affordable.midpoint(too_dear);
            if self.cost(middle) <= budget { affordable = middle } else { too_dear = middle }
        }
        Some(affordable)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rate(per_minute: i64, pulse_s: u32, minimum_s: u32, fee: i64) -> Rate {
        Rate {
            per_minute: Money::from_micros(per_minute),
            pulse_s,
            minimum_s,
            connection_fee: Money::from_micros(fee),
        }
    }

    #[test]
    fn the_formula_rounds_the_cumulative_price_once() {
        let by_second = rate(450_000, 1, 0, 0);
        assert_eq!(by_second.cost(1).micros, 7_500);
        assert_eq!(by_second.cost(61).micros, 457_500);
        let by_minute = rate(450_000, 60, 0, 0);
        assert_eq!(by_minute.cost(1).micros, 450_000);
        assert_eq!(by_minute.cost(60).micros, 450_000);
        assert_eq!(by_minute.cost(61).micros, 900_000);
        assert_eq!(rate(100, 1, 30, 5).cost(1).micros, 50 + 5);
        assert_eq!(rate(1, 1, 0, 0).cost(1).micros, 1, "rounds up");
        assert_eq!(rate(450_000, 60, 60, 7).cost(0), Money::ZERO);
    }

    proptest! {
        #[test]
        fn slices_of_a_call_cost_what_the_call_costs(
            per_minute in 0_i64..5_000_000, pulse in 1_u32..61, minimum in 0_u32..61, fee in 0_i64..1_000_000,
            mut cuts in proptest::collection::vec(0_u64..7200, 1..8),
        ) {
            let rate = rate(per_minute, pulse, minimum, fee);
            cuts.sort_unstable();
            let mut before = Money::ZERO;
            let mut charged = Money::ZERO;
            for cut in &cuts {
                let now = rate.cost(*cut);
                charged += now - before;
                before = now;
            }
            prop_assert_eq!(charged, rate.cost(*cuts.last().unwrap()));
        }

        #[test]
        fn the_affordable_time_is_affordable_and_one_second_more_is_not(
            per_minute in 1_i64..5_000_000, pulse in 1_u32..61, minimum in 0_u32..61, fee in 0_i64..1_000_000,
            budget in 0_i64..50_000_000,
        ) {
            let rate = rate(per_minute, pulse, minimum, fee);
            let budget = Money::from_micros(budget);
            let seconds = rate.seconds_for(budget).unwrap();
            prop_assert!(rate.cost(seconds) <= budget);
            if seconds < 86_401 {
                prop_assert!(rate.cost(seconds + 1) > budget);
            }
        }
    }
}
