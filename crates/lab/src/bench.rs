//! Measurements of the product on the machine at hand: what a step costs, where the time goes, and
//! how far that is from what the machine allows.
//!
//! Walls are told beside processor times, since only the latter mean something on a busy machine.

pub mod case;
pub mod decode;
pub mod kernels;
pub mod machine;
pub mod ops;
pub mod products;
pub mod step;
pub mod yardstick;

use std::num::NonZeroUsize;
use std::time::Duration;

use tenon_base::clock::Clock;

/// Readings of one piece of work that was done several times, in milliseconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Times {
    /// Elapsed time, one reading a time.
    pub wall_ms: Vec<f64>,
    /// Processor time of the program; empty where the system does not tell it.
    pub cpu_ms: Vec<f64>,
}

impl Times {
    /// Does the work `warm` times unwatched and then `n` times watched.
    pub fn of(clock: &dyn Clock, warm: usize, n: usize, mut work: impl FnMut()) -> Times {
        (0..warm).for_each(|_| work());
        let mut times = Times::default();
        for _ in 0..n {
            times.add(clock, &mut work);
        }
        times
    }

    /// Does the work once more, watched.
    pub fn add(&mut self, clock: &dyn Clock, work: impl FnOnce()) {
        let (cpu, wall) = (clock.processor_time(), clock.elapsed());
        work();
        self.wall_ms.push(ms(clock.elapsed().saturating_sub(wall)));
        let spent = cpu.zip(clock.processor_time());
        let spent = spent.map(|(before, after)| ms(after.saturating_sub(before)));
        self.cpu_ms.extend(spent);
    }
}

/// The clock by which work of some threads is judged: for one thread that of the processor, which
/// other programs cannot lengthen; elapsed time for more, or where the system tells no other.
#[derive(Clone, Copy, Debug)]
pub struct WorkClock<'a> {
    clock: &'a dyn Clock,
    n_threads: usize,
}

impl<'a> WorkClock<'a> {
    /// For work of so many threads.
    pub fn new(clock: &'a dyn Clock, threads: NonZeroUsize) -> WorkClock<'a> {
        let n_threads = threads.get();
        WorkClock { clock, n_threads }
    }
}

impl Clock for WorkClock<'_> {
    fn unix_ms(&self) -> u64 {
        self.clock.unix_ms()
    }

    fn elapsed(&self) -> Duration {
        let of_one = self.processor_time().filter(|_| self.n_threads == 1);
        of_one.unwrap_or_else(|| self.clock.elapsed())
    }

    fn processor_time(&self) -> Option<Duration> {
        self.clock.processor_time()
    }
}

/// Milliseconds.
pub fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The middle value, or the mean of the two in the middle; `None` of nothing.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[middle]),
        _ => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
    }
}

/// The least value; `None` of nothing.
pub fn least(values: &[f64]) -> Option<f64> {
    values.iter().copied().min_by(f64::total_cmp)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenon_base::clock::FixedClock;

    #[test]
    fn the_median_is_the_middle_in_any_order() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 9.0]), Some(3.0));
        assert_eq!(least(&[4.0, 1.0, 2.0]), Some(1.0));
        assert_eq!(least(&[]), None);
    }

    /// A machine whose processor is half of the time with others.
    #[derive(Debug)]
    struct Busy;

    impl Clock for Busy {
        fn unix_ms(&self) -> u64 {
            7
        }

        fn elapsed(&self) -> Duration {
            Duration::from_secs(4)
        }

        fn processor_time(&self) -> Option<Duration> {
            Some(Duration::from_secs(2))
        }
    }

    #[test]
    fn one_thread_is_judged_by_the_processor_and_more_by_the_wall() {
        let clock = |n| WorkClock::new(&Busy, NonZeroUsize::new(n).unwrap());
        assert_eq!(clock(1).elapsed(), Duration::from_secs(2));
        assert_eq!(clock(2).elapsed(), Duration::from_secs(4));
        assert_eq!(clock(2).processor_time(), Some(Duration::from_secs(2)));
        assert_eq!(clock(1).unix_ms(), 7);
    }

    #[test]
    fn only_watched_work_is_timed() {
        let clock = FixedClock::at(0);
        let mut n = 0;
        let times = Times::of(&clock, 2, 3, || {
            n += 1;
            clock.advance_ms(10 * n);
        });
        assert_eq!(times.wall_ms, [30.0, 40.0, 50.0]);
        assert_eq!(times.cpu_ms, times.wall_ms);
    }
}
