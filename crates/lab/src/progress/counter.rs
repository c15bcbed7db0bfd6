//! How many things of a list are done.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::context::Context;

/// Tells on a terminal how many things of a list are done; says nothing elsewhere.
pub struct Counter {
    bar: Option<ProgressBar>,
}

impl Counter {
    /// So many things of a kind.
    pub fn new(context: &Context, kind: &'static str, n: usize) -> Counter {
        let bar = context.stderr_is_terminal.then(|| {
            let bar = ProgressBar::with_draw_target(Some(n as u64), ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{bar:24} {pos}/{len} {msg} {eta} left");
            let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
            bar.with_style(style).with_message(kind)
        });
        Counter { bar }
    }

    /// This many are done.
    pub fn to(&self, n: usize) {
        if let Some(bar) = &self.bar {
            bar.set_position(n as u64);
        }
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
