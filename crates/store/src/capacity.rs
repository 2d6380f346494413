//! Capacity: how many calls an account may have at once and begin in a second. It moves between a partner and its
//! customers, and is bought by the month; the account's row holds the sum that admission goes by.

mod subscription;
mod transfer;

pub use subscription::{
    BuyChannels, BuyChannelsOutcome, CancelChannels, CancelChannelsOutcome, ChannelSubscription,
    RenewChannels, RenewOutcome,
};
pub use transfer::{CapacityMove, CapacityState, MoveCapacity, MoveCapacityOutcome, MovedCapacity};

/// What there is to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resource {
    /// Live calls.
    ConcurrentCalls,
    /// New calls per second.
    Cps,
}

impl Resource {
    /// The word of column and contract.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConcurrentCalls => "concurrent_calls",
            Self::Cps => "cps",
        }
    }

    /// From that word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::ConcurrentCalls, Self::Cps].into_iter().find(|resource| resource.as_str() == word)
    }

    /// The account's field, for the audit.
    const fn field(self) -> &'static str {
        match self {
            Self::ConcurrentCalls => "concurrent_limit",
            Self::Cps => "cps_limit",
        }
    }
}
