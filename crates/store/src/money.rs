//! Money as rows: double entry. Every change of a stored balance is a `ledger_tx`, unique by its natural
//! key (account, kind, ref_kind, ref_id), with entries that sum to zero. Holds are no postings. System
//! accounts (`sys:…`) keep no stored balance: each would be one hot row.

mod low_balance;
mod posting;
mod reads;
mod statement;
mod transfer;
mod verify;

pub(crate) use low_balance::{Fall, tell};
pub use posting::{Post, PostKind, PostOutcome, Posting, post};
pub(crate) use posting::{Posted, write_posting};
pub use reads::{
    AccountBalance, LedgerLine, LedgerOf, ReferenceTotal, TransactionFilter, TransactionPage,
    TransactionSummary,
};
pub use statement::{LedgerCursor, LedgerDay};
pub use transfer::{Transfer, TransferOutcome};
pub use verify::{LedgerReport, Mismatch};

/// Where prices go: calls, rentals, fees.
pub const REVENUE: &str = "sys:revenue";
/// Where paid-in money comes from.
pub const CLEARING: &str = "sys:clearing";
/// Where corrections come from and go to.
pub const ADJUSTMENTS: &str = "sys:adjustments";
