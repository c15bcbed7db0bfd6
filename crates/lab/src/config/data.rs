//! Section `data`: what is read, how it becomes tokens, and what is kept for validation.

mod keys;
mod write;

use std::path::{Path, PathBuf};

use tenon_base::knobs::Environment;
use tenon_base::{Error, Result, suggest};
use tenon_data::batch::{Borders, Layout, Sight};
use tenon_data::source::{CorpusSpec, Documents, known, locate};
use tenon_data::vocab::{self, Eos};

use super::judge::Judge;
use super::model::ModelConfig;

pub(super) use keys::KEYS;

/// What a run learns from.
#[derive(Clone, Debug, PartialEq)]
pub struct DataConfig {
    /// Where the text comes from.
    pub source: DataSource,
    /// Column of records that holds the text; `None` lets the reader find `text` or the only one.
    pub text_column: Option<String>,
    /// Columns of records that hold what a head is to tell; `None` is `label`.
    pub label_columns: Option<Vec<String>>,
    /// How text becomes ids.
    pub tokenizer: TokenizerChoice,
    /// What is one document of a plain text file.
    pub documents: Documents,
    /// How documents become sequences.
    pub layout: TextLayout,
    /// Longest sequence in tokens; `None` until a model that training starts from says it.
    pub max_length: Option<usize>,
    /// Whether the end of a document is a token to learn.
    pub append_eos: bool,
    /// Number of first training rows that are used.
    pub subset_size: Option<usize>,
    /// Number of first validation rows that are used.
    pub val_subset_size: Option<usize>,
    /// Part of the rows that is kept for validation where the data has no split of its own.
    pub validation_fraction: f64,
    /// Whether each epoch has an order of its own.
    pub shuffle: bool,
    /// Probability that a model of masked tokens has to tell a token.
    pub mask_rate: f64,
}

/// Where text comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataSource {
    /// The built-in corpus.
    Corpus(CorpusSpec),
    /// A data set by its name.
    Named(String),
    /// A file or folder, relative to the working directory.
    Path(PathBuf),
}

/// Which tokenizer a run uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenizerChoice {
    /// GPT-2's, embedded in the binary.
    Gpt2,
    /// Bytes and an end.
    Byte,
    /// The characters of the training text.
    Char,
    /// Amino acids, as ESM-2 has them.
    Esm,
    /// Amino acids, as AMPLIFY has them.
    Amplify,
    /// Codons, as CodonFM has them.
    Codon,
    /// A folder with `tokenizer.json` or `vocab.txt`, or that file.
    Path(PathBuf),
    /// That of the model that training starts from.
    OfModel,
}

/// How documents become sequences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextLayout {
    /// A document is a sequence, cut at the greatest length.
    OnePerRow,
    /// Documents end to end, cut into blocks.
    Packed {
        /// Whether a token sees only its own document.
        document_boundaries: bool,
    },
}

pub(super) fn resolve(judge: &mut Judge, model: &ModelConfig) -> DataConfig {
    let source = source(judge);
    let column = judge.text("data.text_column");
    let text_column = match &source {
        DataSource::Corpus(_) => None,
        DataSource::Path(_) => column,
        DataSource::Named(name) => column.or_else(|| known(name).map(|set| set.column.to_owned())),
    };
    if model.head.is_none() && model.architecture().is_some() {
        judge.no_effect(&["data.label_column"], "without `model.head`");
    }
    DataConfig {
        text_column,
        label_columns: match judge.text("data.label_column") {
            Some(column) => Some(vec![column]),
            None => judge.values.strs("data.label_column"),
        },
        tokenizer: tokenizer(judge),
        documents: documents(judge, &source),
        layout: layout(judge),
        max_length: max_length(judge, model),
        append_eos: judge.flag("data.append_eos"),
        subset_size: subset_size(judge),
        val_subset_size: judge.values.size("data.val_subset_size"),
        mask_rate: judge.values.float("data.mask_rate").unwrap_or(0.15),
        validation_fraction: judge.float("data.validation_fraction"),
        shuffle: judge.flag("data.shuffle"),
        source,
    }
}

/// Names of the built-in corpus.
const CORPUS_NAMES: [&str; 2] = ["corpus", "built-in"];

fn source(judge: &mut Judge) -> DataSource {
    let (dataset, path) = (judge.text("data.dataset"), judge.text("data.path"));
    let source = match (dataset, path) {
        (Some(_), Some(_)) => {
            let message = "`data.path` and `data.dataset` are both given".to_owned();
            judge.fault("data.path", message, "", "keep one of the two");
            return DataSource::Path(PathBuf::new());
        }
        (Some(name), None) if CORPUS_NAMES.contains(&name.as_str()) => {
            return DataSource::Corpus(CorpusSpec {
                seed: judge.int("data.corpus.seed"),
                n_bytes: judge.size("data.corpus.bytes"),
                n_persons: judge.size("data.corpus.persons"),
            });
        }
        (Some(name), None) => DataSource::Named(checked_name(judge, name)),
        (None, Some(path)) => DataSource::Path(PathBuf::from(path)),
        (None, None) => {
            if judge.fine(&["data.dataset", "data.path"]) {
                let message = "neither `data.dataset` nor `data.path` is given".to_owned();
                let hint = "name a data set or a file; `data.dataset: corpus` needs no download";
                judge.fault("data.dataset", message, "", hint);
            }
            return DataSource::Path(PathBuf::new());
        }
    };
    let keys = [
        "data.corpus.bytes",
        "data.corpus.persons",
        "data.corpus.seed",
    ];
    judge.no_effect(&keys, "without `data.dataset: corpus`");
    source
}

/// A name that is a path, or a slip of the built-in corpus, is told before anything is looked for.
fn checked_name(judge: &mut Judge, name: String) -> String {
    const KEY: &str = "data.dataset";
    let is_path = name.starts_with(['/', '.', '~']) || name.contains('\\');
    if is_path || name.matches('/').count() > 1 || name.trim().is_empty() {
        let message = format!("`{name}` is not the name of a data set");
        let hint = "a name is `name` or `organisation/name`; give a path as `data.path`";
        judge.fault(KEY, message, "", hint);
    } else if let Some(near) = suggest::nearest(&name, CORPUS_NAMES) {
        let message = format!("unknown data set `{name}`");
        judge.fault(KEY, message, &format!("did you mean `{near}`?"), "");
    }
    name
}

const TOKENIZERS: &str = "`gpt2`, `byte`, `char`, `esm`, `amplify`, `codon`, or the path of a \
                          folder with `tokenizer.json` or `vocab.txt`";

fn tokenizer(judge: &mut Judge) -> TokenizerChoice {
    const KEY: &str = "data.tokenizer";
    let Some(text) = judge.text(KEY) else {
        return match judge.values.is_set("model.from") {
            true => TokenizerChoice::OfModel,
            false => TokenizerChoice::Gpt2,
        };
    };
    match text.as_str() {
        "gpt2" => return TokenizerChoice::Gpt2,
        "byte" => return TokenizerChoice::Byte,
        "char" => return TokenizerChoice::Char,
        "esm" => return TokenizerChoice::Esm,
        "amplify" => return TokenizerChoice::Amplify,
        "codon" => return TokenizerChoice::Codon,
        "model" if judge.values.is_set("model.from") => return TokenizerChoice::OfModel,
        _ => {}
    }
    let is_path = text.contains(['/', '\\', '.']);
    if !is_path && let Some(near) = suggest::nearest(&text, vocab::BUILT_IN.iter().copied()) {
        let message = format!("unknown tokenizer `{text}`");
        judge.fault(KEY, message, &format!("did you mean `{near}`?"), TOKENIZERS);
    } else if text.trim().is_empty() {
        let message = format!("`{KEY}` is empty");
        judge.fault(KEY, message, "expected a name or a path", TOKENIZERS);
    }
    TokenizerChoice::Path(PathBuf::from(text))
}

fn documents(judge: &mut Judge, source: &DataSource) -> Documents {
    if matches!(source, DataSource::Corpus(_)) {
        let keys = ["data.documents", "data.text_column"];
        judge.no_effect(&keys, "on the built-in corpus, whose documents are known");
        return Documents::Whole;
    }
    match judge.values.str("data.documents") {
        Some("lines") => Documents::Lines,
        Some("paragraphs") => Documents::Paragraphs,
        _ => Documents::Whole,
    }
}

fn layout(judge: &mut Judge) -> TextLayout {
    if judge.values.str("data.layout") == Some("packed") {
        return TextLayout::Packed {
            document_boundaries: judge.flag("data.document_boundaries"),
        };
    }
    let why = "with `data.layout: one_per_row`, whose sequences are documents";
    judge.no_effect(&["data.document_boundaries"], why);
    TextLayout::OnePerRow
}

/// The greatest length, which the model's positions bound.
fn max_length(judge: &mut Judge, model: &ModelConfig) -> Option<usize> {
    const KEY: &str = "data.max_length";
    const CONTEXT: &str = "model.max_seq_len";
    let given = judge.values.size(KEY);
    let Some(context) = model.architecture().map(|sizes| sizes.max_seq_len) else {
        return given;
    };
    let fine = judge.fine(&[KEY, CONTEXT, "model.family", "model.from"]);
    if let Some(length) = given.filter(|&length| fine && length > context) {
        let message = format!("`{KEY}` {length} is above `{CONTEXT}` {context}");
        let hint = "the model has no positions beyond: raise one or lower the other";
        judge.fault(KEY, message, "", hint);
    } else if given.is_none() && fine && context < 2 {
        let message = format!("`{CONTEXT}` is {context}: a sequence has no token to predict");
        judge.fault(CONTEXT, message, "expected at least 2", "");
    }
    Some(given.unwrap_or(context))
}

fn subset_size(judge: &mut Judge) -> Option<usize> {
    let size = judge.values.size("data.subset_size");
    match judge.values.bool("data.use_subset") {
        Some(true) if size.is_none() && judge.fine(&["data.subset_size"]) => {
            let message = "`data.use_subset` is true without `data.subset_size`".to_owned();
            judge.fault("data.use_subset", message, "", "say how many rows");
            None
        }
        Some(false) => {
            judge.no_effect(&["data.subset_size"], "with `data.use_subset: false`");
            None
        }
        _ => size,
    }
}

/// Where data sets are kept beside the project, as the source texts have it.
const PROJECT_DATA: &str = "assets/datasets";

impl DataSource {
    /// The file or folder of the data: named sets are looked for in `TENON_DATA` and in
    /// `assets/datasets`. `None` for the built-in corpus.
    ///
    /// # Errors
    /// `Data`, with the places that were looked at.
    pub fn find(&self, environment: &Environment) -> Result<Option<PathBuf>> {
        match self {
            DataSource::Corpus(_) => Ok(None),
            DataSource::Path(path) => Ok(Some(path.clone())),
            DataSource::Named(name) => {
                let roots = environment.data.as_deref().into_iter();
                let roots: Vec<&Path> = roots.chain([Path::new(PROJECT_DATA)]).collect();
                locate(name, &roots).map(Some)
            }
        }
    }
}

impl DataConfig {
    /// How the training texts' tokenizer is made; `None` when it is the model's own.
    ///
    /// # Errors
    /// `Usage` when a path does not exist.
    pub fn tokenizer_spec(&self) -> Result<Option<vocab::Spec>> {
        let eos = match self.append_eos {
            true => Eos::Added,
            false => Eos::Absent,
        };
        Ok(Some(match &self.tokenizer {
            TokenizerChoice::OfModel => return Ok(None),
            TokenizerChoice::Gpt2 => vocab::Spec::Gpt2,
            TokenizerChoice::Byte => vocab::Spec::Byte,
            TokenizerChoice::Char => vocab::Spec::Char(eos),
            TokenizerChoice::Esm => vocab::Spec::Esm,
            TokenizerChoice::Amplify => vocab::Spec::Amplify,
            TokenizerChoice::Codon => vocab::Spec::Codon,
            TokenizerChoice::Path(path) if path.exists() => vocab::Spec::File(path.clone()),
            TokenizerChoice::Path(path) => {
                let message = format!("no tokenizer at `{}`", path.display());
                return Err(Error::usage(message).at("data.tokenizer").hint(TOKENIZERS));
            }
        }))
    }

    /// How training batches are laid out. Borders of packed blocks move in a shuffled order.
    pub fn training_layout(&self) -> Layout {
        let borders = match self.shuffle {
            true => Borders::MovedEachEpoch,
            false => Borders::Fixed,
        };
        self.layout_with(borders)
    }

    /// How validation batches are laid out: the same each time.
    pub fn validation_layout(&self) -> Layout {
        self.layout_with(Borders::Fixed)
    }

    fn layout_with(&self, borders: Borders) -> Layout {
        match self.layout {
            TextLayout::OnePerRow => Layout::OnePerRow,
            TextLayout::Packed {
                document_boundaries,
            } => {
                let sight = match document_boundaries {
                    true => Sight::Document,
                    false => Sight::Block,
                };
                Layout::Packed { sight, borders }
            }
        }
    }
}
