//! Requests to customers: call-control documents, callbacks, trunk webhooks.
//!
//! The cast:
//! - `sign`: the signature headers of both families, and their verification.
//! - `secrets`: where keys come from ([`SigningSecrets`]).
//! - `tuning`: retry tuning in a URL's fragment.
//! - `fetch`: [`DocumentFetcher`], call-control XML with deadlines and retries.

mod fetch;
mod secrets;
mod sign;
mod tuning;

pub use fetch::DocumentFetcher;
pub use secrets::{AccountSecrets, SigningSecrets, TrunkSecrets};
pub use sign::{
    BodySignature, CallbackSignature, sign_body, sign_callback, signing_base, verify_body, verify_callback,
    verify_trunk,
};
pub use tuning::{RetryOn, Tuning};
