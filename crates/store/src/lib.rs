//! The only SQL: one Writer per process, SQLite and PostgreSQL from one text.
//!
//! The cast, in the order a write meets them:
//! - [`Command`]: a deterministic, re-runnable unit of change, with its money, record and events.
//! - [`Writer`]: runs whatever queued while the last commit ran in one transaction; answers after the
//!   commit is durable; hands committed events to delivery ([`EventFeed`]).
//! - [`Tx`]: the open transaction, `$1`…`$n` on both databases; [`Value`] in, [`Row`] out.
//! - [`Store`]: opens, locks and migrates a database, starts the Writer and the [`Reader`].
//! - `nodes`, `calls`, `recordings`, `money`, `capacity`, `payments`, `outbox`, `directory`, `idempotency`, `audit`, `registrations`, `sessions`:
//!   the business's own tables;
//!   `kyc`: sessions, documents, their subjects' keys, letters due; `resources`: one file per configuration resource of the REST API.
//!
//! Promises: a fact, its money and its events commit together or not at all; no acknowledgement before
//! the disk has it. Refuses to know: policy, prices, HTTP, SIP. It never calls out.

pub mod audit;
pub mod calls;
pub mod capacity;
mod checkpoint;
mod command;
mod conditions;
mod dialect;
pub mod directory;
mod error;
#[cfg(feature = "planted-faults")]
mod fault;
pub mod idempotency;
pub mod kyc;
mod migrate;
pub mod money;
pub mod ndnc;
pub mod nodes;
pub mod outbox;
pub mod payments;
mod postgres;
mod reader;
pub mod recordings;
pub mod registrations;
pub mod resources;
pub mod sessions;
mod sqlite;
mod store;
mod tx;
mod value;
mod writer;

pub use command::{BoxFuture, Command, Interleaving};
pub use dialect::Dialect;
pub use error::StoreError;
#[cfg(feature = "planted-faults")]
pub use fault::{Fault, UnknownFault};
pub use outbox::{EventFeed, OutboxEvent};
pub use reader::Reader;
pub use store::{Scrubber, Store};
pub use tx::Tx;
pub use value::{Row, Value};
pub use writer::{NodeIdentity, Writer, WriterConfig};
