//! Session descriptions (RFC 8866) and the offer/answer exchange (RFC 3264).
//!
//! Used by the call engine on every leg. The cast:
//!
//! * [`SessionDescription`] — the typed, bounded model; parsed from bytes, printed by `Display`.
//! * [`AudioCapabilities`] and [`LocalMedia`] — what our side can do and where it listens.
//! * [`make_offer`], [`answer`], [`accept_answer`] — the three moves of an exchange. The last two
//!   end in a [`Negotiated`], all that the media plane needs to know about a leg.
//!
//! Promises: nothing printed contains a line break that the model did not intend; a parsed
//! description never exceeds the named limits; an answer keeps the offer's media lines in order.
//! Refuses to know: sockets, DNS (an address must be literal), SRTP keys beyond carrying them.

mod answer;
mod codec;
mod description;
mod negotiated;
mod offer;
mod parse;
mod print;

#[cfg(test)]
mod corpus_tests;
#[cfg(test)]
mod exchange_tests;
#[cfg(test)]
mod round_trip_tests;

pub use answer::{Preference, accept_answer, answer};
pub use codec::{
    AudioCapabilities, AudioCodec, COMFORT_NOISE_PAYLOAD_TYPE, DEFAULT_TELEPHONE_EVENT_PAYLOAD_TYPE,
    comfort_noise_of,
};
pub use description::{
    Attribute, Connection, Crypto, Direction, Fmtp, Host, Media, MediaKind, Origin, Revision, RtcpAttribute,
    RtpMap, SessionDescription, Transport,
};
pub use negotiated::{
    DEFAULT_PTIME_MS, HoldState, MAX_PTIME_MS, MIN_PTIME_MS, Negotiated, NegotiationError, TelephoneEvent,
};
pub use offer::{LocalMedia, LocalSession, RtcpMux, make_offer};
pub use parse::{
    MAX_ATTRIBUTES_PER_SECTION, MAX_FORMATS_PER_MEDIA, MAX_MEDIA_LINES, MAX_SDP_BYTES, SdpError,
};
