//! Waits for something in what a peer says: silence, or the beep of an answering machine.
//!
//! A leg that has been told to feeds it decoded audio; it answers once. Silence is also what never arrives: a peer that
//! stops sending is as silent as one that sends nothing loud.

use std::time::{Duration, Instant};

use crate::energy::{SAMPLE_RATE, goertzel_amplitude, rms};
use crate::jitter_buffer::FRAME;

/// Quieter than this (about −45 dBFS) a frame counts as silence: speech on the phone is above −35, line noise below −50.
const SILENCE_RMS: f64 = 130.0;
/// A beep is louder than this (about −35 dBFS).
const BEEP_RMS: f64 = 400.0;
/// Beeps of answering machines lie between these.
const BEEP_HZ: std::ops::RangeInclusive<f64> = 300.0..=2_000.0;
/// A tone of 0.1 s fills at least so many whole frames of 20 ms.
const BEEP_FRAMES_MIN: u32 = 4;
/// 5 s: what sounds longer is a dial tone, music on hold, a fax.
const BEEP_FRAMES_MAX: u32 = 250;
/// How much of a frame's power is in its one frequency.
const PURITY: f64 = 0.9;
/// How far the frequency may move from frame to frame.
const STEADINESS: f64 = 0.02;
/// A tone after which nothing arrives any more has ended by then.
const TONE_GAP: Duration = Duration::from_millis(200);

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenFor {
    /// So long without voice.
    Silence(Duration),
    /// The end of a steady tone of 0.1 to 5 s between 300 and 2000 Hz.
    Beep,
}

/// See the module.
#[derive(Debug)]
pub struct Listener {
    wanted: ListenFor,
    /// When something loud was last heard.
    last_loud: Instant,
    block: [i16; FRAME],
    filled: usize,
    tone: Option<SteadyTone>,
    found: bool,
    done: bool,
}

/// A tone that may turn out to be a beep.
#[derive(Clone, Copy, Debug)]
struct SteadyTone {
    hz: f64,
    frames: u32,
    last: Instant,
}

impl Listener {
    /// Listening from `now` on.
    pub fn new(now: Instant, wanted: ListenFor) -> Self {
        Self { wanted, last_loud: now, block: [0; FRAME], filled: 0, tone: None, found: false, done: false }
    }

    /// Hears decoded audio that has arrived.
    pub fn hear(&mut self, now: Instant, samples: &[i16]) {
        for sample in samples {
            if let Some(slot) = self.block.get_mut(self.filled) {
                *slot = *sample;
            }
            self.filled += 1;
            if self.filled == FRAME {
                self.filled = 0;
                self.frame(now);
            }
        }
    }

    /// True once, when it was heard.
    pub fn poll(&mut self, now: Instant) -> bool {
        if self.done || !(self.found || self.deadline().is_some_and(|at| now >= at)) {
            return false;
        }
        self.done = true;
        true
    }

    /// When [`Listener::poll`] next has something to say if nothing more arrives.
    pub fn deadline(&self) -> Option<Instant> {
        if self.done {
            return None;
        }
        match (self.wanted, self.tone) {
            (ListenFor::Silence(length), _) => Some(self.last_loud + length),
            (ListenFor::Beep, Some(tone)) if tone.is_beep() => Some(tone.last + TONE_GAP),
            (ListenFor::Beep, _) => None,
        }
    }

    /// Whether there is something to say already.
    pub fn is_ready(&self) -> bool {
        self.found && !self.done
    }

    fn frame(&mut self, now: Instant) {
        let level = rms(&self.block);
        match self.wanted {
            ListenFor::Silence(_) if level >= SILENCE_RMS => self.last_loud = now,
            ListenFor::Silence(_) => {}
            ListenFor::Beep => self.beep(now, level),
        }
    }

    fn beep(&mut self, now: Instant, level: f64) {
        let heard = if level >= BEEP_RMS { pure_tone(&self.block) } else { None };
        let goes_on = |tone: &SteadyTone, hz: f64| (hz - tone.hz).abs() <= STEADINESS * tone.hz;
        match (&mut self.tone, heard) {
            (Some(tone), Some(hz)) if goes_on(tone, hz) => {
                tone.frames += 1;
                tone.last = now;
            }
            (ended, heard) => {
                self.found |= ended.is_some_and(|tone| tone.is_beep());
                *ended = heard.map(|hz| SteadyTone { hz, frames: 1, last: now });
            }
        }
    }
}

impl SteadyTone {
    fn is_beep(self) -> bool {
        (BEEP_FRAMES_MIN..=BEEP_FRAMES_MAX).contains(&self.frames)
    }
}

/// The frequency of a frame that is a single sine, if it may be a beep's.
///
/// Of a sine x, x(n−1) + x(n+1) is 2 cos ω · x(n): the best factor over the frame tells the frequency.
fn pure_tone(frame: &[i16; FRAME]) -> Option<f64> {
    let (mut product, mut power) = (0.0, 0.0);
    for window in frame.windows(3) {
        if let [before, here, after] = window {
            let here = f64::from(*here);
            product += here * (f64::from(*before) + f64::from(*after));
            power += here * here;
        }
    }
    let cosine = product / power.max(1.0) / 2.0;
    let hz = cosine.clamp(-1.0, 1.0).acos() * f64::from(SAMPLE_RATE) / std::f64::consts::TAU;
    if !BEEP_HZ.contains(&hz) {
        return None;
    }
    let of_the_tone = goertzel_amplitude(frame, hz).powi(2) / 2.0;
    (of_the_tone >= PURITY * rms(frame).powi(2)).then_some(hz)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtmf::Digit;
    use crate::energy::Tone;
    use crate::g711::Law;
    use crate::test_clock::origin as start;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// When a listener found it, in milliseconds of what it heard; the line then stays open and silent for a while.
    fn found(wanted: ListenFor, samples: &[i16], after_ms: u64) -> Option<u64> {
        let origin = start();
        let mut listener = Listener::new(origin, wanted);
        let mut heard = 0;
        for packet in samples.chunks(FRAME) {
            let mut coded = vec![0; packet.len()];
            Law::Ulaw.encode_into(packet, &mut coded);
            let mut decoded = [0; FRAME];
            let count = Law::Ulaw.decode_into(&coded, &mut decoded);
            heard += 20;
            listener.hear(origin + ms(heard), &decoded[..count]);
            if listener.poll(origin + ms(heard)) {
                assert!(!listener.poll(origin + ms(heard + 9)), "told once");
                return Some(heard);
            }
        }
        let until = origin + ms(heard + after_ms);
        let at = listener.deadline().filter(|at| *at <= until)?;
        listener.poll(at).then(|| at.duration_since(origin).as_millis() as u64)
    }

    fn silence(length: u64) -> Vec<i16> {
        vec![0; length as usize * 8]
    }

    fn tone(hz: u16, length: u64) -> Vec<i16> {
        Tone::Sine { hz, level_dbfs: -12 }.samples(ms(length))
    }

    /// Voiced speech as far as this cares: a fundamental that glides, with harmonics, and pauses.
    fn speech(length: u64) -> Vec<i16> {
        let mut phase = 0.0f64;
        (0..length * 8)
            .map(|index| {
                let time = index as f64 / 8_000.0;
                let hz = 140.0 + 40.0 * (time * 9.0).sin();
                phase += hz / 8_000.0 * std::f64::consts::TAU;
                let voiced = (1..12).map(|n| (phase * f64::from(n)).sin() / f64::from(n)).sum::<f64>();
                let loud = if (time * 2.3).fract() < 0.75 { 6_000.0 } else { 0.0 };
                (voiced * loud) as i16
            })
            .collect()
    }

    #[test]
    fn silence_is_found_when_it_has_lasted_and_counts_from_the_last_word() {
        let wanted = ListenFor::Silence(ms(2_000));
        assert_eq!(found(wanted, &silence(5_000), 0), Some(2_000));
        let words = [tone(440, 1_000), silence(1_500), tone(440, 500), silence(5_000)].concat();
        assert_eq!(found(wanted, &words, 0), Some(5_000));
        assert_eq!(found(wanted, &speech(20_000), 0), None, "the pauses between words are no silence");
    }

    #[test]
    fn a_peer_that_stops_sending_is_silent_too() {
        assert_eq!(found(ListenFor::Silence(ms(700)), &tone(440, 300), 5_000), Some(1_000));
        assert_eq!(found(ListenFor::Silence(ms(700)), &[], 5_000), Some(700));
    }

    #[test]
    fn line_noise_is_silence() {
        let noise: Vec<i16> =
            (0..40_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as i16 - 128).collect();
        assert!(found(ListenFor::Silence(ms(1_000)), &noise, 0).is_some());
    }

    #[test]
    fn beeps_of_every_pitch_and_length_are_found_at_their_end() {
        for hz in [300, 420, 440, 800, 1_000, 1_400, 2_000] {
            for length in [100, 200, 500, 1_000, 4_900] {
                for offset in [0, 7, 13] {
                    let line = [speech(600), silence(200 + offset), tone(hz, length), silence(300)].concat();
                    let end = 800 + offset + length;
                    let at =
                        found(ListenFor::Beep, &line, 0).unwrap_or_else(|| panic!("{hz} Hz, {length} ms"));
                    assert!((end..=end + 60).contains(&at), "{hz} Hz, {length} ms: {at} of {end}");
                }
            }
        }
    }

    #[test]
    fn a_beep_after_which_nothing_is_sent_is_found_too() {
        assert_eq!(found(ListenFor::Beep, &tone(1_000, 400), 1_000), Some(400 + 200));
    }

    #[test]
    fn what_is_no_beep_is_not_taken_for_one() {
        let digits: Vec<i16> = "1590*#D"
            .chars()
            .flat_map(|key| {
                [Tone::Digit(Digit::from_char(key).unwrap()).samples(ms(300)), silence(200)].concat()
            })
            .collect();
        for (what, line) in [
            ("speech", speech(20_000)),
            ("silence", silence(5_000)),
            ("keys", digits),
            ("a click", [silence(100), tone(1_000, 60), silence(500)].concat()),
            ("a dial tone", [tone(425, 6_000), silence(500)].concat()),
            ("too low", [tone(250, 500), silence(500)].concat()),
            ("too high", [tone(2_200, 500), silence(500)].concat()),
            (
                "too quiet",
                [Tone::Sine { hz: 1_000, level_dbfs: -45 }.samples(ms(500)), silence(500)].concat(),
            ),
        ] {
            assert_eq!(found(ListenFor::Beep, &line, 1_000), None, "{what}");
        }
    }
}
