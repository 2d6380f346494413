//! What a call wants done.

use std::fmt;
use std::time::Duration;

use tandem_model::ports::{FetchRequest, LegTarget, Notice};
use tandem_model::{RecordingEndReason, RecordingOrder};

use crate::leg::{End, FetchId, Leg, PlaybackId, RecordingName};

/// An order to the driver. Orders are performed in sequence; those that end in an [`Input`](crate::Input)
/// say so.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Send 180 to A.
    Ring,
    /// Let A hear the early audio of this B leg: 183 when A is unanswered.
    EarlyMedia {
        /// Whose audio.
        from: Leg,
    },
    /// Answer A: make the answer durable, send 200, then report `LegAnswered` for A (or `LegEnded`).
    Answer,
    /// Refuse A, which is unanswered, then report `LegEnded` for A.
    Reject {
        /// For the record.
        end: End,
        /// 4xx–6xx.
        sip_status: u16,
    },
    /// Hang A up: BYE; or, when `Answer` is still under way, as its state wants. Then report `LegEnded` for A.
    Hangup {
        /// For the record.
        end: End,
    },
    /// Fetch a document and report `Fetched`. A fetch still under way at `Finished` is carried through
    /// all the same (the customer wants the request); its result is dropped.
    Fetch {
        /// Its name.
        fetch: FetchId,
        /// What and where.
        request: Box<FetchRequest>,
    },
    /// Have a sound at hand, then report `Prepared`, also when it cannot be had: making speech or fetching a file
    /// takes time that A should not pay for in silence.
    Prepare {
        /// Its name.
        preparation: PlaybackId,
        /// What will be played.
        sound: Sound,
    },
    /// Play to a leg, then report `PlaybackDone`. At most one sound per leg at a time. An unanswered A hears it as early
    /// media (183).
    Play {
        /// Its name.
        playback: PlaybackId,
        /// To whom.
        leg: Leg,
        /// What.
        sound: Sound,
        /// How often.
        loops: Loops,
    },
    /// Stop a sound at once, dropping what is queued.
    StopPlayback {
        /// Which.
        playback: PlaybackId,
    },
    /// Dial a B leg: admit it (`LegAdmitted`, or `LegRefused` and nothing more), send INVITE, report what
    /// happens. The call flow keeps the ring timer.
    Dial {
        /// Its name.
        leg: Leg,
        /// Whom and how.
        order: Box<DialOrder>,
    },
    /// End a B leg: CANCEL or BYE, as its state wants. The call flow has let go of it: no report is needed.
    HangupLeg {
        /// Which.
        leg: Leg,
        /// For the leg's record.
        end: End,
    },
    /// Join the audio of two legs, both answered.
    Bridge {
        /// The caller.
        a: Leg,
        /// The callee.
        b: Leg,
    },
    /// Part them.
    Unbridge {
        /// The caller.
        a: Leg,
        /// The callee.
        b: Leg,
    },
    /// Listen to a leg, which is answered, until this is heard; then report `Noticed`, once. `None` ends that, as
    /// another watch does.
    Watch {
        /// To whom.
        leg: Leg,
        /// What for.
        watch: Option<Watch>,
    },
    /// Send telephone-events to a leg: `0-9 * # A-D`, `w` waits half a second, `W` a whole one. Then report `DigitsSent`.
    SendDigits {
        /// To whom.
        leg: Leg,
        /// Which.
        digits: String,
    },
    /// Record a leg: report `RecordingStarted` at once, and `RecordingDone` once, for whatever reason. It ends with its leg
    /// at the latest.
    StartRecording {
        /// Its name.
        recording: RecordingName,
        /// Whom.
        leg: Leg,
        /// How.
        order: Box<RecordingOrder>,
    },
    /// End a recording. The reason and the key of the first such order count.
    StopRecording {
        /// Which.
        recording: RecordingName,
        /// Why.
        reason: RecordingEndReason,
        /// The key that ended it.
        digits: String,
        /// Nobody waits for its `RecordingDone` any more: the driver sees to it that the order's action is told.
        abandoned: bool,
    },
    /// Tell a callback; nobody waits for it.
    Notify(Box<Notice>),
    /// A line for people who watch the call.
    Trace(String),
    /// The call is over. Exactly once, last, after A has ended.
    Finished(End),
}

/// A B leg to dial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialOrder {
    /// Whom.
    pub target: DialTarget,
    /// `callerId` as written; A's caller when absent.
    pub caller_id: Option<String>,
    /// `callerName`.
    pub caller_name: Option<String>,
    /// Names without prefix.
    pub custom_headers: Vec<(String, String)>,
    /// What answers a challenge of the callee's server, when the document brings it.
    pub credentials: Option<SipCredentials>,
}

/// A user name and a password for digest authentication.
#[derive(Clone, PartialEq, Eq)]
pub struct SipCredentials {
    /// User name.
    pub username: String,
    /// Password; not shown by `Debug`.
    pub password: String,
}

impl fmt::Debug for SipCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SipCredentials").field("username", &self.username).finish_non_exhaustive()
    }
}

/// Whom a B leg reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DialTarget {
    /// Ask admission for this leg (`ports::Admission::admit_leg`).
    Leg(LegTarget),
    /// The routes admitted with the call.
    AdmittedRoutes,
}

/// What is played.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sound {
    /// Speech.
    Speech {
        /// Plain text, or `<speak>` markup as [`is_speech_markup`](crate::document::is_speech_markup) describes it.
        text: String,
        /// BCP 47 tag.
        language: String,
        /// `WOMAN`, `MAN` or a named voice.
        voice: String,
    },
    /// An audio file.
    File {
        /// Absolute URL.
        url: String,
    },
    /// Ringback tone, until stopped.
    Ringback,
    /// The beep after which to speak, once.
    Beep,
}

/// What a leg is listened to for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watch {
    /// So long without voice.
    Silence(Duration),
    /// The end of a steady tone, as answering machines send before they record.
    Beep,
}

/// How often a sound is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loops {
    /// That often, at least once.
    Times(u32),
    /// Until stopped.
    Forever,
}
