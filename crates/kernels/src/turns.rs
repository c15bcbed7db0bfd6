//! An order among the tasks of one run.

use crate::pool::SPINS;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Lets the tasks of one run do something in the order of their numbers.
///
/// A task waits for those before it, which run already: a pool hands tasks out in order.
pub(crate) struct Turns(AtomicUsize);

impl Turns {
    /// Turn 0 comes first.
    pub(crate) fn new() -> Self {
        Turns(AtomicUsize::new(0))
    }

    /// Calls `f`, which must not panic, after the turns before `turn`.
    pub(crate) fn take(&self, turn: usize, f: impl FnOnce()) {
        let mut spins = 0;
        while self.0.load(Ordering::Acquire) != turn {
            if spins < SPINS {
                spins += 1;
                std::hint::spin_loop();
            } else {
                std::thread::yield_now();
            }
        }
        f();
        self.0.store(turn + 1, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::Turns;
    use crate::Pool;
    use std::sync::Mutex;

    #[test]
    fn turns_are_taken_in_order() {
        for threads in [1, 2, 5] {
            let (turns, order) = (Turns::new(), Mutex::new(Vec::new()));
            Pool::new(threads).run(100, &|t, _| {
                turns.take(t, || order.lock().unwrap().push(t));
            });
            assert!(order.into_inner().unwrap().into_iter().eq(0..100));
        }
    }
}
