//! Answering an offer and reading an answer (RFC 3264 §6, §7).

use super::codec::AudioCapabilities;
use super::description::SessionDescription;
use super::negotiated::{Negotiated, NegotiationError};
use super::offer::{LocalMedia, LocalSession};

/// Whose order of codecs decides an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preference {
    /// The offer's order.
    Offerer,
    /// The order of our [`AudioCapabilities`], as when A's answer follows B's codec.
    Ours,
}

/// Answers a peer's offer with one codec and, if offered, `telephone-event`.
///
/// The first audio section that fits is taken; every other section is refused with port 0 in its
/// place. Payload types are the offer's own. Hold is answered locally.
pub fn answer(
    offer: &SessionDescription,
    local: &LocalMedia,
    capabilities: &AudioCapabilities,
    preference: Preference,
    session: LocalSession,
) -> Result<Negotiated, NegotiationError> {
    let _ = (offer, local, capabilities, preference, session);
    todo!()
}

/// Reads the peer's answer to [`super::make_offer`]'s offer, be it in a 200, a 183 or, after a
/// late offer, in the ACK.
pub fn accept_answer(
    our_offer: &SessionDescription,
    their_answer: &SessionDescription,
) -> Result<Negotiated, NegotiationError> {
    let _ = (our_offer, their_answer);
    todo!()
}
