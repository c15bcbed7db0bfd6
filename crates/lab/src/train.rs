//! `tenon train`: a run from its configuration to its report.

mod dry_run;
mod finish;
mod record;
mod resume;
pub mod settings;
pub mod store;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;
use tenon_base::{Error, Kind, Result};
use tenon_engine::{Executor, PlanOptions};
use tenon_eval::judge::capacity;
use tenon_eval::{Judgement, judge_model};
use tenon_models::net::Outputs;
use tenon_train::{Ending, Run, Validation, train};

use crate::cli::train::TrainArgs;
use crate::cli::{Outcome, Output};
use crate::config::{self, Config};
use crate::context::Context;
use crate::memory::{self, Fit};
use crate::prepare::{Prepared, prepare};
use crate::subject::device;

use record::Recorder;
use resume::Start;
use store::HubStore;

/// Where the parts of a run lie.
#[derive(Clone, Debug)]
pub struct RunFolder {
    /// The folder of all runs.
    pub runs: PathBuf,
    /// The run's own folder.
    pub path: PathBuf,
}

impl RunFolder {
    /// The folder of the named run.
    pub fn new(runs: &Path, name: &str) -> Self {
        RunFolder {
            runs: runs.to_path_buf(),
            path: runs.join(name),
        }
    }

    /// The store of all runs.
    pub fn store(&self) -> PathBuf {
        self.runs.join("tenon.db")
    }

    /// The resolved configuration.
    pub fn config(&self) -> PathBuf {
        self.path.join("config.resolved.yaml")
    }

    /// The lines of metrics.
    pub fn metrics(&self) -> PathBuf {
        self.path.join("metrics.jsonl")
    }

    /// The checkpoints.
    pub fn checkpoints(&self) -> PathBuf {
        self.path.join("checkpoints")
    }

    /// The finished model, a hub folder.
    pub fn model(&self) -> PathBuf {
        self.path.join("model")
    }

    /// The plots.
    pub fn plots(&self) -> PathBuf {
        self.path.join("plots")
    }

    /// The report.
    pub fn report(&self) -> PathBuf {
        self.path.join("report.md")
    }
}

/// Does what `tenon train` asks for.
///
/// # Errors
/// `Usage` for the configuration or a name that is taken, `Data`, `Io`, `Judged` when training was
/// given up because it was not finite, `Interrupted` after Ctrl-C.
pub fn run(args: &TrainArgs, context: &Context) -> Result<Outcome> {
    let config = read_config(args, context)?;
    let folder = RunFolder::new(&args.runs, &config.experiment_name);
    let start = match args.dry_run {
        true => Start::Fresh,
        false => resume::find(args, &folder, &config, context)?,
    };
    let disk = context.disk.as_ref();
    let mut prepared = prepare(config, &context.environment, disk, context.threads)?;
    for note in &prepared.notes {
        context.say(&format!("note: {note}"));
    }
    let (mut exec, fit) = executor(&mut prepared, context)?;
    if args.dry_run {
        return dry_run::show(prepared, &mut exec, &fit, context);
    }
    context.say(&format!("memory: {}", fit.text()));
    context.catch_interrupts()?;
    let store = HubStore {
        hub: prepared.hub.clone(),
        extras: prepared.extras.clone(),
        tokenizer: prepared.tokenizer.clone(),
    };
    let mut recorder = Recorder::open(&prepared, &folder, &start, args, context)?;
    let trained = train_and_record(&prepared, &mut exec, &store, &start, &mut recorder, context);
    drop(exec);
    let outcome = match trained {
        Ok(outcome) => outcome,
        Err(error) => {
            recorder.failed(&error)?;
            return Err(error);
        }
    };
    match outcome.ending {
        Ending::Finished | Ending::Stopped => {
            finish::finish(prepared, &store, outcome, recorder, &fit, context)
        }
        Ending::Interrupted => {
            let message = format!(
                "stopped after step {}; the checkpoint is saved",
                outcome.state.step
            );
            let error = Error::new(Kind::Interrupted, message)
                .at(outcome.last.display().to_string())
                .hint("continue with `--resume latest`");
            recorder.interrupted()?;
            Err(error)
        }
        Ending::NotFinite => {
            let n = outcome.state.n_skipped;
            let message = format!("{n} steps had a loss or gradient that is not finite");
            let hint = "lower `training.learning_rate`, or lengthen the warm-up";
            let error = Error::judged(message)
                .at(outcome.last.display().to_string())
                .hint(hint);
            recorder.aborted(&error)?;
            Err(error)
        }
    }
}

fn read_config(args: &TrainArgs, context: &Context) -> Result<Config> {
    let sets: Vec<(String, String)> = args
        .sets
        .iter()
        .map(|s| config::parse_set(s))
        .collect::<Result<_>>()?;
    let mut sets = sets;
    if let Some(name) = &args.name {
        sets.push(("experiment_name".to_owned(), name.clone()));
    }
    let reading = config::load(context.disk.as_ref(), &args.config, &sets)?;
    for note in &reading.notes {
        context.say(&format!("note: {note}"));
    }
    Ok(reading.config)
}

/// The run's training graph, and the graph that judges its validation split, over one set of
/// parameters; and how they fit into memory.
fn executor(prepared: &mut Prepared, context: &Context) -> Result<(Executor, Fit)> {
    let training = &prepared.config.training;
    let (spec, float) = (prepared.spec(), prepared.float());
    let outputs = Outputs::training(settings::loss(training), prepared.config.model.dropout);
    let n_moments = settings::optimizer(training).n_moments();
    let options = PlanOptions::training(float, capacity(&prepared.train), n_moments);
    let judging = PlanOptions::inference(float, capacity(&prepared.validation));
    let mut programs = vec![
        (Arc::new(spec.graph(&outputs)), options),
        (Arc::new(spec.graph(&Outputs::judging_of(spec))), judging),
    ];
    let device = device(context);
    let released_bytes = prepared.weight_bytes();
    let fit = memory::fit(
        &programs,
        Some(training),
        device.as_ref(),
        released_bytes,
        context,
    )?;
    programs[0].1.recompute = fit.recompute;
    let mut exec = Executor::with_programs(programs, device);
    prepared.write_weights(&mut exec);
    Ok((exec, fit))
}

fn train_and_record(
    prepared: &Prepared,
    exec: &mut Executor,
    store: &HubStore,
    start: &Start,
    recorder: &mut Recorder<'_>,
    context: &Context,
) -> Result<tenon_train::Outcome> {
    let settings = settings::settings(&prepared.config.training, prepared.total_steps());
    let mut validation = prepared.validation.clone();
    let limit = prepared.config.training.eval_batches.map(|n| n as usize);
    let mut judge_split = |exec: &mut Executor| -> Result<Validation> {
        exec.activate(1);
        let on_batch = &mut |_| std::ops::ControlFlow::Continue(());
        let judged = judge_model(prepared.spec(), exec, &mut validation, limit, on_batch);
        exec.activate(0);
        judged.map(|judgement| validation_of(&judgement))
    };
    let run = Run {
        exec,
        data: prepared.train.clone(),
        settings: &settings,
        judge: Some(&mut judge_split),
        checkpoints: recorder.folder().checkpoints(),
        store,
        disk: context.disk.as_ref(),
        clock: context.clock.as_ref(),
        isa: context.isa.name(),
        interrupt: &context.interrupt,
    };
    train(run, start.checkpoint(), &mut |event| {
        recorder.observe(event)
    })
}

/// A judgement as the loop knows it. What is not defined is not recorded.
fn validation_of(judgement: &Judgement) -> Validation {
    let metrics = match judgement {
        Judgement::Tokens(judged) => vec![
            ("perplexity", Some(judged.perplexity())),
            ("top1_accuracy", Some(judged.top1_accuracy())),
            ("top5_accuracy", Some(judged.top5_accuracy())),
            ("bits_per_byte", judged.bits_per_byte()),
        ],
        Judgement::Head(_, scores) => scores.metrics(),
    };
    let metrics = metrics.into_iter();
    Validation {
        loss: judgement.loss(),
        metrics: metrics
            .filter_map(|(name, value)| Some((name, value?)))
            .collect(),
    }
}

/// What a command printed: text for people, or one document.
fn answer(context: &Context, text: String, document: serde_json::Value) -> Outcome {
    Outcome::of(match context.json {
        true => {
            let mut document = document;
            document["schema_version"] = json!(1);
            Output::Json(document)
        }
        false => Output::Text(text),
    })
}
