//! Answering A: description, media, durability, 200 — in this order.

use tandem_callflow::{End, Input, Leg as Name};
use tandem_media::wav::{Channels, Encoding};
use tandem_media::{RecordFormat, Start};
use tandem_model::ports::{Answered, TraceKind};
use tandem_model::{DialogRecord, HangupCause, HangupSource, LegRole, clock};
use tandem_sip::sdp::{AudioCapabilities, AudioCodec};
use tandem_sip::{LegId, Outcome, SnapshotState};

use super::leg::Stage;
use super::negotiate::{AudioError, codecs_like, leg_media};
use super::record::{Disposition, Moment, OpenRecording};
use super::{Done, Session};
use crate::rtp::{MediaKey, OpenLeg, RecordName, RecordRequest, RtpLeg};

impl Session {
    /// `Effect::Answer`: everything but the 200, which waits for the store.
    pub(super) fn answer_a(&mut self) {
        let Some(a) = self.legs.first() else { return };
        if a.stage != Stage::Waiting {
            return;
        }
        if let Err(error) = self.describe_a(Start::AtAck) {
            tracing::info!(call_id = %self.call_id(), %error, "a caller cannot be answered: no audio in common");
            return self.refuse_a(End::new(HangupCause::Rejected, HangupSource::Vobiz), 488);
        }
        self.legs[0].stage = Stage::Answering;
        self.store_answer_of_a();
    }

    /// Asks the store to make A's answer durable; `Done::AnswerStored` follows.
    pub(super) fn store_answer_of_a(&mut self) {
        let answered = Answered {
            call: self.call_id(),
            at: clock::wall(),
            dialogs: self.dialogs_of_call(self.is_bridge),
        };
        let admission = self.shard.ports.admission.clone();
        self.spawn(async move { Done::AnswerStored(admission.answered(answered).await) });
    }

    /// A's answer is durable (or cannot be).
    pub(super) fn on_answer_stored(&mut self, stored: Result<(), tandem_model::ports::StoreUnavailable>) {
        let Some(a) = self.legs.first() else { return };
        let a_stage = a.stage;
        if stored.is_ok() {
            self.acknowledge_stored();
        }
        match (a_stage, stored) {
            (Stage::Answering, Ok(())) if self.unstarted.is_none() => self.send_answer(),
            // The far side of an API call talks already; its document may begin.
            (Stage::Talking, Ok(())) => self.start_unstarted(),
            (Stage::Answering | Stage::Talking, Err(error)) => {
                tracing::error!(call_id = %self.call_id(), %error, "an answer could not be stored: the call is refused");
                let end = End::new(HangupCause::InternalError, HangupSource::Vobiz);
                if a_stage == Stage::Answering { self.refuse_a(end, 503) } else { self.hang_up_a(end) }
            }
            // It ended while the store was asked.
            _ => {}
        }
    }

    /// Everything the call's row knows of is written down: the callees behind it get their ACK. Those with a row of their
    /// own wait for that.
    fn acknowledge_stored(&mut self) {
        for position in 0..self.legs.len() {
            if position == 0 || self.legs[position].record.is_none() {
                self.acknowledge(position);
            }
        }
    }

    /// The ACK of a dialled leg that talks. It waits for the store: a process killed before leaves a callee that repeats
    /// its 200, which the next process ends with ACK and BYE; killed after, the next one finds the dialog.
    pub(super) fn acknowledge(&mut self, position: usize) {
        let Some(leg) = self.legs.get_mut(position).filter(|leg| leg.stage == Stage::Talking) else { return };
        let body = std::mem::take(&mut leg.ack_body);
        leg.acknowledged = true;
        if let Some(sip) = leg.sip() {
            // Hung up meanwhile, or A itself, which called us: there is nothing to acknowledge.
            let _ = self.shard.command(|endpoint, now| endpoint.acknowledge(now, sip, &body));
        }
    }

    fn send_answer(&mut self) {
        let Some((sip, body)) = self.legs.first().and_then(|a| Some((a.sip()?, a.audio.local_body()?)))
        else {
            return;
        };
        match self.shard.command(|endpoint, now| endpoint.answer(now, sip, &body)) {
            Outcome::Sent => {
                self.talk(0);
                self.tell(Input::LegAnswered { leg: Name::A });
            }
            // The caller was quicker: its CANCEL is on its way through the mailbox.
            Outcome::AlreadyCancelled | Outcome::Gone => {}
            outcome => {
                tracing::error!(call_id = %self.call_id(), ?outcome, "an answer could not be sent");
                self.refuse_a(End::new(HangupCause::InternalError, HangupSource::Vobiz), 500);
            }
        }
    }

    /// A leg talks from this moment.
    pub(super) fn talk(&mut self, position: usize) {
        let Some(leg) = self.legs.get_mut(position) else { return };
        leg.stage = Stage::Talking;
        leg.no_response_at = None;
        let codec = leg.audio.codec().map(AudioCodec::encoding);
        if let Some(record) = leg.record.as_deref_mut() {
            let moment = Moment::now();
            record.answered = Some(moment);
            record.codec = record.codec.or(codec);
            record.disposition = Disposition::SendBye;
            self.shard.talks(record.facts.call, moment.instant);
        }
        self.start_recording(position);
    }

    /// Opens A's media and makes its description, once.
    pub(super) fn describe_a(&mut self, start: Start) -> Result<(), AudioError> {
        if self.legs.first().is_none_or(|a| a.audio.local_body().is_some()) {
            return Ok(());
        }
        let local = self.open_media(0, self.family_of(0)).ok_or(AudioError::Missing)?;
        let codecs = self.codecs_for_a();
        let a = &mut self.legs[0];
        if a.audio.has_offer() {
            a.audio.answer(local, &codecs)?;
            self.configure(0, start);
        } else {
            a.audio.offer(local, &codecs);
        }
        Ok(())
    }

    /// B's codec first, when there is one: then nothing needs converting. Otherwise A's own order.
    fn codecs_for_a(&self) -> AudioCapabilities {
        let mut others = self.legs.iter().skip(1).filter(|leg| leg.is_alive());
        if let Some((codec, b)) = others.find_map(|leg| Some((leg.audio.codec()?, leg))) {
            return codecs_like(codec).with_comfort_noise(b.audio.has_comfort_noise());
        }
        let offered = self.legs.first().map(|a| a.audio.offered_codecs()).unwrap_or_default();
        let mut codecs: Vec<_> = offered.into_iter().filter(|codec| codec.is_g711()).collect();
        codecs.extend([AudioCodec::Pcmu, AudioCodec::Pcma]);
        AudioCapabilities::new(codecs)
    }

    /// An address of the family that a leg's packets have: that of the open sockets, else of the peer's offer, else of its
    /// signalling.
    pub(super) fn family_of(&self, position: usize) -> std::net::IpAddr {
        let leg = self.legs.get(position);
        let open = leg.and_then(|leg| leg.media.as_ref()).map(|media| media.local_rtp().ip());
        open.or_else(|| leg?.audio.offered_ip())
            .or_else(|| leg?.branches.first().map(|branch| branch.remote.ip()))
            .unwrap_or(self.shard.config.advertised_ip)
    }

    /// Opens a leg's place on the media plane, beside the session's other legs, for packets of the peer's address family.
    pub(super) fn open_media(
        &mut self,
        position: usize,
        toward: std::net::IpAddr,
    ) -> Option<std::net::SocketAddr> {
        if let Some(media) = self.legs.get(position)?.media.as_ref()
            && media.local_rtp().is_ipv4() == self.shard.config.advertised_to(toward).is_ipv4()
        {
            return Some(media.local_rtp());
        }
        let beside = self.legs.iter().find_map(|leg| leg.media.as_ref()).map(RtpLeg::key);
        match self.shard.media.open(OpenLeg { beside, toward, events: self.media_events.clone() }) {
            Ok(media) => {
                let local = media.local_rtp();
                self.legs.get_mut(position)?.media = Some(media);
                Some(local)
            }
            Err(error) => {
                tracing::error!(call_id = %self.call_id(), %error, "a leg gets no media");
                None
            }
        }
    }

    /// Tells the worker what was agreed.
    pub(super) fn configure(&mut self, position: usize, start: Start) {
        let Some(leg) = self.legs.get_mut(position) else { return };
        let (Some(agreed), Some(media)) = (leg.audio.agreed(), leg.media.as_ref()) else { return };
        let signalling_ip = leg.branches.first().map_or(agreed.remote_rtp.ip(), |branch| branch.remote.ip());
        let allowed = self.shard.ports.directory.may_send_to(agreed.remote_rtp);
        let timeout = self.shard.config.timing.media_timeout;
        let told = leg_media(agreed, leg.place, allowed, signalling_ip, timeout, start);
        if let Err(error) = media.configure(told) {
            tracing::error!(call_id = %self.call_id(), %error, "a media worker did not take a leg's settings");
        }
        self.trace(TraceKind::Audio, || {
            let leg = &self.legs[position];
            let agreed = leg.audio.agreed();
            let codec = agreed.map_or("no codec", |agreed| agreed.codec.encoding());
            let remote = agreed.map(|agreed| agreed.remote_rtp.to_string()).unwrap_or_default();
            format!("{:?}: {codec} with {remote}", leg.name)
        });
    }

    /// Starts the recording of an admitted call: on A's media, where the caller is left and the callee
    /// right.
    pub(super) fn start_recording(&mut self, position: usize) {
        let Some(leg) = self.legs.get(position) else { return };
        let Some(recording) = leg.record.as_ref().and_then(|record| record.recording.clone()) else { return };
        let tapped = if self.legs[0].media.is_some() { 0 } else { position };
        let name = self.next_recording();
        let Some(media) = self.legs[tapped].media.as_ref() else { return };
        let format = RecordFormat { encoding: Encoding::Pcm16, channels: Channels::Stereo };
        let request = RecordRequest { name, path: recording.path, format, silence: None, max_length: None };
        match media.record(request) {
            Ok(()) => {
                if let Some(record) = self.legs[position].record.as_deref_mut() {
                    record.recording_open = Some(OpenRecording { name, tapped });
                }
            }
            Err(error) => tracing::error!(call_id = %self.call_id(), %error, "a recording did not start"),
        }
    }

    /// A name no recording of this session had.
    pub(super) fn next_recording(&mut self) -> RecordName {
        self.last_recording += 1;
        RecordName(self.last_recording)
    }

    /// Ends the recording of an admitted call that is over, if its media goes on.
    pub(super) fn stop_recording_of(&self, position: usize) {
        let record = self.legs.get(position).and_then(|leg| leg.record.as_deref());
        let Some(open) = record.and_then(|record| record.recording_open) else { return };
        let media = self.legs.get(open.tapped).and_then(|leg| leg.media.as_ref());
        if let Some(Err(error)) = media.map(|media| media.stop_recording(open.name)) {
            tracing::error!(call_id = %self.call_id(), %error, "a recording was not stopped");
        }
    }

    /// The media key of a leg.
    pub(super) fn media_key(&self, name: Name) -> Option<MediaKey> {
        self.legs.get(self.position(name)?)?.media.as_ref().map(RtpLeg::key)
    }

    /// Snapshots of a call's dialogs: A's, and with it those of the legs that share its record.
    /// A's 200 leaves as soon as this is durable, so A counts as answered.
    fn dialogs_of_call(&self, with_b: bool) -> Vec<DialogRecord> {
        let mut dialogs: Vec<_> = self.dialog(0, SnapshotState::Answered).into_iter().collect();
        if with_b {
            let others = 1..self.legs.len();
            dialogs.extend(others.filter_map(|position| {
                let state = match self.legs[position].stage {
                    Stage::Talking => SnapshotState::Answered,
                    _ => SnapshotState::Pending,
                };
                self.dialog(position, state)
            }));
        }
        dialogs
    }

    /// The snapshot of a leg's dialog.
    pub(super) fn dialog(&self, position: usize, state: SnapshotState) -> Option<DialogRecord> {
        self.dialog_of(position, self.legs.get(position)?.sip()?, state)
    }

    /// The snapshot of one INVITE of a leg.
    pub(super) fn dialog_of(
        &self,
        position: usize,
        sip: LegId,
        state: SnapshotState,
    ) -> Option<DialogRecord> {
        let leg = self.legs.get(position)?;
        let mut snapshot = self.shard.endpoint(|endpoint| endpoint.dialog_snapshot(sip))?;
        snapshot.state = state;
        let role = if leg.name == Name::A { LegRole::A } else { LegRole::B };
        Some(DialogRecord { role, snapshot: serde_json::to_string(&snapshot).ok()? })
    }
}
