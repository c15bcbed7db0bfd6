//! What the benches share: words of the command line, a clock, the best of several readings.

use std::io::Write;
use tenon_base::clock::{Clock, RealClock};

/// A turn repeats work that is shorter than this, in seconds, and keeps the best.
const TURN_SECONDS: f64 = 0.005;
/// Work that is shorter than this, in seconds, is told by the time elapsed: the system corrects the
/// processor's time now and then by more than that takes, and some calls are left alone.
const SHORT_SECONDS: f64 = 0.002;

/// What the command line asks for, and the clock.
#[derive(Debug)]
pub(crate) struct Meter {
    /// Threads that compute: the number among the words, or one.
    pub(crate) threads: usize,
    words: Vec<String>,
    clock: RealClock,
}

impl Meter {
    /// Reads the words of the command line; options are Cargo's own.
    pub(crate) fn from_line() -> Meter {
        let words = std::env::args()
            .skip(1)
            .filter(|word| !word.starts_with('-'));
        let (numbers, words): (Vec<String>, _) = words.partition(|w| w.parse::<usize>().is_ok());
        Meter {
            threads: numbers.first().map_or(1, |n| n.parse().unwrap_or(1)),
            words,
            clock: RealClock::start(),
        }
    }

    /// Whether the line asks for this: every word is a part of its name.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.words.iter().all(|word| name.contains(word.as_str()))
    }

    /// The fewest seconds that the work takes in one turn: of the processor where one thread works,
    /// which other programs cannot lengthen, and elapsed otherwise and of short work.
    pub(crate) fn turn(&self, mut work: impl FnMut()) -> f64 {
        let begin = self.elapsed();
        let mut best = f64::INFINITY;
        while self.elapsed() - begin < TURN_SECONDS {
            let before = [self.elapsed(), self.seconds()];
            work();
            let elapsed = self.elapsed() - before[0];
            best = best.min(match elapsed < SHORT_SECONDS {
                true => elapsed,
                false => self.seconds() - before[1],
            });
        }
        best
    }

    fn elapsed(&self) -> f64 {
        self.clock.elapsed().as_secs_f64()
    }

    /// Seconds since some moment; see [`Meter::turn`] for which.
    pub(crate) fn seconds(&self) -> f64 {
        let of_processor = self.clock.processor_time().filter(|_| self.threads == 1);
        of_processor
            .unwrap_or_else(|| self.clock.elapsed())
            .as_secs_f64()
    }
}

/// Writes a line of a table.
pub(crate) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").expect("stdout can be written");
}
