//! Judging a trained model: on its run's own data, or on any other.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tenon_base::{Error, Result};
use tenon_data::batch::{
    Batch, Borders, Cursor, Layout, LoaderSpec, Order, Partial, Redraw, Sight,
};
use tenon_data::source::{self, CorpusSpec, Documents, ReadOptions, Rows, Split};
use tenon_data::{Loader, Tokenizer, Tokens};
use tenon_eval::judge::{self, Progress};
use tenon_eval::{Judgement, judge_model};
use tenon_models::spec::Spec;
use tenon_models::weights::Weights;

use crate::config::{Config, DataSource, ModelOrigin, TokenizerChoice};
use crate::context::Context;
use crate::prepare::classes::{Answers, Classes};
use crate::prepare::{objective, prepare};
use crate::subject::{Place, device};

/// Sequences of a batch of a model that belongs to no run.
const BATCH_SIZE: usize = 8;
/// Longest sequence, in tokens, of a model that belongs to no run and has a longer context.
const LENGTH_MAX: usize = 1024;

/// Which part of a data set is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Files of one split.
    Of(Split),
    /// All files.
    All,
}

impl Part {
    /// `train`, `validation`, `test` or `all`.
    pub fn name(self) -> &'static str {
        match self {
            Part::Of(split) => split.name(),
            Part::All => "all",
        }
    }
}

/// What a model is judged on.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// File, folder or name of a data set; `None` for the run's own.
    pub data: Option<String>,
    /// Column of records that holds the text.
    pub text_column: Option<String>,
    /// Columns of records that hold what a head tells; `None` for those of the run.
    pub label_columns: Option<Vec<String>>,
    /// Part of the data; `None` for the validation split, or all where nothing names a split.
    pub part: Option<Part>,
    /// Most batches that are read.
    pub batches_max: Option<usize>,
}

/// A model with data to judge it on.
pub struct Subject {
    /// The model.
    pub spec: Spec,
    /// Its parameters.
    pub weights: Weights,
    /// Its tokenizer.
    pub tokenizer: Arc<dyn Tokenizer>,
    /// The batches, in order.
    pub loader: Loader,
    /// Where the data came from.
    pub source: String,
    /// Which part of it.
    pub part: &'static str,
    /// The configuration of the run.
    pub config: Option<Config>,
    /// Names of what its head tells; empty for a model of tokens.
    pub labels: Vec<String>,
}

/// A verdict with what it is about.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// Sums and means.
    pub judgement: Judgement,
    /// Batches that were read.
    pub batches: usize,
}

/// Reads the model and the data.
///
/// # Errors
/// `Usage` for data that is asked for in vain; `Data` for files that cannot be used; `Io`.
pub fn subject(place: &Place, wanted: &Wanted, context: &Context) -> Result<Subject> {
    let config = place.config(context.disk.as_ref())?;
    let subject = match (config, &wanted.data) {
        (Some(config), None) => of_run(place, config, wanted, context),
        (None, None) => Err(
            Error::usage("a model that belongs to no run has no data of its own")
                .hint("give some with `--data`"),
        ),
        (config, Some(data)) => on_other_data(place, config, data, wanted, context),
    };
    let of_columns = |error: &Error| error.place() == Some("data.label_column");
    let subject = subject.map_err(|error| match wanted.label_columns {
        Some(_) if of_columns(&error) => error.at("--label-column"),
        _ => error,
    })?;
    if wanted.label_columns.is_some() && !subject.spec.has_classes() {
        let message = "the model tells tokens: no column of labels is read";
        return Err(Error::usage(message).hint("leave `--label-column` out"));
    }
    Ok(subject)
}

/// A run's own data, through the same path as in training: same tokenizer, layout and mask.
fn of_run(place: &Place, config: Config, wanted: &Wanted, context: &Context) -> Result<Subject> {
    let part = wanted.part.unwrap_or(Part::Of(Split::Validation));
    if !matches!(part, Part::Of(Split::Train | Split::Validation)) {
        let message = format!("a run has no part `{}`", part.name());
        return Err(Error::usage(message).hint("name the data with `--data`"));
    }
    let mut continued = config.clone();
    continued.model.origin = ModelOrigin::From(place.model.to_string_lossy().into_owned());
    continued.data.tokenizer = TokenizerChoice::OfModel;
    continued.data.shuffle = false;
    if wanted.text_column.is_some() {
        continued.data.text_column.clone_from(&wanted.text_column);
    }
    if wanted.label_columns.is_some() {
        continued
            .data
            .label_columns
            .clone_from(&wanted.label_columns);
    }
    let disk = context.disk.as_ref();
    let prepared = prepare(continued, &context.environment, disk, context.threads)?;
    let weights = prepared.weights;
    let labels = Classes::of(&prepared.hub).map(|classes| classes.names);
    Ok(Subject {
        labels: labels.unwrap_or_default(),
        spec: prepared.hub.spec.clone(),
        weights: weights.expect("the model comes from a folder"),
        tokenizer: prepared.tokenizer,
        loader: match part {
            Part::Of(Split::Train) => prepared.train,
            _ => prepared.validation,
        },
        source: prepared.facts.source,
        part: part.name(),
        config: Some(config),
    })
}

fn on_other_data(
    place: &Place,
    config: Option<Config>,
    data: &str,
    wanted: &Wanted,
    context: &Context,
) -> Result<Subject> {
    let folder = place.load(context)?;
    let tokenizer = place.tokenizer()?;
    let classes = Classes::of(&folder.config);
    let spec = folder.config.spec;
    let documents = config.as_ref().map(|config| config.data.documents.clone());
    let (source, part, rows) = rows(data, wanted, documents.unwrap_or(Documents::Whole), context)?;
    let tokens = Tokens::of_rows(&rows, tokenizer.as_ref(), context.threads)?;
    tokens.check_vocabulary(spec.vocab_size())?;
    let of_run = config.as_ref();
    let of_run = of_run.and_then(|config| config.data.label_columns.as_deref());
    let objective = match &classes {
        Some(classes) => {
            let given = wanted.label_columns.as_deref().or(of_run);
            let columns = classes.columns(given, &rows)?;
            let known = Some(classes.names.as_slice());
            let answers = Answers::read(&rows, classes.told, &columns, known)?;
            if let Some(note) = answers.note(&rows, "rows") {
                context.say(&format!("note: {note}"));
            }
            classes.objective(&rows, &answers, &tokens, tokenizer.as_ref())?
        }
        None => objective(&spec, tokenizer.as_ref(), config.as_ref(), Redraw::Never)?,
    };
    let mut how = loader_spec(config.as_ref(), &spec);
    if classes.is_some() {
        how.layout = Layout::OnePerRow;
    }
    let loader = Loader::with_objective(Arc::new(tokens), how, objective)?;
    Ok(Subject {
        labels: classes.map(|classes| classes.names).unwrap_or_default(),
        spec,
        weights: folder.weights,
        tokenizer,
        loader,
        source,
        part,
        config,
    })
}

/// The run's own layout; without a run, packed blocks in which each document sees itself alone, so
/// that every token counts.
fn loader_spec(config: Option<&Config>, spec: &Spec) -> LoaderSpec {
    let context = spec.context_len();
    let (layout, length_max, batch_size) = match config {
        Some(Config { data, training, .. }) => (
            data.validation_layout(),
            data.max_length.unwrap_or(context).min(context),
            training.batch_size,
        ),
        None => {
            let layout = Layout::Packed {
                sight: Sight::Document,
                borders: Borders::Fixed,
            };
            (layout, context.min(LENGTH_MAX), BATCH_SIZE)
        }
    };
    LoaderSpec {
        layout,
        length_max,
        batch_size,
        order: Order::InOrder,
        partial: Partial::Keep,
    }
}

/// Rows of a data set, where they came from, and which part they are.
fn rows(
    data: &str,
    wanted: &Wanted,
    documents: Documents,
    context: &Context,
) -> Result<(String, &'static str, Rows)> {
    let source = match Path::new(data).exists() {
        true => DataSource::Path(PathBuf::from(data)),
        false if data == "corpus" => DataSource::Corpus(CorpusSpec::standard(0)),
        // A name never looks like a file.
        false if data.contains(['.', '\\']) || data.starts_with('/') => {
            return Err(Error::data(format!("no file or folder `{data}`")));
        }
        false => DataSource::Named(data.to_owned()),
    };
    let Some(path) = source.find(&context.environment)? else {
        if let Some(part @ Part::Of(_)) = wanted.part {
            let message = format!("the built-in corpus has no split `{}`", part.name());
            return Err(Error::usage(message).hint("leave `--split` out"));
        }
        let corpus = source::corpus(CorpusSpec::standard(0))?;
        return Ok(("built-in corpus, seed 0".to_owned(), "all", corpus.rows()?));
    };
    let column = match &source {
        DataSource::Named(name) => source::known(name).map(|set| set.column.to_owned()),
        _ => None,
    };
    let options = ReadOptions {
        column: wanted.text_column.clone().or(column),
        documents,
    };
    let (part, files) = files(&path, wanted.part)?;
    let rows = source::read_files(&files, &options)?;
    Ok((path.display().to_string(), part, rows))
}

/// The files of a part. A file that was named itself is read whole, whatever its name tells.
fn files(path: &Path, part: Option<Part>) -> Result<(&'static str, Vec<PathBuf>)> {
    let mut found = source::discover(path)?;
    let has_splits = !found.splits.is_empty();
    match part {
        Some(Part::All) => {
            let mut files: Vec<PathBuf> = found.splits.into_values().flatten().collect();
            files.append(&mut found.unsplit);
            files.sort();
            Ok(("all", files))
        }
        None if !has_splits => Ok(("all", found.unsplit)),
        Some(Part::Of(split)) => match found.splits.remove(&split) {
            Some(files) => Ok((split.name(), files)),
            None => Err(no_split(path, &found, split.name())),
        },
        None => {
            let held_out = [Split::Validation, Split::Test];
            let mut splits = held_out.into_iter();
            let own = splits.find_map(|split| Some((split.name(), found.splits.remove(&split)?)));
            own.ok_or_else(|| no_split(path, &found, "validation"))
        }
    }
}

fn no_split(path: &Path, found: &source::DataFiles, name: &str) -> Error {
    let message = format!("`{}` has no split `{name}`", path.display());
    let names: Vec<&str> = found.splits.keys().map(|split| split.name()).collect();
    Error::usage(message).hint(match names.is_empty() {
        true => "no file's name tells a split: leave `--split` out to read all".to_owned(),
        false => format!("it has {}; or ask for `all`", names.join(", ")),
    })
}

/// Judges the subject on its batches.
///
/// # Errors
/// As [`tenon_eval::judge_model()`].
pub fn judge(
    subject: &mut Subject,
    batches_max: Option<usize>,
    context: &Context,
    on_batch: &mut dyn FnMut(Progress),
) -> Result<Verdict> {
    let (spec, weights) = (&subject.spec, &subject.weights);
    let mut exec = judge::executor(spec, weights, &subject.loader, device(context))?;
    let mut batches = 0;
    let judgement = judge_model(
        spec,
        &mut exec,
        &mut subject.loader,
        batches_max,
        &mut |progress| {
            batches = progress.n_done;
            on_batch(progress);
            ControlFlow::Continue(())
        },
    )?;
    Ok(Verdict { judgement, batches })
}

/// The first words of the first documents of the data, for a model without prompts of its own.
pub fn first_words(subject: &mut Subject, prompts: usize, words: usize) -> Result<Vec<String>> {
    /// Tokens from which the words are taken.
    const TOKENS: usize = 64;
    subject.loader.seek(Cursor {
        epoch: 0,
        position: 0,
    })?;
    let mut batch = Batch::default();
    subject.loader.next(&mut batch);
    let mut texts = Vec::new();
    for bounds in batch.cu_seqlens.windows(2) {
        let ids = &batch.ids[bounds[0] as usize..bounds[1] as usize];
        let ids: Vec<u32> = ids.iter().take(TOKENS).map(|&id| id as u32).collect();
        let text = subject.tokenizer.decode(&ids);
        let first: Vec<&str> = text.split_whitespace().take(words).collect();
        if !first.is_empty() && texts.len() < prompts {
            texts.push(first.join(" "));
        }
    }
    Ok(texts)
}
