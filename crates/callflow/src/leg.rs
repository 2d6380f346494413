//! The names by which driver and call flow speak of legs, sounds and fetches, and how a leg ends.

use std::fmt;

use tandem_model::{HangupCause, HangupSource, HangupText};

/// A leg of this session. Never reused within a call: a late word about an old leg cannot be mistaken for
/// one about a new leg.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Leg(pub u32);

impl Leg {
    /// The leg the session began with.
    pub const A: Self = Self(0);
}

impl fmt::Debug for Leg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::A { f.write_str("A") } else { write!(f, "B{}", self.0) }
    }
}

/// One sound being played to a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PlaybackId(pub u64);

/// One recording under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordingName(pub u64);

/// One document being fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FetchId(pub u64);

/// Why and by whom a leg or a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// The catalogue's cause.
    pub cause: HangupCause,
    /// The raw cause text.
    pub text: HangupText,
    /// Who ended it.
    pub source: HangupSource,
}

impl End {
    /// An end with the cause's usual text.
    pub const fn new(cause: HangupCause, source: HangupSource) -> Self {
        Self { cause, text: cause.text(), source }
    }
}
