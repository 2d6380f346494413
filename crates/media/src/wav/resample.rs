//! Any rate to 8 kHz by a polyphase windowed-sinc filter.
//!
//! Runs once per prompt, not per call. The pass band ends at 3.6 kHz, above what a phone line
//! carries; what lies beyond 4 kHz is 60 dB down and does not fold into speech.

use std::f64::consts::PI;

/// The rate of everything on a G.711 leg.
pub const RESAMPLED_RATE: u32 = 8_000;

/// Zero crossings of the sinc on each side.
const CROSSINGS: f64 = 24.0;
/// Cut-off relative to the lower Nyquist frequency; the transition band lies around it.
const CUTOFF: f64 = 0.93;

/// `samples` at `rate`, resampled to 8 kHz.
pub fn resample_to_8k(samples: &[i16], rate: u32) -> Vec<i16> {
    if rate == RESAMPLED_RATE || rate == 0 || samples.is_empty() {
        return samples.to_vec();
    }
    let divisor = gcd(rate, RESAMPLED_RATE);
    let up = u64::from(RESAMPLED_RATE / divisor);
    let down = u64::from(rate / divisor);
    let filter = Polyphase::new(up, down);
    let count = (samples.len() as u64 * up).div_ceil(down);
    (0..count).map(|index| filter.sample(samples, index * down)).collect()
}

/// One row of taps per phase of the output between two input samples.
struct Polyphase {
    up: u64,
    half: usize,
    taps: Vec<f64>,
}

impl Polyphase {
    fn new(up: u64, down: u64) -> Self {
        let scale = (up as f64 / down as f64).min(1.0) * CUTOFF;
        let half = (CROSSINGS / scale).ceil() as usize;
        let width = half * 2;
        let mut taps = Vec::with_capacity(width * up as usize);
        for phase in 0..up {
            let offset = phase as f64 / up as f64;
            let row: Vec<f64> = (0..width)
                .map(|tap| {
                    let distance = tap as f64 - (half as f64 - 1.0) - offset;
                    sinc(distance * scale) * blackman(distance / half as f64)
                })
                .collect();
            // Each phase passes direct current unchanged, or silence would hum.
            let sum: f64 = row.iter().sum();
            taps.extend(row.into_iter().map(|tap| tap / sum));
        }
        Self { up, half, taps }
    }

    /// The output at `position`, counted in input samples times `up`.
    fn sample(&self, samples: &[i16], position: u64) -> i16 {
        let base = (position / self.up) as i64 - (self.half as i64 - 1);
        let width = self.half * 2;
        let start = (position % self.up) as usize * width;
        let row = self.taps.get(start..start + width).unwrap_or_default();
        let value: f64 = row
            .iter()
            .zip(base..)
            .filter_map(|(tap, index)| {
                usize::try_from(index).ok().and_then(|index| samples.get(index)).map(|s| tap * f64::from(*s))
            })
            .sum();
        value.round().clamp(-32_768.0, 32_767.0) as i16
    }
}

fn sinc(x: f64) -> f64 {
    if x.abs() < 1e-9 { 1.0 } else { (PI * x).sin() / (PI * x) }
}

/// Blackman window over −1..1.
fn blackman(x: f64) -> f64 {
    if x.abs() > 1.0 { 0.0 } else { 0.42 + 0.5 * (PI * x).cos() + 0.08 * (2.0 * PI * x).cos() }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::energy::{level_dbfs, tone_dbfs};

    const RATES: [u32; 6] = [11_025, 16_000, 22_050, 24_000, 44_100, 48_000];

    fn sine(hz: f64, rate: u32, seconds: f64) -> Vec<i16> {
        (0..(f64::from(rate) * seconds) as usize)
            .map(|n| (16_384.0 * (2.0 * PI * hz * n as f64 / f64::from(rate)).sin()) as i16)
            .collect()
    }

    #[test]
    fn speech_keeps_its_level_and_length_from_every_rate() {
        for rate in RATES {
            for hz in [300.0, 1_000.0, 3_000.0, 3_400.0] {
                let out = resample_to_8k(&sine(hz, rate, 1.0), rate);
                assert!((out.len() as i64 - 8_000).abs() <= 1, "{rate}: {}", out.len());
                let level = tone_dbfs(&out[400..7_600], hz);
                assert!((level + 6.02).abs() < 0.3, "{hz} Hz from {rate}: {level}");
            }
        }
    }

    #[test]
    fn what_a_phone_cannot_carry_does_not_fold_back() {
        for rate in RATES {
            let out = resample_to_8k(&sine(4_600.0, rate, 1.0), rate);
            let level = level_dbfs(&out[400..7_600]);
            assert!(level < -50.0, "4.6 kHz from {rate}: {level}");
        }
    }

    #[test]
    fn direct_current_and_silence_stay_what_they_are() {
        for rate in RATES {
            let out = resample_to_8k(&vec![1_000; rate as usize], rate);
            assert!(out[100..7_900].iter().all(|s| (*s - 1_000).abs() <= 1));
            assert!(resample_to_8k(&vec![0; 1_000], rate).iter().all(|s| *s == 0));
        }
        assert_eq!(resample_to_8k(&[1, 2, 3], 8_000), [1, 2, 3]);
        assert!(resample_to_8k(&[], 48_000).is_empty());
    }
}
