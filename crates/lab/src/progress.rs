//! The progress of a long run or download on stderr: a line that renews itself on a terminal, or a
//! line every so many steps in a file.

mod counter;

pub use counter::Counter;

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tenon_base::units;

use crate::context::Context;

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Standing {
    /// Steps that are done.
    pub step: u64,
    /// Steps in all.
    pub steps: u64,
    /// Mean loss since the last line; `None` before the first step.
    pub loss: Option<f64>,
    /// Loss of the last validation.
    pub val_loss: Option<f64>,
    /// Loss tokens per second; `None` before it can be known.
    pub tokens_per_second: Option<f64>,
    /// Time that computing took, without pauses; the time that is left follows from it.
    pub elapsed: Duration,
    /// Steps that were done before this process continued the run.
    pub steps_before: u64,
}

impl Standing {
    /// Time that is left at the pace of this process; `None` before its first step.
    pub fn left(&self) -> Option<Duration> {
        let done = self
            .step
            .checked_sub(self.steps_before)
            .filter(|&n| n > 0)?;
        let left = self.steps.saturating_sub(self.step);
        let seconds = self.elapsed.as_secs_f64() * left as f64 / done as f64;
        Duration::try_from_secs_f64(seconds).ok()
    }

    /// One line without its end: what is not known yet is left out.
    pub fn line(&self) -> String {
        let width = self.steps.to_string().len();
        let percent = 100.0 * self.step as f64 / self.steps.max(1) as f64;
        let mut parts = vec![format!(
            "step {:>width$}/{} {:>3}%",
            self.step,
            self.steps,
            percent.min(100.0) as u64
        )];
        if let Some(loss) = self.loss {
            parts.push(format!("loss {}", value(loss)));
        }
        if let Some(loss) = self.val_loss {
            parts.push(format!("val loss {}", value(loss)));
        }
        if let Some(pace) = self.tokens_per_second.filter(|pace| *pace >= 0.0) {
            parts.push(format!("{} tokens/s", units::count(pace as u64)));
        }
        if let Some(left) = self.left().filter(|left| !left.is_zero()) {
            parts.push(format!("{} left", units::duration(left)));
        }
        parts.join("  ")
    }
}

/// A loss in four decimals; what is no number is said as such.
fn value(loss: f64) -> String {
    match loss.is_finite() {
        true => format!("{loss:.4}"),
        false => "not finite".to_owned(),
    }
}

/// Tells the progress of a run on stderr.
pub struct Progress<'c> {
    context: &'c Context,
    bar: Option<ProgressBar>,
    log_every: u64,
}

impl<'c> Progress<'c> {
    /// Progress of a run of `steps` steps; away from a terminal, a line every `log_every` of them.
    pub fn new(context: &'c Context, steps: u64, log_every: u64) -> Progress<'c> {
        let bar = context.stderr_is_terminal.then(|| bar(Some(steps)));
        Progress {
            context,
            bar,
            log_every: log_every.max(1),
        }
    }

    /// Tells where the run stands; called after each step.
    pub fn step(&self, standing: &Standing) {
        if let Some(bar) = &self.bar {
            bar.set_position(standing.step);
            bar.set_message(standing.line());
        } else if standing.step.is_multiple_of(self.log_every) || standing.step == standing.steps {
            self.context.say(&standing.line());
        }
    }

    /// Says a line of its own, above the line that renews itself.
    pub fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| self.context.say(line)),
            None => self.context.say(line),
        }
    }

    /// Leaves the last line standing.
    pub fn finish(self) {
        if let Some(bar) = &self.bar {
            bar.abandon();
        }
    }
}

/// Tells the progress of a download on stderr.
pub struct Transfer<'c> {
    context: &'c Context,
    bar: Option<ProgressBar>,
    /// Bytes of the files that are complete.
    complete: u64,
    /// When the content that grows began to, and at how many bytes.
    since: Option<(Duration, u64)>,
}

impl<'c> Transfer<'c> {
    /// Nothing is known yet; away from a terminal only whole lines are said.
    pub fn new(context: &'c Context) -> Transfer<'c> {
        Transfer {
            context,
            bar: context.stderr_is_terminal.then(|| bar(None)),
            complete: 0,
            since: None,
        }
    }

    /// So many bytes are to come, where that is known.
    pub fn expect(&self, bytes: Option<u64>) {
        if let (Some(bar), Some(bytes)) = (&self.bar, bytes) {
            bar.set_length(bytes);
        }
    }

    /// So much of a file is there.
    pub fn within(&mut self, name: &str, done: u64, bytes: u64) {
        let now = self.context.clock.elapsed();
        let (start, from) = *self.since.get_or_insert((now, done));
        if let Some(bar) = &self.bar {
            bar.set_position(self.complete + done);
            bar.set_message(transfer_line(
                name,
                done,
                bytes,
                done.saturating_sub(from),
                now - start,
            ));
        }
    }

    /// A file of so many bytes is complete.
    pub fn done(&mut self, bytes: u64) {
        self.complete += bytes;
        self.since = None;
        if let Some(bar) = &self.bar {
            bar.set_position(self.complete);
        }
    }

    /// Says a line of its own, above the line that renews itself.
    pub fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| self.context.say(line)),
            None => self.context.say(line),
        }
    }

    /// Takes the line that renews itself away.
    pub fn finish(self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// One line without its end: how much of a file is there, and how fast `came` bytes came.
fn transfer_line(name: &str, done: u64, bytes: u64, came: u64, elapsed: Duration) -> String {
    let mut line = format!("{name}  {} of {}", units::bytes(done), units::bytes(bytes));
    let pace = came as f64 / elapsed.as_secs_f64();
    if pace.is_finite() && pace > 0.0 {
        line += &format!("  {}/s", units::bytes(pace as u64));
        let left = Duration::try_from_secs_f64(bytes.saturating_sub(done) as f64 / pace);
        if let Some(left) = left.ok().filter(|left| !left.is_zero()) {
            line += &format!("  {} left", units::duration(left));
        }
    }
    line
}

fn bar(length: Option<u64>) -> ProgressBar {
    let target = ProgressDrawTarget::stderr();
    let bar = ProgressBar::with_draw_target(length, target);
    let style = ProgressStyle::with_template("{bar:24} {msg}");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use tenon_base::knobs::Environment;

    use super::*;

    const STANDING: Standing = Standing {
        step: 250,
        steps: 2000,
        loss: Some(1.83421),
        val_loss: Some(1.9012),
        tokens_per_second: Some(12_400.0),
        elapsed: Duration::from_secs(25),
        steps_before: 0,
    };

    #[test]
    fn a_line_says_what_is_known() {
        assert_eq!(
            STANDING.line(),
            "step  250/2000  12%  loss 1.8342  val loss 1.9012  12.4 k tokens/s  2 min 55 s left"
        );
        let start = Standing {
            step: 0,
            loss: None,
            val_loss: None,
            tokens_per_second: None,
            ..STANDING
        };
        assert_eq!(start.line(), "step    0/2000   0%");
        let end = Standing {
            step: 2000,
            loss: Some(f64::NAN),
            val_loss: None,
            ..STANDING
        };
        assert_eq!(
            end.line(),
            "step 2000/2000 100%  loss not finite  12.4 k tokens/s"
        );
    }

    #[test]
    fn what_is_left_follows_from_the_pace_of_this_process() {
        assert_eq!(STANDING.left(), Some(Duration::from_secs(175)));
        let continued = Standing {
            steps_before: 200,
            ..STANDING
        };
        assert_eq!(continued.left(), Some(Duration::from_secs(875)));
        let first = Standing {
            steps_before: 250,
            ..STANDING
        };
        assert_eq!(first.left(), None);
        let beyond = Standing {
            step: 3000,
            ..STANDING
        };
        assert_eq!(beyond.left(), Some(Duration::ZERO));
        let huge = Standing {
            steps: u64::MAX,
            elapsed: Duration::MAX,
            ..STANDING
        };
        assert_eq!(huge.left(), None);
        assert!(!huge.line().contains("left"));
    }

    #[test]
    fn a_download_says_how_much_how_fast_and_how_long() {
        let line = |done, came, seconds| {
            transfer_line("a.bin", done, 8 << 20, came, Duration::from_secs(seconds))
        };
        assert_eq!(line(0, 0, 0), "a.bin  0 B of 8.00 MiB");
        assert_eq!(
            line(4 << 20, 2 << 20, 2),
            "a.bin  4.00 MiB of 8.00 MiB  1.00 MiB/s  4.0 s left"
        );
        assert_eq!(
            line(8 << 20, 1 << 20, 1),
            "a.bin  8.00 MiB of 8.00 MiB  1.00 MiB/s"
        );
    }

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn away_from_a_terminal_there_is_a_line_every_so_many_steps_and_at_the_end() {
        let said = Memory::default();
        let environment = Environment::read(&|_| None).unwrap();
        let out = Box::new(Memory::default());
        let context = Context::new(environment, false, out, Box::new(said.clone())).unwrap();
        let progress = Progress::new(&context, 25, 10);
        for step in 1..=25 {
            let standing = Standing {
                step,
                steps: 25,
                ..STANDING
            };
            progress.step(&standing);
        }
        progress.say("saved");
        progress.finish();
        let said = String::from_utf8(said.0.lock().unwrap().clone()).unwrap();
        let starts: Vec<&str> = said
            .lines()
            .map(|line| &line[..said.len().min(5)])
            .collect();
        assert_eq!(starts, ["step ", "step ", "step ", "saved"], "{said}");
        assert!(
            said.contains("step 10/25") && said.contains("step 25/25 100%"),
            "{said}"
        );
    }
}
