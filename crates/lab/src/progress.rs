//! The progress of a long run on stderr: a line that renews itself on a terminal, or a line every so
//! many steps in a file.

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
        let bar = context.stderr_is_terminal.then(|| bar(steps));
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

fn bar(steps: u64) -> ProgressBar {
    let target = ProgressDrawTarget::stderr();
    let bar = ProgressBar::with_draw_target(Some(steps), target);
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
