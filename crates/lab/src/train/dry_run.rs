//! `--dry-run`: what a run would take, without running it.

use std::time::Duration;

use serde_json::{Value, json};
use tenon_base::{Result, units};
use tenon_data::Batch;
use tenon_engine::{Executor, plan::Content};
use tenon_models::net::{feed, feed_targets};

use crate::cli::Outcome;
use crate::context::Context;
use crate::memory::Fit;
use crate::prepare::Prepared;

/// Batches that are timed, after one that is not.
const TIMED: u32 = 2;

/// Plan, memory, tokens, and the time that real batches promise.
pub(super) fn show(
    mut prepared: Prepared,
    exec: &mut Executor,
    fit: &Fit,
    context: &Context,
) -> Result<Outcome> {
    let pace = Pace::measure(&mut prepared, exec, context);
    let forecast = Forecast::new(&prepared, exec, fit, pace);
    Ok(super::answer(
        context,
        forecast.text(&prepared),
        forecast.json(&prepared),
    ))
}

/// What a batch of training takes.
struct Pace {
    tokens: f64,
    seconds: f64,
}

impl Pace {
    fn measure(prepared: &mut Prepared, exec: &mut Executor, context: &Context) -> Pace {
        let mut batch = Batch::default();
        let mut tokens = 0;
        let mut begun = context.clock.elapsed();
        for i in 0..=TIMED {
            if i == 1 {
                begun = context.clock.elapsed();
                tokens = 0;
            }
            exec.zero_grads();
            prepared.train.next(&mut batch);
            feed(exec, &batch.ids, &batch.positions, &batch.cu_seqlens);
            feed_targets(exec, &batch.targets, &batch.given);
            exec.forward();
            exec.backward();
            tokens += batch.n_loss_tokens;
        }
        let seconds = (context.clock.elapsed() - begun).as_secs_f64();
        let mean = |sum: f64| sum / f64::from(TIMED);
        Pace {
            tokens: mean(tokens as f64),
            seconds: mean(seconds),
        }
    }
}

/// What a whole run would take.
struct Forecast<'a> {
    fit: &'a Fit,
    n_params: usize,
    steps: u64,
    tokens_per_step: f64,
    weight_bytes: usize,
    gradient_bytes: usize,
    moment_bytes: usize,
    peak_bytes: usize,
    flops_per_token: f64,
    batch_seconds: f64,
    seconds: f64,
}

impl Forecast<'_> {
    fn new<'a>(prepared: &Prepared, exec: &Executor, fit: &'a Fit, pace: Pace) -> Forecast<'a> {
        let steps = prepared.total_steps();
        let batches = prepared.config.training.gradient_accumulation_steps as f64;
        let plan = exec.plan();
        let extent = exec.extent();
        let tokens = extent.tokens.max(1) as f64;
        Forecast {
            fit,
            n_params: exec.graph().n_params(),
            steps,
            tokens_per_step: pace.tokens * batches,
            weight_bytes: plan.bytes_of(|c| matches!(c, Content::Param(_))),
            gradient_bytes: plan.bytes_of(|c| matches!(c, Content::ParamGrad(_))),
            moment_bytes: plan.bytes_of(|c| matches!(c, Content::Moment(..))),
            peak_bytes: exec.peak_bytes(),
            flops_per_token: exec.graph().forward_flops(extent) / tokens,
            batch_seconds: pace.seconds,
            seconds: pace.seconds * batches * steps as f64,
        }
    }

    /// Activations and workspace.
    fn other_bytes(&self) -> usize {
        self.peak_bytes - self.weight_bytes - self.gradient_bytes - self.moment_bytes
    }

    fn text(&self, prepared: &Prepared) -> String {
        let size = |bytes: usize| units::bytes(bytes as u64);
        let count = |n: f64| units::count(n as u64);
        let facts = &prepared.facts;
        let lines = [
            ("parameters", count(self.n_params as f64)),
            (
                "data",
                format!(
                    "{} tokens to train on, {} to validate",
                    units::count(facts.train.n_tokens),
                    units::count(facts.validation.n_tokens)
                ),
            ),
            (
                "steps",
                format!(
                    "{} of {} tokens, {} an epoch",
                    self.steps,
                    self.tokens_per_step.round(),
                    prepared.steps_per_epoch()
                ),
            ),
            (
                "memory",
                format!(
                    "{} = weights {} + gradients {} + moments {} + activations and workspace {}",
                    size(self.peak_bytes),
                    size(self.weight_bytes),
                    size(self.gradient_bytes),
                    size(self.moment_bytes),
                    size(self.other_bytes())
                ),
            ),
            ("", self.fit.text()),
            (
                "FLOPs",
                format!(
                    "{} a token forward, {} a token in training",
                    count(self.flops_per_token),
                    count(3.0 * self.flops_per_token)
                ),
            ),
            (
                "time",
                format!(
                    "about {} ({:.0} ms a batch, timed over {TIMED})",
                    units::duration(Duration::from_secs_f64(self.seconds)),
                    1e3 * self.batch_seconds
                ),
            ),
        ];
        let table: String = lines
            .iter()
            .map(|(name, value)| format!("{name:<12} {value}\n"))
            .collect();
        format!("{}\n{table}", prepared.config.to_yaml())
    }

    fn json(&self, prepared: &Prepared) -> Value {
        json!({
            "config": prepared.config.to_json(),
            "parameters": self.n_params,
            "train_tokens": prepared.facts.train.n_tokens,
            "validation_tokens": prepared.facts.validation.n_tokens,
            "steps": self.steps,
            "steps_per_epoch": prepared.steps_per_epoch(),
            "memory": {
                "peak_bytes": self.peak_bytes,
                "weight_bytes": self.weight_bytes,
                "gradient_bytes": self.gradient_bytes,
                "moment_bytes": self.moment_bytes,
                "other_bytes": self.other_bytes(),
                "plan": self.fit.to_json(),
            },
            "forward_flops_per_token": self.flops_per_token,
            "batch_ms": 1e3 * self.batch_seconds,
            "estimated_seconds": self.seconds,
        })
    }
}
