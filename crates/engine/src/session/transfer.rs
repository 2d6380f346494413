//! Moving legs to other documents. A stays in its session; the leg it talks with leaves for a session of its own, with its
//! record, its money, its dialog and its place on the media plane.

use std::rc::Rc;
use std::sync::Arc;

use tandem_callflow::{ALegState, Input, Leg as Name, Program};
use tandem_model::ports::TraceKind;
use tandem_model::{CallId, UrlCall, clock};

use super::Session;
use super::begin::Seat;
use super::leg::Stage;
use super::mailbox::Mailbox;
use crate::live::Doorbell;
use crate::rtp::event_channel;
use crate::steer::SteerError;

impl Session {
    /// `LiveCommand::Transfer`: returns the calls that move.
    pub(super) fn transfer(
        &mut self,
        a: Option<UrlCall>,
        b: Option<UrlCall>,
    ) -> Result<Vec<CallId>, SteerError> {
        if self.is_bridge {
            return Err(SteerError::NoDocument);
        }
        let talks = self.legs.first().is_some_and(|a| a.stage == Stage::Talking);
        if !talks || self.call.is_none() || self.finished.is_some() {
            return Err(SteerError::NotInProgress);
        }
        let leaving = match b {
            None => None,
            Some(to) => Some((self.leaving()?, to)),
        };
        let releasing = leaving.as_ref().map(|(position, _)| self.legs[*position].name);
        let mut moved = Vec::new();
        match (a, releasing) {
            (Some(to), releasing) => {
                self.trace(TraceKind::Xml, || format!("A is transferred to {}", to.url));
                self.tell(Input::Transfer { to, releasing });
                moved.extend(self.calls_of(&[0]));
            }
            (None, Some(leg)) => self.tell(Input::Released { leg }),
            (None, None) => {}
        }
        // The legs part before one of them leaves.
        self.perform();
        if let Some((position, to)) = leaving {
            self.trace(TraceKind::Xml, || format!("B is transferred to {}", to.url));
            moved.extend(self.calls_of(&[position]));
            self.hand_over(position, to);
        }
        Ok(moved)
    }

    /// The leg that may leave; its place among the live sessions is taken.
    fn leaving(&self) -> Result<usize, SteerError> {
        let position = self.partner().ok_or(SteerError::NoOtherLeg)?;
        let leg = self.legs.get(position).ok_or(SteerError::NoOtherLeg)?;
        if leg.stage != Stage::Talking || leg.record.is_none() || !leg.acknowledged {
            return Err(SteerError::NotInProgress);
        }
        if !self.shard.live.enter(self.shard.config.limits.sessions) {
            return Err(SteerError::Overloaded);
        }
        Ok(position)
    }

    /// Gives a leg a session of its own, in which it is A and runs a document.
    fn hand_over(&mut self, position: usize, to: UrlCall) {
        let mut leg = self.legs.remove(position);
        let now = clock::monotonic();
        let mailbox = Rc::new(Mailbox::new(Arc::new(Doorbell::default())));
        let mut seat = Seat::new(&self.shard);
        let (events, media) = event_channel();
        let sips: Vec<_> = leg.branches.iter().map(|branch| branch.sip).collect();
        if let Some(record) = leg.record.as_deref_mut() {
            seat.take_over(&mut self.seat, record.facts.call, &sips, &mailbox);
            // An answer on its way comes back here, where nobody needs it any more.
            record.meter.forget_answer(now);
        }
        for event in sips.iter().flat_map(|sip| self.mailbox.take_of(*sip)) {
            if mailbox.post(event).is_err() {
                tracing::warn!(call_id = %self.call_id(), "an event of a moved leg found no place");
            }
        }
        if let Some(rtp) = &leg.media {
            self.moved.push((rtp.key(), events.clone()));
            if let Err(error) = rtp.tell_to(events.clone()) {
                tracing::error!(call_id = %self.call_id(), %error, "a moved leg tells its old session what happens");
            }
        }
        leg.name = Name::A;
        let setup = leg.record.as_deref().map(|record| {
            let talked = record.elapsed(now).unwrap_or_default();
            (record.facts.clone(), record.max_duration.saturating_sub(talked).as_secs())
        });
        let mut session = Self {
            legs: vec![leg],
            ring_timeout: self.ring_timeout,
            max_forwards: self.max_forwards,
            last_recording: self.last_recording,
            ..Self::empty(Rc::clone(&self.shard), mailbox, seat, events)
        };
        if let Some((facts, max_duration_s)) = setup {
            session.start_flow(facts, Program::Transferred(to), ALegState::Answered, max_duration_s);
        }
        self.shard.tasks.spawn_local(Box::pin(session.live(media)));
    }
}
