//! Loudness, tones and tone detection.
//!
//! Used by playout (ringback, busy, beeps), by the in-band DTMF detector, and by tests, the
//! doctor and the carrier simulator, whose oracle is energy heard and not packets counted.

use std::f64::consts::TAU;
use std::time::Duration;

use crate::dtmf::Digit;

/// Samples per second of everything that is generated or measured here.
pub const SAMPLE_RATE: u32 = 8_000;

/// What [`level_dbfs`] says of digital silence.
pub const SILENCE_DBFS: f64 = -96.0;

/// A tone to generate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// A pure tone.
    Sine {
        /// Frequency.
        hz: u16,
        /// Level below full scale, zero or negative.
        level_dbfs: i8,
    },
    /// Ringback: 425 Hz, 1 s on and 4 s off (E.180).
    Ring,
    /// Busy: 425 Hz, half a second on and half off (E.180).
    Busy,
    /// A DTMF pair.
    Digit(Digit),
}

impl Tone {
    /// The sample at `index` of the endless tone.
    pub fn sample(self, index: u64) -> i16 {
        match self {
            Self::Sine { hz, level_dbfs } => quantise(sine(f64::from(hz), f64::from(level_dbfs), index)),
            Self::Ring => cadence(index, 1_000, 5_000),
            Self::Busy => cadence(index, 500, 1_000),
            Self::Digit(digit) => {
                let (row, column) = digit.frequencies();
                quantise(sine(f64::from(row), -11.0, index) + sine(f64::from(column), -9.0, index))
            }
        }
    }

    /// `length` of the tone from its beginning.
    pub fn samples(self, length: Duration) -> Vec<i16> {
        let count = length.as_millis() as u64 * u64::from(SAMPLE_RATE) / 1_000;
        (0..count).map(|index| self.sample(index)).collect()
    }
}

/// Root mean square of the samples, 0 for none.
pub fn rms(samples: &[i16]) -> f64 {
    if samples.is_empty() {
        return 0.0;
    }
    let sum: f64 = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum();
    (sum / samples.len() as f64).sqrt()
}

/// Level relative to a full-scale sine: 0 dBFS is the loudest sine, −96 is silence.
pub fn level_dbfs(samples: &[i16]) -> f64 {
    to_dbfs(rms(samples) * 2f64.sqrt() / 32_768.0)
}

/// Level of one frequency inside the samples (Goertzel), in dBFS.
pub fn tone_dbfs(samples: &[i16], hz: f64) -> f64 {
    to_dbfs(goertzel_amplitude(samples, hz) / 32_768.0)
}

/// Whether `hz` is at least `floor_dbfs` loud and carries most of the energy.
pub fn has_tone(samples: &[i16], hz: f64, floor_dbfs: f64) -> bool {
    let tone = tone_dbfs(samples, hz);
    tone >= floor_dbfs && tone >= level_dbfs(samples) - 3.0
}

/// Amplitude of the sine at `hz` in the samples.
pub(crate) fn goertzel_amplitude(samples: &[i16], hz: f64) -> f64 {
    if samples.is_empty() {
        return 0.0;
    }
    let coefficient = 2.0 * (TAU * hz / f64::from(SAMPLE_RATE)).cos();
    let (mut previous, mut before) = (0.0f64, 0.0f64);
    for sample in samples {
        let next = f64::from(*sample) + coefficient * previous - before;
        before = previous;
        previous = next;
    }
    let power = previous * previous + before * before - coefficient * previous * before;
    2.0 * power.max(0.0).sqrt() / samples.len() as f64
}

fn to_dbfs(ratio: f64) -> f64 {
    if ratio <= 0.0 { SILENCE_DBFS } else { (20.0 * ratio.log10()).max(SILENCE_DBFS) }
}

fn sine(hz: f64, level_dbfs: f64, index: u64) -> f64 {
    // Whole seconds change no phase of a whole frequency and would cost precision.
    let time = (index % u64::from(SAMPLE_RATE)) as f64 / f64::from(SAMPLE_RATE);
    32_767.0 * 10f64.powf(level_dbfs.min(0.0) / 20.0) * (TAU * hz * time).sin()
}

fn quantise(value: f64) -> i16 {
    value.round().clamp(-32_768.0, 32_767.0) as i16
}

fn cadence(index: u64, on_ms: u64, period_ms: u64) -> i16 {
    let at_ms = index * 1_000 / u64::from(SAMPLE_RATE) % period_ms;
    if at_ms < on_ms { quantise(sine(425.0, -13.0, index)) } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sine_measures_at_the_level_it_was_made() {
        let samples = Tone::Sine { hz: 1_000, level_dbfs: -10 }.samples(Duration::from_millis(200));
        assert!((level_dbfs(&samples) + 10.0).abs() < 0.1);
        assert!((tone_dbfs(&samples, 1_000.0) + 10.0).abs() < 0.1);
        assert!(tone_dbfs(&samples, 700.0) < -40.0);
        assert!(has_tone(&samples, 1_000.0, -12.0));
        assert!(!has_tone(&samples, 500.0, -40.0));
    }

    #[test]
    fn silence_has_no_level() {
        assert_eq!(level_dbfs(&[0; 160]), SILENCE_DBFS);
        assert_eq!(level_dbfs(&[]), SILENCE_DBFS);
        assert!(!has_tone(&[0; 160], 425.0, -60.0));
    }

    #[test]
    fn ring_and_busy_keep_their_cadence() {
        let ring = Tone::Ring.samples(Duration::from_secs(6));
        assert!(has_tone(&ring[..8_000], 425.0, -20.0));
        assert_eq!(level_dbfs(&ring[8_000..40_000]), SILENCE_DBFS);
        assert!(has_tone(&ring[40_000..], 425.0, -20.0));
        let busy = Tone::Busy.samples(Duration::from_secs(2));
        assert!(has_tone(&busy[..4_000], 425.0, -20.0));
        assert_eq!(level_dbfs(&busy[4_000..8_000]), SILENCE_DBFS);
        assert!(has_tone(&busy[8_000..12_000], 425.0, -20.0));
    }
}
