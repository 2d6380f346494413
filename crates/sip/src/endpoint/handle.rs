//! Handles: small, `Copy`, and safe to keep after what they name is gone.

use crate::arena::Key;

/// One leg of a call. A handle outlives its leg; commands on it then answer `Gone`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LegId(pub(crate) Key);

/// An incoming request outside a dialog that waits for `respond`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TransactionId(pub(crate) Key);

/// An outgoing request outside a dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub(crate) Key);
