//! Parties in virtual time: what they hear is given to them in packets of 20 ms.

use tandem_media::energy::Tone;
use tandem_model::clock;

use super::*;
use crate::Variables;
use crate::read::read;
use crate::webhooks::Signature;

struct Stage {
    actor: Actor,
    start: Instant,
    now: Instant,
    commands: Vec<Command>,
    outcomes: Vec<Outcome>,
}

impl Stage {
    fn of(party: &str) -> Self {
        let text = format!(
            "webhooks: {{}}\nparties:\n  p:\n{}",
            party.replace("\n  ", "\n    ").replacen("  ", "    ", 1)
        );
        let script = read(&text, &Variables::default()).unwrap_or_else(|problem| panic!("{problem}\n{text}"));
        let now = clock::monotonic();
        let actor = Actor::new(Arc::new(script.parties[0].clone()), now);
        let mut stage = Self { actor, start: now, now, commands: Vec::new(), outcomes: Vec::new() };
        stage.tell(Input::Timeout);
        stage
    }

    /// A caller whose call has been answered.
    fn answered(steps: &str) -> Self {
        let mut stage = Self::of(&format!("  dial: '1'\n  steps:\n{steps}"));
        stage.tell(Input::Answered);
        stage
    }

    fn tell(&mut self, input: Input<'_>) {
        self.actor.handle(self.now, input);
        self.commands.extend(std::iter::from_fn(|| self.actor.poll()));
        self.outcomes.extend(std::iter::from_fn(|| self.actor.outcome()));
    }

    /// Time passes to the millisecond, with deadlines kept.
    fn pass(&mut self, ms: u64) {
        let until = self.now + Duration::from_millis(ms);
        while let Some(at) = self.actor.deadline().filter(|at| *at <= until) {
            let before = (self.now, self.outcomes.len(), self.commands.len());
            self.now = at.max(self.now);
            self.tell(Input::Timeout);
            if before == (self.now, self.outcomes.len(), self.commands.len()) {
                break;
            }
        }
        self.now = until;
    }

    fn hear(&mut self, samples: &[i16]) {
        for packet in samples.chunks(160) {
            self.pass(20);
            self.tell(Input::Heard(packet));
        }
    }

    fn tone(&mut self, hz: u16, ms: u64) {
        self.hear(&Tone::Sine { hz, level_dbfs: -12 }.samples(Duration::from_millis(ms)));
    }

    fn silence(&mut self, ms: usize) {
        self.hear(&vec![0; ms * 8]);
    }

    fn end(&mut self, by: EndedBy) {
        let end =
            CallEnd { status: 200, phrase: "OK".to_owned(), reason: Some("Q.850;cause=16".to_owned()), by };
        self.tell(Input::Ended(end));
    }

    fn verdict(&self, step: usize) -> &Verdict {
        &self
            .outcomes
            .iter()
            .find(|one| one.step == Some(step))
            .unwrap_or_else(|| panic!("step {step} is over: {:?}", self.outcomes))
            .verdict
    }

    #[track_caller]
    fn assert_held(&self, step: usize) -> &str {
        match self.verdict(step) {
            Verdict::Held { heard } => heard,
            other => panic!("step {step}: {other:?}"),
        }
    }

    #[track_caller]
    fn assert_missed(&self, step: usize) -> String {
        match self.verdict(step) {
            Verdict::Missed { expected, heard } => format!("{expected} | {heard}"),
            other => panic!("step {step}: {other:?}"),
        }
    }

    fn is_open(&self, step: usize) -> bool {
        self.outcomes.iter().all(|one| one.step != Some(step))
    }
}

#[test]
fn audio_must_begin_in_time_and_last() {
    let mut stage = Stage::answered("    - {wait_for: audio, within: 1s, for: 300ms}\n");
    stage.silence(900);
    stage.tone(440, 280);
    assert!(stage.is_open(1), "280 ms are not 300");
    stage.tone(440, 40);
    assert_eq!(stage.assert_held(1), "after 900 ms");

    let mut stage = Stage::answered("    - {wait_for: audio, within: 1s, for: 300ms}\n");
    stage.silence(1_020);
    assert_eq!(stage.assert_missed(1), "audio of 300 ms within 1.00 s | silence");

    let mut stage = Stage::answered("    - {wait_for: audio, within: 1s, for: 300ms}\n");
    stage.silence(900);
    stage.tone(440, 100);
    stage.pass(500);
    assert!(
        stage.assert_missed(1).contains("100 ms of sound"),
        "a click is no audio, and no packets are silence"
    );
}

#[test]
fn silence_counts_from_its_beginning_with_packets_or_without() {
    let mut stage = Stage::answered("    - {wait_for: silence, within: 300ms, for: 500ms}\n");
    stage.tone(440, 280);
    stage.pass(499);
    assert!(stage.is_open(1));
    stage.pass(2);
    assert_eq!(stage.assert_held(1), "after 280 ms");

    let mut stage = Stage::answered("    - {wait_for: silence, within: 300ms, for: 500ms}\n");
    stage.tone(440, 340);
    assert!(stage.assert_missed(1).starts_with("silence within 300 ms | sound until 320 ms"));
    assert!(
        stage.commands.iter().any(|command| matches!(command, Command::HangUp)),
        "after a miss it hangs up"
    );
}

#[test]
fn a_tone_is_met_by_frequency() {
    let step = "    - {wait_for: tone, hz: 440, within: 1s, for: 300ms}\n";
    let mut stage = Stage::answered(step);
    stage.tone(600, 400);
    stage.tone(440, 500);
    assert!(stage.assert_held(1).starts_with("440 Hz after"), "{:?}", stage.outcomes);
    let mut stage = Stage::answered(step);
    stage.tone(455, 1_500);
    let told = stage.assert_missed(1);
    assert!(told.contains("455 Hz"), "it says what was heard instead: {told}");
}

#[test]
fn what_goes_on_when_a_step_begins_counts_from_its_own_beginning() {
    for step in ["wait_for: audio", "wait_for: tone, hz: 440"] {
        let mut stage = Stage::answered(&format!("    - pause: 600ms\n    - {{{step}, for: 500ms}}\n"));
        stage.tone(440, 700);
        stage.assert_held(2);
        let mut stage = Stage::answered(&format!("    - pause: 600ms\n    - {{{step}, for: 500ms}}\n"));
        stage.tone(440, 540);
        stage.silence(200);
        assert!(stage.is_open(2), "{step}: it was over before the step began");
    }
}

#[test]
fn a_tone_whose_packets_end_is_over() {
    let mut stage = Stage::answered("    - {wait_for: tone, hz: 440, within: 1s, for: 300ms}\n");
    stage.silence(800);
    stage.tone(440, 200);
    stage.pass(390);
    assert!(stage.is_open(1), "packets may be late");
    stage.pass(50);
    assert!(stage.assert_missed(1).starts_with("440 Hz for 300 ms within 1.00 s"));
}

#[test]
fn pressing_into_a_prompt_waits_for_the_offset_and_demands_that_it_stops() {
    let steps = "    - {press: '1', barge_in: 800ms, stops_within: 300ms}\n    - hang_up\n";
    let mut stage = Stage::answered(steps);
    stage.silence(400);
    stage.tone(440, 780);
    assert!(!stage.commands.iter().any(|command| matches!(command, Command::Press(..))));
    stage.tone(440, 40);
    assert!(
        stage
            .commands
            .iter()
            .any(|command| matches!(command, Command::Press(0, keys, KeyBy::Event) if keys == "1"))
    );
    stage.tone(440, 200);
    stage.tell(Input::Done(0));
    stage.pass(190);
    assert!(stage.is_open(1));
    stage.pass(20);
    assert!(stage.assert_held(1).starts_with("silence after 2"), "{}", stage.assert_held(1));

    let mut stage = Stage::answered(steps);
    stage.tone(440, 1_300);
    assert!(stage.assert_missed(1).starts_with("silence within 300 ms of its beginning | sound until 3"));
    assert_eq!(stage.verdict(2), &Verdict::Skipped);
}

#[test]
fn a_judgement_covers_what_was_heard_since_the_last() {
    let steps = "    - {wait_for: silence, for: 500ms}\n    - expect: {length: {at_least: 900ms, at_most: 1100ms}, energy: {above: -15, below: -9}, tone: 440 for 800ms, digits: ''}\n    - {wait_for: digits, digits: '12'}\n    - expect: {digits: '12', length: 0s}\n    - expect: {energy: {above: -40}}\n";
    let mut stage = Stage::answered(steps);
    stage.tone(440, 1_000);
    stage.silence(520);
    for step in [1, 2] {
        stage.assert_held(step);
    }
    stage.tell(Input::Key('1'));
    stage.tell(Input::Key('2'));
    stage.assert_held(4);
    assert_eq!(stage.assert_missed(5), "above -40 dBFS | silence");
}

#[test]
fn keys_that_differ_are_a_miss_at_once() {
    let mut stage = Stage::answered("    - {wait_for: digits, digits: '12'}\n");
    stage.tell(Input::Key('1'));
    stage.tell(Input::Key('3'));
    assert_eq!(stage.assert_missed(1), "keys 12 | keys \"13\"");
}

#[test]
fn a_party_that_is_called_rings_answers_and_is_judged_at_the_end() {
    let party = "  answer: any\n  within: 5s\n  steps:\n    - {answer: , after: 1s}\n    - wait_for: hangup\n  expect: {answered: true, status: 200, cause: 16, ended_by: platform, duration: {at_least: 2s, at_most: 2s}, post_dial_delay: 1s}\n";
    let mut stage = Stage::of(party);
    stage.pass(3_000);
    stage.tell(Input::Called);
    stage.pass(990);
    assert!(matches!(stage.commands.as_slice(), [Command::Ring]));
    stage.pass(10);
    stage.tell(Input::Timeout);
    assert!(matches!(stage.commands.as_slice(), [Command::Ring, Command::Answer]));
    stage.tell(Input::Answered);
    stage.pass(2_000);
    stage.end(EndedBy::Platform);
    assert!(stage.actor.is_over() && stage.outcomes.iter().all(|one| !one.is_miss()), "{:?}", stage.outcomes);
    assert_eq!(stage.outcomes.len(), 2 + 6);

    let mut stage = Stage::of(party);
    stage.pass(5_001);
    assert_eq!(stage.assert_missed(1), "a call within 5.00 s | nobody called");
}

#[test]
fn a_refused_call_misses_what_needs_one_and_holds_what_waits_for_its_end() {
    let refused =
        CallEnd { status: 486, phrase: "Busy Here".to_owned(), reason: None, by: EndedBy::Platform };
    let mut stage = Stage::of(
        "  dial: '1'\n  steps:\n    - wait_for: hangup\n  expect: {status: 486, answered: false}\n",
    );
    stage.tell(Input::Ended(refused.clone()));
    assert!(
        stage.outcomes.iter().all(|one| !one.is_miss()) && stage.outcomes.len() == 3,
        "{:?}",
        stage.outcomes
    );
    let mut stage = Stage::of("  dial: '1'\n  steps:\n    - wait_for: answer\n    - press: '1'\n");
    stage.tell(Input::Ended(refused));
    assert!(stage.assert_missed(1).contains("486 Busy Here (ended by the platform)"));
    assert_eq!(stage.verdict(2), &Verdict::Skipped);
    assert!(stage.actor.is_over());
}

#[test]
fn ending_demands_that_fail_name_themselves() {
    let mut stage = Stage::of(
        "  dial: '1'\n  expect: {status: 486, ended_by: platform, first_audio_within: 1s, early_media: true}\n",
    );
    stage.tell(Input::Answered);
    stage.end(EndedBy::Us);
    let misses: Vec<&str> =
        stage.outcomes.iter().filter(|one| one.is_miss()).map(|one| one.title.as_str()).collect();
    assert_eq!(
        misses,
        [
            "at the end: status",
            "at the end: ended_by",
            "at the end: first_audio_within",
            "at the end: early_media"
        ]
    );
}

#[test]
fn times_are_measured_from_where_they_are_said_to_begin() {
    let party = "  dial: '1'\n  after: 1s\n  steps:\n    - wait_for: ringing\n    - wait_for: answer\n    - {wait_for: audio, for: 100ms}\n  expect: {post_dial_delay: {at_least: 200ms, at_most: 200ms}, answered_within: {at_least: 700ms, at_most: 700ms}, first_audio_within: {at_least: 380ms, at_most: 420ms}}\n";
    let mut stage = Stage::of(party);
    assert!(stage.commands.is_empty());
    stage.pass(1_000);
    assert!(matches!(stage.commands.as_slice(), [Command::Dial]));
    stage.pass(200);
    stage.tell(Input::Ringing);
    stage.pass(500);
    stage.tell(Input::Answered);
    stage.silence(400);
    stage.tone(440, 200);
    stage.end(EndedBy::Us);
    assert!(
        stage.outcomes.iter().all(|one| !one.is_miss()) && stage.outcomes.len() == 6,
        "{:?}",
        stage.outcomes
    );
    assert_eq!(stage.now.duration_since(stage.start), Duration::from_millis(2_300));
}

#[test]
fn a_webhook_is_awaited_even_after_the_call() {
    let mut stage =
        Stage::answered("    - {wait_for: webhook, path: /h, parameters: {Event: Hangup}, within: 2s}\n");
    stage.end(EndedBy::Platform);
    assert!(stage.is_open(1));
    let parameters = vec![("Event".to_owned(), "Hangup".to_owned())];
    stage.tell(Input::Webhook(Arc::new(Received {
        at_ms: 10,
        method: "POST".to_owned(),
        path: "/h".to_owned(),
        parameters,
        signature: Signature::Unchecked,
    })));
    assert_eq!(stage.assert_held(1), "POST /h");
}

#[test]
fn what_cannot_be_sent_and_what_takes_too_long_is_a_miss() {
    let mut stage = Stage::answered("    - press: '1'\n");
    stage.tell(Input::Failed(0, "no telephone-event".to_owned()));
    assert_eq!(stage.assert_missed(1), "it can be sent | no telephone-event");
    let mut stage = Stage::answered("    - pause: 10s\n    - hang_up\n");
    stage.tell(Input::Abort("the script's timeout of 5 s is over".to_owned()));
    assert!(stage.assert_missed(1).contains("timeout") && stage.actor.is_over());
    assert_eq!(stage.verdict(2), &Verdict::Skipped);
}
