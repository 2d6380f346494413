//! Recordings that the call flow and the API ask for: begun on a leg's media, named by the service, reported to both when
//! they are over. Those that belong to a call as a whole (a trunk's) are [`super::answer`]'s.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tandem_callflow::{Input, Leg as LegName, RecordingName};
use tandem_media::RecordFormat;
use tandem_media::wav::{Channels, Encoding};
use tandem_model::ports::{RecordingBegin, RecordingOutcome, RecordingPlace, Recordings, TraceKind};
use tandem_model::{
    CallStatus, RecordingChannels, RecordingEndReason, RecordingId, RecordingOrder, RecordingResult, clock,
};

use super::Session;
use crate::rtp::{MAX_RECORDINGS, RecordEnd, RecordName, RecordRequest, RecordStop};

/// A recording under way.
pub(super) struct Running {
    name: RecordName,
    /// Which leg's.
    leg: LegName,
    /// How the call flow calls it, if it asked for it.
    flow: Option<RecordingName>,
    started_at: Timestamp,
    /// Why it was told to end, and by which key.
    told: Option<(RecordingEndReason, String)>,
    /// The call flow waits for its end, to request the action.
    awaited: bool,
    noted: Noted,
}

/// What the service knows of a recording: it hears how it ended, or that nobody will say.
struct Noted {
    port: Arc<dyn Recordings>,
    recording: RecordingId,
    told: bool,
}

impl Noted {
    fn ended(mut self, result: RecordingResult, status: CallStatus, action_requested: bool) {
        self.told = true;
        self.port.ended(RecordingOutcome { recording: self.recording, result, status, action_requested });
    }
}

impl Drop for Noted {
    fn drop(&mut self) {
        if !self.told {
            self.port.lost(self.recording);
        }
    }
}

impl Session {
    /// `Effect::StartRecording`.
    pub(super) fn record_for_flow(&mut self, flow: RecordingName, leg: LegName, order: RecordingOrder) {
        let begun = self.record_leg(leg, order, Some(flow));
        match begun {
            Ok(place) => {
                self.tell(Input::RecordingStarted { recording: flow, id: place.recording, url: place.url });
            }
            Err(error) => {
                let now = clock::wall();
                let result = result_of(RecordingEndReason::HungUp, now, 0, Some(error));
                self.tell(Input::RecordingDone { recording: flow, result: Box::new(result) });
            }
        }
    }

    /// Begins a recording of a leg; the words say why it cannot be.
    fn record_leg(
        &mut self,
        leg: LegName,
        order: RecordingOrder,
        flow: Option<RecordingName>,
    ) -> Result<RecordingPlace, String> {
        let running = self.recordings.iter().filter(|running| running.leg == leg).count();
        if running >= MAX_RECORDINGS {
            return Err(format!("{MAX_RECORDINGS} recordings of this leg run already"));
        }
        let name = self.next_recording();
        let position = self.position(leg).ok_or("there is no such leg")?;
        let facts =
            self.record_of(position).map(|record| record.facts.clone()).ok_or("the leg is no call")?;
        let Some(media) = self.legs[position].media.as_ref() else {
            return Err("the leg has no audio".to_owned());
        };
        let channels = match order.channels {
            RecordingChannels::Mono => Channels::Mono,
            RecordingChannels::Stereo => Channels::Stereo,
        };
        let (silence, max_length) = (order.silence, Some(order.max_length));
        let port = Arc::clone(&self.shard.ports.recordings);
        let at = clock::wall();
        let place = port.begin(RecordingBegin { facts, order, at });
        let noted = Noted { port, recording: place.recording, told: false };
        let format = RecordFormat { encoding: Encoding::Pcm16, channels };
        let request = RecordRequest { name, path: place.path.clone(), format, silence, max_length };
        if let Err(error) = media.record(request) {
            let error = error.to_string();
            let result = result_of(RecordingEndReason::HungUp, at, 0, Some(error.clone()));
            noted.ended(result, CallStatus::InProgress, true);
            return Err(error);
        }
        self.trace(TraceKind::Audio, || format!("recording {} of {leg:?} begins", place.recording));
        let awaited = flow.is_some();
        self.recordings.push(Running { name, leg, flow, started_at: at, told: None, awaited, noted });
        Ok(place)
    }

    /// `Effect::StopRecording`.
    pub(super) fn stop_recording_of_flow(
        &mut self,
        flow: RecordingName,
        reason: RecordingEndReason,
        digits: String,
        abandoned: bool,
    ) {
        let Some(index) = self.recordings.iter().position(|running| running.flow == Some(flow)) else {
            return;
        };
        if abandoned {
            self.recordings[index].awaited = false;
        }
        self.stop_running(index, reason, digits);
    }

    fn stop_running(&mut self, index: usize, reason: RecordingEndReason, digits: String) {
        let running = &mut self.recordings[index];
        running.told.get_or_insert((reason, digits));
        let (name, leg) = (running.name, running.leg);
        let media = self.position(leg).and_then(|position| self.legs[position].media.as_ref());
        // A leg that is closed has ended its recordings.
        if let Some(Err(error)) = media.map(|media| media.stop_recording(name)) {
            tracing::error!(call_id = %self.call_id(), %error, "a recording was not stopped");
        }
    }

    /// The media plane's word that a recording is complete, or failed; `false`: it is none of these.
    pub(super) fn on_asked_recording_done(&mut self, end: &RecordEnd) -> bool {
        let Some(index) = self.recordings.iter().position(|running| running.name == end.name) else {
            return false;
        };
        // One that ended by itself is taken off its leg.
        self.stop_running(index, reason_of(end.stop), String::new());
        let running = self.recordings.remove(index);
        let (reason, digits) = running.told.unwrap_or((reason_of(end.stop), String::new()));
        let reason = match end.stop {
            RecordStop::MaxLength | RecordStop::Silence => reason_of(end.stop),
            RecordStop::Asked | RecordStop::LegClosed => reason,
        };
        let duration_ms = u64::try_from(end.length.as_millis()).unwrap_or(u64::MAX);
        let result = RecordingResult {
            digits,
            ..result_of(reason, running.started_at, duration_ms, end.error.clone())
        };
        let over = self.finished.is_some();
        let status = if over { CallStatus::Completed } else { CallStatus::InProgress };
        let awaited = running.awaited && !over;
        running.noted.ended(result.clone(), status, awaited);
        if let Some(recording) = running.flow {
            self.tell(Input::RecordingDone { recording, result: Box::new(result) });
        }
        true
    }

    /// Whether files of recordings are still being completed, within the time given to that.
    pub(super) fn awaits_recordings(&self) -> bool {
        let patient = self.settle_deadline.is_some_and(|at| at > clock::monotonic());
        patient && !self.recordings.is_empty()
    }
}

fn reason_of(stop: RecordStop) -> RecordingEndReason {
    match stop {
        RecordStop::Asked => RecordingEndReason::Stopped,
        RecordStop::LegClosed => RecordingEndReason::HungUp,
        RecordStop::Silence => RecordingEndReason::RecordingTimeout,
        RecordStop::MaxLength => RecordingEndReason::MaxLength,
    }
}

fn result_of(
    reason: RecordingEndReason,
    started_at: Timestamp,
    duration_ms: u64,
    error: Option<String>,
) -> RecordingResult {
    let length = SignedDuration::from_millis(i64::try_from(duration_ms).unwrap_or(i64::MAX));
    let ended_at = started_at.saturating_add(length).unwrap_or(started_at);
    RecordingResult { reason, digits: String::new(), started_at, ended_at, duration_ms, error }
}
