//! Transactions (RFC 3261 §17, RFC 6026): the state machines and what identifies them.
//!
//! Used by the endpoint, which owns the tables. The cast:
//!
//! * [`ClientTransaction`], [`ServerTransaction`] — timers A–M and what a message does to a state.
//! * [`TransactionHasher`] — a keyed number for "same transaction" and "merged request".
//! * [`ReplyTemplate`] — what every response to one request repeats.
//!
//! Promises: a transition is one `match`; nothing here sends or reads the time. Refuses to know:
//! legs, dialogs.

mod client;
mod key;
mod reply;
mod server;

pub(crate) use client::{ClientStep, ClientTimeout, ClientTransaction};
pub(crate) use key::{KeyMap, TransactionHasher};
pub(crate) use reply::{ReplyTemplate, Routes, reply_flow};
pub(crate) use server::{Repetition, ServerTimeout, ServerTransaction};

/// INVITE transactions have states of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Invite,
    NonInvite,
}
