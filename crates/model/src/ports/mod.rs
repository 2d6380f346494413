//! The ports: what the engine asks of the service, and the words of question and answer. `server`
//! implements them; the engine never sees SQL or HTTP through them.
//!
//! - [`Directory`]: who is this stranger? In memory, synchronous, no waiting.
//! - [`Admission`]: may this call exist, and what did it come to? Durable commands.
//! - [`Documents`]: fetch call-control XML, tell callbacks.
//! - [`Recordings`]: name recordings that documents and the API ask for, look after their files.
//! - [`Sounds`]: speech and files as audio.
//! - [`Registrations`]: phones' contacts across restarts.
//! - [`Observer`]: what people watch as it happens.

mod admission;
mod directory;
mod documents;
mod observer;
mod recordings;
mod registrations;
mod routing;
mod sounds;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

pub use admission::{
    Admission, Admitted, AdmittedLeg, Answered, CallerIdentity, Decision, Extension, InviteFacts,
    LegDecision, LegRequest, LegTarget, NextHop, Plan, RecordingSpec, Reservation, Route, RouteCredentials,
    RouteDestination, StoreUnavailable,
};
pub use directory::{DigestPolicy, DigestScope, Directory, EdgeFacts, Located, Transport, TrunkAccess};
pub use documents::{
    Documents, FetchError, FetchFailure, FetchKind, FetchRequest, Fetched, Notice, Parameters,
};
pub use observer::{Observer, Trace, TraceKind};
pub use recordings::{RecordingBegin, RecordingOutcome, RecordingPlace, Recordings};
pub use registrations::{BindingChange, Registrations, StoredBinding};
pub use routing::{CarrierChannel, Failover, Gateway, GatewayHealth};
pub use sounds::{Clip, SoundError, Sounds, SpeechRequest};

/// A boxed future: the ports are trait objects.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// All ports of one node.
#[derive(Clone)]
pub struct Ports {
    /// Who is this stranger?
    pub directory: Arc<dyn Directory>,
    /// May this call exist, and what did it come to?
    pub admission: Arc<dyn Admission>,
    /// Call-control XML and callbacks.
    pub documents: Arc<dyn Documents>,
    /// Recordings that documents and the API ask for.
    pub recordings: Arc<dyn Recordings>,
    /// Speech and files.
    pub sounds: Arc<dyn Sounds>,
    /// Phones' contacts.
    pub registrations: Arc<dyn Registrations>,
    /// What people watch.
    pub observer: Arc<dyn Observer>,
}
