//! A conference's sound: everybody's sum, less what the listener said himself.
//!
//! The room's worker adds one 20 ms frame per speaker, then asks for each listener's mix. Adding
//! and subtracting keeps it linear in the number of members. Loud sums are bent, not cut: a hard
//! limit crackles as soon as three people laugh.

use crate::jitter_buffer::FRAME;

/// Sums beyond this are bent towards full scale.
const KNEE: i32 = 24_576;
const FULL_SCALE: i32 = 32_767;

/// One 20 ms mix.
#[derive(Clone, Debug)]
pub struct Mixer {
    sum: [i32; FRAME],
}

impl Default for Mixer {
    fn default() -> Self {
        Self { sum: [0; FRAME] }
    }
}

impl Mixer {
    /// Silence.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts the next 20 ms.
    pub fn clear(&mut self) {
        self.sum.fill(0);
    }

    /// Adds a speaker's frame. Members who are muted are not added.
    pub fn add(&mut self, frame: &[i16; FRAME]) {
        for (sum, sample) in self.sum.iter_mut().zip(frame) {
            *sum += i32::from(*sample);
        }
    }

    /// What one who is not in the mix hears.
    pub fn all(&self) -> [i16; FRAME] {
        self.sum.map(bend)
    }

    /// What a member hears: all but the frame that was added for him.
    pub fn without(&self, own: &[i16; FRAME]) -> [i16; FRAME] {
        let mut mix = [0; FRAME];
        for ((out, sum), sample) in mix.iter_mut().zip(&self.sum).zip(own) {
            *out = bend(sum - i32::from(*sample));
        }
        mix
    }
}

/// Linear up to the knee, then closing in on full scale without reaching past it.
fn bend(sum: i32) -> i16 {
    let magnitude = sum.abs();
    if magnitude <= KNEE {
        return sum as i16;
    }
    let room = FULL_SCALE - KNEE;
    let over = magnitude - KNEE;
    let bent = KNEE + (i64::from(room) * i64::from(over) / i64::from(over + room)) as i32;
    (bent * sum.signum()) as i16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::energy::{Tone, has_tone, tone_dbfs};
    use std::time::Duration;

    fn tone(hz: u16) -> [i16; FRAME] {
        let samples = Tone::Sine { hz, level_dbfs: -20 }.samples(Duration::from_millis(20));
        samples.try_into().unwrap()
    }

    #[test]
    fn everybody_hears_the_others_and_not_himself() {
        let speakers = [500, 1_000, 2_000].map(tone);
        let mut mixer = Mixer::new();
        for frame in &speakers {
            mixer.add(frame);
        }
        let heard = mixer.without(&speakers[0]);
        assert!(tone_dbfs(&heard, 500.0) < -60.0);
        assert!((tone_dbfs(&heard, 1_000.0) + 20.0).abs() < 0.5);
        assert!((tone_dbfs(&heard, 2_000.0) + 20.0).abs() < 0.5);
        assert!((tone_dbfs(&mixer.all(), 500.0) + 20.0).abs() < 0.5);
        mixer.clear();
        assert!(!has_tone(&mixer.all(), 500.0, -90.0));
    }

    #[test]
    fn two_people_are_exact_and_a_crowd_is_bent_but_never_wraps() {
        let mut mixer = Mixer::new();
        let (quiet, loud) = ([100; FRAME], [i16::MAX; FRAME]);
        mixer.add(&quiet);
        mixer.add(&loud);
        assert_eq!(mixer.without(&loud), quiet);
        for _ in 0..200 {
            mixer.add(&loud);
        }
        assert!(mixer.all().iter().all(|sample| *sample > 32_000));
        assert_eq!(bend(KNEE), KNEE as i16);
        assert!(bend(KNEE + 1) >= KNEE as i16);
        assert!(bend(-2_000_000) < -32_000);
        let bent: Vec<i16> = (0..100_000).step_by(7).map(bend).collect();
        assert!(bent.is_sorted());
    }
}
