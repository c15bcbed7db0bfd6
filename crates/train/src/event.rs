//! What a run tells its observer. Everything that shows or records a run matches on this one enum,
//! so nobody counts steps a second time.

use std::path::Path;
use tenon_engine::LossSum;

/// Numbers of one optimiser step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepStats {
    /// Steps done, this one included.
    pub step: u64,
    /// Epochs done, with the fraction of the present one.
    pub epoch: f64,
    /// Loss of the step's batches before the update.
    pub loss: LossSum,
    /// Rate of the step.
    pub learning_rate: f64,
    /// Norm of the mean gradient before clipping.
    pub grad_norm: f64,
    /// Counted tokens of the run so far.
    pub tokens: u64,
}

/// A judgement of the validation split.
#[derive(Clone, Debug, PartialEq)]
pub struct Validation {
    /// Loss over the split.
    pub loss: LossSum,
    /// Further metrics by name.
    pub metrics: Vec<(&'static str, f64)>,
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// All steps are done.
    Finished,
    /// The validation loss stopped improving.
    Stopped,
    /// Asked to stop; the checkpoint is saved.
    Interrupted,
    /// Too many steps without a finite gradient.
    NotFinite,
}

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// A run continues with another instruction set than it was computed with so far.
    OtherIsa {
        /// The instruction set so far.
        before: &'a str,
        /// The one from here on.
        now: &'a str,
    },
    /// A step was made.
    Step(StepStats),
    /// A step was skipped because loss or gradient was not finite.
    Skipped {
        /// The step.
        step: u64,
        /// Skipped steps so far.
        n_skipped: u32,
    },
    /// A line of metrics is due: the window's mean loss, with the last step's other numbers.
    Log(StepStats),
    /// The validation split was judged.
    Validated {
        /// After this step.
        step: u64,
        /// Epochs done.
        epoch: f64,
        /// Counted tokens so far.
        tokens: u64,
        /// The judgement.
        validation: &'a Validation,
        /// Whether it is the best so far.
        is_best: bool,
    },
    /// A checkpoint is complete.
    Saved {
        /// After this step.
        step: u64,
        /// Its folder.
        folder: &'a Path,
    },
    /// The run ended.
    Ended(Ending),
}
