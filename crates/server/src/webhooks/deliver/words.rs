//! What the scheduler is told and what it says.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tandem_model::EventId;
use tandem_store::OutboxEvent;

/// A delivery this node holds the lease of.
#[derive(Clone, Debug)]
pub(super) struct Delivery {
    pub(super) event: Arc<OutboxEvent>,
    /// Attempts made so far.
    pub(super) attempts: u32,
    /// The row is ours until then.
    pub(super) lease_until: Instant,
    /// What a durable channel has left to live.
    pub(super) life_left: Duration,
}

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finish {
    /// The endpoint answered.
    Answered { status: u16, retry_after: Option<Duration> },
    /// It did not.
    Unreachable,
    /// The request could not be made, now or ever: the URL is none.
    Impossible,
}

/// What happened.
#[derive(Clone, Debug)]
pub(super) enum Input {
    /// A delivery is due and ours.
    Offer(Delivery),
    /// An attempt ended.
    Finished(EventId, Finish),
    /// Time passed.
    Tick,
    /// Start nothing more; what is under way may end.
    Stop,
}

/// Send this now.
#[derive(Clone, Debug)]
pub(super) struct Start {
    pub(super) event: Arc<OutboxEvent>,
    pub(super) attempt: u32,
    pub(super) timeout: Duration,
}

/// What follows from an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Delivered,
    /// Again after `pause`, from memory.
    RetryHere {
        pause: Duration,
    },
    /// Again after `pause`, by whoever leases the row then.
    RetryLater {
        pause: Duration,
    },
    Dead,
}

/// Why an attempt ended as it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// It was made.
    Attempted,
    /// It was not made: the endpoint's circuit is open.
    CircuitOpen,
    /// It was not made: the endpoint had answered 410.
    EndpointGone,
}

/// An attempt to record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Settled {
    pub(super) event: EventId,
    pub(super) attempt: u32,
    pub(super) verdict: Verdict,
    pub(super) cause: Cause,
}

/// What to do.
#[derive(Clone, Debug)]
pub(super) enum Output {
    Start(Start),
    Settled(Settled),
}
