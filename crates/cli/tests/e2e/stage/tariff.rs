//! The price of a call as a customer computes it from the deck: written from the documented formula alone.

/// One line of a deck, in micro-units and seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tariff {
    /// Price of 60 billed seconds.
    pub(crate) per_minute: i64,
    /// Increment.
    pub(crate) pulse: i64,
    /// Least billed time.
    pub(crate) minimum: i64,
    /// Once per answered call.
    pub(crate) connection_fee: i64,
}

impl Tariff {
    /// What `seconds` of talk cost: time rounded up to pulses, money rounded up once.
    pub(crate) fn price(self, seconds: i64) -> i64 {
        if seconds == 0 {
            return 0;
        }
        let at_least = seconds.max(self.minimum);
        let pulses = (at_least + self.pulse - 1) / self.pulse;
        (self.per_minute * pulses * self.pulse + 59) / 60 + self.connection_fee
    }

    /// Its line in the CSV of a deck.
    pub(crate) fn csv(self, prefix: &str) -> String {
        let money = |micros: i64| format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
        let (rate, fee) = (money(self.per_minute), money(self.connection_fee));
        format!("{prefix},{rate},{},{},{fee}\n", self.pulse, self.minimum)
    }
}

#[test]
fn the_formula_is_the_documented_one() {
    let by_minute = Tariff { per_minute: 450_000, pulse: 60, minimum: 0, connection_fee: 0 };
    assert_eq!((by_minute.price(0), by_minute.price(1), by_minute.price(61)), (0, 450_000, 900_000));
    let stepped = Tariff { per_minute: 1_000_001, pulse: 6, minimum: 30, connection_fee: 7 };
    assert_eq!(stepped.price(2), 500_001 + 7);
    assert_eq!(stepped.price(31), 600_001 + 7);
    assert_eq!(by_minute.csv("91"), "91,0.450000,60,0,0.000000\n");
}
