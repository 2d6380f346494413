//! Money beside calls: what capacity costs and who renews it ([`channels`]), and money that comes in through a payment
//! provider ([`payments`]).

pub(crate) mod channels;
pub(crate) mod payments;

pub(crate) use channels::{ChannelPrices, renew};
pub(crate) use payments::Payments;
