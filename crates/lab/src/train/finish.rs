//! The end of a run: the model's folder, samples, plots, report.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tenon_base::memory::peak_resident_bytes;
use tenon_base::{Result, hash, units};
use tenon_engine::cpu::Cpu;
use tenon_eval::{Flow, Generator, Sampling};
use tenon_models::folder;
use tenon_models::weights::Weights;
use tenon_records::Artifact;
use tenon_train::{Checkpoints, Ending, MODEL_FOLDER, ModelStore, Outcome as Trained};

use crate::cli::Outcome;
use crate::context::Context;
use crate::memory::Fit;
use crate::plots::{self, PlotFacts};
use crate::prepare::Prepared;
use crate::report::{self, ReportFacts, Sample};

use super::RunFolder;
use super::record::Recorder;
use super::store::HubStore;

/// Writes what a finished run leaves, and says what came of it.
pub(super) fn finish(
    prepared: Prepared,
    store: &HubStore,
    trained: Trained,
    mut recorder: Recorder<'_>,
    fit: &Fit,
    context: &Context,
) -> Result<Outcome> {
    let disk = context.disk.as_ref();
    let folder = recorder.folder().clone();
    let checkpoints = Checkpoints::new(disk, folder.checkpoints(), store);
    let best_step = trained
        .state
        .best
        .map_or(trained.state.step, |(step, _)| step);
    let weights = store.load(disk, &checkpoints.path(best_step).join(MODEL_FOLDER))?;
    store.save(disk, &folder.model(), &mut &weights)?;
    let samples = samples(&prepared, &weights, context)?;
    let plots = draw(&prepared, &recorder, context)?;
    recorder.done()?;
    let end = End {
        prepared: &prepared,
        trained: &trained,
        samples: &samples,
        fit,
    };
    write_report(&end, &recorder, &plots, context)?;
    note_artifacts(&mut recorder, &plots, context)?;
    let text = summary(&end, best_step, &folder.path, recorder.mean_pace());
    let mut document = document(&end, &folder);
    document["peak_rss_bytes"] = json!(peak_resident_bytes(context.disk.as_ref()));
    Ok(super::answer(context, text, document))
}

/// What there is to tell at the end.
struct End<'a> {
    prepared: &'a Prepared,
    trained: &'a Trained,
    samples: &'a [Sample],
    fit: &'a Fit,
}

fn draw(prepared: &Prepared, recorder: &Recorder<'_>, context: &Context) -> Result<Vec<PathBuf>> {
    let facts = PlotFacts {
        run: &prepared.config.experiment_name,
        corpus_entropy: prepared.facts.loss_floor,
        max_grad_norm: prepared.config.training.max_grad_norm,
    };
    let folder = recorder.folder().plots();
    plots::draw(recorder.log.rows(), &facts, context.disk.as_ref(), &folder)
}

fn write_report(
    end: &End<'_>,
    recorder: &Recorder<'_>,
    plots: &[PathBuf],
    context: &Context,
) -> Result<()> {
    let folder = recorder.folder();
    let relative = |path: &PathBuf| {
        path.strip_prefix(&folder.path)
            .unwrap_or(path)
            .display()
            .to_string()
    };
    let facts = ReportFacts {
        run: recorder.store.run_by_id(recorder.run)?,
        seconds: Some(end.trained.state.seconds),
        config: config_lines(end.prepared),
        objective: end.prepared.spec().objective(),
        model: model_lines(end.prepared, end.fit),
        data: data_lines(end.prepared),
        summaries: recorder.store.summaries(recorder.run)?,
        tokens: Some(end.trained.state.tokens),
        tokens_per_second: recorder.mean_pace(),
        plots: plots.iter().map(relative).collect(),
        samples: end.samples.to_vec(),
        inputs: recorder.store.lineage(recorder.run)?.inputs,
        config_path: Some(folder.config().display().to_string()),
    };
    context
        .disk
        .write_atomic(&folder.report(), report::render(&facts).as_bytes())
}

fn document(end: &End<'_>, folder: &RunFolder) -> Value {
    let state = &end.trained.state;
    let sample = |s: &Sample| json!({ "prompt": s.prompt, "text": s.continuation });
    json!({
        "run": end.prepared.config.experiment_name,
        "ending": match end.trained.ending { Ending::Stopped => "stopped early", _ => "finished" },
        "steps": state.step,
        "tokens": state.tokens,
        "seconds": state.seconds,
        "best": state.best.map(|(step, loss)| json!({"step": step, "loss": loss})),
        "loss_floor": end.prepared.facts.loss_floor,
        "peak_bytes": end.fit.planned_bytes,
        "memory": end.fit.to_json(),
        "folder": folder.path.display().to_string(),
        "model": folder.model().display().to_string(),
        "report": folder.report().display().to_string(),
        "samples": end.samples.iter().map(sample).collect::<Vec<_>>(),
    })
}

/// What the model writes after the configured prompts.
fn samples(prepared: &Prepared, weights: &Weights, context: &Context) -> Result<Vec<Sample>> {
    let evaluation = &prepared.config.evaluation;
    if evaluation.generation_prompts.is_empty() {
        return Ok(Vec::new());
    }
    let tokenizer = prepared.tokenizer.as_ref();
    let prompts: Vec<Vec<u32>> = evaluation
        .generation_prompts
        .iter()
        .map(|p| tokenizer.encode(p))
        .collect::<Result<_>>()?;
    let device = Cpu::new(context.threads.get(), context.isa);
    let longest = prompts.iter().map(Vec::len).max().unwrap_or(0) + evaluation.max_new_tokens;
    let capacity = longest.min(prepared.spec().context_len());
    let slots = prompts.len();
    let mut generator =
        Generator::new(prepared.spec(), weights, Box::new(device), slots, capacity)?;
    let settings = Sampling {
        temperature: evaluation.temperature,
        top_k: evaluation.top_k.unwrap_or(0),
        top_p: evaluation.top_p,
        eos_ids: tokenizer.eos_id().into_iter().collect(),
        ..Sampling::drawn(evaluation.max_new_tokens, evaluation.seed)
    };
    let written = generator.generate(&prompts, &settings, &mut |_, _| Flow::Continue)?;
    let sample = |(prompt, g): (&String, tenon_eval::Generated)| Sample {
        prompt: prompt.clone(),
        continuation: tokenizer.decode(&g.tokens),
    };
    Ok(evaluation
        .generation_prompts
        .iter()
        .zip(written)
        .map(sample)
        .collect())
}

fn config_lines(prepared: &Prepared) -> Vec<(String, String)> {
    let training = &prepared.config.training;
    let pair = |key: &str, value: String| (key.to_owned(), value);
    vec![
        pair("training.batch_size", training.batch_size.to_string()),
        pair(
            "training.gradient_accumulation_steps",
            training.gradient_accumulation_steps.to_string(),
        ),
        pair(
            "training.learning_rate",
            training.schedule.learning_rate.to_string(),
        ),
        pair(
            "training.lr_schedule",
            training.schedule.shape.name().to_owned(),
        ),
        pair("training.seed", training.seed.to_string()),
        pair(
            "data.max_length",
            format!("{}", prepared.train.spec().length_max),
        ),
        pair("model.dropout", prepared.config.model.dropout.to_string()),
        pair("model.dtype", prepared.config.model.dtype.name().to_owned()),
    ]
}

fn model_lines(prepared: &Prepared, fit: &Fit) -> Vec<(String, String)> {
    let spec = prepared.spec();
    let parameters = folder::parameters(spec);
    let sizes = parameters.iter().map(|p| p.shape.iter().product::<usize>());
    let n: usize = sizes.sum();
    vec![
        ("family".to_owned(), spec.full_name()),
        ("parameters".to_owned(), units::count(n as u64)),
        ("vocabulary".to_owned(), spec.vocab_size().to_string()),
        (
            "context".to_owned(),
            format!("{} tokens", spec.context_len()),
        ),
        ("memory".to_owned(), fit.text()),
    ]
}

fn data_lines(prepared: &Prepared) -> Vec<(String, String)> {
    let facts = &prepared.facts;
    let split = |f: &tenon_data::batch::Facts| {
        let mut text = format!(
            "{} documents, {} tokens",
            f.n_documents,
            units::count(f.n_tokens)
        );
        if f.n_truncated > 0 {
            text += &format!(", {} truncated", f.n_truncated);
        }
        if f.n_dropped > 0 {
            text += &format!(", {} dropped", f.n_dropped);
        }
        text
    };
    let mut lines = vec![
        ("source".to_owned(), facts.source.clone()),
        ("tokenizer".to_owned(), facts.tokenizer.clone()),
        ("train".to_owned(), split(&facts.train)),
        ("validation".to_owned(), split(&facts.validation)),
    ];
    if let Some(floor) = facts.loss_floor {
        lines.push((
            "least loss that the entropy allows".to_owned(),
            format!("{floor:.4}"),
        ));
    }
    lines
}

fn note_artifacts(recorder: &mut Recorder<'_>, plots: &[PathBuf], context: &Context) -> Result<()> {
    let folder = recorder.folder().clone();
    let weights = folder.model().join("model.safetensors");
    let mut files: Vec<(&str, &Path)> = vec![("model", &weights)];
    let report = folder.report();
    files.push(("report", &report));
    files.extend(plots.iter().map(|p| ("plot", p.as_path())));
    for (kind, path) in files {
        let bytes = context.disk.read(path)?;
        let artifact = Artifact {
            kind: kind.to_owned(),
            path: path.display().to_string(),
            sha256: hash::sha256(&bytes),
            bytes: bytes.len() as u64,
            created_utc: context.clock.utc_rfc3339(),
        };
        recorder.store.add_artifact(recorder.run, &artifact)?;
    }
    Ok(())
}

fn summary(end: &End<'_>, best_step: u64, folder: &Path, pace: Option<f64>) -> String {
    let End {
        prepared,
        trained,
        samples,
        ..
    } = end;
    let mut text = String::new();
    for sample in *samples {
        text += &format!("> {}{}\n\n", sample.prompt, sample.continuation.trim_end());
    }
    let state = &trained.state;
    let name = &prepared.config.experiment_name;
    let how = match trained.ending {
        Ending::Stopped => "stopped early after",
        _ => "finished",
    };
    let seconds = std::time::Duration::from_secs_f64(state.seconds);
    let time = units::duration(seconds);
    let tokens = units::count(state.tokens);
    text += &format!(
        "{name}: {how} {} steps, {tokens} tokens in {time}",
        state.step
    );
    if let Some(pace) = pace {
        text += &format!(" ({} tokens/s)", units::count(pace as u64));
    }
    if let Some((_, loss)) = state.best {
        text += &format!("\nvalidation loss {loss:.4}");
        if !prepared.spec().has_classes() {
            text += &format!(" (perplexity {:.2})", loss.exp());
        }
        text += &format!(" after step {best_step}");
    }
    if let Some(floor) = prepared.facts.loss_floor {
        text += &format!("; the corpus' entropy allows {floor:.4}");
    }
    let folder = folder.display();
    text += &format!("\nmodel {folder}/model  report {folder}/report.md  plots {folder}/plots\n");
    text
}
