//! Deliberate faults. A crash test that does not notice each of these proves nothing. Compiled in only by
//! the `planted-faults` feature, and then only one that the Writer's configuration names is switched on.

use crate::calls::CallRecord;
use crate::outbox::OutboxEvent;

/// A way to be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Answer submitters before the commit.
    AcknowledgeBeforeCommit,
    /// Insert events in a second transaction, after the first has committed.
    OutboxInSecondTransaction,
    /// Insert call records in a second transaction, after the first has committed.
    RecordOutsideTransaction,
}

/// What a command postponed because of a fault.
#[derive(Clone, Debug, Default)]
pub(crate) struct FaultState {
    pub(crate) fault: Option<Fault>,
    pub(crate) postponed_events: Vec<OutboxEvent>,
    pub(crate) postponed_records: Vec<CallRecord>,
}

impl FaultState {
    pub(crate) fn outbox_later(&self) -> bool {
        self.fault == Some(Fault::OutboxInSecondTransaction)
    }

    pub(crate) fn record_later(&self) -> bool {
        self.fault == Some(Fault::RecordOutsideTransaction)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.postponed_events.is_empty() && self.postponed_records.is_empty()
    }
}
