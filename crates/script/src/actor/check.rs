//! Whether a step has held, has missed, or must wait, by all that is known at a moment.

use std::time::{Duration, Instant};

use super::{Actor, Command};
use crate::outcome::Verdict;
use crate::script::{Awaited, Barge, Deed, EndedBy, Heard, Role, Wait};
use crate::values::told;
use crate::webhooks::fits;

/// A step that speaks waits so long for the answer, and so long for something to barge into.
const ANSWER_PATIENCE: Duration = Duration::from_secs(30);
const BARGE_PATIENCE: Duration = Duration::from_secs(10);
/// What stops must stay silent for so long.
const STOPPED_FOR: Duration = Duration::from_millis(200);

/// Where a step stands.
#[derive(Debug)]
pub(super) enum State {
    /// Come again at this time, or when something happens.
    Pending(Option<Instant>),
    /// It does this now.
    Act(Command),
    /// It is over.
    Over(Verdict),
}

fn held(heard: impl Into<String>) -> State {
    State::Over(Verdict::held(heard))
}

fn missed(expected: impl Into<String>, heard: impl Into<String>) -> State {
    State::Over(Verdict::missed(expected, heard))
}

impl Actor {
    pub(super) fn check(&mut self, now: Instant) -> State {
        let party = std::sync::Arc::clone(&self.party);
        let Some(step) = party.steps.get(self.index) else { return State::Pending(None) };
        let id = self.index as u32;
        let state = match &step.deed {
            // Requests may come after the call's end.
            Deed::Wait(wait) if matches!(wait.what, Awaited::Webhook(_)) => {
                return self.check_wait(now, wait);
            }
            Deed::Wait(wait) => self.check_wait(now, wait),
            Deed::Sound(sound, barge) => {
                self.check_speaking(now, *barge, || Command::Sound(id, sound.clone()))
            }
            Deed::Press(keys, by, barge) => {
                self.check_speaking(now, *barge, || Command::Press(id, keys.clone(), *by))
            }
            Deed::Expect(heard) => return State::Over(self.judge_heard(heard)),
            Deed::Answer(after) => self.check_taking(now, *after, Command::Answer),
            Deed::Refuse(status) => self.check_taking(now, Duration::ZERO, Command::Refuse(*status)),
            Deed::Pause(pause) => {
                let until = self.step.began + *pause;
                return if now >= until { held("") } else { State::Pending(Some(until)) };
            }
            Deed::Record(path) => {
                return match self.step.acted {
                    None => State::Act(Command::Record(path.clone())),
                    Some(_) => held(""),
                };
            }
            Deed::Request(ask) => {
                return match (&self.step.result, self.step.acted) {
                    (Some(Ok(())), _) => held(""),
                    (Some(Err(why)), _) => missed("the request is accepted", why.clone()),
                    (None, None) => State::Act(Command::Request(id, ask.as_ref().clone())),
                    (None, Some(_)) => State::Pending(None),
                };
            }
            Deed::HangUp => {
                return match (&self.call.ended, self.call.hung_up) {
                    (Some(_), _) => held(""),
                    (None, false) => {
                        self.call.hung_up = true;
                        State::Act(Command::HangUp)
                    }
                    (None, true) => State::Pending(None),
                };
            }
        };
        // What an ended call has not brought will not come.
        match state {
            State::Pending(_) | State::Act(_) if self.call.ended.is_some() => {
                let taken = matches!(step.deed, Deed::Refuse(_)) && self.step.acted.is_some();
                if taken {
                    held("")
                } else {
                    missed(step.title.clone(), format!("the call was over: {}", self.end_words()))
                }
            }
            state => state,
        }
    }

    fn check_wait(&mut self, now: Instant, wait: &Wait) -> State {
        let (began, by) = (self.step.began, self.step.began + wait.within);
        let lasting = wait.lasting;
        let late = |expected: String, heard: String| {
            if now >= by { missed(expected, heard) } else { State::Pending(Some(by)) }
        };
        let after = |at: Instant| format!("after {}", told(at.saturating_duration_since(began)));
        let within = told(wait.within);
        match &wait.what {
            Awaited::Audio => {
                let sound = self.hearing.sounding(now).filter(|sound| sound.until > began);
                // What goes on already counts from its own beginning.
                match sound.filter(|sound| sound.began <= by) {
                    Some(sound) if sound.until - sound.began >= lasting => held(after(sound.began)),
                    // It may go on until a pause ends it.
                    Some(sound) => State::Pending(Some(sound.until + crate::hearing::PAUSE + TICK)),
                    None => late(format!("audio of {} within {within}", told(lasting)), self.heard_words()),
                }
            }
            Awaited::Silence => {
                let since = self.hearing.last_loud().map_or(began, |last| last.max(began));
                if since > by {
                    missed(
                        format!("silence within {within}"),
                        format!("sound until {} after the step began", told(since - began)),
                    )
                } else if now.saturating_duration_since(since) >= lasting {
                    held(after(since))
                } else {
                    State::Pending(Some(since + lasting))
                }
            }
            Awaited::Tone(pitch) => {
                let run = self.hearing.tone(*pitch);
                let run = run.map(|run| (run.began, run.began + Duration::from_millis(run.ms), run.hz));
                // Where packets end, a tone does, too.
                let goes_on = |until: Instant| now.saturating_duration_since(until) <= crate::hearing::PAUSE;
                match run.filter(|(onset, until, _)| *onset <= by && *until > began && goes_on(*until)) {
                    Some((onset, until, hz)) if until - onset >= lasting => {
                        held(format!("{hz:.0} Hz {}", after(onset)))
                    }
                    Some((_, until, _)) => State::Pending(Some(until + crate::hearing::PAUSE + TICK)),
                    None => late(
                        format!("{} Hz for {} within {within}", pitch.hz, told(lasting)),
                        self.heard_words(),
                    ),
                }
            }
            Awaited::Digits(wanted) => match self.hearing.take_keys(wanted.as_deref()) {
                Ok(Some(keys)) => held(keys),
                Ok(None) => late(
                    format!("keys {} within {within}", wanted.as_deref().unwrap_or("of any kind")),
                    format!("keys {:?}", self.hearing.pending_keys()),
                ),
                Err(heard) => missed(
                    format!("keys {}", wanted.as_deref().unwrap_or_default()),
                    format!("keys {heard:?}"),
                ),
            },
            Awaited::Ringing => match (self.call.rang, self.call.early_media) {
                (None, None) => late(format!("ringing within {within}"), "nothing".to_owned()),
                (rang, early) => held(after(rang.or(early).unwrap_or(now))),
            },
            Awaited::Answer => match self.call.answered {
                Some(at) => held(after(at)),
                None => late(format!("an answer within {within}"), "no answer".to_owned()),
            },
            Awaited::HangUp => match &self.call.ended {
                Some((at, end)) if end.by == EndedBy::Platform => {
                    held(format!("{} {}", self.end_words(), after(*at)))
                }
                Some(_) => missed("the platform hangs up", self.end_words()),
                None => late(format!("the platform hangs up within {within}"), "the call goes on".to_owned()),
            },
            Awaited::Webhook(request) => match self.requests.iter().position(|one| fits(request, one)) {
                Some(index) => {
                    let one = self.requests.remove(index);
                    held(format!("{} {}", one.method, one.path))
                }
                None => late(
                    format!("a request that fits within {within}"),
                    crate::webhooks::told(self.requests.iter().map(AsRef::as_ref)),
                ),
            },
        }
    }

    /// Speaking and pressing: when there is a line, at its offset, and what it stops.
    fn check_speaking(&self, now: Instant, barge: Barge, command: impl Fn() -> Command) -> State {
        let Some(acted) = self.step.acted else {
            if self.call.answered.is_none() && self.call.early_media.is_none() {
                let by = self.step.began + ANSWER_PATIENCE;
                if now >= by {
                    return missed("a call to speak into", "no answer");
                }
                return State::Pending(Some(by));
            }
            let Some(offset) = barge.at else { return State::Act(command()) };
            let sound = self.hearing.sounding(now);
            if sound.is_some_and(|sound| sound.until.saturating_duration_since(sound.began) >= offset) {
                return State::Act(command());
            }
            let by = self.step.began + BARGE_PATIENCE;
            if now >= by {
                return missed(format!("a sound of {} to speak into", told(offset)), self.heard_words());
            }
            return State::Pending(Some(by));
        };
        if let Some(Err(why)) = &self.step.result {
            return missed("it can be sent", why.clone());
        }
        let mut words = String::new();
        let mut wake = None;
        if let Some(within) = barge.stops_within {
            let since = self.hearing.last_loud().map_or(acted, |last| last.max(acted));
            if since > acted + within {
                return missed(
                    format!("silence within {} of its beginning", told(within)),
                    format!("sound until {} after its beginning", told(since - acted)),
                );
            }
            if now < since + STOPPED_FOR {
                wake = Some(since + STOPPED_FOR);
            }
            words = format!("silence after {}", told(since - acted));
        }
        if self.step.result.is_none() || wake.is_some() {
            return State::Pending(wake);
        }
        held(words)
    }

    /// Answering and refusing: once called.
    fn check_taking(&self, now: Instant, after: Duration, command: Command) -> State {
        let within = match &self.party.role {
            Role::Answers(answering) => answering.within,
            Role::Dials(_) => ANSWER_PATIENCE,
        };
        let Some(called) = self.call.called else {
            let by = self.step.began + within;
            if now >= by {
                return missed(format!("a call within {}", told(within)), "nobody called");
            }
            return State::Pending(Some(by));
        };
        let due = called.max(self.step.began) + after;
        if now < due {
            return State::Pending(Some(due));
        }
        match (self.step.acted, self.call.answered) {
            (None, _) => State::Act(command),
            (Some(_), Some(_)) => held(""),
            (Some(_), None) => State::Pending(None),
        }
    }

    fn judge_heard(&self, expected: &Heard) -> Verdict {
        let since = self.hearing.since();
        let ms = since.length.as_millis() as u64;
        if let Some((pitch, lasting)) = expected.tone {
            let run = self.hearing.longest(pitch).map_or(0, |run| run.ms);
            if u128::from(run) < lasting.as_millis() {
                return Verdict::missed(format!("{} Hz for {}", pitch.hz, told(lasting)), self.heard_words());
            }
        }
        if let Some(levels) = expected.energy.filter(|levels| !levels.hold(since.level_dbfs)) {
            let expected = match (levels.at_least, levels.at_most) {
                (Some(above), Some(below)) => format!("between {above} and {below} dBFS"),
                (Some(above), None) => format!("above {above} dBFS"),
                (_, below) => format!("below {} dBFS", below.unwrap_or_default()),
            };
            return Verdict::missed(expected, self.heard_words());
        }
        if let Some(bounds) = expected.length_ms.filter(|bounds| !bounds.hold(ms)) {
            let words = bounds.words(|ms| told(Duration::from_millis(ms)));
            return Verdict::missed(format!("{words} of sound"), self.heard_words());
        }
        if let Some(digits) = expected.digits.as_ref().filter(|digits| **digits != since.digits) {
            return Verdict::missed(format!("keys {digits:?}"), format!("keys {:?}", since.digits));
        }
        let early = self.call.early_audio;
        if let Some(wanted) = expected.early_media.filter(|wanted| *wanted != early) {
            let word = |is: bool| if is { "early media" } else { "no early media" };
            return Verdict::missed(word(wanted), word(early));
        }
        Verdict::held(self.heard_words())
    }

    /// What was heard since the last judgement, for people.
    pub(super) fn heard_words(&self) -> String {
        let since = self.hearing.since();
        if since.length.is_zero() && since.digits.is_empty() {
            return "silence".to_owned();
        }
        let mut words = format!("{} of sound at {:.1} dBFS", told(since.length), since.level_dbfs);
        for (hz, ms) in since.tones.iter().take(4) {
            words.push_str(&format!(", {hz:.0} Hz for {}", told(Duration::from_millis(*ms))));
        }
        if !since.digits.is_empty() {
            words.push_str(&format!(", keys {}", since.digits));
        }
        words
    }

    pub(super) fn end_words(&self) -> String {
        let Some((_, end)) = &self.call.ended else { return "not over".to_owned() };
        let who = match end.by {
            EndedBy::Us => "ended by this party",
            EndedBy::Platform => "ended by the platform",
            EndedBy::Failure => "failed",
        };
        let reason = end.reason.as_ref().map(|reason| format!(", {reason}")).unwrap_or_default();
        format!("{} {} ({who}{reason})", end.status, end.phrase)
    }
}

/// Time is looked at a moment after it matters.
const TICK: Duration = Duration::from_millis(1);
