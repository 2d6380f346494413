//! Handles: small, `Copy`, and safe to keep after what they name is gone.

/// One leg of a call. A handle outlives its leg; commands on it then answer `Gone`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LegId {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

/// An incoming request outside a dialog that waits for `respond`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TransactionId {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

/// An outgoing request outside a dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub(crate) u64);
