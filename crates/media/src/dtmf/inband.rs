//! DTMF heard in the audio itself: the fallback where neither telephone-event nor INFO is there.
//!
//! Goertzel over 20 ms blocks. A digit needs two blocks in a row (so 40 ms of tone, Q.24's limit),
//! both tones within the permitted twist, far above their neighbours, and most of the block's
//! energy, which speech does not have.

use super::{COLUMNS, Digit, DigitEvent, ROWS};
use crate::energy::{goertzel_amplitude, rms};

/// Samples per block: 20 ms.
const BLOCK: usize = 160;

/// Quieter tones than this (about −36 dBFS each) are noise.
const MIN_AMPLITUDE: f64 = 500.0;
/// Row over column or the reverse may differ by this power ratio (8 dB).
const MAX_TWIST: f64 = 6.31;
/// The best tone of a group over the next best, as power (7 dB; a 50 Hz bin leaks −13 dB).
const MIN_SELECTIVITY: f64 = 5.0;
/// The pair's share of the block's energy.
const MIN_SHARE: f64 = 0.6;

/// Listens to one leg's decoded audio.
#[derive(Clone, Debug, Default)]
pub struct InbandDetector {
    candidate: Option<Digit>,
    held: Option<Digit>,
    held_blocks: u16,
    missed: u8,
}

impl InbandDetector {
    /// Hears nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one 20 ms block.
    pub fn on_block(&mut self, block: &[i16; BLOCK]) -> Option<DigitEvent> {
        let heard = classify(block);
        let confirmed = heard.filter(|digit| self.candidate == Some(*digit));
        self.candidate = heard;
        match (self.held, confirmed) {
            (None, None) => None,
            (Some(held), _) if heard == Some(held) => {
                self.held_blocks = self.held_blocks.saturating_add(1);
                self.missed = 0;
                None
            }
            (_, Some(digit)) => {
                self.held = Some(digit);
                self.held_blocks = 2;
                self.missed = 0;
                Some(DigitEvent::Began(digit))
            }
            (Some(held), None) => {
                self.missed += 1;
                if self.missed < 2 {
                    return None;
                }
                self.held = None;
                Some(DigitEvent::Ended { digit: held, duration_ms: self.held_blocks.saturating_mul(20) })
            }
        }
    }
}

fn classify(block: &[i16; BLOCK]) -> Option<Digit> {
    let level = rms(block);
    if level < MIN_AMPLITUDE {
        return None;
    }
    let (row, row_power) = strongest(block, ROWS)?;
    let (column, column_power) = strongest(block, COLUMNS)?;
    if row_power > column_power * MAX_TWIST || column_power > row_power * MAX_TWIST {
        return None;
    }
    // A sine of amplitude a has power a²/2.
    let share = row_power.midpoint(column_power) / (level * level);
    if share < MIN_SHARE {
        return None;
    }
    Digit::from_keypad(row, column)
}

/// The loudest of four tones and its squared amplitude, if it stands out.
fn strongest(block: &[i16; BLOCK], tones: [u16; 4]) -> Option<(usize, f64)> {
    let powers = tones.map(|hz| goertzel_amplitude(block, f64::from(hz)).powi(2));
    let (best, power) =
        powers.iter().copied().enumerate().max_by(|(_, left), (_, right)| left.total_cmp(right))?;
    let rivals = powers.iter().enumerate().filter(|(index, _)| *index != best);
    let next = rivals.map(|(_, power)| *power).fold(0.0, f64::max);
    (power >= MIN_AMPLITUDE * MIN_AMPLITUDE && power >= next * MIN_SELECTIVITY).then_some((best, power))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::energy::Tone;
    use crate::g711::Law;
    use std::time::Duration;

    fn hear(samples: &[i16]) -> Vec<DigitEvent> {
        let mut detector = InbandDetector::new();
        samples.as_chunks::<BLOCK>().0.iter().filter_map(|block| detector.on_block(block)).collect()
    }

    #[test]
    fn every_digit_is_heard_once_through_g711() {
        for character in "0123456789*#ABCD".chars() {
            let digit = Digit::from_char(character).unwrap();
            for offset in [0usize, 37, 80, 123] {
                let mut samples = vec![0i16; 480 + offset];
                samples.extend(
                    Tone::Digit(digit)
                        .samples(Duration::from_millis(100))
                        .iter()
                        .map(|sample| Law::Ulaw.decode(Law::Ulaw.encode(*sample))),
                );
                samples.resize(samples.len() + 800, 0);
                let heard = hear(&samples);
                assert_eq!(heard.first(), Some(&DigitEvent::Began(digit)), "{character} at {offset}");
                assert!(matches!(heard.get(1), Some(DigitEvent::Ended { digit: d, .. }) if *d == digit));
                assert_eq!(heard.len(), 2);
            }
        }
    }

    #[test]
    fn single_tones_and_noise_are_not_digits() {
        assert!(hear(&Tone::Ring.samples(Duration::from_secs(1))).is_empty());
        assert!(hear(&Tone::Sine { hz: 697, level_dbfs: -6 }.samples(Duration::from_secs(1))).is_empty());
        let mut state = 1u32;
        let noise: Vec<i16> = (0..16_000)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 18) as i16
            })
            .collect();
        assert!(hear(&noise).is_empty());
    }
}
