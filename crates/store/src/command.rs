//! The unit of change.

use tandem_model::AccountId;

use crate::{StoreError, Tx};

pub use futures_util::future::BoxFuture;

/// One change, complete with everything that must commit with it.
///
/// A command is deterministic (instants, ids and prices are fields, fixed by its maker) and may be run
/// several times before it commits once: the transaction it ran in may be rolled back because another
/// command failed or a lock was lost. It awaits nothing but `tx`. Expected refusals are variants of
/// `Output`, made by conditional statements (`where balance >= $1`, `on conflict do nothing`), never
/// errors: an error rolls back everybody who shares the transaction.
///
/// ```ignore
/// fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<Self::Output, StoreError>> {
///     Box::pin(async move {
///         let changed = tx.execute("update …", &[(&self.id).into(), self.at.into()]).await?;
///         …
///     })
/// }
/// ```
pub trait Command: Send + Sync + 'static {
    /// What it came to.
    type Output: Send + 'static;

    /// Does it, inside the open transaction.
    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<Self::Output, StoreError>>;

    /// The accounts whose rows (balance, held, live calls) it changes. Where several Writers share a
    /// database their rows are locked in id order before the batch runs, so that no two Writers wait for
    /// each other.
    fn accounts(&self) -> Vec<&AccountId> {
        Vec::new()
    }

    /// Whether its statements may interleave with those of other commands of the batch (PostgreSQL only:
    /// they then share round trips). Say [`Interleaving::Free`] only if each decision is one conditional
    /// statement; a command that reads and then writes what it read is [`Interleaving::Alone`].
    fn interleaving(&self) -> Interleaving {
        Interleaving::Alone
    }
}

/// See [`Command::interleaving`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interleaving {
    /// Runs from start to end before the next command begins.
    Alone,
    /// Its statements may mix with those of its neighbours.
    Free,
}
