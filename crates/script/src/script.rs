//! A script as values: who takes part, what each does and what must be so. [`crate::read`] makes them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::problem::Place;
use crate::values::{Bounds, Matcher};

/// A whole script.
#[derive(Clone, Debug)]
pub struct Script {
    /// What it is called in output; the file's name where it does not say.
    pub name: Option<String>,
    /// `HOST:PORT` of the platform's SIP.
    pub platform: String,
    /// Longest it may take altogether.
    pub timeout: Duration,
    /// The web server of the application under test.
    pub webhooks: Option<Webhooks>,
    /// Who takes part, in the order of the file.
    pub parties: Vec<Party>,
}

/// One telephone.
#[derive(Clone, Debug)]
pub struct Party {
    /// Its name in the script.
    pub name: String,
    /// Where it stands.
    pub place: Place,
    /// Whether it calls or is called.
    pub role: Role,
    /// Its own SIP address; parties with the same one share it.
    pub listen: SocketAddr,
    /// The one codec it speaks; both laws of G.711 where it does not say.
    pub codec: Option<Codec>,
    /// What it does, one after the other.
    pub steps: Vec<Step>,
    /// What must be so when its call is over.
    pub expect: Ending,
}

/// Whether a party calls or is called.
#[derive(Clone, Debug)]
pub enum Role {
    /// It calls the platform.
    Dials(Dialling),
    /// It waits for the platform's call.
    Answers(Answering),
}

/// How a party calls.
#[derive(Clone, Debug)]
pub struct Dialling {
    /// A number or a whole `sip:` URI.
    pub to: String,
    /// The calling number or user.
    pub from: String,
    /// Host of the Request-URI; the platform's address where it does not say.
    pub host: Option<String>,
    /// For digest.
    pub credentials: Option<Credentials>,
    /// Further headers.
    pub headers: Vec<(String, String)>,
    /// Cancels after so long without an answer.
    pub ring_limit: Duration,
    /// Dials so long after the script's start.
    pub after: Duration,
}

/// How a party is called.
#[derive(Clone, Debug)]
pub struct Answering {
    /// The number or user that is called; `None` takes any call to its address.
    pub number: Option<String>,
    /// Registers with the platform first.
    pub register: Option<Registering>,
    /// Its call must come this soon.
    pub within: Duration,
}

/// A registration.
#[derive(Clone, Debug)]
pub struct Registering {
    /// User and password.
    pub credentials: Credentials,
    /// Host of the registrar; the platform's address where it does not say.
    pub host: Option<String>,
}

/// For digest.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// User.
    pub user: String,
    /// Password; hidden from `Debug`.
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// A codec to insist on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// G.711 µ-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
}

/// One thing that a party does or demands.
#[derive(Clone, Debug)]
pub struct Step {
    /// Where it stands.
    pub place: Place,
    /// As it is shown in output: `press: 1234#`.
    pub title: String,
    /// What it is.
    pub deed: Deed,
}

/// The kinds of steps.
#[derive(Clone, Debug)]
pub enum Deed {
    /// Waits until something is so.
    Wait(Wait),
    /// Says, plays or whistles.
    Sound(Sound, Barge),
    /// Presses keys.
    Press(String, KeyBy, Barge),
    /// Judges what was heard since the last judgement.
    Expect(Heard),
    /// Takes the call, after ringing so long.
    Answer(Duration),
    /// Refuses the call with this SIP status.
    Refuse(u16),
    /// Lets time pass.
    Pause(Duration),
    /// Writes what is heard from here on into a WAV file.
    Record(PathBuf),
    /// Sends an HTTP request, such as an API call.
    Request(Box<Ask>),
    /// Ends the call.
    HangUp,
}

/// What is waited for, and how long.
#[derive(Clone, Debug)]
pub struct Wait {
    /// What.
    pub what: Awaited,
    /// It must begin this soon after the step began.
    pub within: Duration,
    /// And last this long.
    pub lasting: Duration,
}

/// What can be waited for.
#[derive(Clone, Debug)]
pub enum Awaited {
    /// Something louder than silence.
    Audio,
    /// Nothing louder than silence.
    Silence,
    /// A tone.
    Tone(Pitch),
    /// These keys, however they are sent; any one where it does not say.
    Digits(Option<String>),
    /// 180, or early media.
    Ringing,
    /// The 200.
    Answer,
    /// The far side's BYE, or a refusal.
    HangUp,
    /// A request to the script's web server.
    Webhook(RequestMatch),
}

/// A tone and how exactly it must be met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pitch {
    /// Frequency.
    pub hz: u16,
    /// How far off it may be.
    pub tolerance: u16,
}

/// Something to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sound {
    /// A text, spoken by the platform's own synthesiser.
    Speech {
        /// What.
        text: String,
        /// BCP 47 tag.
        language: String,
        /// `WOMAN`, `MAN` or a named voice.
        voice: String,
    },
    /// A WAV file.
    File(PathBuf),
    /// A tone.
    Tone {
        /// Frequency.
        hz: u16,
        /// Length.
        lasting: Duration,
    },
}

/// Speaking into what is being heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Barge {
    /// Begins when what is being heard has lasted so long.
    pub at: Option<Duration>,
    /// What is heard must fall silent this soon after the beginning.
    pub stops_within: Option<Duration>,
}

/// How keys are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyBy {
    /// telephone-event (RFC 4733).
    Event,
    /// Tones in the audio.
    Inband,
    /// SIP INFO with `application/dtmf-relay`.
    Info,
}

/// What must be so of what was heard.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// A tone, for so long.
    pub tone: Option<(Pitch, Duration)>,
    /// Level of what was heard, in dBFS.
    pub energy: Option<Bounds<f64>>,
    /// Length of what was heard, in milliseconds.
    pub length_ms: Option<Bounds<u64>>,
    /// These keys, no more and no fewer.
    pub digits: Option<String>,
    /// Whether audio came before the answer.
    pub early_media: Option<bool>,
}

/// What must be so when a call is over.
#[derive(Clone, Debug, Default)]
pub struct Ending {
    /// Where it stands.
    pub place: Place,
    /// SIP status: 200 for an answered call.
    pub status: Option<u16>,
    /// Q.850 cause of the Reason header.
    pub cause: Option<u16>,
    /// Who ended the call.
    pub ended_by: Option<EndedBy>,
    /// Whether it was answered.
    pub answered: Option<bool>,
    /// From INVITE to ringing (or the answer), in milliseconds.
    pub post_dial_delay_ms: Option<Bounds<u64>>,
    /// From INVITE to the answer.
    pub answered_ms: Option<Bounds<u64>>,
    /// From the answer to the first audio.
    pub first_audio_ms: Option<Bounds<u64>>,
    /// From the answer to the end.
    pub duration_ms: Option<Bounds<u64>>,
    /// All keys heard in the call.
    pub digits: Option<String>,
    /// Whether audio came before the answer.
    pub early_media: Option<bool>,
}

/// Who ended a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndedBy {
    /// This party.
    Us,
    /// The platform, or whoever is behind it.
    Platform,
    /// Nobody: no response, no ACK.
    Failure,
}

impl EndedBy {
    /// As scripts write it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Us => "us",
            Self::Platform => "platform",
            Self::Failure => "failure",
        }
    }
}

/// An HTTP request that a step sends.
#[derive(Clone, Debug)]
pub struct Ask {
    /// GET, POST, …
    pub method: String,
    /// Where to.
    pub url: String,
    /// HTTP Basic.
    pub credentials: Option<Credentials>,
    /// Further headers.
    pub headers: Vec<(String, String)>,
    /// The body, sent as `application/json` unless a header says otherwise.
    pub body: Option<String>,
    /// The status that must come; any 2xx where it does not say.
    pub status: Option<u16>,
}

/// The web server of a script.
#[derive(Clone, Debug)]
pub struct Webhooks {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Its base URL as the platform reaches it, where that is not `listen`.
    pub url: Option<String>,
    /// Key of signatures: the account's token.
    pub token: Option<String>,
    /// What it answers, by path.
    pub serve: Vec<Served>,
    /// What must have been requested.
    pub expect: Vec<RequestExpectation>,
    /// Whether those come one after the other.
    pub ordered: bool,
}

/// The answers of one path: the first request gets the first, the last is repeated.
#[derive(Clone, Debug)]
pub struct Served {
    /// Path.
    pub path: String,
    /// At least one.
    pub answers: Vec<Answer>,
}

/// An answer to a request.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Where it stands.
    pub place: Place,
    /// HTTP status.
    pub status: u16,
    /// `Content-Type`, where it says.
    pub content_type: Option<String>,
    /// What is answered.
    pub body: Body,
    /// Answered so late.
    pub delay: Duration,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// A text, such as an answer document.
    Text(String),
    /// A file.
    File(PathBuf),
    /// A WAV file with a tone.
    Tone {
        /// Frequency.
        hz: u16,
        /// Length.
        lasting: Duration,
    },
}

/// Which requests are meant.
#[derive(Clone, Debug, Default)]
pub struct RequestMatch {
    /// Path; any where it does not say.
    pub path: Option<String>,
    /// Method; any where it does not say.
    pub method: Option<String>,
    /// Parameters of query and form.
    pub parameters: Vec<(String, Matcher)>,
}

/// What must have been requested.
#[derive(Clone, Debug)]
pub struct RequestExpectation {
    /// Where it stands.
    pub place: Place,
    /// Which requests.
    pub request: RequestMatch,
    /// How many.
    pub count: Bounds<u64>,
    /// The last of those must come so soon.
    pub within: Option<Duration>,
    /// After what.
    pub of: Since,
    /// Their signature must be right.
    pub signed: bool,
}

/// What a request's time is counted from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// The script's start.
    Start,
    /// The end of the last call.
    End,
}
