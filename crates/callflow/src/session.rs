//! What verbs share while a call lives: the A leg's state, names to give out, and the orders going out.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use tandem_model::ports::{FetchKind, FetchRequest, Notice};
use tandem_model::{CallFacts, CallStatus, EventKind, RecordingId, RecordingOrder, UrlCall};

use crate::address::{self, Target};
use crate::effect::{DialOrder, Effect, Loops, Sound};
use crate::leg::{End, FetchId, Leg, PlaybackId, RecordingName};
use crate::parameters::{self, Parameters};
use crate::setup::{ALegState, Limits};

/// Where the A leg stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ALeg {
    /// Hears ringing.
    Unanswered,
    /// `Answer` is under way.
    Answering,
    /// Talking.
    Answered,
    /// Gone, or told to go.
    Ended(CallStatus),
}

/// A document to fetch and run.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) kind: FetchKind,
    pub(crate) target: Target,
    pub(crate) parameters: Arc<Parameters>,
}

/// A recording of A that nothing waits for.
#[derive(Clone, Debug)]
pub(crate) struct Background {
    pub(crate) order: RecordingOrder,
    /// The action to request when it begins.
    pub(crate) announce: Option<Target>,
}

/// Why a document cannot even be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadTarget {
    Url,
    Method,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) facts: CallFacts,
    pub(crate) limits: Limits,
    a: ALeg,
    /// A hears what is played before it is answered.
    pub(crate) early_media: bool,
    /// URL of the running document: relative URLs resolve against it.
    pub(crate) document_url: String,
    /// Takes what is gathered where a document names no action.
    pub(crate) input: Option<UrlCall>,
    /// `<Hangup schedule>`.
    pub(crate) scheduled_hangup: Option<Instant>,
    /// Nothing follows the element being started.
    pub(crate) at_last_element: bool,
    /// Recordings that begin when a Dial joins two legs.
    pub(crate) at_dial_answer: Vec<Background>,
    /// Actions to request once their recording has its id.
    announced: Vec<(RecordingName, Target)>,
    effects: VecDeque<Effect>,
    last_leg: u32,
    last_playback: u64,
    last_recording: u64,
    last_fetch: u64,
    /// Fetches of documents that are only heard.
    sounds: Vec<FetchId>,
}

impl Session {
    pub(crate) fn new(facts: CallFacts, a: ALegState, early_media: bool, limits: Limits) -> Self {
        let a = match a {
            ALegState::Unanswered => ALeg::Unanswered,
            ALegState::Answered => ALeg::Answered,
        };
        Self {
            facts,
            limits,
            a,
            early_media,
            document_url: String::new(),
            input: None,
            scheduled_hangup: None,
            at_last_element: false,
            at_dial_answer: Vec::new(),
            announced: Vec::new(),
            effects: VecDeque::new(),
            last_leg: Leg::A.0,
            last_playback: 0,
            last_recording: 0,
            last_fetch: 0,
            sounds: Vec::new(),
        }
    }

    /// Puts an order into the queue.
    pub(crate) fn emit(&mut self, effect: Effect) {
        self.effects.push_back(effect);
    }

    /// Takes the oldest order.
    pub(crate) fn take_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// A line for people who watch.
    pub(crate) fn trace(&mut self, text: impl Into<String>) {
        self.emit(Effect::Trace(text.into()));
    }

    /// Asks for the answer, once.
    pub(crate) fn answer(&mut self) {
        if self.a == ALeg::Unanswered {
            self.a = ALeg::Answering;
            self.emit(Effect::Answer);
        }
    }

    /// The answer is out.
    pub(crate) fn answered(&mut self) {
        self.a = ALeg::Answered;
    }

    /// The A leg is gone, or about to be told to go.
    pub(crate) fn a_ends(&mut self, end: End) {
        if !matches!(self.a, ALeg::Ended(_)) {
            self.a = ALeg::Ended(CallStatus::of_end(self.a == ALeg::Answered, end.cause));
        }
    }

    /// Has a sound at hand before it is played.
    pub(crate) fn prepare(&mut self, sound: Sound) -> PlaybackId {
        self.last_playback += 1;
        let preparation = PlaybackId(self.last_playback);
        self.emit(Effect::Prepare { preparation, sound });
        preparation
    }

    /// Plays to a leg: a dialled one that talks, or A, unanswered too. Nothing is sent to A once it has ended.
    pub(crate) fn play(&mut self, leg: Leg, sound: Sound, loops: Loops) -> PlaybackId {
        self.last_playback += 1;
        let playback = PlaybackId(self.last_playback);
        if leg != Leg::A || !matches!(self.a, ALeg::Ended(_)) {
            self.emit(Effect::Play { playback, leg, sound, loops });
        }
        playback
    }

    /// Stops what plays to a leg that lives.
    pub(crate) fn stop(&mut self, leg: Leg, playback: PlaybackId) {
        if leg != Leg::A || !matches!(self.a, ALeg::Ended(_)) {
            self.emit(Effect::StopPlayback { playback });
        }
    }

    /// Records A.
    pub(crate) fn record(&mut self, order: RecordingOrder) -> RecordingName {
        self.last_recording += 1;
        let recording = RecordingName(self.last_recording);
        if self.a == ALeg::Answered {
            self.emit(Effect::StartRecording { recording, leg: Leg::A, order: Box::new(order) });
        }
        recording
    }

    /// Records A in the background; its action is requested when it has an id.
    pub(crate) fn record_in_background(&mut self, background: Background) {
        let recording = self.record(background.order);
        if let Some(target) = background.announce {
            self.announced.push((recording, target));
        }
    }

    /// A Dial has joined A with somebody: what waited for that begins.
    pub(crate) fn dial_answered(&mut self) {
        for background in std::mem::take(&mut self.at_dial_answer) {
            self.record_in_background(background);
        }
    }

    /// A recording has its id; whoever wanted to know that it began is told.
    pub(crate) fn recording_started(&mut self, recording: RecordingName, id: RecordingId) {
        let Some(index) = self.announced.iter().position(|(name, _)| *name == recording) else { return };
        let (_, target) = self.announced.remove(index);
        let event = EventKind::Record;
        let mut parameters = self.parameters(event.name());
        parameters::recording(&mut parameters, id, "", None);
        self.notify(event, &target, parameters);
    }

    /// The request that a target means, if it can be made.
    pub(crate) fn url_call(&self, target: &Target) -> Option<UrlCall> {
        Some(UrlCall { url: self.resolve(&target.url)?, method: target.method? })
    }

    /// Dials a further leg.
    pub(crate) fn dial(&mut self, order: DialOrder) -> Leg {
        self.last_leg += 1;
        let leg = Leg(self.last_leg);
        self.emit(Effect::Dial { leg, order: Box::new(order) });
        leg
    }

    /// Fetches a document.
    pub(crate) fn fetch(&mut self, load: &Load) -> Result<FetchId, BadTarget> {
        let method = load.target.method.ok_or(BadTarget::Method)?;
        let url = self.resolve(&load.target.url).ok_or(BadTarget::Url)?;
        self.last_fetch += 1;
        let fetch = FetchId(self.last_fetch);
        if load.kind == FetchKind::Sound {
            self.sounds.push(fetch);
        }
        let request = FetchRequest {
            account: self.facts.account.clone(),
            call: self.facts.call,
            kind: load.kind,
            url,
            method,
            params: Arc::clone(&load.parameters),
        };
        self.emit(Effect::Fetch { fetch, request: Box::new(request) });
        Ok(fetch)
    }

    /// Whether a fetch that has come back is of a document that is only heard.
    pub(crate) fn is_for_sound(&mut self, fetch: FetchId) -> bool {
        let before = self.sounds.len();
        self.sounds.retain(|sound| *sound != fetch);
        self.sounds.len() < before
    }

    /// Requests an `action` whose document nobody waits for.
    pub(crate) fn request_only(&mut self, load: &Load) {
        if let Err(bad) = self.fetch(load) {
            let what = match bad {
                BadTarget::Url => "URL",
                BadTarget::Method => "method",
            };
            self.trace(format!("action not requested: its {what} is not valid"));
        }
    }

    /// Tells a callback.
    pub(crate) fn notify(&mut self, event: EventKind, target: &Target, params: Parameters) {
        let Some(url) = self.resolve(&target.url) else {
            self.trace("callback not told: its URL is not valid");
            return;
        };
        let notice = Notice {
            account: self.facts.account.clone(),
            call: self.facts.call,
            event,
            url,
            method: target.method.unwrap_or_default(),
            params,
        };
        self.emit(Effect::Notify(Box::new(notice)));
    }

    /// Where the A leg stands.
    pub(crate) fn a(&self) -> ALeg {
        self.a
    }

    /// The standard parameters of a request about A.
    pub(crate) fn parameters(&self, event: &str) -> Parameters {
        let status = match self.a {
            ALeg::Unanswered | ALeg::Answering => CallStatus::Ringing,
            ALeg::Answered => CallStatus::InProgress,
            ALeg::Ended(status) => status,
        };
        parameters::standard(&self.facts, event, status)
    }

    /// The absolute URL meant by one in the running document.
    pub(crate) fn resolve(&self, written: &str) -> Option<String> {
        address::resolve(&self.document_url, written)
    }
}
