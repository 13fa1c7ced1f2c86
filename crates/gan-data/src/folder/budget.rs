//! Limits the memory of all pictures that are decoded at the same time.

use std::sync::{Condvar, Mutex, PoisonError};

/// A number of bytes that threads take shares of.
pub(super) struct Budget {
    all: u64,
    left: Mutex<u64>,
    returned: Condvar,
}

/// A share of a budget. It returns to the budget when it is dropped.
pub(super) struct Share<'a> {
    budget: &'a Budget,
    bytes: u64,
}

impl Budget {
    pub(super) fn new(all: u64) -> Self {
        Self { all, left: Mutex::new(all), returned: Condvar::new() }
    }

    /// Waits until so many bytes are left, and takes them. More than there are means all of them,
    /// so a large picture is decoded alone. A thread must not hold two shares, because it could
    /// wait for itself.
    pub(super) fn take(&self, bytes: u64) -> Share<'_> {
        let bytes = bytes.min(self.all);
        let left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let left = self.returned.wait_while(left, |left| *left < bytes);
        *left.unwrap_or_else(PoisonError::into_inner) -= bytes;
        Share { budget: self, bytes }
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        *self.budget.left.lock().unwrap_or_else(PoisonError::into_inner) += self.bytes;
        self.budget.returned.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

    #[test]
    fn all_shares_together_never_exceed_the_budget() {
        let (budget, used, most) = (Budget::new(10), AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for bytes in [4, 3, 99, 6, 10, 1, 5, 4] {
                let (budget, used, most) = (&budget, &used, &most);
                scope.spawn(move || {
                    for _ in 0..200 {
                        let share = budget.take(bytes);
                        most.fetch_max(used.fetch_add(share.bytes, SeqCst) + share.bytes, SeqCst);
                        std::thread::yield_now();
                        used.fetch_sub(share.bytes, SeqCst);
                    }
                });
            }
        });
        assert_eq!((most.into_inner(), *budget.left.lock().unwrap()), (10, 10));
    }
}
