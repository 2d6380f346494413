//! May this call exist, and what did it come to?
//!
//! The cast: [`plan`] decides everything but money and concurrency, from memory; [`service`] takes both with one durable command and
//! implements the engine's port; [`record`] and [`payload`] turn a call's end into its record and events; [`reaper`] settles the calls
//! of processes that are gone.

mod bucket;
mod context;
mod payload;
mod plan;
mod policy;
mod reaper;
pub(crate) mod record;
mod routing;
mod service;

pub(crate) use reaper::Reaper;
pub(crate) use service::{Admission, AdmittedCall, ApiCall};
