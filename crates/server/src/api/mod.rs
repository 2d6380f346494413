//! The REST API in Vobiz's shapes: one file a resource, one line a resource in [`router`].

mod router;
mod state;

pub(crate) use router::router;
pub(crate) use state::{AppState, Live, Shared};
