//! Requests to customers: call-control documents, callbacks, trunk webhooks.
//!
//! The cast:
//! - `sign`: the signature headers of both families, and their verification.
//! - `secrets`: where keys come from ([`SigningSecrets`]).
//! - `tuning`: retry tuning in a URL's fragment.
//! - `fetch`: [`DocumentFetcher`], call-control XML with deadlines and retries.
//! - `documents`: [`CallDocuments`], the engine's port over fetching and the outbox.
//! - `deliver`: [`DeliveryEngine`], everything that leaves through the outbox.

mod deliver;
mod documents;
mod fetch;
mod secrets;
mod sign;
mod tuning;

pub use deliver::DeliveryEngine;
pub use documents::{CallDocuments, callback_event, endpoint_key};
pub use fetch::DocumentFetcher;
pub use secrets::{AccountSecrets, SealedBodies, SigningSecrets, TrunkSecrets, Unopened};
pub use sign::{
    BodySignature, CallbackSignature, sign_body, sign_callback, signing_base, verify_body, verify_callback,
    verify_trunk,
};
pub use tuning::{RetryOn, Tuning};
