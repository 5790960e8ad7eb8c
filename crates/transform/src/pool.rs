//! The memory of one query, shared so that several sorts can spill and merge side by side.
//!
//! DataFusion's fair pool lets the first merge take all that is free: the other sorts of a join then end with an error
//! though everything could be spilled. Here merges share one half and what spills shares the other, each evenly.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation};

/// How DataFusion names what a sort merges with.
const MERGE: &str = "ExternalSorterMerge";

#[derive(Debug)]
pub(crate) struct Pool {
    bytes: usize,
    shares: Mutex<Shares>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Shares {
    spillers: usize,
    merges: usize,
    spillable: usize,
    merging: usize,
    other: usize,
}

#[derive(Clone, Copy)]
enum Use {
    Spills,
    Merges,
    Other,
}

impl Use {
    fn of(consumer: &MemoryConsumer) -> Self {
        if consumer.can_spill() {
            Self::Spills
        } else if consumer.name().starts_with(MERGE) {
            Self::Merges
        } else {
            Self::Other
        }
    }
}

impl Shares {
    fn reserved(self) -> usize {
        self.spillable + self.merging + self.other
    }

    fn held(&mut self, by: Use) -> &mut usize {
        match by {
            Use::Spills => &mut self.spillable,
            Use::Merges => &mut self.merging,
            Use::Other => &mut self.other,
        }
    }

    /// The most that one reservation which holds `held` bytes may come to.
    fn most(self, by: Use, held: usize, bytes: usize) -> usize {
        let half = bytes / 2;
        let with_all_that_is_free = held + bytes.saturating_sub(self.reserved());
        match by {
            Use::Spills => {
                let merges = if self.merges > 0 { half.max(self.merging) } else { self.merging };
                bytes.saturating_sub(merges + self.other) / self.spillers.max(1)
            }
            // Not less for what others hold just now: a merge that cannot have its share ends the query.
            Use::Merges => (half / self.merges.max(1)).min(with_all_that_is_free),
            Use::Other => with_all_that_is_free,
        }
    }
}

impl Pool {
    pub(crate) fn new(bytes: usize) -> Self {
        Self { bytes, shares: Mutex::default() }
    }

    fn shares(&self) -> MutexGuard<'_, Shares> {
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, consumer: &MemoryConsumer, change: impl Fn(usize) -> usize) {
        let mut shares = self.shares();
        match Use::of(consumer) {
            Use::Spills => shares.spillers = change(shares.spillers),
            Use::Merges => shares.merges = change(shares.merges),
            Use::Other => {}
        }
    }
}

impl MemoryPool for Pool {
    fn name(&self) -> &str {
        "sallyport"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.count(consumer, |count| count + 1);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.count(consumer, |count| count.saturating_sub(1));
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        *self.shares().held(Use::of(reservation.consumer())) += additional;
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        let mut shares = self.shares();
        let held = shares.held(Use::of(reservation.consumer()));
        *held = held.saturating_sub(shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let mut shares = self.shares();
        let by = Use::of(reservation.consumer());
        let most = shares.most(by, reservation.size(), self.bytes);
        if reservation.size() + additional > most {
            return Err(DataFusionError::ResourcesExhausted(format!(
                "{} needs {} bytes; {most} of {} are its share",
                reservation.consumer().name(),
                reservation.size() + additional,
                self.bytes
            )));
        }
        *shares.held(by) += additional;
        Ok(())
    }

    fn reserved(&self) -> usize {
        self.shares().reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.bytes)
    }
}

impl fmt::Display for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} bytes", self.reserved(), self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merges_leave_room_for_each_other_and_for_what_spills() {
        let shares = Shares { spillers: 4, merges: 4, ..Shares::default() };
        assert_eq!(shares.most(Use::Merges, 0, 800), 100);
        assert_eq!(shares.most(Use::Spills, 0, 800), 100);
        let full = Shares { spillable: 400, merging: 400, ..shares };
        assert_eq!(full.most(Use::Merges, 100, 800), 100, "no more, though it has its share still");
        assert_eq!(full.most(Use::Other, 0, 800), 0);
    }

    #[test]
    fn a_merge_has_its_share_whatever_little_others_hold_and_no_more_than_is_free() {
        let shares = Shares { spillers: 4, merges: 4, merging: 300, other: 10, ..Shares::default() };
        assert_eq!(shares.most(Use::Merges, 0, 800), 100);
        let full = Shares { other: 470, ..shares };
        assert_eq!(full.most(Use::Merges, 0, 800), 30);
    }

    #[test]
    fn without_a_sort_what_spills_may_have_everything() {
        let shares = Shares { spillers: 2, other: 200, ..Shares::default() };
        assert_eq!(shares.most(Use::Spills, 0, 800), 300);
    }
}
