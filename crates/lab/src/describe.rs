//! A model or a configuration, as far as facts and proofs need it.

use std::path::Path;
use std::sync::Arc;

use tenon_base::{Error, Result};
use tenon_data::vocab;
use tenon_engine::{DType, Extent, PlanOptions, Recompute};
use tenon_models::folder;
use tenon_models::inspect::{Facts, Question};
use tenon_models::net::{LossOptions, Outputs};
use tenon_models::spec::Spec;
use tenon_models::weights::Weights;

use crate::config::{self, Config, ModelOrigin, Optimizer};
use crate::context::Context;
use crate::memory::{self, Fit};
use crate::prepare::{float, prepare};
use crate::subject::{device, find, starting_folder};

/// Longest sequence, in tokens, that facts of a model without a configuration are told for.
const LENGTH_MAX: usize = 1024;

/// What was named.
#[derive(Clone, Debug)]
pub struct Described {
    /// The model.
    pub spec: Spec,
    /// Its parameters; `None` for a fresh model.
    pub weights: Option<Weights>,
    /// The configuration itself, or that of the run.
    pub config: Option<Config>,
}

/// Reads a model or a configuration. Data is read only when the configuration's tokenizer is made
/// of it.
///
/// # Errors
/// `Usage` for a configuration that is wrong or a file that is none; `Data` for a model that cannot
/// be read; `Io`.
pub fn describe(context: &Context, runs: &Path, name: &Path) -> Result<Described> {
    if !name.is_file() {
        let disk = context.disk.as_ref();
        let place = find(context, runs, name)?;
        let folder = place.load(context)?;
        return Ok(Described {
            spec: folder.config.spec,
            weights: Some(folder.weights),
            config: place.config(disk)?,
        });
    }
    let extension = name.extension().and_then(|e| e.to_str());
    if !matches!(extension, Some("yaml" | "yml" | "json")) {
        let message = format!(
            "`{}` is neither a folder nor a configuration",
            name.display()
        );
        return Err(
            Error::usage(message).hint("name a model's folder, or a `.yaml` or `.json` file")
        );
    }
    let reading = config::load(context.disk.as_ref(), name, &[])?;
    for note in &reading.notes {
        context.say(&format!("note: {note}"));
    }
    of_config(reading.config, context)
}

fn of_config(mut config: Config, context: &Context) -> Result<Described> {
    let disk = context.disk.as_ref();
    let spec = match (&config.model.origin, config.data.tokenizer_spec()?) {
        (ModelOrigin::Fresh(architecture), Some(spec)) if !matches!(spec, vocab::Spec::Char(_)) => {
            architecture.spec(spec.build([])?.as_ref())?
        }
        (ModelOrigin::From(path), _) => {
            let path = starting_folder(disk, &context.environment, path)?;
            let folder = folder::load(disk, &path)?;
            config.settle(&folder.config.spec)?;
            return Ok(Described {
                spec: folder.config.spec,
                weights: Some(folder.weights),
                config: Some(config),
            });
        }
        // Characters are those of the data.
        _ => {
            let prepared = prepare(config, &context.environment, disk, context.threads)?;
            return Ok(Described {
                spec: prepared.hub.spec,
                weights: None,
                config: Some(prepared.config),
            });
        }
    };
    config.settle(&spec)?;
    Ok(Described {
        spec,
        weights: None,
        config: Some(config),
    })
}

impl Described {
    /// The type of floats that the model is computed in.
    pub fn float(&self) -> DType {
        match (&self.config, &self.weights) {
            (Some(config), _) => float(config.model.dtype),
            (None, Some(weights)) => weights.dtype,
            (None, None) => DType::F32,
        }
    }

    /// A batch of the configuration, or one sequence of a model without one.
    pub fn batch(&self) -> Extent {
        let context = self.spec.context_len();
        let (seqs, length) = match &self.config {
            Some(Config { data, training, .. }) => {
                (training.batch_size, data.max_length.unwrap_or(context))
            }
            None => (1, context.min(LENGTH_MAX)),
        };
        Extent::new(seqs * length, seqs)
    }

    /// Buffers that the optimiser keeps for each parameter; those of AdamW without a configuration.
    pub fn moments(&self) -> usize {
        match self
            .config
            .as_ref()
            .map(|config| &config.training.optimizer)
        {
            Some(Optimizer::Sgd { momentum }) => usize::from(*momentum != 0.0),
            Some(Optimizer::AdamW { .. }) | None => 2,
        }
    }

    /// How training under the configuration fits into memory; without one, norms and activations
    /// are computed again.
    ///
    /// # Errors
    /// `Usage` when the configuration's budget is too small.
    pub fn fit(&self, context: &Context) -> Result<Fit> {
        let outputs = Outputs::training(LossOptions::PLAIN, self.dropout());
        let options = PlanOptions::training(self.float(), self.batch(), self.moments());
        let judging = PlanOptions::inference(self.float(), self.batch());
        let programs = vec![
            (Arc::new(self.spec.graph(&outputs)), options),
            (
                Arc::new(self.spec.graph(&Outputs::judging_of(&self.spec))),
                judging,
            ),
        ];
        let read = self.weights.iter().flat_map(|weights| &weights.tensors);
        let released_bytes = read.map(|tensor| tensor.bytes.len() as u64).sum();
        let device = device(context);
        let training = self.config.as_ref().map(|config| &config.training);
        memory::fit(
            &programs,
            training,
            device.as_ref(),
            released_bytes,
            context,
        )
    }

    /// Dropout of the configuration.
    pub fn dropout(&self) -> f64 {
        self.config
            .as_ref()
            .map_or(0.0, |config| config.model.dropout)
    }

    /// Parameters, operations and memory; the tenants are those of training at this level.
    pub fn facts(&self, recompute: Recompute, context: &Context) -> Facts {
        let device = device(context);
        let question = Question {
            float: self.float(),
            batch: self.batch(),
            dropout: self.dropout(),
            moments: self.moments(),
            recompute,
            device: device.as_ref(),
        };
        Facts::new(&self.spec, &question)
    }
}
