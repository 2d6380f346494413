//! Performing what the call flow wants.

use tandem_callflow::{Call, Effect, End, FetchId, Leg as Name};
use tandem_media::Start;
use tandem_model::clock;
use tandem_model::ports::{FetchRequest, TraceKind};
use tandem_sip::Outcome;

use super::leg::Stage;
use super::record::Disposition;
use super::{Done, Session};
use crate::rtp::Flow;
use crate::shard::reason_field;

impl Session {
    /// Performs everything the call flow wants by now.
    pub(super) fn perform(&mut self) {
        while let Some(effect) = self.call.as_mut().and_then(Call::poll) {
            self.perform_one(effect);
        }
    }

    fn perform_one(&mut self, effect: Effect) {
        match effect {
            Effect::Ring => self.ring_a(),
            Effect::EarlyMedia { from } => self.early_media(from),
            Effect::Answer => self.answer_a(),
            Effect::Reject { end, sip_status } => self.refuse_a(end, sip_status),
            Effect::Hangup { end } => self.hang_up_a(end),
            Effect::Fetch { fetch, request } => self.fetch(fetch, *request),
            Effect::Prepare { preparation, sound } => self.prepare(preparation, sound),
            Effect::Play { playback, leg, sound, loops } => self.play(playback, leg, sound, loops),
            Effect::StopPlayback { playback } => self.stop_playback(playback),
            Effect::Dial { leg, order } => self.dial(leg, *order),
            Effect::HangupLeg { leg, end } => {
                if let Some(position) = self.position(leg) {
                    self.hang_up_leg(position, end);
                }
            }
            Effect::Bridge { a, b } => self.bridge(a, b),
            Effect::Unbridge { a, b: _ } => self.unbridge(a),
            Effect::SendDigits { leg, digits } => self.send_digits(leg, digits),
            Effect::Watch { leg, watch } => self.listen_to(leg, watch),
            Effect::StartRecording { recording, leg, order } => self.record_for_flow(recording, leg, *order),
            Effect::StopRecording { recording, reason, digits, abandoned } => {
                self.stop_recording_of_flow(recording, reason, digits, abandoned);
            }
            Effect::Notify(notice) => self.shard.ports.documents.notify(*notice),
            Effect::Trace(line) => self.trace(TraceKind::Xml, || line),
            Effect::Finished(end) => {
                let failure = self.call.as_ref().and_then(Call::failure).map(str::to_owned);
                if let Some(record) = self.legs.first_mut().and_then(|a| a.record.as_deref_mut()) {
                    record.reason = failure;
                }
                self.finish(end);
            }
        }
    }

    fn fetch(&mut self, fetch: FetchId, request: FetchRequest) {
        let documents = self.shard.ports.documents.clone();
        self.trace(TraceKind::Xml, || format!("{} {}", request.method.as_str(), request.url));
        self.spawn(async move { Done::Fetched { fetch, result: documents.fetch(request).await } });
    }

    fn ring_a(&mut self) {
        let Some(a) = self.legs.first_mut().filter(|a| a.stage == Stage::Waiting) else { return };
        if let Some(record) = a.record.as_deref_mut() {
            record.progress_at.get_or_insert_with(clock::wall);
        }
        if let Some(sip) = a.sip() {
            // A caller who has gone says so through the mailbox.
            let _ = self.shard.command(|endpoint, now| endpoint.ringing(now, sip));
        }
    }

    /// 183 with our answer, so that A hears what is sent before the call is answered.
    pub(super) fn open_early_media(&mut self) {
        let Some(a) = self.legs.first().filter(|a| a.stage == Stage::Waiting) else { return };
        // A late offer leaves nothing to answer before the 200: A hears plain ringing.
        if a.audio.local_body().is_none() && !a.audio.has_offer() {
            return self.ring_a();
        }
        if let Err(error) = self.describe_a(Start::AtOnce) {
            tracing::info!(call_id = %self.call_id(), %error, "no early media: no audio in common");
            return;
        }
        let Some((sip, body)) = self.legs.first().and_then(|a| Some((a.sip()?, a.audio.local_body()?)))
        else {
            return;
        };
        if let Some(record) = self.legs[0].record.as_deref_mut() {
            record.progress_at.get_or_insert_with(clock::wall);
        }
        let outcome = self.shard.command(|endpoint, now| endpoint.progress(now, sip, &body));
        if outcome != Outcome::Sent {
            tracing::debug!(call_id = %self.call_id(), ?outcome, "183 was not sent");
        }
    }

    fn early_media(&mut self, from: Name) {
        self.open_early_media();
        let (Some(a), Some(position)) = (self.media_key(Name::A), self.position(from)) else { return };
        if let Some(media) = &self.legs[position].media
            && let Err(error) = media.bridge(a, Flow::Onward)
        {
            tracing::error!(call_id = %self.call_id(), %error, "early media is not heard");
        }
        self.trace(TraceKind::Audio, || format!("A hears {from:?}"));
    }

    fn bridge(&mut self, a: Name, b: Name) {
        let (Some(first), Some(second)) = (self.position(a), self.position(b)) else { return };
        let Some(other) = self.media_key(b) else { return };
        if let Some(media) = &self.legs[first].media
            && let Err(error) = media.bridge(other, Flow::Both)
        {
            tracing::error!(call_id = %self.call_id(), %error, "two legs are not joined");
        }
        let call_of = |position: usize| self.legs[position].record.as_ref().map(|record| record.facts.call);
        let (call_a, call_b) = (call_of(first), call_of(second));
        // A trunk call's legs share one record: there is no other call to name.
        if call_b.is_some() {
            for (position, other) in [(first, call_b), (second, call_a)] {
                if let Some(record) = self.legs[position].record.as_deref_mut() {
                    record.bridge = other;
                }
            }
        }
        self.trace(TraceKind::Audio, || format!("{a:?} and {b:?} are bridged"));
    }

    fn unbridge(&mut self, a: Name) {
        let media = self.position(a).and_then(|position| self.legs[position].media.as_ref());
        if let Some(Err(error)) = media.map(crate::rtp::RtpLeg::unbridge) {
            tracing::error!(call_id = %self.call_id(), %error, "two legs are not parted");
        }
    }

    /// Refuses A, which is unanswered.
    pub(super) fn refuse_a(&mut self, end: End, status: u16) {
        if let Some(sip) = self.legs.first().and_then(super::leg::Leg::sip) {
            let reason = reason_field(end.cause.q850(), end.cause.name());
            let _ = self
                .shard
                .command(|endpoint, now| endpoint.reject(now, sip, status, None, reason.as_slice()));
        }
        self.leg_over(0, end, Disposition::SendRefuse, Some(status));
    }
}
