//! The only place that reads the time.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Wall time and elapsed time.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Milliseconds since 1970-01-01T00:00:00Z; 0 when the system's clock stands before that.
    fn unix_ms(&self) -> u64;

    /// Time since the clock was made; never goes backwards.
    fn elapsed(&self) -> Duration;

    /// Processor time of the program, user and system, all threads together; `None` where the
    /// system does not tell it.
    fn processor_time(&self) -> Option<Duration>;

    /// Wall time as RFC 3339 in UTC with milliseconds, `2026-03-01T12:00:00.000Z`.
    fn utc_rfc3339(&self) -> String {
        rfc3339(self.unix_ms())
    }
}

/// The last millisecond of the year 9999, the last one that RFC 3339 can write.
const UNIX_MS_MAX: u64 = 253_402_300_799_999;

/// Milliseconds since 1970 as RFC 3339 in UTC; times after the year 9999 are written as its end.
pub fn rfc3339(unix_ms: u64) -> String {
    let time = UNIX_EPOCH + Duration::from_millis(unix_ms.min(UNIX_MS_MAX));
    humantime::format_rfc3339_millis(time).to_string()
}

/// The machine's clock.
#[derive(Debug)]
pub struct RealClock {
    start: Instant,
}

impl RealClock {
    /// Starts to count.
    pub fn start() -> RealClock {
        RealClock {
            start: Instant::now(),
        }
    }
}

impl Clock for RealClock {
    fn unix_ms(&self) -> u64 {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    #[cfg(unix)]
    fn processor_time(&self) -> Option<Duration> {
        let clock = nix::time::ClockId::CLOCK_PROCESS_CPUTIME_ID;
        nix::time::clock_gettime(clock).ok().map(Duration::from)
    }

    #[cfg(not(unix))]
    fn processor_time(&self) -> Option<Duration> {
        None
    }
}

/// A clock that stands still until told to advance; for tests and reproducible documents.
#[derive(Debug)]
pub struct FixedClock {
    start_ms: u64,
    passed_ms: AtomicU64,
}

impl FixedClock {
    /// A clock that shows `unix_ms`.
    pub fn at(unix_ms: u64) -> FixedClock {
        FixedClock {
            start_ms: unix_ms,
            passed_ms: AtomicU64::new(0),
        }
    }

    /// Lets time pass.
    pub fn advance_ms(&self, ms: u64) {
        self.passed_ms.fetch_add(ms, Ordering::Relaxed);
    }
}

impl Clock for FixedClock {
    fn unix_ms(&self) -> u64 {
        self.start_ms
            .saturating_add(self.passed_ms.load(Ordering::Relaxed))
    }

    fn elapsed(&self) -> Duration {
        Duration::from_millis(self.passed_ms.load(Ordering::Relaxed))
    }

    /// As if one thread had worked all the time.
    fn processor_time(&self) -> Option<Duration> {
        Some(self.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_clock_stands_still_until_advanced() {
        let clock = FixedClock::at(1_772_366_400_000);
        assert_eq!(clock.utc_rfc3339(), "2026-03-01T12:00:00.000Z");
        assert_eq!(clock.elapsed(), Duration::ZERO);
        clock.advance_ms(61_001);
        assert_eq!(clock.utc_rfc3339(), "2026-03-01T12:01:01.001Z");
        assert_eq!(clock.elapsed(), Duration::from_millis(61_001));
    }

    #[test]
    fn times_beyond_the_format_do_not_panic() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(u64::MAX), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn the_real_clock_is_after_the_first_release_and_does_not_go_back() {
        let clock = RealClock::start();
        assert!(clock.unix_ms() > 1_700_000_000_000);
        let first = clock.elapsed();
        assert!(clock.elapsed() >= first);
    }

    #[cfg(unix)]
    #[test]
    fn work_takes_processor_time() {
        let clock = RealClock::start();
        let before = clock.processor_time().expect("this system tells it");
        let work: f64 = (0..1_000_000).map(|i| f64::from(i).sqrt()).sum();
        assert!(work > 0.0);
        assert!(clock.processor_time() > Some(before));
    }
}
