//! Any rate to 8 kHz, by a windowed sinc evaluated at the exact ratio (polyphase).
//!
//! Used once per clip, off the audio path, so it is built for quality: flat to 3.4 kHz, aliases more
//! than 60 dB down.

use std::f64::consts::PI;

/// The rate of telephony.
pub(super) const TELEPHONE_RATE: u32 = 8_000;
/// Zero crossings of the sinc on each side.
const ZERO_CROSSINGS: f64 = 24.0;
/// Where the low-pass cuts, as a share of the lower Nyquist frequency.
const CUTOFF: f64 = 0.94;
/// Shape of the Kaiser window.
const BETA: f64 = 7.0;
/// Filters kept ready; a ratio that needs more computes each anew.
const PHASES_KEPT_MAX: u64 = 1_024;

/// Resamples to [`TELEPHONE_RATE`] and 16 bit.
pub(super) fn to_telephone(samples: &[f32], rate: u32) -> Vec<i16> {
    if rate == TELEPHONE_RATE {
        return samples.iter().map(|sample| quantise(*sample)).collect();
    }
    let divisor = gcd(u64::from(rate), u64::from(TELEPHONE_RATE));
    // Output n lies at input position n × step / phases.
    let (step, phases) = (u64::from(rate) / divisor, u64::from(TELEPHONE_RATE) / divisor);
    let low_pass = CUTOFF * (f64::from(TELEPHONE_RATE) / f64::from(rate)).min(1.0);
    let reach = (ZERO_CROSSINGS / low_pass).ceil() as i64;
    let mut kept: Vec<Option<Vec<f32>>> = vec![None; phases.min(PHASES_KEPT_MAX) as usize];
    let count = (samples.len() as u64 * phases).div_ceil(step);
    (0..count)
        .map(|n| {
            let position = n * step;
            let (centre, phase) = ((position / phases) as i64, position % phases);
            let offset = phase as f64 / phases as f64;
            match kept.get_mut(phase as usize) {
                Some(slot) => {
                    let filter = slot.get_or_insert_with(|| filter(offset, low_pass, reach));
                    quantise(convolve(samples, centre - reach, filter))
                }
                None => quantise(convolve(samples, centre - reach, &filter(offset, low_pass, reach))),
            }
        })
        .collect()
}

/// The taps around a position `offset` past a sample, normalised to leave levels alone.
fn filter(offset: f64, low_pass: f64, reach: i64) -> Vec<f32> {
    let taps: Vec<f64> = (-reach..=reach)
        .map(|tap| {
            let distance = tap as f64 - offset;
            let edge = distance / (reach as f64 + 1.0);
            sinc(low_pass * distance) * kaiser(edge)
        })
        .collect();
    let sum: f64 = taps.iter().sum();
    taps.iter().map(|tap| (tap / sum) as f32).collect()
}

fn convolve(samples: &[f32], start: i64, filter: &[f32]) -> f32 {
    // What lies before the first sample is silence.
    let skipped = usize::try_from(-start).unwrap_or(0).min(filter.len());
    let taps = filter.get(skipped..).unwrap_or_default();
    let heard = samples.get(usize::try_from(start).unwrap_or(0)..).unwrap_or_default();
    heard.iter().zip(taps).map(|(sample, tap)| sample * tap).sum()
}

fn sinc(x: f64) -> f64 {
    if x.abs() < 1e-9 { 1.0 } else { (PI * x).sin() / (PI * x) }
}

fn kaiser(x: f64) -> f64 {
    bessel_i0(BETA * (1.0 - x * x).max(0.0).sqrt()) / bessel_i0(BETA)
}

/// The modified Bessel function of order zero, by its series.
fn bessel_i0(x: f64) -> f64 {
    let quarter = x * x / 4.0;
    let (mut term, mut sum) = (1.0, 1.0);
    for k in 1..40 {
        term *= quarter / f64::from(k * k);
        sum += term;
    }
    sum
}

fn quantise(sample: f32) -> i16 {
    (sample * 32_768.0).round().clamp(-32_768.0, 32_767.0) as i16
}

const fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(frequency: f64, rate: u32) -> Vec<f32> {
        (0..rate)
            .map(|n| (0.5 * (2.0 * PI * frequency * f64::from(n) / f64::from(rate)).sin()) as f32)
            .collect()
    }

    /// Level relative to the tone's, in decibels, without the clip's edges.
    fn level(samples: &[i16]) -> f64 {
        let middle = &samples[1_000..samples.len() - 1_000];
        let power: f64 =
            middle.iter().map(|s| (f64::from(*s) / 32_768.0).powi(2)).sum::<f64>() / middle.len() as f64;
        10.0 * (power.max(1e-12) / 0.125).log10()
    }

    #[test]
    fn a_second_stays_a_second_and_speech_keeps_its_level() {
        for rate in [8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 44_101] {
            for frequency in [300.0, 1_000.0, 3_400.0] {
                let out = to_telephone(&tone(frequency, rate), rate);
                assert_eq!(out.len(), 8_000, "{rate}");
                let level = level(&out);
                assert!(level.abs() < 0.5, "{frequency} Hz from {rate} Hz: {level} dB");
            }
        }
    }

    #[test]
    fn what_telephony_cannot_carry_does_not_come_back_as_an_alias() {
        for rate in [16_000, 22_050, 44_100, 48_000] {
            for frequency in [4_600.0, 6_000.0, 7_500.0] {
                let level = level(&to_telephone(&tone(frequency, rate), rate));
                assert!(level < -60.0, "{frequency} Hz from {rate} Hz: {level} dB");
            }
        }
    }

    #[test]
    fn short_and_empty_clips_pass() {
        assert!(to_telephone(&[], 22_050).is_empty());
        assert_eq!(to_telephone(&[0.5], 48_000).len(), 1);
        assert_eq!(to_telephone(&[1.0, -1.0], 8_000), [32_767, -32_768]);
    }
}
