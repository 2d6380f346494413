//! Deliberate faults. A crash test that does not notice each of these proves nothing. Compiled in only by
//! the `planted-faults` feature, and then only one that the Writer's configuration names is switched on.

use std::str::FromStr;
use std::time::Duration;

use crate::calls::CallRecord;
use crate::outbox::OutboxEvent;

/// How long the wrong moment of a fault lasts: as an fsync of a slow disk does. A kill keeps the page cache, so
/// without it the moment would be some microseconds of `write` and no test of bearable length would hit it.
pub(crate) const WINDOW: Duration = Duration::from_millis(20);

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

/// A word that names none of the faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownFault;

impl FromStr for Fault {
    type Err = UnknownFault;

    fn from_str(word: &str) -> Result<Self, UnknownFault> {
        match word {
            "ack-before-commit" => Ok(Self::AcknowledgeBeforeCommit),
            "outbox-later" => Ok(Self::OutboxInSecondTransaction),
            "record-later" => Ok(Self::RecordOutsideTransaction),
            _ => Err(UnknownFault),
        }
    }
}

/// The planted fault, and what commands of the batch postponed because of it.
#[derive(Debug, Default)]
pub(crate) struct FaultState {
    fault: Option<Fault>,
    pub(crate) postponed_events: Vec<OutboxEvent>,
    pub(crate) postponed_records: Vec<CallRecord>,
}

impl FaultState {
    pub(crate) fn planting(fault: Option<Fault>) -> Self {
        Self { fault, ..Self::default() }
    }

    pub(crate) fn is_planted(&self) -> bool {
        self.fault.is_some()
    }

    pub(crate) fn acknowledges_early(&self) -> bool {
        self.fault == Some(Fault::AcknowledgeBeforeCommit)
    }

    pub(crate) fn outbox_later(&self) -> bool {
        self.fault == Some(Fault::OutboxInSecondTransaction)
    }

    pub(crate) fn record_later(&self) -> bool {
        self.fault == Some(Fault::RecordOutsideTransaction)
    }

    /// A batch begins: what an earlier attempt postponed was rolled back.
    pub(crate) fn forget(&mut self) {
        self.postponed_events.clear();
        self.postponed_records.clear();
    }

    pub(crate) fn take_postponed(&mut self) -> (Vec<OutboxEvent>, Vec<CallRecord>) {
        (std::mem::take(&mut self.postponed_events), std::mem::take(&mut self.postponed_records))
    }
}
