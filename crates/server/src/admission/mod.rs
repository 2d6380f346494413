//! May this call exist, and what did it come to?
//!
//! The cast: [`plan`] decides everything but money and concurrency, from memory; [`service`] implements the engine's port; [`money`] takes
//! both with one durable command, extends and settles; [`refusing`] puts refusals on record and [`refusals`] counts those of a flood;
//! [`carriers`] keeps carriers' limits and [`hops`] loops out; [`record`] and [`payload`] turn a call's end into its record and events;
//! [`reaper`] settles the calls of processes that are gone.

mod bucket;
mod carriers;
mod context;
mod hops;
mod money;
mod next_hop;
mod payload;
mod plan;
mod policy;
mod reaper;
pub(crate) mod record;
mod refusals;
mod refusing;
mod routing;
mod service;

pub(crate) use hops::HopSigner;
pub(crate) use payload::iso;
pub(crate) use reaper::{DEAD_AFTER, Reaper};
pub(crate) use service::{Admission, AdmittedCall, ApiCall};
