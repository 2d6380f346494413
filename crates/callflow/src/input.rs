//! What can happen to a call.

use tandem_model::ports::{FetchError, Fetched};
use tandem_model::{CallFacts, RecordingId, RecordingResult, Refusal, UrlCall};

use crate::leg::{End, FetchId, Leg, PlaybackId, RecordingName};

/// Something that happened. Inputs about legs, sounds and fetches the call has let go of are ignored, so
/// the driver need not keep track.
#[derive(Clone, Debug)]
pub enum Input {
    /// Begin. Once, first.
    Start,
    /// A document came, or could not be had.
    Fetched {
        /// As in [`Effect::Fetch`](crate::Effect::Fetch).
        fetch: FetchId,
        /// What came of it.
        result: Result<Fetched, FetchError>,
    },
    /// Admission let a B leg pass; it is being dialled. (Not needed for a bridge's admitted routes.)
    LegAdmitted {
        /// Which.
        leg: Leg,
        /// Identity of the leg's own call.
        facts: Box<CallFacts>,
    },
    /// Admission refused a B leg: there is no leg, hence no event about one.
    LegRefused {
        /// Which.
        leg: Leg,
        /// Why.
        refusal: Refusal,
    },
    /// A B leg rings (180).
    LegRinging {
        /// Which.
        leg: Leg,
    },
    /// A B leg sends early audio (18x with SDP).
    LegEarlyMedia {
        /// Which.
        leg: Leg,
    },
    /// A B leg answered; or the 200 asked for by [`Effect::Answer`](crate::Effect::Answer) has been sent to A.
    LegAnswered {
        /// Which.
        leg: Leg,
    },
    /// A leg is over: it hung up, refused, failed, or an order to end it was carried out.
    LegEnded {
        /// Which.
        leg: Leg,
        /// Why and by whom.
        end: End,
        /// The final SIP status that ended it, passed on to A by a bridge.
        sip_status: Option<u16>,
    },
    /// A key was pressed: `0-9`, `*`, `#`, `A-D`.
    Digit {
        /// By whom.
        leg: Leg,
        /// Which key.
        digit: char,
    },
    /// A sound is at hand, or cannot be had.
    Prepared {
        /// As in [`Effect::Prepare`](crate::Effect::Prepare).
        preparation: PlaybackId,
    },
    /// The digits of an [`Effect::SendDigits`](crate::Effect::SendDigits) have left, or could not.
    DigitsSent {
        /// To whom.
        leg: Leg,
    },
    /// What an [`Effect::Watch`](crate::Effect::Watch) listened for was heard.
    Noticed {
        /// On which leg.
        leg: Leg,
    },
    /// A sound is over.
    PlaybackDone {
        /// As in [`Effect::Play`](crate::Effect::Play).
        playback: PlaybackId,
        /// How.
        outcome: PlaybackOutcome,
    },
    /// A recording has its id and its place.
    RecordingStarted {
        /// As in [`Effect::StartRecording`](crate::Effect::StartRecording).
        recording: RecordingName,
        /// What the customer knows it by.
        id: RecordingId,
        /// Where its file will be fetched.
        url: String,
    },
    /// A recording is over.
    RecordingDone {
        /// As in [`Effect::StartRecording`](crate::Effect::StartRecording).
        recording: RecordingName,
        /// What came of it.
        result: Box<RecordingResult>,
    },
    /// The API moves A, which talks, to another document: what runs is torn down, legs it dialled are hung up but for
    /// the one that is moved as well.
    Transfer {
        /// The document, absolute.
        to: UrlCall,
        /// A B leg that leaves for a flow of its own.
        releasing: Option<Leg>,
    },
    /// The API has moved a B leg ([`Call::partner`](crate::Call::partner)) to a flow of its own: here it is over, and is
    /// not hung up.
    Released {
        /// Which.
        leg: Leg,
    },
    /// Somebody above the call wants it over now: the API, the money, the media timeout, a drain.
    HangupRequested {
        /// Why and by whom.
        end: End,
    },
    /// [`Call::deadline`](crate::Call::deadline) has passed.
    Deadline,
}

/// How a sound ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlaybackOutcome {
    /// Played to its end.
    Completed,
    /// Stopped by order.
    Stopped,
    /// Could not be had; the words say why.
    Failed(String),
}
