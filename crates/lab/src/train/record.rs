//! Everything that is shown or kept of a run while it goes on.

use std::time::Duration;

use serde_json::{Value as Json, json};
use tenon_base::diag::Source;
use tenon_base::hash;
use tenon_base::yaml::{self, Node, Value};
use tenon_base::{Error, Result};
use tenon_engine::LossSum;
use tenon_records::log::{LogRow, MetricsLog};
use tenon_records::{Input, InputKind, Metric, NewRun, RunId, Split, Status, Store};
use tenon_train::{Event, StepStats, Validation};

use crate::cli::train::TrainArgs;
use crate::config::ModelOrigin;
use crate::context::Context;
use crate::prepare::Prepared;
use crate::progress::{Progress, Standing};

use super::RunFolder;
use super::resume::Start;

/// Writes metrics, keeps the store, shows the progress.
pub(super) struct Recorder<'c> {
    context: &'c Context,
    folder: RunFolder,
    pub(super) store: Store,
    pub(super) run: RunId,
    pub(super) log: MetricsLog<'c>,
    progress: Progress<'c>,
    steps: u64,
    steps_before: u64,
    started: Duration,
    window: LossSum,
    val_loss: Option<f64>,
    /// Clock and counted tokens at the last line of metrics.
    pace_from: (Duration, u64),
    pace: Option<f64>,
    pub(super) tokens: u64,
    tokens_before: Option<u64>,
}

impl<'c> Recorder<'c> {
    /// Opens the run's folder and its entry in the store.
    pub(super) fn open(
        prepared: &Prepared,
        folder: &RunFolder,
        start: &Start,
        args: &TrainArgs,
        context: &'c Context,
    ) -> Result<Recorder<'c>> {
        let disk = context.disk.as_ref();
        disk.create_dir_all(&folder.runs)?;
        let mut store = Store::open(&folder.store())?;
        let text = prepared.config.to_yaml();
        let run = match start {
            Start::Fresh => {
                let run = create_run(&mut store, prepared, folder, &text, context)?;
                disk.create_dir_all(&folder.path)?;
                note_inputs(&mut store, run, prepared, args)?;
                run
            }
            Start::Again | Start::At(_) => {
                let run = store.run(&prepared.config.experiment_name)?.id;
                store.reopen_run(run)?;
                run
            }
        };
        disk.write_atomic(&folder.config(), text.as_bytes())?;
        let steps_before = start.checkpoint().and_then(step_of).unwrap_or(0);
        let mut log = MetricsLog::open(disk, &folder.metrics())?;
        if *start != Start::Fresh {
            log.truncate_to_step(steps_before)?;
            store.truncate_metrics(run, steps_before)?;
        }
        let steps = prepared.total_steps();
        let now = context.clock.elapsed();
        Ok(Recorder {
            progress: Progress::new(context, steps, prepared.config.training.log_every),
            context,
            folder: folder.clone(),
            store,
            run,
            log,
            steps,
            steps_before,
            started: now,
            window: LossSum::default(),
            val_loss: None,
            pace_from: (now, 0),
            pace: None,
            tokens: 0,
            tokens_before: None,
        })
    }

    pub(super) fn folder(&self) -> &RunFolder {
        &self.folder
    }

    /// Tokens a second over this part of the run.
    pub(super) fn mean_pace(&self) -> Option<f64> {
        let seconds = (self.context.clock.elapsed() - self.started).as_secs_f64();
        let tokens = self.tokens - self.tokens_before?;
        (seconds > 0.0).then(|| tokens as f64 / seconds)
    }

    /// Says a line above the progress.
    pub(super) fn say(&self, line: &str) {
        self.progress.say(line);
    }

    pub(super) fn observe(&mut self, event: Event<'_>) -> Result<()> {
        match event {
            Event::OtherIsa { before, now } => {
                self.say(&format!(
                    "note: the run was computed with `{before}` so far, now `{now}`"
                ));
                Ok(())
            }
            Event::Step(stats) => {
                self.count(&stats);
                self.show(stats.step);
                Ok(())
            }
            Event::Log(stats) => self.write_step(&stats),
            Event::Validated {
                step,
                epoch,
                tokens,
                validation,
                is_best: _,
            } => self.write_validation(step, epoch, tokens, validation),
            Event::Skipped { step, n_skipped } => {
                let line = format!(
                    "warning: step {step} had a loss or gradient that is not finite and was \
                     skipped ({n_skipped} so far)"
                );
                self.say(&line);
                Ok(())
            }
            Event::Saved { .. } => self.log.sync(),
            Event::Ended(_) => Ok(()),
        }
    }

    fn count(&mut self, stats: &StepStats) {
        self.window.add(stats.loss);
        self.tokens = stats.tokens;
        let before = stats.tokens - stats.loss.tokens as u64;
        if self.tokens_before.is_none() {
            self.tokens_before = Some(before);
            self.pace_from.1 = before;
        }
    }

    fn show(&self, step: u64) {
        self.progress.step(&Standing {
            step,
            steps: self.steps,
            loss: self.window.mean(),
            val_loss: self.val_loss,
            tokens_per_second: self.pace.or(self.mean_pace()),
            elapsed: self.context.clock.elapsed() - self.started,
            steps_before: self.steps_before,
        });
    }

    fn write_step(&mut self, stats: &StepStats) -> Result<()> {
        let now = self.context.clock.elapsed();
        let seconds = (now - self.pace_from.0).as_secs_f64();
        let tokens = stats.tokens - self.pace_from.1;
        self.pace = (seconds > 0.0).then(|| tokens as f64 / seconds);
        self.pace_from = (now, stats.tokens);
        self.window = LossSum::default();
        let row = LogRow {
            step: stats.step,
            epoch: Some(stats.epoch),
            split: Split::Train,
            loss: stats.loss.mean(),
            learning_rate: Some(stats.learning_rate),
            grad_norm: Some(stats.grad_norm),
            tokens: Some(stats.tokens),
            tokens_per_second: self.pace,
        };
        let values = [
            ("loss", row.loss),
            ("learning_rate", row.learning_rate),
            ("grad_norm", row.grad_norm),
            ("tokens_per_second", row.tokens_per_second),
        ];
        self.keep(&row, &values)?;
        self.log.append(row)
    }

    fn write_validation(
        &mut self,
        step: u64,
        epoch: f64,
        tokens: u64,
        validation: &Validation,
    ) -> Result<()> {
        let loss = validation.loss.mean();
        self.val_loss = loss;
        let row = LogRow {
            step,
            epoch: Some(epoch),
            split: Split::Validation,
            loss,
            learning_rate: None,
            grad_norm: None,
            tokens: Some(tokens),
            tokens_per_second: None,
        };
        let mut values = vec![("loss", loss)];
        values.extend(
            validation
                .metrics
                .iter()
                .map(|&(name, value)| (name, Some(value))),
        );
        self.keep(&row, &values)?;
        self.log.append(row)?;
        // The time that judging took is not part of the pace of training.
        self.pace_from.0 = self.context.clock.elapsed();
        Ok(())
    }

    fn keep(&mut self, row: &LogRow, values: &[(&'static str, Option<f64>)]) -> Result<()> {
        let (run, split, step, epoch) = (self.run, row.split, row.step, row.epoch);
        let metric = |&(name, value): &(&'static str, Option<f64>)| {
            Some(Metric {
                run,
                split,
                name,
                step,
                epoch,
                value: value?,
            })
        };
        let metrics: Vec<Metric<'_>> = values.iter().filter_map(metric).collect();
        self.store.append_metrics(&metrics)
    }

    /// Closes the entry of a run that failed.
    pub(super) fn failed(&mut self, error: &Error) -> Result<()> {
        self.close(Status::Failed, Some(error.message()))
    }

    pub(super) fn interrupted(&mut self) -> Result<()> {
        self.close(Status::Interrupted, None)
    }

    pub(super) fn aborted(&mut self, error: &Error) -> Result<()> {
        self.close(Status::Aborted, Some(error.message()))
    }

    pub(super) fn done(&mut self) -> Result<()> {
        self.close(Status::Done, None)
    }

    fn close(&mut self, status: Status, error: Option<&str>) -> Result<()> {
        self.store
            .finish_run(self.run, status, &self.context.clock.utc_rfc3339(), error)
    }
}

/// The step in a checkpoint's name.
fn step_of(checkpoint: &std::path::Path) -> Option<u64> {
    checkpoint
        .file_name()?
        .to_str()?
        .strip_prefix("step-")?
        .parse()
        .ok()
}

fn create_run(
    store: &mut Store,
    prepared: &Prepared,
    folder: &RunFolder,
    config: &str,
    context: &Context,
) -> Result<RunId> {
    store.create_run(&NewRun {
        name: &prepared.config.experiment_name,
        kind: "train",
        created_utc: &context.clock.utc_rfc3339(),
        dir: &folder.path.display().to_string(),
        seed: prepared.config.training.seed,
        isa: context.isa.name(),
        threads: context.threads.get() as u32,
        version: env!("CARGO_PKG_VERSION"),
        config_json: &as_json(config)?.to_string(),
        trial: None,
    })
}

fn note_inputs(store: &mut Store, run: RunId, prepared: &Prepared, args: &TrainArgs) -> Result<()> {
    let mut note = |kind, source: String, sha256| {
        store.add_lineage(
            run,
            &Input {
                kind,
                source,
                sha256,
                parent: None,
            },
        )
    };
    let text = prepared.config.to_yaml();
    let config = args.config.display().to_string();
    note(
        InputKind::Config,
        config,
        Some(hash::sha256(text.as_bytes())),
    )?;
    note(
        InputKind::Data,
        prepared.facts.source.clone(),
        Some(prepared.facts.sha256.clone()),
    )?;
    if let ModelOrigin::From(name) = &prepared.config.model.origin {
        note(InputKind::HubModel, name.clone(), None)?;
    }
    Ok(())
}

/// The resolved configuration as JSON, the form in which the store compares runs.
fn as_json(config: &str) -> Result<Json> {
    fn convert(node: &Node) -> Json {
        match &node.value {
            Value::Null => Json::Null,
            Value::Bool(x) => json!(x),
            Value::Int(x) => json!(x),
            Value::Float(x) => json!(x),
            Value::Str(x) => json!(x),
            Value::Seq(items) => Json::Array(items.iter().map(convert).collect()),
            Value::Map(entries) => {
                let pair = |(k, v): &(yaml::Key, Node)| (k.name.clone(), convert(v));
                Json::Object(entries.iter().map(pair).collect())
            }
        }
    }
    Ok(convert(&yaml::read(&Source::new(
        "config.resolved.yaml",
        config.to_owned(),
    ))?))
}
