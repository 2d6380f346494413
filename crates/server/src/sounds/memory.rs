//! Clips in memory, bounded by bytes; the least recently used go first.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Instant;

use tandem_model::ports::Clip;

struct Entry {
    clip: Arc<Clip>,
    used: u64,
    expires_at: Option<Instant>,
}

/// A bounded map of clips.
pub(super) struct ClipMemory<K> {
    entries: HashMap<K, Entry>,
    bytes: usize,
    bytes_max: usize,
    clock: u64,
}

fn bytes_of(clip: &Clip) -> usize {
    clip.samples.len() * size_of::<i16>()
}

impl<K: Hash + Eq + Clone> ClipMemory<K> {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { entries: HashMap::new(), bytes: 0, bytes_max, clock: 0 }
    }

    /// The clip, unless its time is over.
    pub(super) fn find(&mut self, key: &K, now: Instant) -> Option<Arc<Clip>> {
        self.clock += 1;
        let entry = self.entries.get_mut(key)?;
        if entry.expires_at.is_some_and(|at| at <= now) {
            self.remove(key);
            return None;
        }
        entry.used = self.clock;
        Some(entry.clip.clone())
    }

    /// Keeps a clip; one larger than the whole memory is not kept.
    pub(super) fn keep(&mut self, key: K, clip: Arc<Clip>, expires_at: Option<Instant>) {
        let size = bytes_of(&clip);
        if size > self.bytes_max {
            return;
        }
        self.remove(&key);
        while self.bytes + size > self.bytes_max {
            // A scan: keeping happens once per synthesis or download, and entries are few and large.
            let Some(oldest) = self.entries.iter().min_by_key(|(_, entry)| entry.used) else { break };
            let oldest = oldest.0.clone();
            self.remove(&oldest);
        }
        self.clock += 1;
        self.bytes += size;
        self.entries.insert(key, Entry { clip, used: self.clock, expires_at });
    }

    fn remove(&mut self, key: &K) {
        if let Some(entry) = self.entries.remove(key) {
            self.bytes -= bytes_of(&entry.clip);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn clip(samples: usize) -> Arc<Clip> {
        Arc::new(Clip { samples: vec![0; samples] })
    }

    #[test]
    fn the_least_recently_used_clip_makes_room() {
        let now = tandem_model::clock::monotonic();
        let mut memory = ClipMemory::new(200);
        memory.keep("a", clip(50), None);
        memory.keep("b", clip(50), None);
        assert!(memory.find(&"a", now).is_some());
        memory.keep("c", clip(1), None);
        assert!(memory.find(&"a", now).is_some() && memory.find(&"c", now).is_some());
        assert!(memory.find(&"b", now).is_none());
        memory.keep("huge", clip(101), None);
        assert!(memory.find(&"huge", now).is_none());
        memory.keep("a", clip(100), None);
        assert_eq!(memory.bytes, 200);
        assert_eq!(memory.entries.len(), 1);
    }

    #[test]
    fn a_clip_whose_time_is_over_is_gone() {
        let now = tandem_model::clock::monotonic();
        let mut memory = ClipMemory::new(200);
        memory.keep("a", clip(10), Some(now + Duration::from_secs(1)));
        assert!(memory.find(&"a", now).is_some());
        assert!(memory.find(&"a", now + Duration::from_secs(1)).is_none());
        assert_eq!(memory.bytes, 0);
    }
}
