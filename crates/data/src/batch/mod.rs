//! Ids to batches: packing, order, and the cursor that makes resume exact.

mod layout;
mod loader;
mod masking;
mod objective;
mod spec;
mod tokens;

pub use self::layout::{Borders, Layout, Sight};
pub use self::loader::Loader;
pub use self::masking::{Masker, Masking, Place, Redraw};
pub use self::objective::{Numbers, Objective};
pub use self::spec::{Cursor, LoaderSpec, Order, Partial};
pub use self::tokens::{Facts, Tokens, check_ids};

/// A target that is not counted.
pub const NOT_COUNTED: i32 = -100;

/// Sequences laid end to end; R rows in all. There is no padding: every row is a real token.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// `[R]` token ids.
    pub ids: Vec<i32>,
    /// `[n_seqs]` the class of each sequence, of an objective of classes, or 0 of one of numbers;
    /// of an objective of token classes `[R]` the class of each row or `NOT_COUNTED`; of others
    /// `[R]` the target of each row or `NOT_COUNTED`: of a causal objective the next token of the
    /// same sequence (already shifted), of a masked one the token that stood in this row.
    pub targets: Vec<i32>,
    /// `[n_seqs, C]` what is to be told of each sequence, of an objective of numbers; else empty.
    pub given: Vec<f64>,
    /// `[R]` counted from 0 at each sequence's start.
    pub positions: Vec<i32>,
    /// `[n_seqs + 1]` row at which each sequence starts, then R.
    pub cu_seqlens: Vec<i32>,
    /// Targets that are counted: the denominator of the loss.
    pub n_loss_tokens: usize,
    /// Bytes of text that the counted targets stand for.
    pub n_bytes: u64,
}

impl Batch {
    /// Number of sequences.
    pub fn n_seqs(&self) -> usize {
        self.cu_seqlens.len().saturating_sub(1)
    }

    /// Empties the batch and makes room, so that filling it cannot allocate.
    fn reset(&mut self, n_rows_max: usize) {
        for buffer in [&mut self.ids, &mut self.targets, &mut self.positions] {
            buffer.clear();
            buffer.reserve(n_rows_max);
        }
        self.given.clear();
        self.cu_seqlens.clear();
        self.cu_seqlens.reserve(n_rows_max + 1);
        self.cu_seqlens.push(0);
        self.n_loss_tokens = 0;
        self.n_bytes = 0;
    }
}
