//! The carrier simulator: a telephone network on its own SIP port.
//!
//! A feature of the product (people try their applications against it) and the judge of end-to-end
//! tests. It shares no session or RTP code with the engine: only the sans-IO crates, real UDP
//! sockets, and its own counting of what it hears.
//!
//! The cast:
//!
//! * [`Carrier`] — the handle: start, [`call`](Carrier::call), [`register`](Carrier::register),
//!   [`calls`](Carrier::calls), shut down.
//! * [`behaviours`] — what each dialled number does; [`Plan`] is one of them as a value.
//! * [`CallSpec`], [`Step`] — a call towards the platform and what its caller does.
//! * [`LiveCall`] — a call that its holder steers, order by order.
//! * [`CallOutcome`], [`RtpFacts`], [`SimCall`] — what was seen and heard.
//!
//! Inside, one driver task owns the SIP endpoint and decides everything (`driver`, with its parts
//! `callee`, `caller`, `live`, `phone`, `media` and `ending`); one task per call with media owns its RTP socket (`line`, made of an `ear`
//! and a `mouth`). Promises: every queue and table is bounded; calls without media start no task.

mod address;
mod behaviour;
mod call;
mod call_log;
mod call_spec;
mod callee;
mod caller;
mod carrier;
mod config;
mod driver;
mod ear;
mod ending;
mod gatekeeper;
mod line;
mod live;
mod media;
mod mouth;
mod negotiation;
mod outcome;
mod phone;

#[cfg(test)]
mod live_tests;
#[cfg(test)]
mod tests;

pub use behaviour::{
    Behaviour, MELODY_HZ, Opening, Plan, Verdict, Voice, behaviour_of, behaviours, plan_for,
};
pub use call_log::{MAX_LOGGED_CALLS, SimCall, SimDirection, SimEvent};
pub use call_spec::{CallSpec, LineUse, MAX_STEPS, ScriptError, Step, parse_script};
pub use carrier::{CallHandle, Carrier, CarrierError};
pub use config::{CarrierConfig, Demand};
pub use live::{LiveCall, LiveEvent, LiveNews, LiveOrder};
pub use outcome::{CallOutcome, EndedBy, FinalStatus, HeardTone, Progress, RtpFacts};
pub use phone::{RegisterError, Registration};
/// A codec to insist on.
pub use tandem_media::g711::Law;
