//! Money beside calls: what capacity costs and who renews it ([`channels`]), the months and the end of numbers
//! ([`numbers`]), and money that comes in through a payment provider ([`payments`]).

pub(crate) mod channels;
pub(crate) mod numbers;
pub(crate) mod payments;

pub(crate) use channels::{ChannelPrices, renew};
pub(crate) use numbers::{NumberClerk, NumberTerms};
pub(crate) use payments::Payments;

use crate::config::Config;

/// Says which key of this room is wrong. Development pays in sand; nothing else does.
pub(crate) fn check(config: &mut Config, dev: bool) -> Result<(), String> {
    let provider = &mut config.payments.provider;
    if dev && provider.is_empty() {
        *provider = "sandbox".to_owned();
    }
    if provider == "sandbox" && !dev {
        return Err("payments.provider: sandbox gives money away, so only serve --dev takes it".to_owned());
    }
    NumberTerms::of(&config.numbers)?;
    ChannelPrices::of(&config.capacity).map(drop)
}
