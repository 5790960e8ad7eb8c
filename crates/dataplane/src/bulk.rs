//! Which buffers may be large: a few, so that bulk costs fewer calls of the system, and many streams little memory.

use tokio::sync::{Semaphore, SemaphorePermit};

/// Large buffers of a process at a time.
const LARGE_MAX: usize = 4;

/// What makes a buffer grow large: a read that fills it counts two, one that does not takes one away.
const FULL_MIN: u32 = 16;

static LARGE: Semaphore = Semaphore::const_new(LARGE_MAX);

/// The sizes that a buffer may have, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sizes {
    /// To begin with.
    pub(crate) few: usize,
    /// While bytes flow.
    pub(crate) many: usize,
    /// While they flow in bulk.
    pub(crate) bulk: usize,
}

/// How large one buffer is to be.
#[derive(Debug)]
pub(crate) struct Room {
    sizes: Sizes,
    bytes: usize,
    full: u32,
    large: Option<SemaphorePermit<'static>>,
}

impl Room {
    /// For few bytes.
    pub(crate) const fn new(sizes: Sizes) -> Self {
        Self { sizes, bytes: sizes.few, full: 0, large: None }
    }

    /// Bytes.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes note of a read, and whether it has filled the buffer.
    pub(crate) fn note(&mut self, full: bool) {
        self.full = if full { self.full.saturating_add(2) } else { self.full.saturating_sub(1) };
        if full && self.bytes < self.sizes.many {
            (self.bytes, self.full) = (self.sizes.many, 0);
        } else if self.full >= FULL_MIN && self.large.is_none() {
            self.large = LARGE.try_acquire().ok();
            (self.bytes, self.full) = (if self.large.is_some() { self.sizes.bulk } else { self.bytes }, 0);
        }
    }

    /// Nothing flows any more.
    pub(crate) fn rest(&mut self) {
        *self = Self::new(self.sizes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_while_it_is_filled_and_only_a_few_grow_large() {
        let sizes = Sizes { few: 1, many: 2, bulk: 3 };
        let filled = |times: u32| {
            let mut room = Room::new(sizes);
            (0..times).for_each(|_| room.note(true));
            room
        };
        assert_eq!((filled(0).bytes(), filled(1).bytes(), filled(FULL_MIN / 2).bytes()), (1, 2, 2));
        let mut slow = filled(1);
        for at in 0..300 {
            slow.note(at % 3 == 0);
        }
        assert_eq!(slow.bytes(), 2, "it was filled now and then");

        let mut all: Vec<Room> = (0..LARGE_MAX).map(|_| filled(1 + FULL_MIN / 2)).collect();
        assert!(all.iter().all(|room| room.bytes() == 3));
        assert_eq!(filled(100).bytes(), 2, "there are as many large ones as there may be");
        all[0].rest();
        assert_eq!((all[0].bytes(), filled(100).bytes()), (1, 3));
    }
}
