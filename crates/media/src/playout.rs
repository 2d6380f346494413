//! What a leg says by itself: a queue of sounds cut into packets.
//!
//! Files and speech are shared (`Arc`), so a thousand calls play one prompt from one allocation.
//! An item's end is known in the very frame that holds its last sample. Timing belongs to the leg,
//! which asks for a frame on absolute ticks.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use crate::energy::{SAMPLE_RATE, Tone};
use crate::g711::Law;

/// Items queued at most: three minutes of a stream's 20 ms chunks.
pub const MAX_QUEUED_ITEMS: usize = 9_000;

/// Names a queued item so that its end can be reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PlayId(pub u64);

/// The sound itself.
#[derive(Clone, Debug)]
pub enum Material {
    /// G.711 µ-law bytes, 8 kHz.
    Ulaw(Arc<[u8]>),
    /// G.711 A-law bytes, 8 kHz.
    Alaw(Arc<[u8]>),
    /// 16-bit linear, 8 kHz.
    Pcm(Arc<[i16]>),
    /// Silence.
    Silence(Duration),
    /// A generated tone.
    Tone(Tone, Duration),
    /// Nothing: completes when everything before it has been sent (stream checkpoints).
    Mark,
}

/// How often an item plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// This many times.
    Times(NonZeroU32),
    /// Until cleared.
    Forever,
}

impl Repeat {
    /// Once.
    pub const ONCE: Self = Self::Times(NonZeroU32::MIN);
}

/// One queued sound.
#[derive(Clone, Debug)]
pub struct PlayItem {
    /// Reported by [`LegEvent::PlayoutDone`](crate::LegEvent::PlayoutDone).
    pub id: PlayId,
    /// What to play.
    pub material: Material,
    /// How often.
    pub repeat: Repeat,
}

/// Why an item was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlayoutError {
    /// The queue holds [`MAX_QUEUED_ITEMS`].
    #[error("playout queue holds its limit of {MAX_QUEUED_ITEMS} items")]
    QueueFull,
    /// The leg's codec is not G.711.
    #[error("cannot generate audio in the negotiated codec")]
    Codec,
}

/// How an item left the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlayoutEvent {
    /// Its last sample is in a frame handed out.
    Done(PlayId),
    /// It was cleared before.
    Cleared(PlayId),
}

/// The queue of one leg.
#[derive(Debug, Default)]
pub struct Playout {
    queue: VecDeque<PlayItem>,
    /// Samples of the head already played.
    position: u64,
    events: VecDeque<PlayoutEvent>,
}

impl Material {
    /// Length in samples.
    pub fn samples(&self) -> u64 {
        match self {
            Self::Ulaw(bytes) | Self::Alaw(bytes) => bytes.len() as u64,
            Self::Pcm(samples) => samples.len() as u64,
            Self::Silence(length) | Self::Tone(_, length) => {
                length.as_millis() as u64 * u64::from(SAMPLE_RATE) / 1_000
            }
            Self::Mark => 0,
        }
    }

    /// Fills `out` from sample `from` on; the caller stays inside the length.
    fn read(&self, from: u64, law: Law, out: &mut [u8]) {
        let start = from as usize;
        match self {
            Self::Ulaw(bytes) => copy_law(bytes, start, Law::Ulaw, law, out),
            Self::Alaw(bytes) => copy_law(bytes, start, Law::Alaw, law, out),
            Self::Pcm(samples) => {
                law.encode_into(samples.get(start..).unwrap_or_default(), out);
            }
            Self::Tone(tone, _) => {
                for (index, byte) in (from..).zip(out) {
                    *byte = law.encode(tone.sample(index));
                }
            }
            Self::Silence(_) | Self::Mark => out.fill(law.silence()),
        }
    }
}

fn copy_law(bytes: &[u8], start: usize, from: Law, to: Law, out: &mut [u8]) {
    if let Some(bytes) = bytes.get(start..start + out.len()) {
        out.copy_from_slice(bytes);
        from.transcode(to, out);
    }
}

impl Playout {
    /// Nothing to say.
    pub fn new() -> Self {
        Self::default()
    }

    /// Queues an item behind the others.
    pub fn push(&mut self, item: PlayItem) -> Result<(), PlayoutError> {
        if self.queue.len() >= MAX_QUEUED_ITEMS {
            return Err(PlayoutError::QueueFull);
        }
        self.queue.push_back(item);
        Ok(())
    }

    /// Drops everything, at once.
    pub fn clear(&mut self) {
        self.position = 0;
        self.events.extend(self.queue.drain(..).map(|item| PlayoutEvent::Cleared(item.id)));
    }

    /// Drops one item, playing or waiting; false if it is not there.
    pub fn remove(&mut self, id: PlayId) -> bool {
        let Some(index) = self.queue.iter().position(|item| item.id == id) else { return false };
        if index == 0 {
            self.position = 0;
        }
        self.queue.remove(index);
        self.events.push_back(PlayoutEvent::Cleared(id));
        true
    }

    /// Fills one frame in `law`, padding the end of the queue with silence; false (and an
    /// untouched frame) if there is nothing to say.
    pub fn fill(&mut self, law: Law, frame: &mut [u8]) -> bool {
        let mut filled = 0;
        while let Some(head) = self.queue.front() {
            let left = head.material.samples().saturating_sub(self.position);
            let room = frame.get_mut(filled..).unwrap_or_default();
            if left > 0 && room.is_empty() {
                break;
            }
            let take = room.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            if let Some(part) = room.get_mut(..take) {
                head.material.read(self.position, law, part);
            }
            filled += take;
            self.position += take as u64;
            if take as u64 == left {
                self.end_of_head();
            }
        }
        if filled == 0 {
            return false;
        }
        if let Some(rest) = frame.get_mut(filled..) {
            rest.fill(law.silence());
        }
        true
    }

    /// How items left the queue, oldest first.
    pub fn poll(&mut self) -> Option<PlayoutEvent> {
        self.events.pop_front()
    }

    /// Whether something is queued or playing.
    pub fn is_busy(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Whether [`poll`](Self::poll) has something.
    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    fn end_of_head(&mut self) {
        let played = std::mem::take(&mut self.position);
        let Some(head) = self.queue.front_mut() else { return };
        let again = match &mut head.repeat {
            // An empty sound for ever would never end: it ends at once.
            Repeat::Forever => played > 0,
            Repeat::Times(times) => match NonZeroU32::new(times.get() - 1) {
                Some(left) => {
                    *times = left;
                    played > 0
                }
                None => false,
            },
        };
        if !again {
            let id = head.id;
            self.queue.pop_front();
            self.events.push_back(PlayoutEvent::Done(id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(id: u64, material: Material) -> PlayItem {
        PlayItem { id: PlayId(id), material, repeat: Repeat::ONCE }
    }

    fn ulaw(byte: u8, len: usize) -> Material {
        Material::Ulaw(vec![byte; len].into())
    }

    fn events(playout: &mut Playout) -> Vec<PlayoutEvent> {
        std::iter::from_fn(|| playout.poll()).collect()
    }

    #[test]
    fn an_item_is_done_with_the_frame_that_holds_its_last_sample() {
        let mut playout = Playout::new();
        playout.push(item(1, ulaw(7, 320))).unwrap();
        playout.push(item(2, Material::Mark)).unwrap();
        let mut frame = [0; 160];
        assert!(playout.fill(Law::Ulaw, &mut frame));
        assert!(events(&mut playout).is_empty());
        assert!(playout.fill(Law::Ulaw, &mut frame));
        assert_eq!(events(&mut playout), [PlayoutEvent::Done(PlayId(1)), PlayoutEvent::Done(PlayId(2))]);
        assert!(!playout.fill(Law::Ulaw, &mut frame));
    }

    #[test]
    fn items_join_without_a_hole_and_the_end_is_padded() {
        let mut playout = Playout::new();
        playout.push(item(1, ulaw(1, 100))).unwrap();
        playout.push(item(2, ulaw(2, 100))).unwrap();
        let mut frame = [0; 160];
        playout.fill(Law::Ulaw, &mut frame);
        assert_eq!((frame[99], frame[100], frame[159]), (1, 2, 2));
        playout.fill(Law::Ulaw, &mut frame);
        assert_eq!((frame[39], frame[40]), (2, 0xff));
        assert_eq!(events(&mut playout).len(), 2);
    }

    #[test]
    fn loops_count_and_endless_ones_end_when_cleared() {
        let mut playout = Playout::new();
        let three = NonZeroU32::new(3).unwrap();
        playout
            .push(PlayItem { id: PlayId(1), material: ulaw(1, 160), repeat: Repeat::Times(three) })
            .unwrap();
        playout.push(PlayItem { id: PlayId(2), material: ulaw(2, 160), repeat: Repeat::Forever }).unwrap();
        let mut frame = [0; 160];
        for _ in 0..3 {
            playout.fill(Law::Ulaw, &mut frame);
            assert_eq!(frame[0], 1);
        }
        assert_eq!(events(&mut playout), [PlayoutEvent::Done(PlayId(1))]);
        for _ in 0..50 {
            assert!(playout.fill(Law::Ulaw, &mut frame));
        }
        playout.clear();
        assert_eq!(events(&mut playout), [PlayoutEvent::Cleared(PlayId(2))]);
        assert!(!playout.fill(Law::Ulaw, &mut frame));
    }

    #[test]
    fn an_empty_sound_for_ever_ends_at_once() {
        let mut playout = Playout::new();
        playout.push(PlayItem { id: PlayId(1), material: ulaw(1, 0), repeat: Repeat::Forever }).unwrap();
        assert!(!playout.fill(Law::Ulaw, &mut [0; 160]));
        assert_eq!(events(&mut playout), [PlayoutEvent::Done(PlayId(1))]);
    }

    #[test]
    fn every_material_sounds_alike_in_both_laws() {
        let pcm: Vec<i16> = Tone::Sine { hz: 400, level_dbfs: -10 }.samples(Duration::from_millis(20));
        let encode = |law: Law| pcm.iter().map(|sample| law.encode(*sample)).collect::<Vec<u8>>();
        for law in [Law::Ulaw, Law::Alaw] {
            for material in [
                Material::Ulaw(encode(Law::Ulaw).into()),
                Material::Alaw(encode(Law::Alaw).into()),
                Material::Pcm(pcm.clone().into()),
                Material::Tone(Tone::Sine { hz: 400, level_dbfs: -10 }, Duration::from_millis(20)),
            ] {
                let mut playout = Playout::new();
                playout.push(item(1, material)).unwrap();
                let mut frame = [0; 160];
                assert!(playout.fill(law, &mut frame));
                let heard: Vec<i16> = frame.iter().map(|byte| law.decode(*byte)).collect();
                assert!((crate::energy::level_dbfs(&heard) + 10.0).abs() < 0.5);
            }
        }
    }

    #[test]
    fn removing_the_playing_item_goes_on_with_the_next() {
        let mut playout = Playout::new();
        playout.push(item(1, ulaw(1, 1_600))).unwrap();
        playout.push(item(2, ulaw(2, 160))).unwrap();
        let mut frame = [0; 160];
        playout.fill(Law::Ulaw, &mut frame);
        assert!(playout.remove(PlayId(1)));
        assert!(!playout.remove(PlayId(1)));
        playout.fill(Law::Ulaw, &mut frame);
        assert_eq!(frame[0], 2);
    }

    #[test]
    fn the_queue_is_full_at_its_limit() {
        let mut playout = Playout::new();
        for id in 0..MAX_QUEUED_ITEMS as u64 {
            playout.push(item(id, Material::Mark)).unwrap();
        }
        assert_eq!(playout.push(item(0, Material::Mark)), Err(PlayoutError::QueueFull));
    }
}
