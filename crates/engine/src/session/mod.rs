//! One session: a task that owns the legs of one call, performs the effects of its call flow and
//! reports back what came of them.
//!
//! The cast: [`Session`] here holds everything and waits; [`leg`] is one leg's state. What comes in
//! is handled in [`signals`] (SIP), [`sounds`] and [`recordings`] (media) and [`outcomes`] (answers of the ports); what
//! the call flow wants is done in [`effects`] and [`dial`]; [`answer`] answers A; [`ending`] ends legs
//! and closes the [`record`]s; [`meter`] watches money. [`begin`] starts inbound and API calls.
//!
//! Nothing here waits inside a handler: every port call is a future in `work` whose [`Done`] comes
//! back through the one `select!`, so that a hang-up is heard while a document is fetched.

mod answer;
mod begin;
mod dial;
mod effects;
mod ending;
mod leg;
mod mailbox;
mod meter;
mod negotiate;
mod outcomes;
mod prompts;
mod record;
mod recordings;
mod signals;
mod sounds;
mod steer;
mod transfer;

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tandem_callflow::{Call, End, FetchId, Input, Leg as Name, PlaybackId};
use tandem_model::ports::{
    Clip, Extension, FetchError, Fetched, LegDecision, Route, SoundError, StoreUnavailable, TraceKind,
};
use tandem_model::{CallFacts, CallId, HangupCause, HangupSource, clock, entropy};
use tandem_sip::LegId;
use tokio::sync::mpsc;
use tokio::time::Instant as TokioInstant;

use crate::rtp::{LegReport, MediaEvent, MediaKey};
use crate::shard::Shard;

pub(crate) use begin::{Incoming, NatGuess, run_inbound, run_originated};
pub(crate) use dial::credentials_of;
use leg::{Leg, Stage};
pub(crate) use mailbox::Mailbox;
pub(crate) use prompts::Prompts;

/// How long to sleep when nothing is due.
const IDLE: Duration = Duration::from_hours(1);

/// A port call under way.
type Work = Pin<Box<dyn Future<Output = Done>>>;

/// What came of a port call.
enum Done {
    Fetched {
        fetch: FetchId,
        result: Result<Fetched, FetchError>,
    },
    Prepared(PlaybackId),
    SoundReady {
        playback: PlaybackId,
        result: Result<Arc<Clip>, SoundError>,
    },
    LiveSoundReady {
        playbacks: Vec<PlaybackId>,
        result: Result<Arc<Clip>, SoundError>,
    },
    LegDecided {
        leg: Name,
        decision: Box<LegDecision>,
    },
    /// A's answer is durable.
    AnswerStored(Result<(), StoreUnavailable>),
    /// A dialled leg's answer is durable.
    LegAnswerStored {
        call: CallId,
        result: Result<(), StoreUnavailable>,
    },
    Extended {
        call: CallId,
        result: Result<Extension, StoreUnavailable>,
    },
    Settled {
        call: CallId,
        reports: Vec<LegReport>,
    },
}

/// A sound the call flow asked for.
struct Playing {
    playback: PlaybackId,
    leg: Name,
    repeat: tandem_media::Repeat,
    /// The worker has it; before that it is being fetched or spoken.
    queued: bool,
}

/// What the call flow was made of, until it begins.
struct Unstarted {
    application: tandem_model::ApplicationPlan,
    ring_deadline: Instant,
    rang: bool,
}

/// One session.
pub(crate) struct Session {
    shard: Rc<Shard>,
    mailbox: Rc<Mailbox>,
    seat: begin::Seat,
    media_events: mpsc::Sender<MediaEvent>,
    /// `None` while an API call is being dialled.
    call: Option<Call>,
    unstarted: Option<Unstarted>,
    /// A first; legs stay until the end, so that late events find them.
    legs: Vec<Leg>,
    /// Routes admitted with a trunk call.
    admitted_routes: Vec<Route>,
    ring_timeout: Duration,
    max_forwards: u8,
    sounds: Vec<Playing>,
    live_sounds: steer::LiveSounds,
    /// Legs that have a session of their own, and where what is still told of them goes.
    moved: Vec<(MediaKey, mpsc::Sender<MediaEvent>)>,
    work: FuturesUnordered<Work>,
    finished: Option<End>,
    /// A's record has been handed to the store.
    settling: bool,
    /// Stop waiting for legs and files that do not end.
    settle_deadline: Option<Instant>,
    /// A B leg shares A's record (trunk call).
    is_bridge: bool,
    last_recording: u64,
    /// What the call flow and the API have recorded now.
    recordings: Vec<recordings::Running>,
}

impl Session {
    /// Lives until every record is stored.
    async fn live(mut self, mut media: mpsc::Receiver<MediaEvent>) {
        loop {
            self.perform();
            self.settle_what_is_over();
            if self.is_over() {
                break;
            }
            let wake = self.deadline().map_or_else(|| TokioInstant::now() + IDLE, TokioInstant::from_std);
            tokio::select! {
                biased;
                () = self.mailbox.door().rung() => self.on_door(),
                Some(event) = media.recv() => self.on_media(event),
                Some(done) = self.work.next(), if !self.work.is_empty() => self.on_done(done),
                () = tokio::time::sleep_until(wake) => self.on_deadline(),
            }
        }
        let dropped = self.mailbox.dropped();
        if dropped > 0 {
            tracing::warn!(call_id = %self.call_id(), dropped, "a session was too slow and missed events");
        }
    }

    fn is_over(&self) -> bool {
        let stored = |leg: &Leg| leg.record.as_ref().is_none_or(|record| record.settled);
        self.settling && self.work.is_empty() && self.legs.iter().all(stored) && !self.awaits_recordings()
    }

    fn deadline(&self) -> Option<Instant> {
        let flow = self.call.as_ref().and_then(Call::deadline).filter(|_| self.finished.is_none());
        let ringing =
            self.unstarted.as_ref().filter(|_| self.finished.is_none()).map(|call| call.ring_deadline);
        let legs = self.legs.iter().filter_map(Leg::deadline).min();
        let settle = self.settle_deadline.filter(|_| !self.settling || self.awaits_recordings());
        let grace = self.shard.config.timing.settle_grace;
        let unsettled = self.legs.iter().filter(|leg| !leg.is_alive()).filter_map(|leg| {
            let record =
                leg.record.as_ref().filter(|record| !record.settled && record.recording_open.is_some())?;
            Some(record.ended?.instant + grace)
        });
        let legs = legs.into_iter().chain(unsettled).min();
        let sounds = self.live_sounds.deadline();
        [flow, ringing, legs, settle, sounds].into_iter().flatten().min()
    }

    /// Tells the call flow.
    fn tell(&mut self, input: Input) {
        if let Some(call) = &mut self.call {
            call.handle(clock::monotonic(), input);
        }
    }

    fn on_door(&mut self) {
        for (call, source) in self.mailbox.door().take_hangups() {
            self.on_hangup_request(call, source);
        }
        while let Some(event) = self.mailbox.take() {
            self.on_sip(event);
            self.perform();
        }
        // After what had happened before them.
        for order in self.mailbox.door().take_orders() {
            self.on_order(order);
            self.perform();
        }
    }

    fn on_deadline(&mut self) {
        let now = clock::monotonic();
        if self.call.as_ref().and_then(Call::deadline).is_some_and(|at| at <= now) {
            self.tell(Input::Deadline);
        }
        if self.finished.is_none() && self.unstarted.as_ref().is_some_and(|call| call.ring_deadline <= now) {
            self.end_a(End::new(HangupCause::RingTimeout, HangupSource::Vobiz));
        }
        self.end_live_sounds_due(now);
        for position in 0..self.legs.len() {
            if self.legs[position].deadline().is_some_and(|at| at <= now) {
                self.on_leg_deadline(position, now);
            }
        }
    }

    /// Somebody above wants a call of this session over.
    fn on_hangup_request(&mut self, call: CallId, source: HangupSource) {
        let position =
            self.legs.iter().position(|leg| leg.record.as_ref().is_some_and(|r| r.facts.call == call));
        match position {
            None => {}
            Some(0) => {
                let answered = self.legs[0].stage == Stage::Talking;
                let cause = if answered { HangupCause::NormalHangup } else { HangupCause::Canceled };
                self.end_a(End::new(cause, source));
            }
            Some(position) => {
                let answered = self.legs[position].stage == Stage::Talking;
                let cause = if answered { HangupCause::NormalHangup } else { HangupCause::Canceled };
                self.fail_leg(position, End::new(cause, source), None);
            }
        }
    }

    fn position(&self, name: Name) -> Option<usize> {
        self.legs.iter().position(|leg| leg.name == name)
    }

    fn position_of_sip(&self, sip: LegId) -> Option<usize> {
        self.legs.iter().position(|leg| leg.branches.iter().any(|branch| branch.sip == sip))
    }

    fn a_facts(&self) -> Option<&CallFacts> {
        self.legs.first()?.record.as_ref().map(|record| &record.facts)
    }

    fn call_id(&self) -> CallId {
        self.a_facts().map_or_else(|| CallId(uuid::Uuid::nil()), |facts| facts.call)
    }

    /// The record that pays for a leg: its own, or A's.
    fn record_of(&mut self, position: usize) -> Option<&mut record::Record> {
        let position = if self.legs.get(position)?.record.is_some() { position } else { 0 };
        self.legs.get_mut(position)?.record.as_deref_mut()
    }

    fn trace(&self, kind: TraceKind, text: impl FnOnce() -> String) {
        self.shard.trace(self.call_id(), kind, text);
    }

    /// Hands a port call to the select loop.
    fn spawn(&self, work: impl Future<Output = Done> + 'static) {
        self.work.push(Box::pin(work));
    }
}

/// A number unique enough for an SDP origin.
fn audio_id() -> u64 {
    entropy::number()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What one bridged call may hold here, beside its SIP dialogs and its media.
    const MAX_BYTES: usize = 12 << 10;

    fn future_bytes<F: Future>(_: fn(Rc<Shard>, Rc<Mailbox>, Incoming) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_live_session_is_small() {
        let negotiated = size_of::<tandem_sip::sdp::Negotiated>();
        let leg = size_of::<Leg>() + negotiated + 2 * size_of::<tandem_sip::sdp::SessionDescription>();
        let session = future_bytes(run_inbound) + size_of::<record::Record>() + 2 * leg;
        assert!(session < MAX_BYTES, "{session} bytes");
    }
}
