//! A bounded table whose keys go stale instead of naming a later entry by accident.
//!
//! Used for legs and transactions. A key is an index and a generation; removing an entry advances
//! the slot's generation, so an old key finds nothing.

/// Names an entry of an [`Arena`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    index: u32,
    generation: u32,
}

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    value: Option<T>,
}

/// The table.
#[derive(Debug)]
pub(crate) struct Arena<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
    len: usize,
    capacity: usize,
}

impl<T> Arena<T> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { slots: Vec::new(), free: Vec::new(), len: 0, capacity: capacity.min(u32::MAX as usize) }
    }

    /// Add an entry, or give it back if the table is full.
    pub(crate) fn insert(&mut self, value: T) -> Result<Key, T> {
        if self.len >= self.capacity {
            return Err(value);
        }
        self.len += 1;
        if let Some(index) = self.free.pop()
            && let Some(slot) = self.slots.get_mut(index as usize)
        {
            slot.value = Some(value);
            return Ok(Key { index, generation: slot.generation });
        }
        let index = self.slots.len() as u32;
        self.slots.push(Slot { generation: 0, value: Some(value) });
        Ok(Key { index, generation: 0 })
    }

    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        let slot = self.slots.get_mut(key.index as usize).filter(|slot| slot.generation == key.generation)?;
        let value = slot.value.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(key.index);
        self.len -= 1;
        Some(value)
    }

    pub(crate) fn get(&self, key: Key) -> Option<&T> {
        let slot = self.slots.get(key.index as usize)?;
        slot.value.as_ref().filter(|_| slot.generation == key.generation)
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let slot = self.slots.get_mut(key.index as usize)?;
        if slot.generation == key.generation { slot.value.as_mut() } else { None }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_full(&self) -> bool {
        self.len >= self.capacity
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        self.slots.iter().enumerate().filter_map(|(index, slot)| {
            let key = Key { index: index as u32, generation: slot.generation };
            slot.value.as_ref().map(|value| (key, value))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_key_finds_nothing_even_when_the_slot_is_taken_again() {
        let mut arena = Arena::new(1);
        let first = arena.insert('a').expect("room");
        assert_eq!(arena.remove(first), Some('a'));
        let second = arena.insert('b').expect("room");
        assert_eq!(arena.get(first), None);
        assert_eq!(arena.get_mut(first), None);
        assert_eq!(arena.remove(first), None);
        assert_eq!(arena.get(second), Some(&'b'));
    }

    #[test]
    fn the_capacity_holds_at_and_one_past() {
        let mut arena = Arena::new(2);
        let key = arena.insert(1).expect("room");
        assert!(arena.insert(2).is_ok() && arena.is_full());
        assert_eq!(arena.insert(3), Err(3));
        arena.remove(key);
        assert!(arena.insert(3).is_ok());
        assert_eq!(arena.len(), 2);
    }
}
