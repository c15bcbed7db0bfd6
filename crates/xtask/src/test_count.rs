//! The last line of a CI run, computed from what `cargo test -- --show-output` printed.
//!
//! A test that cannot run here (a data set is absent) prints a line that starts with `skipped:` and
//! returns; the test runner takes it for passed, so it is moved from one number to the other.

use std::collections::BTreeSet;
use std::fmt;

/// How many tests ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Tests that ran and found nothing wrong.
    pub passed: u64,
    /// Tests that failed.
    pub failed: u64,
    /// Tests that said why they did not run, and tests that the runner left out.
    pub skipped: u64,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts {
            passed,
            failed,
            skipped,
        } = self;
        write!(f, "{passed} passed, {failed} failed, {skipped} skipped")
    }
}

/// Counts the tests of a log with any number of test binaries.
pub fn count(log: &str) -> Counts {
    let mut counts = Counts::default();
    let mut skipped = BTreeSet::new();
    let mut in_successes = false;
    let mut test = "";
    for line in log.lines() {
        let output_of = line
            .strip_prefix("---- ")
            .and_then(|l| l.strip_suffix(" stdout ----"));
        if let Some(name) = output_of {
            test = name;
        } else if line == "successes:" || line == "failures:" {
            in_successes = line == "successes:";
        } else if in_successes && line.starts_with("skipped: ") {
            skipped.insert(test);
        } else if let Some(result) = line.strip_prefix("test result: ") {
            let n_skipped = skipped.len() as u64;
            counts.passed += number(result, "passed").saturating_sub(n_skipped);
            counts.failed += number(result, "failed");
            counts.skipped += number(result, "ignored") + n_skipped;
            skipped.clear();
            in_successes = false;
        }
    }
    counts
}

/// The number before a word in `ok. 3 passed; 0 failed; …`.
fn number(result: &str, word: &str) -> u64 {
    let parts = result.split([';', '.']).map(str::trim);
    let found = parts
        .filter_map(|part| part.split_once(' '))
        .find(|(_, name)| *name == word);
    found.and_then(|(n, _)| n.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
running 3 tests
test a ... ok
test b ... ok
test c ... FAILED

successes:

---- a stdout ----
skipped: `x.csv` is absent
skipped: `y.csv` is absent

successes:
    a
    b

failures:

---- c stdout ----
skipped: half of it
thread 'c' panicked

failures:
    c

test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s

running 2 tests
test result: ok. 1 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 1.25s
";

    #[test]
    fn a_skipped_test_counts_once_and_not_as_passed() {
        let expected = Counts {
            passed: 2,
            failed: 1,
            skipped: 2,
        };
        assert_eq!(count(LOG), expected);
        assert_eq!(expected.to_string(), "2 passed, 1 failed, 2 skipped");
    }

    #[test]
    fn a_log_without_results_counts_nothing() {
        assert_eq!(
            count("error: could not compile\nskipped: x\n"),
            Counts::default()
        );
    }
}
