//! From a configuration to everything that a run works with: tokenizer, batches, model.

pub(crate) mod classes;
mod loaders;

pub(crate) use loaders::objective;

use classes::Classified;
use loaders::{loaders, objectives, texts_hash};
use std::num::NonZeroUsize;
use std::sync::Arc;

use tenon_base::diag::shown;
use tenon_base::files::Disk;
use tenon_base::knobs::Environment;
use tenon_base::{Error, Result};
use tenon_data::batch::Facts;
use tenon_data::source::{self, ReadOptions, Rows};
use tenon_data::split::{self, TrainValidation};
use tenon_data::{Loader, Tokenizer, Tokens, vocab};
use tenon_engine::{DType, Executor};
use tenon_models::checkpoint::Dtype as StoredType;
use tenon_models::folder::{self, Extra, Folder};
use tenon_models::hub::{HubConfig, Naming};
use tenon_models::spec::{Objective as Learned, Spec};
use tenon_models::weights::{self, Weights};

use crate::config::{Config, DataConfig, DataSource, Dtype, ModelOrigin, TextLayout};
use crate::subject::starting_folder;

/// A run that could start.
pub struct Prepared {
    /// The configuration, with nothing left open.
    pub config: Config,
    /// The model.
    pub hub: HubConfig,
    /// Tensors of the model that training starts from which are no parameters, such as a head for
    /// another task.
    pub extras: Vec<Extra>,
    /// The tokenizer.
    pub tokenizer: Arc<dyn Tokenizer>,
    /// Training batches, at their start.
    pub train: Loader,
    /// Validation batches, in order.
    pub validation: Loader,
    /// The weights to start from, in the run's type; `None` for fresh ones.
    pub weights: Option<Weights>,
    /// What there is to know about the data.
    pub facts: DataFacts,
    /// Sentences about data that is hardly used; lower-case fragments.
    pub notes: Vec<String>,
}

/// What there is to know about a run's data.
#[derive(Clone, Debug, PartialEq)]
pub struct DataFacts {
    /// Where it came from.
    pub source: String,
    /// SHA-256 of the texts of both splits, in their order, and of their labels.
    pub sha256: String,
    /// The tokenizer's name and size.
    pub tokenizer: String,
    /// What training sees.
    pub train: Facts,
    /// What validation sees.
    pub validation: Facts,
    /// The least mean loss that the entropy of the built-in corpus allows, in nats a token.
    pub loss_floor: Option<f64>,
}

impl Prepared {
    /// The spec of the model.
    pub fn spec(&self) -> &Spec {
        &self.hub.spec
    }

    /// The type of the run's floats.
    pub fn float(&self) -> DType {
        float(self.config.model.dtype)
    }

    /// Gives an executor the weights to start from, and lets go of those that were read.
    pub fn write_weights(&mut self, exec: &mut Executor) {
        match self.weights.take() {
            Some(read) => read.write(exec),
            None => weights::init(exec, self.config.training.seed),
        }
    }

    /// Bytes of the weights that were read.
    pub fn weight_bytes(&self) -> u64 {
        let tensors = self.weights.iter().flat_map(|weights| &weights.tensors);
        tensors.map(|tensor| tensor.bytes.len() as u64).sum()
    }

    /// Steps of an epoch.
    pub fn steps_per_epoch(&self) -> u64 {
        let batches = self.train.n_batches();
        batches.div_ceil(self.config.training.gradient_accumulation_steps) as u64
    }

    /// Steps of the run.
    pub fn total_steps(&self) -> u64 {
        self.config.training.end.steps(self.steps_per_epoch())
    }
}

/// The engine's name of a configured type.
pub fn float(dtype: Dtype) -> DType {
    match dtype {
        Dtype::F32 => DType::F32,
        Dtype::F64 => DType::F64,
    }
}

/// Reads data and tokenizer, and makes the model.
///
/// # Errors
/// `Usage` for what the configuration asks in vain, `Data` for data or checkpoints that cannot be used.
pub fn prepare(
    mut config: Config,
    environment: &Environment,
    disk: &dyn Disk,
    threads: NonZeroUsize,
) -> Result<Prepared> {
    let mut base = match &config.model.origin {
        ModelOrigin::From(name) => {
            let path = starting_folder(disk, environment, name)?;
            Some(folder::load(disk, &path)?)
        }
        ModelOrigin::Fresh(_) => None,
    };
    let (source, rows, entropy) = rows(&config, environment)?;
    let tokenizer = tokenizer(&config.data, &rows, base.as_ref())?;
    let spec = spec_before_head(&config, base.as_ref(), tokenizer.as_ref())?;
    let classified = Classified::read(&config, &rows, base.as_ref())?;
    let (spec, new_head) = classes::settle(classified.as_ref(), spec, &mut base, &mut config)?;
    config.settle(&spec)?;
    check_prompts(&config, &spec, tokenizer.as_ref())?;
    let sha256 = texts_hash(&rows, classified.as_ref());
    let tokens = |rows: &Rows| -> Result<Arc<Tokens>> {
        let tokens = Tokens::of_rows(rows, tokenizer.as_ref(), threads)?;
        tokens.check_vocabulary(spec.vocab_size())?;
        Ok(Arc::new(tokens))
    };
    let (train_tokens, validation_tokens) = (tokens(&rows.train)?, tokens(&rows.validation)?);
    let loss_floor = entropy.map(|nats| {
        let targets = train_tokens.facts().n_tokens + validation_tokens.facts().n_tokens;
        nats / targets as f64
    });
    let given = train_tokens.facts();
    let tokens = (train_tokens, validation_tokens);
    let both = [tokens.0.as_ref(), tokens.1.as_ref()];
    let (classified, coder) = (classified.as_ref(), tokenizer.as_ref());
    let objectives = objectives(&config, &spec, &rows, classified, both, coder)?;
    let (train, validation) = loaders(&config, &spec, objectives, tokens)?;
    let mut notes = check_use(&config, given, &train)?;
    notes.extend(new_head);
    notes.extend(
        classified
            .iter()
            .flat_map(|classified| classified.notes(&rows)),
    );
    let dtype = float(config.model.dtype);
    let facts = DataFacts {
        source,
        sha256,
        tokenizer: format!("{} ({} ids)", tokenizer.spec_name(), tokenizer.vocab_size()),
        train: train.facts(),
        validation: validation.facts(),
        loss_floor,
    };
    let (base, weights, extras) = parts(base, dtype);
    let mut hub = hub_config(base, spec, dtype)?;
    if let Some(classified) = classified {
        classified.classes.name_in(&mut hub);
    }
    Ok(Prepared {
        config,
        hub,
        extras,
        tokenizer,
        train,
        validation,
        weights,
        facts,
        notes,
    })
}

fn spec_before_head(
    config: &Config,
    base: Option<&Folder>,
    tokenizer: &dyn Tokenizer,
) -> Result<Spec> {
    match (base, config.model.architecture()) {
        (Some(base), _) => Ok(base.config.spec.clone()),
        (None, Some(architecture)) => architecture.spec(tokenizer),
        (None, None) => unreachable!("a model is fresh or comes from a folder"),
    }
}

/// Configuration, weights in the run's type, and the other tensors of the model to start from.
fn parts(base: Option<Folder>, dtype: DType) -> (Option<HubConfig>, Option<Weights>, Vec<Extra>) {
    let Some(base) = base else {
        return (None, None, Vec::new());
    };
    let extras = base.unchanging();
    let weights = converted(base.weights, dtype);
    (Some(base.config), Some(weights), extras)
}

fn hub_config(base: Option<HubConfig>, spec: Spec, dtype: DType) -> Result<HubConfig> {
    let stored = match dtype {
        DType::F64 => StoredType::F64,
        _ => StoredType::F32,
    };
    match base {
        Some(base) => Ok(HubConfig {
            dtype: Some(stored),
            naming: Naming::Hub,
            ..base
        }),
        None => HubConfig::new(spec, stored),
    }
}

fn converted(weights: Weights, dtype: DType) -> Weights {
    if weights.dtype == dtype {
        return weights;
    }
    let tensors = weights.tensors.into_iter().map(|w| {
        let values = tenon_models::weights::decode(weights.dtype, &w.bytes);
        let bytes = tenon_models::weights::encode(dtype, values.into_iter()).into();
        tenon_models::weights::Weight { bytes, ..w }
    });
    Weights {
        dtype,
        tensors: tensors.collect(),
    }
}

/// Rows of both splits, where they came from, and the entropy of the built-in corpus in nats.
fn rows(
    config: &Config,
    environment: &Environment,
) -> Result<(String, TrainValidation, Option<f64>)> {
    let data = &config.data;
    let fraction = data.validation_fraction;
    let seed = config.training.seed;
    let (source, mut rows, entropy) = match &data.source {
        DataSource::Corpus(spec) => {
            let corpus = source::corpus(*spec)?;
            let name = format!("built-in corpus, seed {}", spec.seed);
            let rows = split::by_fraction(&corpus.rows()?, fraction, seed)?;
            (name, rows, Some(corpus.entropy_nats))
        }
        DataSource::Named(_) | DataSource::Path(_) => {
            let path = data
                .source
                .find(environment)?
                .expect("only the corpus has no place");
            let options = ReadOptions {
                column: data.text_column.clone(),
                documents: data.documents.clone(),
            };
            let set = source::open(&path, &options)?;
            (
                path.display().to_string(),
                split::train_validation(set, fraction, seed)?,
                None,
            )
        }
    };
    if let Some(n) = data.subset_size {
        rows.train = rows.train.subset(n)?;
    }
    if let Some(n) = data.val_subset_size {
        rows.validation = rows.validation.subset(n)?;
    }
    let is_whole = data.subset_size.is_none() && data.val_subset_size.is_none();
    Ok((source, rows, entropy.filter(|_| is_whole)))
}

/// Refuses a warm-up longer than the run, and one long text of which only the beginning would be
/// read; says how much of the text truncation leaves out.
fn check_use(config: &Config, given: Facts, train: &Loader) -> Result<Vec<String>> {
    let training = &config.training;
    let per_epoch = train
        .n_batches()
        .div_ceil(training.gradient_accumulation_steps) as u64;
    let steps = training.end.steps(per_epoch);
    let warmup = training.schedule.warmup.steps(steps);
    if warmup > steps {
        let message = format!("a warm-up of {warmup} steps in a run of {steps}");
        let hint = "lower `training.warmup_steps`, or train for more epochs";
        return Err(Error::usage(message).at("training.warmup_steps").hint(hint));
    }
    let (seen, all) = (train.facts().n_tokens, given.n_tokens);
    if config.data.layout != TextLayout::OnePerRow || 2 * seen > all {
        return Ok(Vec::new());
    }
    let what = format!("only {seen} of {all} training tokens are read: documents are cut");
    let hint = "set `data.layout: packed`, or `data.documents` to divide the text";
    match given.n_documents {
        1 => Err(Error::usage(what).at("data.layout").hint(hint)),
        _ => Ok(vec![format!("{what}; {hint}")]),
    }
}

/// Prompts are written with at the end of a run; one that cannot be written with is refused at its
/// start.
fn check_prompts(config: &Config, spec: &Spec, tokenizer: &dyn Tokenizer) -> Result<()> {
    let prompts = &config.evaluation.generation_prompts;
    if spec.objective() != Learned::Causal && !prompts.is_empty() {
        let message = format!(
            "a model of the family `{}` does not continue texts",
            spec.family()
        );
        let error = Error::usage(message).at("evaluation.generation_prompts");
        return Err(error.hint("remove the prompts"));
    }
    for prompt in &config.evaluation.generation_prompts {
        tokenizer.encode(prompt).map_err(|e| {
            Error::usage(format!("the prompt `{}`: {}", shown(prompt), e.message()))
                .at("evaluation.generation_prompts")
                .hint("change the prompt, or choose a tokenizer that takes any text")
        })?;
    }
    Ok(())
}

/// The tokenizer of the run; characters are those of both splits, since a vocabulary is not
/// learned.
fn tokenizer(
    data: &DataConfig,
    rows: &TrainValidation,
    base: Option<&Folder>,
) -> Result<Arc<dyn Tokenizer>> {
    let built = match (data.tokenizer_spec()?, base) {
        (Some(spec), _) => spec.build(rows.train.texts().chain(rows.validation.texts()))?,
        (None, Some(base)) => vocab::load(&base.path)?,
        (None, None) => unreachable!("the resolver asks for a model's tokenizer only with a model"),
    };
    Ok(Arc::from(built))
}
