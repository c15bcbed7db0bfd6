//! Batches in a reproducible order, from any point of it.

use std::sync::Arc;

use tenon_base::rng::{Key, Stream};
use tenon_base::{Error, Result};

use super::Batch;
use super::layout::{
    Borders, Layout, push_block, push_document, push_masked_block, push_masked_document, push_told,
};
use super::objective::Objective;
use super::spec::{Cursor, LoaderSpec, Order, Partial, check_objective, documents_of};
use super::tokens::{Facts, Tokens};

/// Largest number of rows of a batch: row numbers are `i32`.
const BATCH_ROWS_MAX: usize = i32::MAX as usize;

/// Makes the batches of one epoch after the other.
#[derive(Clone, Debug)]
pub struct Loader {
    tokens: Arc<Tokens>,
    spec: LoaderSpec,
    objective: Objective,
    /// Documents with a counted target after truncation; empty for packed layouts.
    documents: Vec<u32>,
    n_rows_max: usize,
    facts: Facts,
    cursor: Cursor,
    /// First full block's start in the current epoch.
    offset: usize,
    /// Blocks or documents in the order of the current epoch.
    order: Vec<u32>,
}

impl Loader {
    /// A loader with causal targets at the start of epoch 0. Data error when not one batch can be
    /// made.
    pub fn new(tokens: Arc<Tokens>, spec: LoaderSpec) -> Result<Self> {
        Self::with_objective(tokens, spec, Objective::Causal)
    }

    /// A loader at the start of epoch 0. Data error when not one batch can be made, or when the
    /// tokens are not of the masks' vocabulary.
    pub fn with_objective(
        tokens: Arc<Tokens>,
        spec: LoaderSpec,
        objective: Objective,
    ) -> Result<Self> {
        check_objective(&tokens, &spec, &objective)?;
        if spec.length_max < 2 || spec.batch_size == 0 {
            return Err(Error::usage(format!(
                "a batch of {} sequences of at most {} tokens; needed are 1 and 2 at least",
                spec.batch_size, spec.length_max
            )));
        }
        if spec.order == Order::InOrder
            && matches!(
                spec.layout,
                Layout::Packed {
                    borders: Borders::MovedEachEpoch,
                    ..
                }
            )
        {
            return Err(
                Error::usage("borders that move each epoch need a shuffled order")
                    .hint("evaluate with fixed borders"),
            );
        }
        let longest = match spec.layout {
            Layout::Packed { .. } => spec.length_max,
            Layout::OnePerRow => {
                let lens = (0..tokens.n_documents()).map(|i| tokens.document(i).len());
                lens.max().unwrap_or(0).min(spec.length_max)
            }
        };
        let n_rows_max = longest
            .checked_mul(spec.batch_size)
            .filter(|&n| n <= BATCH_ROWS_MAX)
            .ok_or_else(|| Error::usage(format!("a batch of more than {BATCH_ROWS_MAX} tokens")))?;
        let (documents, facts) = documents_of(&tokens, &spec, &objective);
        let mut loader = Loader {
            tokens,
            spec,
            objective,
            documents,
            n_rows_max,
            facts,
            cursor: Cursor {
                epoch: 0,
                position: 0,
            },
            offset: 0,
            order: Vec::new(),
        };
        loader.check_not_empty()?;
        loader.begin_epoch();
        Ok(loader)
    }

    /// Fills `batch` with the next sequences. At the end of an epoch the next one begins. Once a
    /// batch has been filled, filling it again does not allocate.
    pub fn next(&mut self, batch: &mut Batch) {
        batch.reset(self.n_rows_max);
        let start = self.cursor.position as usize;
        let stop = self.n_units().min(start + self.spec.batch_size);
        for i in start..stop {
            self.push_unit(self.order[i] as usize, batch);
        }
        debug_assert!(batch.ids.len() <= self.n_rows_max && batch.n_seqs() > 0);
        self.cursor.position = stop as u64;
        let left = self.n_units() - stop;
        if left == 0 || (self.spec.partial == Partial::Drop && left < self.spec.batch_size) {
            self.cursor = Cursor {
                epoch: self.cursor.epoch + 1,
                position: 0,
            };
            self.begin_epoch();
        }
    }

    fn push_unit(&self, unit: usize, batch: &mut Batch) {
        let masks = self.objective.masks(self.cursor.epoch);
        match self.spec.layout {
            Layout::Packed { sight, .. } => {
                let (first, end) = self.block(unit);
                match masks {
                    None => push_block(&self.tokens, first, end, sight, batch),
                    Some(masks) => {
                        push_masked_block(&self.tokens, first, end, sight, masks, batch);
                    }
                }
            }
            Layout::OnePerRow => {
                let (document, length_max) = (self.documents[unit] as usize, self.spec.length_max);
                if self.objective.needs_documents() {
                    push_told(&self.tokens, document, length_max, &self.objective, batch);
                    return;
                }
                match masks {
                    None => push_document(&self.tokens, document, length_max, batch),
                    Some(masks) => {
                        push_masked_document(&self.tokens, document, length_max, masks, batch);
                    }
                }
            }
        }
    }

    /// Where the next batch begins; `position` is 0 when an epoch has just ended.
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// Goes on from a cursor as if never interrupted. Data error when the data has no such place.
    pub fn seek(&mut self, cursor: Cursor) -> Result<()> {
        let before = self.cursor;
        self.cursor = Cursor {
            epoch: cursor.epoch,
            position: 0,
        };
        self.begin_epoch();
        let n_units = self.n_units() as u64;
        let needed = match self.spec.partial {
            Partial::Keep => 1,
            Partial::Drop => self.spec.batch_size as u64,
        };
        if n_units.saturating_sub(cursor.position) < needed {
            self.cursor = before;
            self.begin_epoch();
            return Err(Error::data(format!(
                "no batch begins at {} of an epoch of {n_units} {}",
                cursor.position,
                self.unit_name()
            ))
            .hint(
                "resume with the data, the tokenizer and the batches that the run was started with",
            ));
        }
        self.cursor = cursor;
        Ok(())
    }

    /// Batches of the current epoch, from its start.
    pub fn n_batches(&self) -> usize {
        match self.spec.partial {
            Partial::Keep => self.n_units().div_ceil(self.spec.batch_size),
            Partial::Drop => self.n_units() / self.spec.batch_size,
        }
    }

    /// Most rows that a batch can have.
    pub fn n_rows_max(&self) -> usize {
        self.n_rows_max
    }

    /// What the layout makes of the data set.
    pub fn facts(&self) -> Facts {
        self.facts
    }

    /// What the targets are.
    pub fn objective(&self) -> &Objective {
        &self.objective
    }

    /// How batches are made.
    pub fn spec(&self) -> &LoaderSpec {
        &self.spec
    }

    fn unit_name(&self) -> &'static str {
        match self.spec.layout {
            Layout::Packed { .. } => "blocks",
            Layout::OnePerRow => "documents",
        }
    }

    /// Rows of the packed stream: every token, but for causal targets the last, which has no next
    /// one.
    fn n_stream_rows(&self) -> usize {
        match self.objective {
            Objective::Causal => self.tokens.ids.len().saturating_sub(1),
            _ => self.tokens.ids.len(),
        }
    }

    /// Blocks or documents of the current epoch.
    fn n_units(&self) -> usize {
        match self.spec.layout {
            Layout::Packed { .. } => self.n_blocks(self.offset),
            Layout::OnePerRow => self.documents.len(),
        }
    }

    fn n_blocks(&self, offset: usize) -> usize {
        let rows = self.n_stream_rows() - offset;
        match self.spec.partial {
            Partial::Drop => rows / self.spec.length_max,
            Partial::Keep => rows.div_ceil(self.spec.length_max) + usize::from(offset > 0),
        }
    }

    /// First row and end of a block of the current epoch.
    fn block(&self, index: usize) -> (usize, usize) {
        let leads = self.offset > 0 && self.spec.partial == Partial::Keep;
        if leads && index == 0 {
            return (0, self.offset);
        }
        let start = self.offset + (index - usize::from(leads)) * self.spec.length_max;
        (
            start,
            self.n_stream_rows().min(start + self.spec.length_max),
        )
    }

    /// Largest shift of the borders that leaves one full block.
    fn offset_max(&self) -> usize {
        match self.spec.layout {
            Layout::Packed {
                borders: Borders::MovedEachEpoch,
                ..
            } => self
                .n_stream_rows()
                .saturating_sub(self.spec.length_max)
                .min(self.spec.length_max - 1),
            _ => 0,
        }
    }

    fn seed(&self) -> u64 {
        match self.spec.order {
            Order::InOrder => 0,
            Order::Shuffled { seed } => seed,
        }
    }

    fn begin_epoch(&mut self) {
        let key = Key::new(self.seed(), Stream::Shuffle);
        let epoch = self.cursor.epoch;
        self.offset = key.at(epoch, 1).below(self.offset_max() as u64 + 1) as usize;
        let n = self.n_units();
        self.order.clear();
        self.order.reserve(self.n_units_max());
        self.order.extend(0..n as u32);
        if let Order::Shuffled { .. } = self.spec.order {
            // The permutation of `rng::permutation`, in a buffer that stays.
            let mut rng = key.at(epoch, 0);
            for last in (1..n).rev() {
                self.order.swap(last, rng.below(last as u64 + 1) as usize);
            }
        }
    }

    fn n_units_max(&self) -> usize {
        match self.spec.layout {
            Layout::Packed { .. } => self.n_stream_rows().div_ceil(self.spec.length_max) + 1,
            Layout::OnePerRow => self.documents.len(),
        }
    }

    fn check_not_empty(&self) -> Result<()> {
        let fewest = match self.spec.layout {
            Layout::Packed { .. } => self.n_blocks(self.offset_max()).min(self.n_blocks(0)),
            Layout::OnePerRow => self.documents.len(),
        };
        let needed = match self.spec.partial {
            Partial::Keep => 1,
            Partial::Drop => self.spec.batch_size,
        };
        if self.n_units_max() > u32::MAX as usize {
            return Err(Error::data(format!(
                "more than {} {}",
                u32::MAX,
                self.unit_name()
            )));
        }
        if fewest >= needed {
            return Ok(());
        }
        Err(Error::data(format!(
            "{} documents with {} tokens make {fewest} {} of {} tokens, a batch needs {needed}",
            self.facts.n_documents,
            self.facts.n_tokens,
            self.unit_name(),
            self.spec.length_max
        ))
        .hint("use more data, a smaller batch or a smaller length"))
    }
}
