//! An order among the tasks of one run.

use crate::pool::SPINS;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The turn of turns that nobody takes any more.
const ABANDONED: usize = usize::MAX;

/// Lets the tasks of one run do something in the order of their numbers.
///
/// A task waits for those before it, which run already: a pool hands tasks out in order.
pub(crate) struct Turns(AtomicUsize);

impl Turns {
    /// Turn 0 comes first.
    pub(crate) fn new() -> Self {
        Turns(AtomicUsize::new(0))
    }

    /// Calls `f` after the turns before `turn`, or never, when the turns are abandoned before.
    pub(crate) fn take(&self, turn: usize, f: impl FnOnce()) {
        let mut spins = 0;
        loop {
            match self.0.load(Ordering::Acquire) {
                now if now == turn => break,
                // Whoever abandoned them panics, and the run ends with that panic.
                ABANDONED => return,
                _ if spins < SPINS => {
                    spins += 1;
                    std::hint::spin_loop();
                }
                _ => std::thread::yield_now(),
            }
        }
        f();
        // Turns that were abandoned meanwhile stay so.
        let _ = (self.0).compare_exchange(turn, turn + 1, Ordering::Release, Ordering::Relaxed);
    }

    /// Nobody waits any more.
    fn abandon(&self) {
        self.0.store(ABANDONED, Ordering::Relaxed);
    }
}

/// Runs a task that takes turns. When it panics its turns never come, so nobody waits for them.
pub(crate) fn with_turns(turns: &[Turns], task: impl FnOnce()) {
    struct Abandon<'a>(&'a [Turns]);
    impl Drop for Abandon<'_> {
        fn drop(&mut self) {
            self.0.iter().for_each(Turns::abandon);
        }
    }
    let on_panic = Abandon(turns);
    task();
    std::mem::forget(on_panic);
}

#[cfg(test)]
mod tests {
    use super::{Turns, with_turns};
    use crate::Pool;
    use std::panic::{AssertUnwindSafe, catch_unwind};
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

    /// Before its turn, and in it.
    #[test]
    fn a_panic_ends_the_run_and_is_what_the_caller_sees() {
        for threads in [1, 2, 3] {
            for in_turn in [false, true] {
                let (turns, order) = ([Turns::new()], Mutex::new(Vec::new()));
                let pool = Pool::new(threads);
                let run = || {
                    pool.run(100, &|t, _| {
                        with_turns(&turns, || {
                            assert!(in_turn || t != 5, "task five");
                            turns[0].take(t, || {
                                assert!(!in_turn || t != 5, "task five");
                                order.lock().unwrap().push(t);
                            });
                        });
                    });
                };
                let panic = catch_unwind(AssertUnwindSafe(run)).unwrap_err();
                let message = panic.downcast_ref::<&str>();
                assert!(message.is_some_and(|m| m.contains("task five")));
                let order = order.into_inner().unwrap();
                assert!(order.len() <= 5 && order.into_iter().enumerate().all(|(i, t)| i == t));
            }
        }
    }
}
