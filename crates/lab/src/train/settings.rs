//! From the configuration's words to the loop's numbers.

use tenon_models::net::LossOptions;
use tenon_train::{Curve, EarlyStopping, Optimizer, Schedule, Settings};

use crate::config::{self, ScheduleShape, TrainingConfig};

/// Numbers of the loop, for a run of `total_steps`.
pub fn settings(training: &TrainingConfig, total_steps: u64) -> Settings {
    Settings {
        seed: training.seed,
        optimizer: optimizer(training),
        schedule: schedule(training, total_steps),
        accumulation: training.gradient_accumulation_steps as u32,
        max_grad_norm: training.max_grad_norm,
        nan_steps_max: training.max_nan_count as u32,
        eval_every: training.eval_every,
        checkpoint_every: training.checkpoint_every,
        checkpoint_every_epochs: training.save_every,
        log_every: training.log_every,
        keep_checkpoints: training.keep_checkpoints.map(|n| n as usize),
        early_stopping: training.early_stopping.map(|e| EarlyStopping {
            patience: e.patience as u32,
            min_delta: e.min_delta,
        }),
    }
}

/// How parameters move.
pub fn optimizer(training: &TrainingConfig) -> Optimizer {
    match training.optimizer {
        config::Optimizer::Sgd { momentum } => Optimizer::Sgd {
            momentum,
            weight_decay: training.weight_decay,
        },
        config::Optimizer::AdamW { beta1, beta2, eps } => Optimizer::AdamW {
            beta1,
            beta2,
            eps,
            weight_decay: training.weight_decay,
        },
    }
}

fn schedule(training: &TrainingConfig, total_steps: u64) -> Schedule {
    let base = training.schedule.learning_rate;
    let (curve, min) = match training.schedule.shape {
        ScheduleShape::Constant => (Curve::Constant, base),
        ScheduleShape::Linear { min_learning_rate } => (Curve::Linear, min_learning_rate),
        ScheduleShape::Cosine { min_learning_rate } => (Curve::Cosine, min_learning_rate),
        ScheduleShape::Wsd {
            min_learning_rate,
            decay_fraction,
        } => (
            Curve::WarmupStableDecay { decay_fraction },
            min_learning_rate,
        ),
    };
    let warmup_steps = training.schedule.warmup.steps(total_steps);
    Schedule {
        curve,
        base,
        min,
        warmup_steps,
        total_steps,
    }
}

/// The loss of the training graph.
pub fn loss(training: &TrainingConfig) -> LossOptions {
    let TrainingConfig {
        label_smoothing,
        z_loss,
        ..
    } = *training;
    LossOptions {
        label_smoothing,
        z_loss,
        rank: false,
        regularised: true,
    }
}
