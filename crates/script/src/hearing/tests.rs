use tandem_media::dtmf::Digit;
use tandem_media::energy::Tone;
use tandem_media::g711::Law;
use tandem_model::clock;

use super::*;

/// Plays audio to a hearing in packets of 20 ms, in virtual time.
struct Stage {
    hearing: Hearing,
    now: Instant,
}

const A: Pitch = Pitch { hz: 440, tolerance: 5 };

impl Stage {
    fn new() -> Self {
        Self { hearing: Hearing::new([A]), now: clock::monotonic() }
    }

    fn hears(&mut self, samples: &[i16]) {
        for packet in samples.chunks(BLOCK) {
            self.now += Duration::from_millis(packet.len() as u64 / 8);
            let coded: Vec<i16> =
                packet.iter().map(|sample| Law::Ulaw.decode(Law::Ulaw.encode(*sample))).collect();
            self.hearing.on_audio(self.now, &coded);
        }
    }

    fn tone(&mut self, hz: u16, ms: u64) {
        self.hears(&Tone::Sine { hz, level_dbfs: -12 }.samples(Duration::from_millis(ms)));
    }

    fn silence(&mut self, ms: usize) {
        self.hears(&vec![0; ms * 8]);
    }
}

#[test]
fn short_pauses_belong_to_a_sound_and_long_ones_end_it() {
    let mut stage = Stage::new();
    let start = stage.now;
    stage.silence(200);
    stage.tone(440, 300);
    stage.silence(400);
    stage.tone(440, 300);
    let sound = stage.hearing.sounding(stage.now).expect("it sounds");
    assert_eq!(sound.began - start, Duration::from_millis(200));
    assert_eq!(sound.until - start, Duration::from_millis(1_200));
    stage.silence(420);
    assert_eq!(stage.hearing.sounding(stage.now), None);
    stage.tone(440, 200);
    let length = stage.hearing.since().length;
    assert_eq!(length, Duration::from_millis(1_200), "a second of the first, 200 ms of the second");
}

#[test]
fn a_judgement_begins_anew_in_the_middle_of_a_sound() {
    let mut stage = Stage::new();
    stage.tone(440, 500);
    stage.hearing.judge(stage.now);
    stage.tone(440, 300);
    let since = stage.hearing.since();
    assert_eq!(since.length, Duration::from_millis(300));
    assert!((since.level_dbfs + 12.0).abs() < 0.5, "{}", since.level_dbfs);
    stage.hearing.judge(stage.now);
    let since = stage.hearing.since();
    assert_eq!((since.length, since.level_dbfs), (Duration::ZERO, energy::SILENCE_DBFS));
}

#[test]
fn a_tone_is_met_by_name_and_others_are_told() {
    let mut stage = Stage::new();
    stage.tone(440, 400);
    assert!(stage.hearing.tone(A).is_some_and(|run| run.ms >= 300));
    stage.tone(452, 400);
    assert_eq!(stage.hearing.tone(A), None, "12 Hz off is another tone");
    assert!(stage.hearing.longest(A).is_some_and(|run| run.ms >= 300));
    stage.tone(1_000, 400);
    let told: Vec<u64> = stage.hearing.since().tones.iter().map(|(hz, _)| hz.round() as u64).collect();
    assert!(told.contains(&1_000), "{told:?}");
}

#[test]
fn keys_come_by_tones_and_events_and_are_taken_in_order() {
    let mut stage = Stage::new();
    for key in "42#".chars() {
        stage.hears(&Tone::Digit(Digit::from_char(key).unwrap()).samples(Duration::from_millis(100)));
        stage.silence(100);
    }
    stage.hearing.on_key(stage.now, '7');
    assert_eq!(stage.hearing.all_keys(), "42#7");
    assert_eq!(stage.hearing.take_keys(Some("42")), Ok(Some("42".to_owned())));
    assert_eq!(stage.hearing.take_keys(None), Ok(Some("#".to_owned())));
    assert_eq!(stage.hearing.take_keys(Some("78")), Ok(None));
    stage.hearing.on_key(stage.now, '9');
    assert_eq!(stage.hearing.take_keys(Some("78")), Err("79".to_owned()));
}

#[test]
fn keys_kept_have_a_limit() {
    let mut stage = Stage::new();
    for _ in 0..=MAX_KEYS {
        stage.hearing.on_key(stage.now, '1');
    }
    assert_eq!(stage.hearing.all_keys().len(), MAX_KEYS);
}
