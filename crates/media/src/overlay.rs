//! A sound over what a leg hears otherwise: mixed with it, or in its place. Used for what the API plays into a live call,
//! while the call's own sounds and conversation go on beneath.
//!
//! While it lasts the leg speaks on its own grid: what another leg says is decoded into a short queue and added frame by
//! frame. The queue starts two packets deep, so that ordinary jitter leaves no holes, and never grows past
//! 200 ms: a leg whose peer sends faster than its clock drops the oldest.

use std::collections::VecDeque;

use crate::g711::Law;
use crate::playout::{PlayId, PlayItem, Playout, PlayoutError, PlayoutEvent};

/// Samples of conversation that may wait: 200 ms.
const MAX_BEHIND: usize = 1_600;
/// Samples that wait before the first is heard: 40 ms.
const PRIMED: usize = 320;

/// What becomes of the sounds beneath.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beneath {
    /// They go on and are heard.
    Mixed,
    /// The conversation goes on unheard; the leg's own sounds wait.
    Silenced,
}

/// The sound above.
#[derive(Debug)]
pub(crate) struct Overlay {
    sounds: Playout,
    beneath: Beneath,
    conversation: VecDeque<i16>,
    primed: bool,
}

impl Overlay {
    pub(crate) fn new(beneath: Beneath) -> Self {
        Self { sounds: Playout::new(), beneath, conversation: VecDeque::new(), primed: false }
    }

    /// Queues a sound; the last one says what becomes of those beneath.
    pub(crate) fn push(&mut self, item: PlayItem, beneath: Beneath) -> Result<(), PlayoutError> {
        self.beneath = beneath;
        self.sounds.push(item)
    }

    pub(crate) fn remove(&mut self, id: PlayId) -> bool {
        self.sounds.remove(id)
    }

    pub(crate) fn clear(&mut self) {
        self.sounds.clear();
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.sounds.is_busy()
    }

    pub(crate) fn has_events(&self) -> bool {
        self.sounds.has_events()
    }

    pub(crate) fn poll(&mut self) -> Option<PlayoutEvent> {
        self.sounds.poll()
    }

    pub(crate) fn beneath(&self) -> Beneath {
        self.beneath
    }

    /// What another leg says, in `law`.
    pub(crate) fn overhear(&mut self, law: Law, payload: &[u8]) {
        if self.beneath == Beneath::Mixed {
            self.conversation.extend(payload.iter().map(|byte| law.decode(*byte)));
            let surplus = self.conversation.len().saturating_sub(MAX_BEHIND);
            self.conversation.drain(..surplus);
        }
    }

    /// Puts the next frame of the sound above into `frame`, which holds the leg's own sound beneath, in `law`; false when
    /// there is nothing above.
    pub(crate) fn lay(&mut self, law: Law, frame: &mut [u8], above: &mut [u8]) -> bool {
        if !self.sounds.fill(law, above) {
            return false;
        }
        self.primed |= self.conversation.len() >= PRIMED;
        let conversation = self.primed && self.conversation.len() >= frame.len();
        self.primed = conversation;
        for (beneath, above) in frame.iter_mut().zip(above) {
            let mut sample = law.decode(*above);
            if self.beneath == Beneath::Mixed {
                sample = sample.saturating_add(law.decode(*beneath));
                if conversation {
                    sample = sample.saturating_add(self.conversation.pop_front().unwrap_or_default());
                }
            }
            *beneath = law.encode(sample);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::energy::{Tone, level_dbfs};
    use crate::playout::{Material, Repeat};

    fn tone(id: u64, hz: u16) -> PlayItem {
        let tone = Tone::Sine { hz, level_dbfs: -20 };
        PlayItem {
            id: PlayId(id),
            material: Material::Tone(tone, Duration::from_secs(1)),
            repeat: Repeat::ONCE,
        }
    }

    fn encoded(hz: u16, length: Duration) -> Vec<u8> {
        let samples: Vec<i16> = Tone::Sine { hz, level_dbfs: -20 }.samples(length);
        samples.iter().map(|sample| Law::Ulaw.encode(*sample)).collect()
    }

    fn level(frame: &[u8]) -> f64 {
        let samples: Vec<i16> = frame.iter().map(|byte| Law::Ulaw.decode(*byte)).collect();
        level_dbfs(&samples)
    }

    #[test]
    fn a_mixed_sound_adds_to_what_is_beneath_and_a_silencing_one_replaces_it() {
        for (beneath, expected) in [(Beneath::Mixed, -20.0 + 4.8), (Beneath::Silenced, -20.0)] {
            let mut overlay = Overlay::new(beneath);
            overlay.push(tone(1, 400), beneath).unwrap();
            overlay.overhear(Law::Ulaw, &encoded(700, Duration::from_millis(60)));
            let mut frame = encoded(1_000, Duration::from_millis(20));
            let mut above = vec![0; frame.len()];
            assert!(overlay.lay(Law::Ulaw, &mut frame, &mut above));
            assert!((level(&frame) - expected).abs() < 1.0, "{beneath:?}: {} dBFS", level(&frame));
        }
    }

    #[test]
    fn the_conversation_waits_for_two_packets_and_never_falls_far_behind() {
        let mut overlay = Overlay::new(Beneath::Mixed);
        overlay.push(tone(1, 400), Beneath::Mixed).unwrap();
        let silence = || vec![Law::Ulaw.silence(); 160];
        let mut above = vec![0; 160];
        overlay.overhear(Law::Ulaw, &encoded(700, Duration::from_millis(20)));
        let mut frame = silence();
        overlay.lay(Law::Ulaw, &mut frame, &mut above);
        assert!((level(&frame) + 20.0).abs() < 1.0, "one packet is not heard yet");
        overlay.overhear(Law::Ulaw, &encoded(700, Duration::from_secs(2)));
        assert_eq!(overlay.conversation.len(), MAX_BEHIND);
        let mut frame = silence();
        overlay.lay(Law::Ulaw, &mut frame, &mut above);
        assert!((level(&frame) + 17.0).abs() < 1.0, "{} dBFS", level(&frame));
    }

    #[test]
    fn nothing_above_leaves_what_is_beneath() {
        let mut overlay = Overlay::new(Beneath::Mixed);
        overlay.push(tone(1, 400), Beneath::Mixed).unwrap();
        assert!(overlay.remove(PlayId(1)));
        assert_eq!(overlay.poll(), Some(PlayoutEvent::Cleared(PlayId(1))));
        let (mut frame, mut above) = (vec![7; 160], vec![0; 160]);
        assert!(!overlay.lay(Law::Ulaw, &mut frame, &mut above));
        assert_eq!(frame, vec![7; 160]);
    }
}
