//! Answers of the ports, as they come back through the select loop.

use tandem_callflow::{Input, Leg as Name};
use tandem_model::ports::{AdmittedLeg, Extension, LegDecision, StoreUnavailable};
use tandem_model::{CallId, clock};

use super::leg::{Leg, Stage};
use super::meter::Meter;
use super::record::{Disposition, Record};
use super::{Done, Session};

impl Session {
    /// A port call came back.
    pub(super) fn on_done(&mut self, done: Done) {
        match done {
            Done::Fetched { fetch, result } => self.tell(Input::Fetched { fetch, result }),
            Done::Prepared(preparation) => self.tell(Input::Prepared { preparation }),
            Done::SoundReady { playback, result } => self.on_sound_ready(playback, result),
            Done::LiveSoundReady { playbacks, result } => self.on_live_sound_ready(&playbacks, result),
            Done::LegDecided { leg, decision } => self.on_leg_decided(leg, *decision),
            Done::AnswerStored(stored) => self.on_answer_stored(stored),
            Done::LegAnswerStored { call, result } => {
                if let Err(error) = result {
                    tracing::error!(call_id = %call, %error, "a leg's answer could not be stored; it goes on");
                }
                let is_its = |leg: &Leg| leg.record.as_ref().is_some_and(|record| record.facts.call == call);
                if let Some(position) = self.legs.iter().position(is_its) {
                    self.acknowledge(position);
                }
            }
            Done::Extended { call, result } => self.on_extended(call, result),
            Done::Settled { call, reports } => self.on_settled(call, &reports),
        }
    }

    fn on_leg_decided(&mut self, name: Name, decision: LegDecision) {
        let Some(position) = self.position(name) else { return };
        match decision {
            LegDecision::Refuse(refusal) => {
                self.legs[position].stage = Stage::Over;
                self.tell(Input::LegRefused { leg: name, refusal });
            }
            LegDecision::Admit(admitted) => {
                let AdmittedLeg { facts, routes, reservation, max_duration_s, recording } = *admitted;
                self.seat.add_call(facts.call, &self.mailbox);
                let now = clock::monotonic();
                let record =
                    Record::new(facts.clone(), Meter::new(reservation), max_duration_s, recording, now);
                let leg = &mut self.legs[position];
                leg.record = Some(Box::new(record));
                leg.routes = routes.into();
                leg.stage = Stage::Dialling;
                if let Some(end) = leg.unwanted {
                    return self.leg_over(position, end, Disposition::SendCancel, None);
                }
                self.tell(Input::LegAdmitted { leg: name, facts: Box::new(facts) });
                self.start_route(position);
            }
        }
    }

    fn on_extended(&mut self, call: CallId, result: Result<Extension, StoreUnavailable>) {
        let now = clock::monotonic();
        let record =
            self.legs.iter_mut().filter_map(|leg| leg.record.as_deref_mut()).find(|r| r.facts.call == call);
        let Some(record) = record else { return };
        match &result {
            Ok(Extension::Covered(_)) => {}
            Ok(Extension::Exhausted) => {
                tracing::info!(call_id = %call, "the money of a call runs out; it ends when what is covered ends");
            }
            Err(error) => tracing::warn!(call_id = %call, %error, "a reservation could not be extended yet"),
        }
        record.meter.answer(now, result.ok());
    }
}
