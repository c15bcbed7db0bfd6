//! How documents become sequences.

use super::tokens::Tokens;
use super::{Batch, NOT_COUNTED};

/// How documents become the sequences of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Documents end to end, cut into blocks of the greatest length.
    Packed {
        /// What a token may see.
        sight: Sight,
        /// Where the blocks begin.
        borders: Borders,
    },
    /// One document is one sequence, truncated at the greatest length.
    OnePerRow,
}

/// What a token of a packed block may see and is asked to predict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// The whole block is one sequence, across documents.
    Block,
    /// Each document's part of the block is a sequence of its own.
    Document,
}

/// Where the blocks of an epoch begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Borders {
    /// At multiples of the greatest length.
    Fixed,
    /// Shifted by a number drawn for each epoch, so that no token is always at a block's start.
    MovedEachEpoch,
}

/// Appends rows `start..end` of the packed stream; a block that ends the stream leaves out the last
/// token, which has no next one.
pub(super) fn push_block(
    tokens: &Tokens,
    start: usize,
    end: usize,
    sight: Sight,
    batch: &mut Batch,
) {
    let block_row = batch.ids.len();
    let mut document = tokens
        .ends
        .partition_point(|&document_end| document_end <= start);
    let mut at = start;
    while at < end {
        let document_end = tokens.ends[document];
        let stop = document_end.min(end);
        let n_prompt = tokens.n_prompt[document] as usize;
        let first_counted = tokens.start(document) + n_prompt;
        for row in at..stop {
            let counted = match (row + 1 < document_end, sight) {
                (true, _) => row + 1 >= first_counted,
                (false, Sight::Document) => false,
                (false, Sight::Block) => tokens.n_prompt[document + 1] == 0,
            };
            push_row(tokens, row, counted, batch);
        }
        if sight == Sight::Document {
            close_sequence(batch, (stop - at) as i32);
        }
        at = stop;
        document += 1;
    }
    if sight == Sight::Block {
        close_sequence(batch, (batch.ids.len() - block_row) as i32);
    }
}

/// Appends the first `length_max` tokens of a document as one sequence; its last row predicts
/// nothing.
pub(super) fn push_document(
    tokens: &Tokens,
    document: usize,
    length_max: usize,
    batch: &mut Batch,
) {
    let start = tokens.start(document);
    let stop = tokens.ends[document].min(start + length_max);
    let first_counted = start + tokens.n_prompt[document] as usize;
    for row in start..stop {
        push_row(
            tokens,
            row,
            row + 1 < stop && row + 1 >= first_counted,
            batch,
        );
    }
    close_sequence(batch, (stop - start) as i32);
}

fn push_row(tokens: &Tokens, row: usize, counted: bool, batch: &mut Batch) {
    batch.ids.push(tokens.ids[row] as i32);
    if !counted {
        batch.targets.push(NOT_COUNTED);
        return;
    }
    let target = tokens.ids[row + 1];
    batch.targets.push(target as i32);
    batch.n_loss_tokens += 1;
    batch.n_bytes += u64::from(tokens.len_bytes[target as usize]);
}

fn close_sequence(batch: &mut Batch, length: i32) {
    batch.positions.extend(0..length);
    batch.cu_seqlens.push(batch.ids.len() as i32);
}
