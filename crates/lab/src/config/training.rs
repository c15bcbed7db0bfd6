//! Section `training`: optimiser, schedule, length, and what is said and saved on the way.

mod keys;
mod schedule;

use super::judge::Judge;
use super::section::Section;

pub(super) use keys::KEYS;
pub use schedule::{End, LrSchedule, ScheduleShape, Warmup};

/// How a run learns. One step is one update of the weights.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainingConfig {
    /// Sequences of a batch.
    pub batch_size: usize,
    /// Batches whose gradients are added up for one step.
    pub gradient_accumulation_steps: usize,
    /// When training ends.
    pub end: End,
    /// How gradients change weights.
    pub optimizer: Optimizer,
    /// Pull towards 0, applied to matrices.
    pub weight_decay: f64,
    /// The learning rate at each step.
    pub schedule: LrSchedule,
    /// Norm that gradients are scaled down to; `None` leaves them.
    pub max_grad_norm: Option<f64>,
    /// Probability that is taken from the target and spread over the vocabulary.
    pub label_smoothing: f64,
    /// Weight of the squared logarithm of the softmax's denominator in the loss.
    pub z_loss: f64,
    /// Number of steps with a loss or gradient that is not finite at which training is given up.
    pub max_nan_count: u64,
    /// Decides fresh weights, order of the data and dropout.
    pub seed: u64,
    /// Steps between validations; `None` validates at the end only.
    pub eval_every: Option<u64>,
    /// Batches of a validation; `None` for the whole split.
    pub eval_batches: Option<u64>,
    /// Epochs between checkpoints; `None` for none by epochs.
    pub save_every: Option<u64>,
    /// Steps between checkpoints; `None` for none by steps.
    pub checkpoint_every: Option<u64>,
    /// Newest checkpoints that are kept; `None` keeps all.
    pub keep_checkpoints: Option<u64>,
    /// Steps between lines of the log.
    pub log_every: u64,
    /// When training ends for want of progress.
    pub early_stopping: Option<EarlyStopping>,
    /// What is computed again in the backward pass instead of being kept.
    pub recompute: Recompute,
    /// Most bytes of memory that the run may take; `None` for no bound.
    pub memory_budget: Option<u64>,
}

/// How gradients change weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Optimizer {
    /// Gradient descent.
    Sgd {
        /// Part of the last update that is kept; 0 for none.
        momentum: f64,
    },
    /// Adam with decoupled weight decay.
    AdamW {
        /// Decay of the mean of gradients.
        beta1: f64,
        /// Decay of the mean of squared gradients.
        beta2: f64,
        /// Added to the root of the mean of squares.
        eps: f64,
    },
}

/// Ends training when validation no longer gets better.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EarlyStopping {
    /// Validations without progress that are borne.
    pub patience: u64,
    /// Least decrease of the loss that counts as progress.
    pub min_delta: f64,
}

/// What is computed again in the backward pass instead of being kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recompute {
    /// What the memory budget asks for; without one, as selective.
    Auto,
    /// Nothing.
    None,
    /// What is cheap to compute and large to keep.
    Selective,
    /// Everything inside a block.
    Full,
}

impl Recompute {
    const ALL: [(&'static str, Recompute); 4] = [
        ("auto", Recompute::Auto),
        ("none", Recompute::None),
        ("selective", Recompute::Selective),
        ("full", Recompute::Full),
    ];

    /// The word in `training.recompute`.
    pub fn name(self) -> &'static str {
        let row = Recompute::ALL.iter().find(|(_, value)| *value == self);
        row.map_or("auto", |(name, _)| name)
    }

    fn of(name: &str) -> Recompute {
        let row = Recompute::ALL.iter().find(|(word, _)| *word == name);
        row.map_or(Recompute::Auto, |(_, value)| *value)
    }
}

pub(super) fn resolve(judge: &mut Judge) -> TrainingConfig {
    let end = schedule::end(judge);
    TrainingConfig {
        batch_size: judge.size("training.batch_size"),
        gradient_accumulation_steps: judge.size("training.gradient_accumulation_steps"),
        end,
        optimizer: optimizer(judge),
        weight_decay: judge.float("training.weight_decay"),
        schedule: schedule::resolve(judge, end),
        max_grad_norm: judge.values.float("training.max_grad_norm"),
        label_smoothing: judge.float("training.label_smoothing"),
        z_loss: judge.float("training.z_loss"),
        max_nan_count: judge.int("training.max_nan_count"),
        seed: judge.int("training.seed"),
        eval_every: judge.int_or_none("training.eval_every"),
        eval_batches: judge.int_or_none("training.eval_batches"),
        save_every: judge.int_or_none("training.save_every"),
        checkpoint_every: judge.int_or_none("training.checkpoint_every"),
        keep_checkpoints: judge.int_or_none("training.keep_checkpoints"),
        log_every: judge.int("training.log_every"),
        early_stopping: early_stopping(judge),
        recompute: Recompute::of(judge.values.str("training.recompute").unwrap_or("auto")),
        memory_budget: judge.int_or_none("training.memory_budget"),
    }
}

fn optimizer(judge: &mut Judge) -> Optimizer {
    if judge.values.str("training.optimizer") == Some("adamw") {
        let why = "with `training.optimizer: adamw`";
        judge.no_effect(&["training.momentum"], why);
        return Optimizer::AdamW {
            beta1: judge.float("training.beta1"),
            beta2: judge.float("training.beta2"),
            eps: judge.float("training.eps"),
        };
    }
    let keys = ["training.beta1", "training.beta2", "training.eps"];
    judge.no_effect(&keys, "with `training.optimizer: sgd`");
    Optimizer::Sgd {
        momentum: judge.float("training.momentum"),
    }
}

fn early_stopping(judge: &mut Judge) -> Option<EarlyStopping> {
    let key = "training.early_stopping.patience";
    let Some(patience) = judge.int_or_none(key) else {
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
            Optimizer::AdamW { beta1, beta2, eps } => {
                section.text("optimizer", "adamw");
                section.float("beta1", beta1);
                section.float("beta2", beta2);
                section.float("eps", eps);
            }
        }
        section.float("weight_decay", self.weight_decay);
        self.schedule.write(&mut section);
        section.float_or_null("max_grad_norm", self.max_grad_norm);
        section.float("label_smoothing", self.label_smoothing);
        section.float("z_loss", self.z_loss);
        section.int("max_nan_count", self.max_nan_count);
        section.int("seed", self.seed);
        section.int_or_absent("eval_every", self.eval_every);
        section.int_or_absent("eval_batches", self.eval_batches);
        section.int_or_null("save_every", self.save_every);
        section.int_or_absent("checkpoint_every", self.checkpoint_every);
        section.int_or_null("keep_checkpoints", self.keep_checkpoints);
        section.int("log_every", self.log_every);
        if let Some(stopping) = &self.early_stopping {
            let mut inner = Section::default();
            inner.int("patience", stopping.patience);
            inner.float("min_delta", stopping.min_delta);
            section.put("early_stopping", inner.into_value());
        }
        section.text("recompute", self.recompute.name());
        section.int_or_absent("memory_budget", self.memory_budget);
        section
    }
}
