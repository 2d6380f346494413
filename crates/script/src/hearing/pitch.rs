//! The frequency of a tone, to within a few Hz, from 50 ms of audio.
//!
//! A coarse scan by Goertzel finds the strongest frequency to ±10 Hz; the turn of its phase from the first half of
//! the window to the second gives the rest, which does not depend on the tone being alone.

use std::f64::consts::TAU;

use tandem_media::energy::{self, SAMPLE_RATE};

use crate::values::{MAX_HZ, MIN_HZ};

/// Samples looked at together: 50 ms.
pub(super) const WINDOW: usize = 400;
/// Milliseconds of a window.
pub(super) const WINDOW_MS: u64 = 50;
/// Half a window, whose phases are compared.
const HALF: usize = WINDOW / 2;
/// Step of the scan: half of what two phases 25 ms apart can tell.
const SCAN_HZ: u16 = 20;
/// Quieter tones are none.
const FLOOR_DBFS: f64 = -45.0;
/// A tone that is alone is no farther below all that is heard; each of two equal ones is 3 dB below.
const ALONE_DB: f64 = 2.0;
/// A tone asked for by name may be so far below all that is heard: others may speak or sound as well.
const BELOW_ALL_DB: f64 = 6.0;

/// The one frequency that carries most of a window's energy.
pub(super) fn strongest(window: &[i16]) -> Option<f64> {
    let scanned = (MIN_HZ..=MAX_HZ).step_by(usize::from(SCAN_HZ)).map(f64::from);
    let (coarse, _) = scanned
        .map(|hz| (hz, energy::tone_dbfs(window, hz)))
        .max_by(|(_, left), (_, right)| left.total_cmp(right))?;
    let hz = refine(window, coarse)?;
    let level = energy::tone_dbfs(window, hz);
    (level >= FLOOR_DBFS && level >= energy::level_dbfs(window) - ALONE_DB).then_some(hz)
}

/// The frequency of a tone near `wanted`, if one is there.
pub(super) fn near(window: &[i16], wanted: f64) -> Option<f64> {
    let hz = refine(window, wanted)?;
    let level = energy::tone_dbfs(window, hz);
    (level >= FLOOR_DBFS && level >= energy::level_dbfs(window) - BELOW_ALL_DB).then_some(hz)
}

/// By how far the phase at `hz` runs ahead between the halves.
fn refine(window: &[i16], hz: f64) -> Option<f64> {
    let (first, second) = window.split_at_checked(HALF)?;
    let turn = phase(second.get(..HALF)?, hz) - phase(first, hz);
    // The reference itself turns, too, from the one half to the other.
    let reference = TAU * hz * HALF as f64 / f64::from(SAMPLE_RATE);
    let ahead = (turn - reference).rem_euclid(TAU);
    let ahead = if ahead > TAU / 2.0 { ahead - TAU } else { ahead };
    let found = hz + ahead / TAU * f64::from(SAMPLE_RATE) / HALF as f64;
    (f64::from(MIN_HZ) - 20.0..=f64::from(MAX_HZ) + 20.0).contains(&found).then_some(found)
}

/// Phase of one frequency at the beginning of some samples.
fn phase(samples: &[i16], hz: f64) -> f64 {
    let step = TAU * hz / f64::from(SAMPLE_RATE);
    let (mut real, mut imaginary) = (0.0, 0.0);
    for (index, sample) in samples.iter().enumerate() {
        let (sine, cosine) = (step * index as f64).sin_cos();
        // Hann: what else is in the window leaks less.
        let weight = 0.5 - 0.5 * (TAU * (index as f64 + 0.5) / samples.len() as f64).cos();
        real += weight * f64::from(*sample) * cosine;
        imaginary -= weight * f64::from(*sample) * sine;
    }
    imaginary.atan2(real)
}

#[cfg(test)]
mod tests {
    use tandem_media::energy::Tone;
    use tandem_media::g711::Law;

    use super::*;

    fn heard(hz: u16, level_dbfs: i8, offset: u64) -> Vec<i16> {
        let tone = Tone::Sine { hz, level_dbfs };
        (0..WINDOW as u64)
            .map(|index| Law::Ulaw.decode(Law::Ulaw.encode(tone.sample(index + offset))))
            .collect()
    }

    #[test]
    fn a_tone_is_named_to_within_five_hertz_through_g711() {
        for hz in (110..3_700).step_by(37) {
            for (level, offset) in [(-6, 0), (-12, 33), (-30, 7)] {
                let found = strongest(&heard(hz, level, offset)).unwrap_or_default();
                assert!((found - f64::from(hz)).abs() <= 5.0, "{hz} Hz at {level} dBFS was heard as {found}");
            }
        }
    }

    #[test]
    fn a_tone_asked_for_is_found_beside_another_and_a_neighbour_is_not_it() {
        let both: Vec<i16> = heard(440, -12, 0)
            .iter()
            .zip(heard(1_000, -12, 5))
            .map(|(one, other)| one / 2 + other / 2)
            .collect();
        for hz in [440.0, 1_000.0] {
            let found = near(&both, hz).unwrap_or_default();
            assert!((found - hz).abs() <= 5.0, "{hz} Hz was heard as {found}");
        }
        assert_eq!(near(&both, 1_500.0), None);
        assert_eq!(strongest(&both), None, "neither of two is the one");
        let off = near(&heard(450, -12, 0), 440.0).unwrap_or_default();
        assert!((off - 450.0).abs() <= 5.0, "a tone 10 Hz off is measured where it is: {off}");
        assert_eq!(near(&[0; WINDOW], 440.0), None);
        assert_eq!(strongest(&[0; WINDOW]), None);
    }

    #[test]
    fn noise_has_no_pitch() {
        let mut state = 1_u32;
        let noise: Vec<i16> = (0..WINDOW)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 18) as i16 - 8_192
            })
            .collect();
        assert_eq!(strongest(&noise), None);
    }
}
