//! SIP events of the session's legs.

use tandem_callflow::{End, Input, Leg as Name};
use tandem_media::Start;
use tandem_media::dtmf::info;
use tandem_model::ports::{Notice, TraceKind};
use tandem_model::{CallDirection, CallStatus, EventKind, HangupCause, HangupSource, HangupText, clock};
use tandem_sip::{Event, LegId, Outcome, Termination};

use super::Session;
use super::leg::Stage;
use super::negotiate::{AudioError, codecs_like};
use super::record::Disposition;

impl Session {
    /// Something happened on a SIP leg of ours.
    pub(super) fn on_sip(&mut self, event: Event) {
        let Some(sip) = leg_of(&event) else { return };
        let Some(position) = self.position_of_sip(sip) else { return };
        match event {
            Event::Ringing { .. } => self.on_ringing(position),
            Event::Progress { sdp, .. } => self.on_progress(position, &sdp),
            Event::Answered { sdp, needs_answer, .. } => {
                self.on_answered(position, sip, sdp.as_deref(), needs_answer);
            }
            Event::Challenged { status, challenges, .. } => {
                self.on_challenge(position, sip, status, &challenges)
            }
            Event::Rejected { status, .. } => self.on_rejected(position, sip, status),
            Event::Redirected { status, .. } => {
                // Never followed: whoever answers the number would choose where the money goes.
                self.on_rejected(position, sip, status);
            }
            Event::Cancelled { .. } => {
                let cause = HangupCause::NormalHangup;
                let end = End { cause, text: HangupText::OriginatorCancel, source: HangupSource::Caller };
                self.leg_over(position, end, Disposition::RecvCancel, Some(487));
            }
            Event::Acked { sdp, .. } => self.on_acked(position, sdp.as_deref()),
            Event::AckTimeout { .. } => {
                let end = End::new(HangupCause::NetworkError, HangupSource::Vobiz);
                self.leg_over(position, end, Disposition::SendBye, None);
            }
            Event::Reinvited { sdp, .. } => self.on_reinvited(position, sip, sdp.as_deref()),
            Event::Info { content_type, body, .. } => self.on_info(position, &content_type, &body),
            Event::InfoAnswered { .. } => self.send_next_info_digit(position),
            Event::Bye { .. } => {
                let end = End::new(HangupCause::NormalHangup, self.party(position));
                self.leg_over(position, end, Disposition::RecvBye, None);
            }
            Event::LateAnswerAfterCancel { .. } => {
                if let Some(record) = self.record_of(position) {
                    record.answered_while_cancelling = true;
                }
                let end = End::new(HangupCause::Canceled, HangupSource::Vobiz);
                self.leg_over(position, end, Disposition::SendCancel, None);
            }
            Event::Terminated { why, .. } => self.on_terminated(position, sip, why),
            Event::ReinviteAnswered { .. } | Event::ReinviteFailed { .. } => {}
            Event::Invite { .. }
            | Event::Request { .. }
            | Event::Response { .. }
            | Event::RequestFailed { .. } => {}
        }
    }

    /// Who the party of a leg is, in the words of records.
    fn party(&self, position: usize) -> HangupSource {
        let outbound_a =
            self.a_facts().is_some_and(|facts| facts.direction == CallDirection::Outbound) && !self.is_bridge;
        if position == 0 && !outbound_a { HangupSource::Caller } else { HangupSource::Callee }
    }

    fn on_terminated(&mut self, position: usize, sip: LegId, why: Termination) {
        match self.legs[position].stage {
            Stage::Dialling | Stage::Cancelling => self.on_unanswered(position, sip, why),
            _ => {
                let end = match why {
                    Termination::Gone481 => End::new(HangupCause::NormalHangup, self.party(position)),
                    Termination::ProtocolError => super::ending::protocol_error(),
                    _ => End::new(HangupCause::NetworkError, HangupSource::Vobiz),
                };
                self.leg_over(position, end, Disposition::SendBye, None);
            }
        }
    }

    fn on_ringing(&mut self, position: usize) {
        let Some(leg) = self.legs.get_mut(position).filter(|leg| leg.stage == Stage::Dialling) else {
            return;
        };
        leg.no_response_at = None;
        let name = leg.name;
        if let Some(record) = self.record_of(position) {
            record.progress_at.get_or_insert_with(clock::wall);
        }
        if position == 0 { self.tell_ring_url() } else { self.tell(Input::LegRinging { leg: name }) }
    }

    fn on_progress(&mut self, position: usize, sdp: &[u8]) {
        self.on_ringing(position);
        let Some(leg) = self.legs.get_mut(position).filter(|leg| leg.stage == Stage::Dialling) else {
            return;
        };
        let name = leg.name;
        // One early stream is heard: the first; the answer decides which dialog counts.
        if leg.audio.agreed().is_some() {
            return;
        }
        if let Err(error) = leg.audio.take_answer(sdp) {
            tracing::debug!(call_id = %self.call_id(), %error, "early media is not understood");
            return;
        }
        self.configure(position, Start::AtOnce);
        if position > 0 {
            self.tell(Input::LegEarlyMedia { leg: name });
        }
    }

    /// `ring_url` and `status_url` of an API call, once.
    fn tell_ring_url(&mut self) {
        let Some(facts) = self.a_facts().cloned() else { return };
        let Some(unstarted) = self.unstarted.as_mut().filter(|unstarted| !unstarted.rang) else { return };
        unstarted.rang = true;
        let (ring, status) = (unstarted.application.ring.clone(), unstarted.application.status.clone());
        let status = status.filter(|status| ring.as_ref() != Some(status));
        let event = EventKind::Ring;
        let params = tandem_callflow::parameters::standard(&facts, event.name(), CallStatus::Ringing);
        for told in ring.into_iter().chain(status) {
            self.shard.ports.documents.notify(Notice {
                account: facts.account.clone(),
                call: facts.call,
                event,
                url: told.url,
                method: told.method,
                params: params.clone(),
            });
        }
    }

    /// Takes the SDP of a 2xx: the answer to our offer, or an offer we answer in the ACK.
    pub(super) fn take_answer(
        &mut self,
        position: usize,
        sdp: Option<&[u8]>,
        needs_answer: bool,
    ) -> Result<(), AudioError> {
        if needs_answer {
            let local = self.open_media(position, self.family_of(position)).ok_or(AudioError::Missing)?;
            let codecs = tandem_sip::sdp::AudioCapabilities::g711();
            let leg = &mut self.legs[position];
            leg.ack_body = leg.audio.answer_again(sdp.unwrap_or_default(), local, &codecs)?;
        } else if let Some(sdp) = sdp {
            self.legs[position].audio.take_answer(sdp)?;
        } else if self.legs[position].audio.agreed().is_none() {
            return Err(AudioError::Missing);
        }
        self.configure(position, Start::AtAck);
        Ok(())
    }

    fn on_acked(&mut self, position: usize, sdp: Option<&[u8]>) {
        if let Some(sdp) = sdp {
            match self.legs[position].audio.take_answer(sdp) {
                Ok(()) => {
                    let codec = self.legs[position].audio.codec().map(tandem_sip::sdp::AudioCodec::encoding);
                    if let Some(record) = self.legs[position].record.as_deref_mut() {
                        record.codec = codec;
                    }
                    self.configure(position, Start::AtAck);
                }
                Err(error) => {
                    tracing::info!(call_id = %self.call_id(), %error, "the answer in an ACK does not fit");
                    let end = End::new(HangupCause::Rejected, HangupSource::Vobiz);
                    return if position == 0 { self.end_a(end) } else { self.fail_leg(position, end, None) };
                }
            }
        }
        if let Some(media) = &self.legs[position].media
            && let Err(error) = media.start_playout()
        {
            tracing::error!(call_id = %self.call_id(), %error, "a media worker did not start");
        }
    }

    /// Hold, resume, refresh, codec change: answered here, never forwarded to the other leg.
    fn on_reinvited(&mut self, position: usize, sip: LegId, sdp: Option<&[u8]>) {
        let Some(local) = self.open_media(position, self.family_of(position)) else {
            let _ = self.shard.command(|endpoint, now| endpoint.reject_reinvite(now, sip, 500));
            return;
        };
        let leg = &mut self.legs[position];
        let codecs = leg.audio.codec().map_or_else(tandem_sip::sdp::AudioCapabilities::g711, codecs_like);
        let codecs = codecs.with_comfort_noise(leg.audio.has_comfort_noise());
        let body = match sdp {
            // A late offer: ours now, the answer in the ACK.
            None => Ok(leg.audio.offer(local, &codecs)),
            Some(offer) => leg.audio.answer_again(offer, local, &codecs),
        };
        match body {
            Ok(body) => {
                let held = self.legs[position].audio.agreed().is_some_and(|agreed| agreed.hold.is_held());
                self.trace(TraceKind::Audio, || {
                    format!(
                        "{:?} {}",
                        self.legs[position].name,
                        if held { "holds" } else { "renews its session" }
                    )
                });
                if sdp.is_some() {
                    self.configure(position, Start::AtAck);
                }
                let outcome = self.shard.command(|endpoint, now| endpoint.accept_reinvite(now, sip, &body));
                if outcome != Outcome::Sent {
                    tracing::debug!(call_id = %self.call_id(), ?outcome, "a re-INVITE was not answered");
                }
            }
            Err(error) => {
                tracing::info!(call_id = %self.call_id(), %error, "a re-INVITE is refused");
                let _ = self.shard.command(|endpoint, now| endpoint.reject_reinvite(now, sip, 488));
            }
        }
    }

    fn on_info(&mut self, position: usize, content_type: &str, body: &[u8]) {
        if info::InfoKind::from_content_type(content_type).is_none() {
            return;
        }
        let Some(pressed) = info::parse(body) else { return };
        self.on_digit(position, pressed.digit.as_char());
    }

    /// A key was pressed on a leg.
    pub(super) fn on_digit(&mut self, position: usize, digit: char) {
        let leg = self.legs[position].name;
        // Which key stays out of logs. A timeline is the customer's own, unless its document keeps the keys secret.
        let is_secret = self.call.as_ref().is_some_and(tandem_callflow::Call::keeps_keys_secret);
        self.trace(TraceKind::Audio, || {
            if is_secret { format!("{leg:?} pressed a key") } else { format!("{leg:?} pressed {digit}") }
        });
        self.tell(Input::Digit { leg, digit });
    }

    /// The name of A, for those that look at legs by name.
    pub(super) fn is_a(name: Name) -> bool {
        name == Name::A
    }
}

pub(super) fn leg_of(event: &Event) -> Option<LegId> {
    match event {
        Event::Ringing { leg, .. }
        | Event::Progress { leg, .. }
        | Event::Answered { leg, .. }
        | Event::Challenged { leg, .. }
        | Event::Rejected { leg, .. }
        | Event::Redirected { leg, .. }
        | Event::Cancelled { leg, .. }
        | Event::Acked { leg, .. }
        | Event::AckTimeout { leg }
        | Event::Reinvited { leg, .. }
        | Event::ReinviteAnswered { leg, .. }
        | Event::ReinviteFailed { leg, .. }
        | Event::Info { leg, .. }
        | Event::InfoAnswered { leg, .. }
        | Event::Bye { leg, .. }
        | Event::Terminated { leg, .. }
        | Event::LateAnswerAfterCancel { leg } => Some(*leg),
        Event::Invite { .. }
        | Event::Request { .. }
        | Event::Response { .. }
        | Event::RequestFailed { .. } => None,
    }
}
