//! KYC: hosted sessions by e-mail or redirect, documents verified through a port, their page, their letters, and the
//! protection of what people show.
//!
//! The cast:
//! - [`Desk`]: what all of it works with; the domain functions are its methods.
//! - `subject`: the key under which one account's data is sealed; `private`: what is sealed.
//! - `session`: how a session goes on; `verdict`: what a verifier's finding changes; `checks`: documents outside sessions.
//! - `events`: what the owner's webhook says; [`SealedBodies`] opens it at delivery.
//! - `verifier`: the port ([`verifier::KycVerifier`]) with sandbox, operator and vendor behind it.
//! - `letter`: what letters say; `clerk`: everything that happens by itself, in due time.
//! - [`widget`]: the page that the link opens.
//!
//! Promises: nothing personal is stored, sent to a log or kept for a replay but sealed; a letter is never sent twice; a
//! full Aadhaar number is never taken. Refuses to know: SQL, the shapes of the REST API.

pub(crate) mod checks;
mod clerk;
mod desk;
mod events;
mod letter;
pub(crate) mod mask;
pub(crate) mod mode;
mod private;
mod session;
mod subject;
#[cfg(test)]
mod tests;
mod verdict;
pub(crate) mod verifier;
pub(crate) mod widget;

pub(crate) use clerk::run as run_clerk;
pub(crate) use desk::{Desk, DeskParts, KycError, post_of};
pub(crate) use events::SubjectBodies;
pub(crate) use private::Private;
pub(crate) use session::{Live, NewRequest, Opened, Revocation};
