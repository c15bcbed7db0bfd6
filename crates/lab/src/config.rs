//! The configuration of a run: one table of keys per section, read strictly and resolved into plain
//! structs. Every problem of a file is reported in one run; what a file sets without effect is said
//! in a note.
//!
//! ```
//! use tenon::config;
//! use tenon_base::diag::Source;
//!
//! let text = "data: {dataset: corpus}\ntraining: {max_steps: 100}\n";
//! let reading = config::read(&Source::new("tiny.yaml", text), &[])?;
//! assert_eq!(reading.config.experiment_name, "tiny");
//! let again = config::read(&Source::new("again.yaml", reading.config.to_yaml()), &[])?;
//! assert_eq!(again.config, reading.config);
//! # Ok::<(), tenon_base::Error>(())
//! ```

mod data;
mod evaluation;
mod judge;
mod model;
mod section;
mod training;

use std::path::Path;

pub use data::{DataConfig, DataSource, TextLayout, TokenizerChoice};
pub use evaluation::EvaluationConfig;
pub use model::{
    Architecture, DecoderShape, Dtype, EncoderShape, Family, FamilyInfo, Gpt2Shape, HeadConfig,
    HeadOf, ModelConfig, ModelOrigin,
};
pub use training::{
    EarlyStopping, End, LrSchedule, Optimizer, Recompute, ScheduleShape, TrainingConfig, Warmup,
};

use tenon_base::config::{DefaultValue, Key, Schema, Type};
use tenon_base::diag::{Diagnostics, Source, shown};
use tenon_base::files::Disk;
use tenon_base::limits::RUN_NAME_BYTES_MAX;
use tenon_base::yaml::{self, Value};
use tenon_base::{Error, Result};
use tenon_models::spec::Spec;

use judge::Judge;
use section::{Section, pair};

const RUN_KEYS: &[Key] = &[Key::new(
    "experiment_name",
    Type::Str,
    DefaultValue::Derived("the file's name without its extension"),
    "Name of the run and of its folder, unless the command line names it.",
)];

/// Every key of a training configuration.
pub static SCHEMA: Schema = Schema {
    name: "config",
    version: 1,
    tables: &[
        RUN_KEYS,
        model::KEYS,
        data::KEYS,
        training::KEYS,
        evaluation::KEYS,
    ],
};

/// A run's configuration without anything left to decide but what follows from the tokenizer and
/// from a model that training starts from.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Name of the run.
    pub experiment_name: String,
    /// What is trained.
    pub model: ModelConfig,
    /// What it learns from.
    pub data: DataConfig,
    /// How it learns.
    pub training: TrainingConfig,
    /// What is written with it at the end.
    pub evaluation: EvaluationConfig,
}

/// A configuration that was read, with what its writer should know.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// The configuration.
    pub config: Config,
    /// Sentences about keys without effect and limits that compete; lower-case fragments.
    pub notes: Vec<String>,
}

/// Reads and resolves a text, with `--set KEY=VALUE` pairs that override it.
///
/// # Errors
/// `Usage` that shows every problem.
pub fn read(source: &Source, sets: &[(String, String)]) -> Result<Reading> {
    let mut problems = Diagnostics::default();
    let values = SCHEMA.collect(source, sets, &mut problems);
    let reading = values.map(|values| {
        let mut judge = Judge::new(&values, sets, &mut problems);
        let model = model::resolve(&mut judge);
        let config = Config {
            experiment_name: experiment_name(&mut judge, source.name()),
            data: data::resolve(&mut judge, &model),
            model,
            training: training::resolve(&mut judge),
            evaluation: evaluation::resolve(&judge),
        };
        let notes = judge.into_notes();
        Reading { config, notes }
    });
    problems.into_result()?;
    Ok(reading.expect("a text without problems has values"))
}

/// [`read`] for a file.
///
/// # Errors
/// `Io` when it cannot be read, `Usage` as [`read`].
pub fn load(disk: &dyn Disk, path: &Path, sets: &[(String, String)]) -> Result<Reading> {
    read(&Source::load(disk, path)?, sets)
}

/// Splits `KEY=VALUE` of the command line.
///
/// # Errors
/// `Usage` without `=` or without a key.
pub fn parse_set(text: &str) -> Result<(String, String)> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => {
            Ok((key.trim().to_owned(), value.to_owned()))
        }
        _ => Err(
            Error::usage(format!("`{}` is not of the form `KEY=VALUE`", shown(text)))
                .hint("write for example `--set training.learning_rate=3e-4`"),
        ),
    }
}

fn experiment_name(judge: &mut Judge, source_name: &str) -> String {
    const KEY: &str = "experiment_name";
    let stem = Path::new(source_name).file_stem();
    let stem = stem.map_or("run".into(), |stem| stem.to_string_lossy().into_owned());
    // The configuration that a run keeps is not called after the run.
    let stem = stem.trim_end_matches(".resolved").to_owned();
    let name = judge.text(KEY).unwrap_or(stem);
    if let Some(fault) = name_fault(&name) {
        let problem = judge.values.problem(KEY, format!("`{KEY}` {fault}"));
        judge.problem(problem.hint("it names a folder: use letters, digits, `-`, `_` and `.`"));
    }
    name
}

/// Why a name cannot be that of a run's folder.
fn name_fault(name: &str) -> Option<String> {
    let bad = |c: char| c.is_control() || matches!(c, '/' | '\\' | ':');
    if name.trim().is_empty() {
        Some("is empty".to_owned())
    } else if name.starts_with('.') || name.trim() != name {
        Some("begins with a point or has spaces at its ends".to_owned())
    } else if let Some(c) = name.chars().find(|&c| bad(c)) {
        Some(format!("has `{}` in it", shown(&c.to_string())))
    } else if name.len() as u64 > RUN_NAME_BYTES_MAX {
        Some(format!("is longer than {RUN_NAME_BYTES_MAX} bytes"))
    } else {
        None
    }
}

impl Config {
    /// Fills in what the tokenizer and the model decide, so that the resolved text says it.
    ///
    /// # Errors
    /// `Usage` when `data.max_length` exceeds the positions of the model that training starts from.
    pub fn settle(&mut self, spec: &Spec) -> Result<()> {
        let context = spec.context_len();
        let length = *self.data.max_length.get_or_insert(context);
        if length > context {
            let message =
                format!("`data.max_length` {length} is above the model's {context} positions");
            return Err(Error::usage(message).hint("lower it, or leave it out"));
        }
        if let ModelOrigin::Fresh(architecture) = &mut self.model.origin {
            architecture.vocab_size = Some(spec.vocab_size());
        }
        Ok(())
    }

    /// The text of `config.resolved.yaml`: every key that has an effect, with its value.
    /// [`read`] gives the same configuration back, whatever the defaults become.
    pub fn to_yaml(&self) -> String {
        yaml::emit(&self.to_value())
    }

    /// The same as a JSON object, for the store of runs and for `--json`.
    pub fn to_json(&self) -> serde_json::Value {
        section::json(&self.to_value())
    }

    fn to_value(&self) -> Value {
        let sections = vec![
            pair("experiment_name", Value::Str(self.experiment_name.clone())),
            pair("model", self.model.to_section().into_value()),
            pair("data", self.data.to_section().into_value()),
            pair("training", self.training.to_section().into_value()),
            pair("evaluation", self.evaluation.to_section().into_value()),
        ];
        Section::from_pairs(sections).into_value()
    }
}

#[cfg(test)]
mod tests;
