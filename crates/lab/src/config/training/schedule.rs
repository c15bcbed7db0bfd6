//! How long training lasts and how the learning rate moves.

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

/// The learning rate at each step: up from 0 in the warm-up, then after its shape to the end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LrSchedule {
    /// The greatest learning rate.
    pub learning_rate: f64,
    /// Length of the rise.
    pub warmup: Warmup,
    /// What follows the rise.
    pub shape: ScheduleShape,
}

/// Length of the rise of the learning rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Warmup {
    /// In steps; 0 for none.
    Steps(u64),
    /// As part of all steps.
    Ratio(f64),
}

/// How the learning rate moves after the warm-up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ScheduleShape {
    /// Not at all.
    Constant,
    /// Down in a straight line.
    Linear {
        /// Learning rate at the end.
        min_learning_rate: f64,
    },
    /// Down along half a period of a cosine.
    Cosine {
        /// Learning rate at the end.
        min_learning_rate: f64,
    },
    /// Constant, then down in a straight line (warm-up, stable, decay).
    Wsd {
        /// Learning rate at the end.
        min_learning_rate: f64,
        /// Part of the steps after the warm-up in which it goes down.
        decay_fraction: f64,
    },
}

const MAX_STEPS: &str = "training.max_steps";
const NUM_EPOCHS: &str = "training.num_epochs";

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
    let shape = shape(judge, learning_rate);
    let warmup = warmup(judge);
    let schedule = LrSchedule {
        learning_rate,
        warmup,
        shape,
    };
    if let End::Steps(steps) | End::Earlier { steps, .. } = end {
        fits(judge, warmup, steps);
    }
    schedule
}

fn shape(judge: &mut Judge, learning_rate: f64) -> ScheduleShape {
    const MIN: &str = "training.min_learning_rate";
    const FRACTION: &str = "training.decay_fraction";
    let word = judge.values.str("training.lr_schedule").unwrap_or("none");
    if word != "wsd" {
        judge.no_effect(&[FRACTION], "without `training.lr_schedule: wsd`");
    }
    if matches!(word, "none" | "constant") {
        judge.no_effect(&[MIN], "while the learning rate stays constant");
        return ScheduleShape::Constant;
    }
    let given = judge.values.float(MIN);
    let min_learning_rate = given.unwrap_or(0.1 * learning_rate);
    if judge.fine(&["training.learning_rate"]) && min_learning_rate > learning_rate {
        let message = format!(
            "`{MIN}` {min_learning_rate} is above `training.learning_rate` {learning_rate}"
        );
        judge.fault(MIN, message, "", "the learning rate goes down to it");
    }
    match word {
        "linear" => ScheduleShape::Linear { min_learning_rate },
        "cosine" => ScheduleShape::Cosine { min_learning_rate },
        _ => ScheduleShape::Wsd {
            min_learning_rate,
            decay_fraction: judge.float(FRACTION),
        },
    }
}

fn warmup(judge: &mut Judge) -> Warmup {
    const STEPS: &str = "training.warmup_steps";
    const RATIO: &str = "training.warmup_ratio";
    let steps = judge.int_or_none(STEPS);
    match (steps, judge.values.float(RATIO)) {
        (Some(_), Some(_)) => {
            let message = format!("`{RATIO}` and `{STEPS}` are both given");
            judge.fault(RATIO, message, "", "keep one of the two");
            Warmup::Steps(0)
        }
        (None, Some(ratio)) => Warmup::Ratio(ratio),
        (steps, None) => Warmup::Steps(steps.unwrap_or(0)),
    }
}

/// The warm-up must fit into the steps; checked here where their number is known.
fn fits(judge: &mut Judge, warmup: Warmup, steps: u64) {
    const KEY: &str = "training.warmup_steps";
    let warmup = warmup.steps(steps);
    if judge.fine(&[KEY, "training.warmup_ratio"]) && warmup > steps {
        let message = format!("`{KEY}` {warmup} is above `{MAX_STEPS}` {steps}");
        judge.fault(KEY, message, "", "training would end in the warm-up");
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

impl ScheduleShape {
    /// The word in `training.lr_schedule`.
    pub fn name(self) -> &'static str {
        match self {
            ScheduleShape::Constant => "constant",
            ScheduleShape::Linear { .. } => "linear",
            ScheduleShape::Cosine { .. } => "cosine",
            ScheduleShape::Wsd { .. } => "wsd",
        }
    }
}

impl LrSchedule {
    pub(super) fn write(&self, section: &mut Section) {
        section.float("learning_rate", self.learning_rate);
        section.text("lr_schedule", self.shape.name());
        match self.shape {
            ScheduleShape::Constant => {}
            ScheduleShape::Linear { min_learning_rate }
            | ScheduleShape::Cosine { min_learning_rate } => {
                section.float("min_learning_rate", min_learning_rate);
            }
            ScheduleShape::Wsd {
                min_learning_rate,
                decay_fraction,
            } => {
                section.float("min_learning_rate", min_learning_rate);
                section.float("decay_fraction", decay_fraction);
            }
        }
        match self.warmup {
            Warmup::Steps(steps) => section.int("warmup_steps", steps),
            Warmup::Ratio(ratio) => section.float("warmup_ratio", ratio),
        }
    }
}
