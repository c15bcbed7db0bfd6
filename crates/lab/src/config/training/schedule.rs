//! How long training lasts and how the learning rate moves.

use tenon_base::{Error, Result};
use tenon_train::{Curve, Schedule};

use super::super::judge::Judge;
use super::super::section::Section;

/// When training ends; always at least 1 epoch or step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// After so many passes over the training rows.
    Epochs(u64),
    /// After so many steps.
    Steps(u64),
    /// Whichever comes first.
    Earlier {
        /// Passes over the training rows.
        epochs: u64,
        /// Steps.
        steps: u64,
    },
}

/// The learning rate at each step: up in the warm-up, then along its curve to the end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LrSchedule {
    /// The greatest learning rate.
    pub learning_rate: f64,
    /// The learning rate at the end; that of a constant curve is the greatest one.
    pub min_learning_rate: f64,
    /// Length of the rise.
    pub warmup: Warmup,
    /// What follows the rise.
    pub curve: Curve,
}

/// Length of the rise of the learning rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Warmup {
    /// In steps; 0 for none.
    Steps(u64),
    /// As part of all steps.
    Ratio(f64),
}

const MAX_STEPS: &str = "training.max_steps";
const NUM_EPOCHS: &str = "training.num_epochs";
const WARMUP_STEPS: &str = "training.warmup_steps";
const WARMUP_RATIO: &str = "training.warmup_ratio";

pub(super) fn end(judge: &mut Judge) -> End {
    let steps = judge.int_or_none(MAX_STEPS);
    let epochs = judge.int_or_none(NUM_EPOCHS);
    match (epochs, steps) {
        (Some(epochs), Some(steps)) => {
            judge.note(format!(
                "`{NUM_EPOCHS}` {epochs} and `{MAX_STEPS}` {steps} are both given: training ends \
                 with whichever comes first"
            ));
            End::Earlier { epochs, steps }
        }
        (Some(epochs), None) => End::Epochs(epochs),
        (None, Some(steps)) => End::Steps(steps),
        (None, None) => {
            if judge.fine(&[MAX_STEPS, NUM_EPOCHS]) {
                let message = format!("neither `{MAX_STEPS}` nor `{NUM_EPOCHS}` is given");
                judge.fault(MAX_STEPS, message, "", "say when training ends");
            }
            End::Steps(1)
        }
    }
}

pub(super) fn resolve(judge: &mut Judge, end: End) -> LrSchedule {
    let learning_rate = judge.float("training.learning_rate");
    let curve = curve(judge);
    let schedule = LrSchedule {
        learning_rate,
        min_learning_rate: min_learning_rate(judge, curve, learning_rate),
        warmup: warmup(judge),
        curve,
    };
    if let End::Steps(steps) | End::Earlier { steps, .. } = end
        && judge.fine(&[WARMUP_STEPS, WARMUP_RATIO])
        && let Err(error) = schedule.over(steps)
    {
        let label = format!("`{MAX_STEPS}` is {steps}");
        judge.fault(WARMUP_STEPS, error.message().to_owned(), &label, "");
    }
    schedule
}

fn curve(judge: &mut Judge) -> Curve {
    const FRACTION: &str = "training.decay_fraction";
    let word = judge.values.str("training.lr_schedule").unwrap_or("none");
    if word == "wsd" {
        return Curve::WarmupStableDecay {
            decay_fraction: judge.float(FRACTION),
        };
    }
    judge.no_effect(&[FRACTION], "without `training.lr_schedule: wsd`");
    match word {
        "linear" => Curve::Linear,
        "cosine" => Curve::Cosine,
        _ => Curve::Constant,
    }
}

fn min_learning_rate(judge: &mut Judge, curve: Curve, learning_rate: f64) -> f64 {
    const KEY: &str = "training.min_learning_rate";
    if curve == Curve::Constant {
        judge.no_effect(&[KEY], "while the learning rate stays constant");
        return learning_rate;
    }
    let min = judge.values.float(KEY).unwrap_or(0.1 * learning_rate);
    if judge.fine(&["training.learning_rate"]) && min > learning_rate {
        let message = format!("`{KEY}` {min} is above `training.learning_rate` {learning_rate}");
        judge.fault(KEY, message, "", "the learning rate goes down to it");
    }
    min
}

fn warmup(judge: &mut Judge) -> Warmup {
    let steps = judge.int_or_none(WARMUP_STEPS);
    match (steps, judge.values.float(WARMUP_RATIO)) {
        (Some(_), Some(_)) => {
            let message = format!("`{WARMUP_RATIO}` and `{WARMUP_STEPS}` are both given");
            judge.fault(WARMUP_RATIO, message, "", "keep one of the two");
            Warmup::Steps(0)
        }
        (None, Some(ratio)) => Warmup::Ratio(ratio),
        (steps, None) => Warmup::Steps(steps.unwrap_or(0)),
    }
}

impl Warmup {
    /// The length in steps, of a run of so many.
    pub fn steps(self, total_steps: u64) -> u64 {
        match self {
            Warmup::Steps(steps) => steps,
            Warmup::Ratio(ratio) => (ratio * total_steps as f64).round() as u64,
        }
    }
}

impl End {
    /// The number of steps, for epochs of so many.
    pub fn steps(self, steps_per_epoch: u64) -> u64 {
        match self {
            End::Steps(steps) => steps,
            End::Epochs(epochs) => epochs.saturating_mul(steps_per_epoch),
            End::Earlier { epochs, steps } => steps.min(epochs.saturating_mul(steps_per_epoch)),
        }
    }

    pub(super) fn write(self, section: &mut Section) {
        let (epochs, steps) = match self {
            End::Epochs(epochs) => (Some(epochs), None),
            End::Steps(steps) => (None, Some(steps)),
            End::Earlier { epochs, steps } => (Some(epochs), Some(steps)),
        };
        section.int_or_absent("num_epochs", epochs);
        section.int_or_absent("max_steps", steps);
    }
}

impl LrSchedule {
    /// The schedule of a run of so many steps.
    ///
    /// # Errors
    /// `Usage` when the warm-up is longer than the run.
    pub fn over(&self, total_steps: u64) -> Result<Schedule> {
        let warmup_steps = self.warmup.steps(total_steps);
        if warmup_steps > total_steps {
            let message = format!("a warm-up of {warmup_steps} steps in a run of {total_steps}");
            return Err(Error::usage(message).hint("lower `training.warmup_steps`"));
        }
        Ok(Schedule {
            curve: self.curve,
            base: self.learning_rate,
            min: self.min_learning_rate,
            warmup_steps,
            total_steps,
        })
    }

    pub(super) fn write(&self, section: &mut Section) {
        section.float("learning_rate", self.learning_rate);
        section.text("lr_schedule", curve_name(self.curve));
        if self.curve != Curve::Constant {
            section.float("min_learning_rate", self.min_learning_rate);
        }
        if let Curve::WarmupStableDecay { decay_fraction } = self.curve {
            section.float("decay_fraction", decay_fraction);
        }
        match self.warmup {
            Warmup::Steps(steps) => section.int("warmup_steps", steps),
            Warmup::Ratio(ratio) => section.float("warmup_ratio", ratio),
        }
    }
}

/// The word in `training.lr_schedule`.
fn curve_name(curve: Curve) -> &'static str {
    match curve {
        Curve::Constant => "constant",
        Curve::Linear => "linear",
        Curve::Cosine => "cosine",
        Curve::WarmupStableDecay { .. } => "wsd",
    }
}
