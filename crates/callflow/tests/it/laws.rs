//! What no call may ever do, checked on every order of every test.

use std::collections::{BTreeMap, BTreeSet};

use tandem_callflow::{Effect, Leg, PlaybackId, RecordingName};

/// Watches orders and the reports that answer them.
#[derive(Debug, Default)]
pub(crate) struct Laws {
    answer_asked: bool,
    answered: bool,
    told_to_go: bool,
    a_ended: bool,
    live_legs: BTreeSet<Leg>,
    answered_legs: BTreeSet<Leg>,
    /// What is heard by whom.
    playing: BTreeMap<Leg, PlaybackId>,
    /// A may hear something before it is answered.
    early_media: bool,
    last_recording: Option<RecordingName>,
    abandoned: BTreeSet<RecordingName>,
    pub(crate) finished: usize,
}

impl Laws {
    pub(crate) fn of_answered_call() -> Self {
        Self { answer_asked: true, answered: true, ..Self::default() }
    }

    pub(crate) fn of_unanswered_call(early_media: bool) -> Self {
        Self { early_media, ..Self::default() }
    }

    pub(crate) fn ordered(&mut self, effect: &Effect) {
        assert_eq!(self.finished, 0, "nothing is ordered after Finished: {effect:?}");
        match effect {
            Effect::Ring => assert!(!self.answer_asked, "no 180 after the answer"),
            Effect::EarlyMedia { from } => assert!(self.live_legs.contains(from)),
            Effect::Answer => {
                assert!(!self.answer_asked && !self.told_to_go && !self.a_ended, "A is answered once");
                self.answer_asked = true;
            }
            Effect::Reject { sip_status, .. } => {
                assert!(!self.answer_asked && !self.told_to_go && !self.a_ended);
                assert!((400..700).contains(sip_status));
                self.told_to_go = true;
            }
            Effect::Hangup { .. } => {
                assert!(self.answer_asked && !self.told_to_go && !self.a_ended);
                self.told_to_go = true;
            }
            Effect::Play { playback, leg, .. } => {
                if *leg == Leg::A {
                    let hears = self.answered || (self.early_media && !self.answer_asked);
                    assert!(hears && !self.a_ended && !self.told_to_go, "plays only to a leg that hears it");
                } else {
                    assert!(self.answered_legs.contains(leg) && self.live_legs.contains(leg));
                }
                assert_eq!(self.playing.insert(*leg, *playback), None, "one sound at a time");
            }
            Effect::StopPlayback { playback } => {
                let before = self.playing.len();
                self.playing.retain(|_, playing| playing != playback);
                assert_eq!(self.playing.len() + 1, before, "{playback:?} was not playing");
            }
            Effect::Watch { leg, .. } => {
                assert!(*leg == Leg::A && self.answered && !self.a_ended && !self.told_to_go);
            }
            Effect::Dial { leg, .. } => {
                assert!(!self.a_ended && !self.told_to_go);
                assert!(self.live_legs.insert(*leg), "leg names are not reused");
            }
            Effect::HangupLeg { leg, .. } => {
                assert!(self.live_legs.remove(leg), "{leg:?} had ended already");
                self.playing.remove(leg);
            }
            Effect::Bridge { a, b } => {
                assert!(*a == Leg::A && self.answered && !self.a_ended);
                assert!(self.answered_legs.contains(b) && self.live_legs.contains(b));
                assert!(
                    !self.playing.contains_key(a) && !self.playing.contains_key(b),
                    "nothing plays into a bridge"
                );
            }
            Effect::SendDigits { leg, .. } => {
                let talks = *leg == Leg::A && self.answered && !self.a_ended && !self.told_to_go;
                assert!(talks || self.live_legs.contains(leg));
            }
            Effect::StartRecording { recording, leg, .. } => {
                assert!(*leg == Leg::A && self.answered && !self.a_ended && !self.told_to_go);
                assert!(self.last_recording < Some(*recording), "recordings are not named twice");
                self.last_recording = Some(*recording);
            }
            Effect::StopRecording { recording, abandoned, .. } => {
                assert!(Some(*recording) <= self.last_recording, "{recording:?} has not begun");
                assert!(!self.abandoned.contains(recording), "nothing is ordered about it any more");
                if *abandoned {
                    self.abandoned.insert(*recording);
                }
            }
            Effect::Finished(_) => {
                assert!(self.a_ended || self.told_to_go, "Finished comes after A's end");
                assert!(self.live_legs.is_empty(), "legs left alive: {:?}", self.live_legs);
                self.finished += 1;
            }
            Effect::Unbridge { .. }
            | Effect::Prepare { .. }
            | Effect::Fetch { .. }
            | Effect::Notify(_)
            | Effect::Trace(_) => {}
        }
    }

    pub(crate) fn leg_answered(&mut self, leg: Leg) {
        if leg == Leg::A && self.answer_asked {
            self.answered = true;
        }
        self.answered_legs.insert(leg);
    }

    pub(crate) fn leg_ended(&mut self, leg: Leg) {
        if leg == Leg::A {
            self.a_ended = true;
        }
        self.live_legs.remove(&leg);
        self.playing.remove(&leg);
    }

    pub(crate) fn playback_done(&mut self, playback: PlaybackId) {
        self.playing.retain(|_, playing| *playing != playback);
    }
}
