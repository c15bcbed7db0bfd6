//! What is to be told of a batch.

use std::sync::Arc;

use tenon_base::rng::{Key, Stream};

use super::masking::{Masker, Place, Redraw};

/// What a loader's targets are.
#[derive(Clone, Debug, Default)]
pub enum Objective {
    /// The next token of the same sequence.
    #[default]
    Causal,
    /// The token that stood at the same place, where it is guessed.
    Masked {
        /// Masks in the tokens' vocabulary.
        masker: Masker,
        /// The run's seed.
        seed: u64,
        /// Whether masks and crops change from epoch to epoch.
        redraw: Redraw,
    },
    /// The class of each document: a batch has one target a sequence.
    Classes(Arc<Vec<i32>>),
    /// The class of each token of each document, one document after the other, or `NOT_COUNTED`.
    TokenClasses(Arc<Vec<i32>>),
    /// Numbers of each document: a batch has one row of them a sequence.
    Numbers(Arc<Numbers>),
}

/// Numbers of documents.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Numbers {
    /// How many a document has; at least 1.
    pub width: usize,
    /// Document after document; finite.
    pub values: Vec<f64>,
}

/// A masked objective at one epoch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Masks<'a> {
    pub(super) masker: &'a Masker,
    key: Key,
    epoch: u64,
}

impl Masks<'_> {
    pub(super) fn place(&self, document: usize) -> Place {
        Place {
            key: self.key,
            epoch: self.epoch,
            sequence: document as u64,
        }
    }
}

impl Objective {
    /// Whether what is told is told of whole documents, each a sequence.
    pub fn needs_documents(&self) -> bool {
        match self {
            Objective::Causal | Objective::Masked { .. } => false,
            Objective::Classes(_) | Objective::TokenClasses(_) | Objective::Numbers(_) => true,
        }
    }

    /// Whether each token has a target of its own.
    pub(super) fn is_of_tokens(&self) -> bool {
        !matches!(self, Objective::Classes(_) | Objective::Numbers(_))
    }

    /// The masks of an epoch; none for other targets.
    pub(super) fn masks(&self, epoch: u64) -> Option<Masks<'_>> {
        let Objective::Masked {
            masker,
            seed,
            redraw,
        } = self
        else {
            return None;
        };
        let (stream, epoch) = match redraw {
            Redraw::EachEpoch => (Stream::Mask, epoch),
            Redraw::Never => (Stream::MaskValidation, 0),
        };
        Some(Masks {
            masker,
            key: Key::new(*seed, stream),
            epoch,
        })
    }
}
