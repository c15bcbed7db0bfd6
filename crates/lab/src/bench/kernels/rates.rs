//! What a kernel does at least, what the machine does at most, and the time that follows.

use std::hint::black_box;
use std::num::NonZeroUsize;

use tenon_base::clock::Clock;
use tenon_engine::Isa;
use tenon_kernels::{Cx, Pointwise, Pool, bare_exps, bare_random_words};

use super::super::Times;
use super::super::machine::rate;
use super::KernelTime;

/// Readings of a bare loop, of which the best counts.
const READINGS: usize = 20;

/// What a call does at least.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Work {
    /// Floating-point operations of products.
    pub flops: f64,
    /// Elements of what is no product.
    pub elements: usize,
    /// Bytes that those read and write, all together, as what follows.
    pub bytes: usize,
    /// Whether no cache holds them.
    pub from_main_memory: bool,
    /// Exponentials.
    pub exps: usize,
    /// Random words.
    pub random_words: usize,
}

impl Work {
    /// What a kernel does at least with elements of f32.
    pub fn each(kernel: Pointwise, elements: usize, from_main_memory: bool) -> Work {
        let floor = kernel.floor();
        Work {
            flops: 0.0,
            elements,
            bytes: floor.words * elements * size_of::<f32>(),
            from_main_memory,
            exps: floor.exps * elements,
            random_words: floor.random_words * elements,
        }
    }

    /// What a product does.
    pub fn product(flops: f64) -> Work {
        Work {
            flops,
            ..Work::default()
        }
    }
}

/// What decides a floor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Operations of products.
    Product,
    /// Bytes to and from main memory.
    Memory,
    /// Bytes to and from caches.
    Cache,
    /// Exponentials.
    Exp,
    /// Random words.
    Random,
}

impl Bound {
    /// The word in reports.
    pub fn name(self) -> &'static str {
        match self {
            Bound::Product => "product",
            Bound::Memory => "memory",
            Bound::Cache => "cache",
            Bound::Exp => "exp",
            Bound::Random => "random",
        }
    }
}

/// The best rates of a run, in 10⁹ a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Floating-point operations of any product.
    pub sgemm_gflops: f64,
    /// Bytes to and from main memory.
    pub bandwidth: f64,
    /// Bytes to and from caches.
    pub cache_bandwidth: f64,
    /// Exponentials.
    pub exps: f64,
    /// Random words.
    pub random_words: f64,
}

impl Rates {
    /// Those of bare loops that every thread runs in its own cache; the others are NaN.
    pub fn of_bare_loops(threads: NonZeroUsize, isa: Isa, clock: &dyn Clock) -> Rates {
        let pool = Pool::new(threads.get());
        let cx = Cx::new(&pool, isa);
        let best = |bare: fn(Cx<'_>) -> usize| {
            let mut n = 0;
            let times = Times::of(clock, 1, READINGS, || n = black_box(bare(cx)));
            rate(n as f64, &times)
        };
        Rates {
            sgemm_gflops: f64::NAN,
            bandwidth: f64::NAN,
            cache_bandwidth: f64::NAN,
            exps: best(bare_exps),
            random_words: best(bare_random_words),
        }
    }

    /// Raises the rates to what a kernel reached, so that no kernel is below its floor.
    pub(super) fn raise(&mut self, kernel: &KernelTime) {
        let work = &kernel.work;
        let memory = match work.from_main_memory {
            true => &mut self.bandwidth,
            false => &mut self.cache_bandwidth,
        };
        let reached = [
            (memory, work.bytes),
            (&mut self.exps, work.exps),
            (&mut self.random_words, work.random_words),
        ];
        for (best, amount) in reached {
            *best = best.max(amount as f64 / (kernel.best_ms * 1e6));
        }
    }

    /// The least time of a call, in milliseconds, and what it is bound by.
    pub fn floor_ms(&self, work: &Work) -> (f64, Bound) {
        let (bandwidth, moving) = match work.from_main_memory {
            true => (self.bandwidth, Bound::Memory),
            false => (self.cache_bandwidth, Bound::Cache),
        };
        let parts = [
            (work.flops, self.sgemm_gflops, Bound::Product),
            (work.bytes as f64, bandwidth, moving),
            (work.exps as f64, self.exps, Bound::Exp),
            (work.random_words as f64, self.random_words, Bound::Random),
        ];
        let times = parts.map(|(amount, rate, bound)| (amount / (rate * 1e6), bound));
        let greatest = times.into_iter().max_by(|a, b| a.0.total_cmp(&b.0));
        greatest.expect("there are four")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATES: Rates = Rates {
        sgemm_gflops: 100.0,
        bandwidth: 8.0,
        cache_bandwidth: 16.0,
        exps: 4.0,
        random_words: 2.0,
    };

    fn each(from_main_memory: bool, exps: usize, random_words: usize) -> Work {
        Work {
            bytes: 8_000_000,
            from_main_memory,
            exps,
            random_words,
            ..Work::default()
        }
    }

    #[test]
    fn a_floor_is_that_of_what_binds_the_kernel() {
        let floors = [
            (Work::product(1e9), 10.0, Bound::Product),
            (each(true, 0, 0), 1.0, Bound::Memory),
            (each(false, 0, 0), 0.5, Bound::Cache),
            (each(true, 3_999_999, 0), 1.0, Bound::Memory),
            (each(true, 8_000_000, 0), 2.0, Bound::Exp),
            (each(true, 8_000_000, 5_000_000), 2.5, Bound::Random),
        ];
        for (work, ms, bound) in floors {
            assert_eq!(RATES.floor_ms(&work), (ms, bound), "{work:?}");
        }
    }

    #[test]
    fn no_kernel_is_below_its_floor() {
        for work in [
            each(true, 9, 0),
            each(false, 6_000_000, 1),
            each(true, 0, 7_000_000),
        ] {
            let kernel = KernelTime {
                kernel: "k",
                shape: String::new(),
                best_ms: 0.25,
                work,
            };
            let mut rates = RATES;
            rates.raise(&kernel);
            assert_eq!(rates.floor_ms(&work).0, 0.25, "{work:?}");
            assert!(rates.exps >= RATES.exps && rates.random_words >= RATES.random_words);
        }
    }

    #[test]
    fn the_work_of_a_kernel_is_that_of_its_elements() {
        let work = Work::each(Pointwise::SwigluVjp, 10, false);
        assert_eq!((work.bytes, work.exps, work.random_words), (200, 10, 0));
    }
}
