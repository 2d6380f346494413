//! The REST API in Vobiz's shapes: one file a resource, one line a resource in [`router`].
//!
//! The cast, in the order a request meets them:
//! - [`envelope`]: request id, trace, time limit, panics; renders every [`ApiError`] in the end.
//! - [`canonical`]: tolerated spellings of a path become the route table's own.
//! - [`routes`]: the route table's building block; [`not_built`] names what is known but absent.
//! - `auth::limits`: how often; noted on every answer.
//! - `auth::request`: who asks ([`Caller`](crate::auth::Caller)), for which account
//!   ([`Scoped`](crate::auth::Scoped)), as partner ([`Partner`](crate::auth::Partner)).
//! - [`extract`]: bodies, queries, dialects; a failure names the field and the remedy.
//! - [`effect`]: a command with its `Idempotency-Key`; the answer commits with what it answers for.
//! - [`openapi`]: what the API tells of itself: `/openapi.json`, `/docs`; an entry for every operation.
//! - [`json`], [`paging`]: numbers, instants and lists as the contract prints them.
//!
//! A resource gives `pub(super) fn routes() -> Routes`; handlers parse, build a command, answer a view.

mod account;
mod alerts;
mod applications;
mod audit;
mod callable;
mod callback_events;
mod calls;
mod canonical;
mod channels;
pub(crate) mod checks;
mod conferences;
#[cfg(test)]
mod contract_tests;
mod credentials;
#[cfg(test)]
mod customer_tests;
mod effect;
mod endpoints;
mod envelope;
mod error;
mod extract;
mod ip_acl;
mod json;
mod kyc;
mod lenient;
mod not_built;
mod numbers;
mod openapi;
mod origination_uris;
mod own;
mod paging;
mod partner;
mod partner_accounts;
mod passwords;
mod payments;
mod recordings;
mod records;
mod revision;
mod router;
mod routes;
mod sessions;
mod settings;
mod state;
mod statements;
mod strict;
mod sub_accounts;
mod tokens;
mod transactions;
mod trunks;
mod window;
mod xml;

#[cfg(test)]
pub(crate) mod tests;

pub(crate) use calls::WaitingCalls;
pub(crate) use calls::claim::{Claimed, claim};
pub(crate) use canonical::Canonical;
pub(crate) use effect::{Effect, Posted, Reply};
pub(crate) use envelope::{RequestId, RequestLimits, WrittenPath, enclosed};
pub(crate) use error::ApiError;
pub(crate) use extract::{Dialect, Payload, Query};
pub(crate) use openapi::{coverage_page, document_text, words};
pub(crate) use partner_accounts::moved;
pub(crate) use passwords::by_link;
pub(crate) use router::router;
pub(crate) use routes::Routes;
pub(crate) use state::{AppState, Live, Shared};
