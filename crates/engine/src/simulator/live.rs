//! Calls steered from outside, one order at a time: what the scripted caller holds.
//!
//! [`Carrier::place_live`](super::Carrier::place_live) places one; a network with
//! [`CarrierConfig::reception`](super::CarrierConfig::reception) hands over every call that comes in. Everything heard is
//! told as it comes; when whoever listens is too slow, audio is dropped and counted, never waited for.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use tandem_media::dtmf::Digit;
use tandem_media::dtmf::info::{DEFAULT_DURATION_MS, InfoDigit, InfoKind};
use tandem_media::g711::Law;
use tandem_sip::{LegId, Outcome, RequestFacts};
use tokio::sync::mpsc;

use super::behaviour::{Plan, Verdict, Voice};
use super::call::{Call, Callee, Part};
use super::call_log::SimCall;
use super::carrier::{CallHandle, CarrierError};
use super::driver::{Alarm, CallKey, Command, Driver};
use super::line::LineCommand;
use super::outcome::CallOutcome;

/// What a call has to tell waits here: ten seconds of its audio and more.
pub(super) const LIVE_QUEUE: usize = 1_024;

/// Something that happened in a steered call.
#[derive(Debug)]
pub enum LiveEvent {
    /// 180, or a 183 without SDP.
    Ringing,
    /// A provisional response with SDP.
    EarlyMedia,
    /// The 200 came, or went.
    Answered,
    /// A packet of audio.
    Heard(Vec<i16>),
    /// A key by telephone-event or INFO.
    Key(char),
    /// What the order with this id asked for has been done.
    Done(u32),
    /// It cannot be done, and why.
    Failed(u32, &'static str),
}

/// What a steered call is told to do.
#[derive(Debug)]
pub enum LiveOrder {
    /// Say 180.
    Ring,
    /// Say 200, with one codec or both laws.
    Answer(Option<Law>),
    /// Refuse with this status.
    Refuse(u16),
    /// Play to the end, then [`LiveEvent::Done`].
    Play(u32, Arc<[i16]>),
    /// Send telephone-events, then Done.
    Dial(u32, String),
    /// Send INFO for each key, then Done.
    Info(u32, String),
    /// Hang up, or cancel.
    HangUp,
}

/// What comes next of a steered call.
#[derive(Debug)]
pub enum LiveNews {
    /// Something happened, and when.
    Event(Instant, LiveEvent),
    /// It is over.
    Ended(Box<CallOutcome>),
}

/// A steered call.
#[derive(Debug)]
pub struct LiveCall {
    /// What the INVITE said.
    pub call: SimCall,
    pub(super) handle: Option<CallHandle>,
    pub(super) key: CallKey,
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) events: mpsc::Receiver<(Instant, LiveEvent)>,
}

/// Where a call tells what happens.
pub(super) type LiveSender = mpsc::Sender<(Instant, LiveEvent)>;

/// Keys that go out by INFO, one answered request at a time.
#[derive(Debug)]
pub(super) struct InfoKeys {
    id: u32,
    left: VecDeque<Digit>,
}

impl LiveCall {
    /// Tells it to do something.
    pub async fn order(&self, order: LiveOrder) -> Result<(), CarrierError> {
        let command = Command::Live { key: self.key, order };
        self.commands.send(command).await.map_err(|_| CarrierError::Stopped)
    }

    /// Waits for what comes next; after the end nothing does.
    pub async fn next(&mut self) -> Option<LiveNews> {
        if let Some((at, event)) = self.events.recv().await {
            return Some(LiveNews::Event(at, event));
        }
        // Borrowed, so that whoever stops waiting can come again.
        let outcome = (&mut self.handle.as_mut()?.outcome).await;
        self.handle = None;
        outcome.ok().map(|outcome| LiveNews::Ended(Box::new(outcome)))
    }
}

impl Call {
    /// Tells whoever steers this call.
    pub(super) fn tell(&mut self, now: Instant, event: LiveEvent) {
        if let Some(live) = &self.live
            && live.try_send((now, event)).is_err()
        {
            tracing::debug!(call = self.sim.call_id, "nobody listens to a steered call");
        }
    }
}

impl Driver {
    /// The platform calls, and the reception takes the call.
    pub(super) fn receive(&mut self, now: Instant, leg: LegId, facts: RequestFacts, sim: SimCall) {
        let Some(reception) = self.config.reception.clone() else { return };
        let Ok(media) = self.open_media(now, Voice::Silence) else {
            let outcome = self.endpoint.reject(now, leg, 503, None, &[]);
            return tracing::warn!(?outcome, "simulator refused a call: no RTP port is free");
        };
        let key = self.serial();
        let plan = Plan { verdict: Verdict::Wait, ..Plan::ECHO.saying(Voice::Silence) };
        let (handle, outcome) = CallHandle::pair(sim.call_id.clone(), key, self.commands.clone());
        let callee = Callee { plan, offer: facts.sdp, outcome: Some(outcome) };
        let (live, events) = mpsc::channel(LIVE_QUEUE);
        let mut call = Call::new(leg, sim.clone(), now, media, Part::Callee(Box::new(callee)));
        call.live = Some(live);
        self.calls.insert(key, call);
        self.legs.insert(leg, key);
        self.log_invite(key);
        let outcome = self.endpoint.trying(now, leg);
        self.check(now, key, "100", outcome);
        let commands = self.commands.clone();
        let call = LiveCall { call: sim, handle: Some(handle), key, commands, events };
        if reception.try_send(call).is_err() {
            self.refuse(now, key, 503, 38);
        }
    }

    pub(super) fn on_order(&mut self, now: Instant, key: CallKey, order: LiveOrder) {
        let Some(call) = self.calls.get_mut(&key).filter(|call| !call.has_ended()) else { return };
        let leg = call.leg;
        let no_line = call.media.line.is_none();
        match order {
            LiveOrder::Ring => {
                let outcome = self.endpoint.ringing(now, leg);
                self.check(now, key, "180", outcome);
            }
            LiveOrder::Answer(law) => {
                if let Some(law) = law {
                    call.media.restrict_to(law);
                }
                self.answer(now, key);
                self.speak(now, key, Voice::Silence);
            }
            LiveOrder::Refuse(status) => self.refuse(now, key, status, q850_of(status)),
            LiveOrder::Play(id, _) | LiveOrder::Dial(id, _) if no_line => {
                call.tell(now, LiveEvent::Failed(id, "the call has no audio"));
            }
            LiveOrder::Play(id, samples) => call.tell_line(now, LineCommand::Play { id, samples }),
            LiveOrder::Dial(id, digits) => call.tell_line(now, LineCommand::Dial { id, digits }),
            LiveOrder::Info(id, digits) => {
                let keys: Option<VecDeque<Digit>> = digits.chars().map(Digit::from_char).collect();
                match keys {
                    Some(left) => {
                        call.info = Some(InfoKeys { id, left });
                        self.next_info(now, leg);
                    }
                    None => {
                        call.tell(now, LiveEvent::Failed(id, "INFO carries 0-9, *, # and A-D, no pauses"))
                    }
                }
            }
            LiveOrder::HangUp => self.hang_up(now, key),
        }
    }

    pub(super) fn on_info_answered(&mut self, now: Instant, leg: LegId, status: u16) {
        let Some((_, call)) = self.call_of(leg) else { return };
        if (200..300).contains(&status) {
            return self.next_info(now, leg);
        }
        if let Some(keys) = call.info.take() {
            call.note(now, format!("INFO was answered {status}"));
            call.tell(now, LiveEvent::Failed(keys.id, "an INFO was refused"));
        }
    }

    /// Sends the next key, or says that all are sent.
    fn next_info(&mut self, now: Instant, leg: LegId) {
        let Some((key, call)) = self.call_of(leg) else { return };
        let Some(keys) = call.info.as_mut() else { return };
        let Some(digit) = keys.left.pop_front() else {
            let id = keys.id;
            call.info = None;
            return call.tell(now, LiveEvent::Done(id));
        };
        let kind = InfoKind::DtmfRelay;
        let body = kind.body(InfoDigit { digit, duration_ms: DEFAULT_DURATION_MS });
        let outcome = self.endpoint.info(now, leg, kind.content_type(), body.as_bytes());
        self.check(now, key, "INFO", outcome);
        if outcome != Outcome::Sent {
            self.on_info_answered(now, leg, 0);
        }
    }

    /// Takes back every registration; the answers are waited for by whoever closes.
    pub(super) fn unregister_all(&mut self, now: Instant) {
        let users: Vec<String> = self.phones.keys().cloned().collect();
        for user in users {
            self.unregister(now, &user);
        }
        self.drop_alarms(|alarm| matches!(alarm, Alarm::Refresh(_)));
    }
}

/// The cause that carriers print beside a status.
fn q850_of(status: u16) -> u16 {
    match status {
        404 => 1,
        486 | 600 => 17,
        480 | 408 => 18,
        403 | 603 => 21,
        484 => 28,
        500.. => 41,
        _ => 31,
    }
}
