//! How a loader makes batches, and which documents it uses.

use tenon_base::{Error, Result};

use super::NOT_COUNTED;
use super::layout::{Layout, kept_of};
use super::objective::Objective;
use super::tokens::{Facts, Tokens};

/// In which order the blocks or documents of an epoch come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// As they are; for evaluation.
    InOrder,
    /// Shuffled anew each epoch by the seed.
    Shuffled {
        /// The run's seed.
        seed: u64,
    },
}

/// What becomes of blocks shorter than the greatest length and of the last, smaller batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Partial {
    /// Used: each epoch counts every target once.
    Keep,
    /// Left out: every batch of packed blocks has the same shape.
    Drop,
}

/// How a loader makes batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoaderSpec {
    /// How documents become sequences.
    pub layout: Layout,
    /// Greatest length of a sequence in tokens, at least 2.
    pub length_max: usize,
    /// Blocks or documents of a batch, at least 1.
    pub batch_size: usize,
    /// Order of blocks or documents.
    pub order: Order,
    /// What becomes of what does not fill a block or a batch.
    pub partial: Partial,
}

/// Where a loader is: the next batch is made from here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// Epochs that are over.
    pub epoch: u64,
    /// Blocks or documents of the current epoch that are over.
    pub position: u64,
}

/// Masks need tokens of their vocabulary, one of them ordinary, and room for one between the
/// special tokens around a document.
pub(super) fn check_objective(
    tokens: &Tokens,
    spec: &LoaderSpec,
    objective: &Objective,
) -> Result<()> {
    if objective.needs_documents() {
        return check_told(tokens, spec, objective);
    }
    let Objective::Masked { masker, .. } = objective else {
        return Ok(());
    };
    tokens.check_vocabulary(masker.vocab_size())?;
    if !tokens.ids.iter().any(|&id| masker.is_ordinary(id)) {
        return Err(Error::data("there is no token that could be masked"));
    }
    if spec.layout == Layout::OnePerRow && spec.length_max < 3 {
        return Err(Error::usage(format!(
            "masked sequences of at most {} tokens; needed are 3: two special ones and one between",
            spec.length_max
        )));
    }
    Ok(())
}

/// What is told of documents is there for each of them, and each is one sequence.
fn check_told(tokens: &Tokens, spec: &LoaderSpec, objective: &Objective) -> Result<()> {
    if spec.layout != Layout::OnePerRow {
        return Err(Error::usage(
            "classes of sequences need one document a sequence, not packed blocks",
        )
        .hint("set `data.layout: one_per_row`"));
    }
    let n = tokens.n_documents();
    let hint = "a text of a single token is no document";
    let differ = |what: String| Err(Error::data(what).hint(hint));
    match objective {
        Objective::Classes(classes) if classes.len() != n => {
            differ(format!("{} classes of {n} documents", classes.len()))
        }
        Objective::Classes(classes) => match classes.iter().position(|&class| class < 0) {
            Some(i) => Err(Error::data(format!("document {i} has no class"))),
            None => Ok(()),
        },
        Objective::TokenClasses(classes) if classes.len() != tokens.ids.len() => {
            let n = tokens.ids.len();
            differ(format!("{} classes of {n} tokens", classes.len()))
        }
        Objective::TokenClasses(classes) => {
            match classes.iter().find(|&&c| c < 0 && c != NOT_COUNTED) {
                Some(class) => Err(Error::data(format!("a token has the class {class}"))),
                None => Ok(()),
            }
        }
        Objective::Numbers(numbers) if numbers.values.len() != n * numbers.width => {
            let (given, width) = (numbers.values.len(), numbers.width);
            differ(format!(
                "{given} numbers of {n} documents with {width} each"
            ))
        }
        Objective::Numbers(numbers) => match numbers.values.iter().find(|x| !x.is_finite()) {
            Some(x) => Err(Error::data(format!(
                "{x} is to be told, which is no number"
            ))),
            None => Ok(()),
        },
        Objective::Causal | Objective::Masked { .. } => Ok(()),
    }
}

/// The documents that a layout of one per row uses, and the numbers of the set under that layout.
pub(super) fn documents_of(
    tokens: &Tokens,
    spec: &LoaderSpec,
    objective: &Objective,
) -> (Vec<u32>, Facts) {
    let mut facts = tokens.facts();
    if spec.layout != Layout::OnePerRow {
        return (Vec::new(), facts);
    }
    let mut documents = Vec::with_capacity(tokens.n_documents());
    facts.n_tokens = 0;
    for i in 0..tokens.n_documents() {
        let ids = tokens.document(i);
        let n_kept = ids.len().min(spec.length_max);
        let n_prompt = tokens.n_prompt[i] as usize;
        let has_target = match objective {
            Objective::Classes(_) | Objective::Numbers(_) => true,
            Objective::TokenClasses(classes) => {
                let classes = &classes[tokens.start(i)..tokens.ends[i]];
                kept_of(classes, spec.length_max).any(|&class| class != NOT_COUNTED)
            }
            Objective::Causal => n_kept > n_prompt,
            Objective::Masked { masker, .. } => {
                let mut inner = ids.iter().skip(n_prompt);
                inner.any(|&id| masker.is_ordinary(id))
            }
        };
        if !has_target {
            facts.n_dropped += 1;
            continue;
        }
        facts.n_truncated += u64::from(n_kept < ids.len());
        facts.n_tokens += n_kept as u64;
        documents.push(i as u32);
    }
    facts.n_documents = documents.len() as u64;
    (documents, facts)
}
