//! Section `training`: optimiser, schedule, length, and what is said and saved on the way.

mod keys;
mod schedule;

use tenon_base::Result;
use tenon_base::yaml::Value;
use tenon_train::{EarlyStopping, Optimizer, Settings};

use super::judge::Judge;
use super::section::Section;

pub(super) use keys::KEYS;
pub use schedule::{End, LrSchedule, Warmup};

/// How a run learns. One step is one update of the weights.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainingConfig {
    /// Sequences of a batch.
    pub batch_size: usize,
    /// Batches whose gradients are added up for one step.
    pub gradient_accumulation_steps: u32,
    /// When training ends.
    pub end: End,
    /// How gradients change weights.
    pub optimizer: Optimizer,
    /// The learning rate at each step.
    pub schedule: LrSchedule,
    /// Norm that gradients are scaled down to; `None` leaves them.
    pub max_grad_norm: Option<f64>,
    /// Probability that is taken from the target and spread over the vocabulary.
    pub label_smoothing: f64,
    /// Weight of the squared logarithm of the softmax's denominator in the loss.
    pub z_loss: f64,
    /// Number of steps with a loss or gradient that is not finite at which training is given up.
    pub max_nan_count: u32,
    /// Decides fresh weights, order of the data and dropout.
    pub seed: u64,
    /// Steps between validations; `None` validates at the end only.
    pub eval_every: Option<u64>,
    /// Batches of a validation; `None` for the whole split.
    pub eval_batches: Option<u64>,
    /// When checkpoints are written.
    pub checkpoint_every: CheckpointEvery,
    /// Newest checkpoints that are kept; `None` keeps all.
    pub keep_checkpoints: Option<usize>,
    /// Steps between lines of the log.
    pub log_every: u64,
    /// When training ends for want of progress.
    pub early_stopping: Option<EarlyStopping>,
    /// What is computed again in the backward pass instead of being kept.
    pub recompute: Recompute,
}

/// When checkpoints are written; the end is saved in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckpointEvery {
    /// At the end only.
    Never,
    /// After so many epochs.
    Epochs(u64),
    /// After so many steps.
    Steps(u64),
}

/// What is computed again in the backward pass instead of being kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recompute {
    /// Nothing.
    None,
    /// What is cheap to compute and large to keep.
    Selective,
    /// Everything inside a block.
    Full,
}

impl Recompute {
    const ALL: [(&'static str, Recompute); 3] = [
        ("none", Recompute::None),
        ("selective", Recompute::Selective),
        ("full", Recompute::Full),
    ];

    /// The word in `training.recompute`.
    pub fn name(self) -> &'static str {
        let row = Recompute::ALL.iter().find(|(_, value)| *value == self);
        row.map_or("none", |(name, _)| name)
    }

    fn of(name: &str) -> Recompute {
        let row = Recompute::ALL.iter().find(|(word, _)| *word == name);
        row.map_or(Recompute::None, |(_, value)| *value)
    }
}

pub(super) fn resolve(judge: &mut Judge) -> TrainingConfig {
    let end = schedule::end(judge);
    TrainingConfig {
        batch_size: judge.size("training.batch_size"),
        gradient_accumulation_steps: judge.count("training.gradient_accumulation_steps"),
        end,
        optimizer: optimizer(judge),
        schedule: schedule::resolve(judge, end),
        max_grad_norm: judge.values.float("training.max_grad_norm"),
        label_smoothing: judge.float("training.label_smoothing"),
        z_loss: judge.float("training.z_loss"),
        max_nan_count: judge.count("training.max_nan_count"),
        seed: judge.int("training.seed"),
        eval_every: judge.int_or_none("training.eval_every"),
        eval_batches: judge.int_or_none("training.eval_batches"),
        checkpoint_every: checkpoint_every(judge),
        keep_checkpoints: judge.values.size("training.keep_checkpoints"),
        log_every: judge.int("training.log_every"),
        early_stopping: early_stopping(judge),
        recompute: Recompute::of(judge.values.str("training.recompute").unwrap_or("none")),
    }
}

fn optimizer(judge: &mut Judge) -> Optimizer {
    const DECAY: &str = "training.weight_decay";
    let weight_decay = judge.float(DECAY);
    if judge.values.str("training.optimizer") == Some("adamw") {
        let why = "with `training.optimizer: adamw`";
        judge.no_effect(&["training.momentum"], why);
        return Optimizer::AdamW {
            beta1: judge.float("training.beta1"),
            beta2: judge.float("training.beta2"),
            eps: judge.float("training.eps"),
            weight_decay,
        };
    }
    let keys = ["training.beta1", "training.beta2", "training.eps"];
    judge.no_effect(&keys, "with `training.optimizer: sgd`");
    if weight_decay != 0.0 && judge.fine(&["training.optimizer"]) {
        let message = format!("`{DECAY}` is {weight_decay}, and `sgd` decays no weights");
        let hint = "choose `training.optimizer: adamw`, or set it to 0";
        judge.fault(DECAY, message, "", hint);
    }
    Optimizer::Sgd {
        momentum: judge.float("training.momentum"),
    }
}

fn checkpoint_every(judge: &mut Judge) -> CheckpointEvery {
    const EPOCHS: &str = "training.save_every";
    const STEPS: &str = "training.checkpoint_every";
    let epochs = judge.int_or_none(EPOCHS);
    match (epochs, judge.int_or_none(STEPS)) {
        (Some(_), Some(_)) => {
            let message = format!("`{EPOCHS}` and `{STEPS}` are both given");
            judge.fault(EPOCHS, message, "", "keep one of the two");
            CheckpointEvery::Never
        }
        (None, Some(steps)) => CheckpointEvery::Steps(steps),
        (Some(epochs), None) => CheckpointEvery::Epochs(epochs),
        (None, None) if judge.values.is_set(EPOCHS) => CheckpointEvery::Never,
        (None, None) => CheckpointEvery::Epochs(1),
    }
}

fn early_stopping(judge: &mut Judge) -> Option<EarlyStopping> {
    let key = "training.early_stopping.patience";
    let Some(patience) = judge.count_or_none(key) else {
        let why = format!("without `{key}`");
        judge.no_effect(&["training.early_stopping.min_delta"], &why);
        return None;
    };
    let eval_every = "training.eval_every";
    if judge.fine(&[eval_every]) && !judge.values.is_set(eval_every) {
        let message = format!("`{key}` counts validations, and `{eval_every}` is not given");
        judge.fault(key, message, "", "say after how many steps to validate");
    }
    Some(EarlyStopping {
        patience,
        min_delta: judge.float("training.early_stopping.min_delta"),
    })
}

impl TrainingConfig {
    /// The numbers of the loop, for training data of so many steps an epoch.
    ///
    /// # Errors
    /// `Usage` when the warm-up is longer than the run.
    pub fn settings(&self, steps_per_epoch: u64) -> Result<Settings> {
        let total_steps = self.end.steps(steps_per_epoch);
        Ok(Settings {
            seed: self.seed,
            optimizer: self.optimizer,
            schedule: self.schedule.over(total_steps)?,
            accumulation: self.gradient_accumulation_steps,
            max_grad_norm: self.max_grad_norm,
            nan_steps_max: self.max_nan_count,
            eval_every: self.eval_every,
            checkpoint_every: match self.checkpoint_every {
                CheckpointEvery::Never => None,
                CheckpointEvery::Steps(steps) => Some(steps),
                CheckpointEvery::Epochs(n) => Some(n.saturating_mul(steps_per_epoch).max(1)),
            },
            log_every: self.log_every,
            keep_checkpoints: self.keep_checkpoints.unwrap_or(usize::MAX),
            early_stopping: self.early_stopping,
        })
    }

    pub(super) fn to_section(&self) -> Section {
        let mut section = Section::default();
        section.int("batch_size", self.batch_size);
        section.int(
            "gradient_accumulation_steps",
            self.gradient_accumulation_steps,
        );
        self.end.write(&mut section);
        match self.optimizer {
            Optimizer::Sgd { momentum } => {
                section.text("optimizer", "sgd");
                section.float("momentum", momentum);
            }
            Optimizer::AdamW {
                beta1,
                beta2,
                eps,
                weight_decay,
            } => {
                section.text("optimizer", "adamw");
                section.float("beta1", beta1);
                section.float("beta2", beta2);
                section.float("eps", eps);
                section.float("weight_decay", weight_decay);
            }
        }
        self.schedule.write(&mut section);
        section.float_or_null("max_grad_norm", self.max_grad_norm);
        section.float("label_smoothing", self.label_smoothing);
        section.float("z_loss", self.z_loss);
        section.int("max_nan_count", self.max_nan_count);
        section.int("seed", self.seed);
        section.int_or_absent("eval_every", self.eval_every);
        section.int_or_absent("eval_batches", self.eval_batches);
        match self.checkpoint_every {
            CheckpointEvery::Never => section.put("save_every", Value::Null),
            CheckpointEvery::Epochs(epochs) => section.int("save_every", epochs),
            CheckpointEvery::Steps(steps) => section.int("checkpoint_every", steps),
        }
        section.int_or_null("keep_checkpoints", self.keep_checkpoints);
        section.int("log_every", self.log_every);
        if let Some(stopping) = &self.early_stopping {
            let mut inner = Section::default();
            inner.int("patience", stopping.patience);
            inner.float("min_delta", stopping.min_delta);
            section.put("early_stopping", inner.into_value());
        }
        section.text("recompute", self.recompute.name());
        section
    }
}
