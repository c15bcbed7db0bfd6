//! How documents become sequences.

use std::ops::Range;

use super::objective::{Masks, Objective};
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
    /// One document is one sequence. Beyond the greatest length a causal objective keeps the
    /// beginning; a masked one keeps a window drawn for each epoch, and the special tokens that
    /// begin and end the document around it.
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
    each_part(tokens, start, end, sight, batch, |document, rows, batch| {
        let document_end = tokens.ends[document];
        let n_prompt = tokens.n_prompt[document] as usize;
        let first_counted = tokens.start(document) + n_prompt;
        for row in rows {
            let counted = match (row + 1 < document_end, sight) {
                (true, _) => row + 1 >= first_counted,
                (false, Sight::Document) => false,
                (false, Sight::Block) => tokens.n_prompt[document + 1] == 0,
            };
            push_row(tokens, row, counted, batch);
        }
    });
}

/// Calls `push` with the part of each document in rows `start..end` of the packed stream, and
/// closes the sequences that they are.
fn each_part(
    tokens: &Tokens,
    start: usize,
    end: usize,
    sight: Sight,
    batch: &mut Batch,
    mut push: impl FnMut(usize, Range<usize>, &mut Batch),
) {
    let block_row = batch.ids.len();
    let mut document = tokens
        .ends
        .partition_point(|&document_end| document_end <= start);
    let mut at = start;
    while at < end {
        let stop = tokens.ends[document].min(end);
        push(document, at..stop, batch);
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

/// Appends rows `start..end` of the packed stream with targets at the same place. Each document's
/// part is masked for itself.
pub(super) fn push_masked_block(
    tokens: &Tokens,
    start: usize,
    end: usize,
    sight: Sight,
    masks: Masks<'_>,
    batch: &mut Batch,
) {
    each_part(tokens, start, end, sight, batch, |document, rows, batch| {
        push_masked(tokens, document, rows, masks, batch);
    });
}

/// Appends a document as one sequence with targets at the same place. Of a longer one a window is
/// kept, which begins at each possible place with the same probability.
pub(super) fn push_masked_document(
    tokens: &Tokens,
    document: usize,
    length_max: usize,
    masks: Masks<'_>,
    batch: &mut Batch,
) {
    let (start, stop) = (tokens.start(document), tokens.ends[document]);
    let first_row = batch.ids.len();
    if stop - start <= length_max {
        push_masked(tokens, document, start..stop, masks, batch);
    } else {
        let is_special = |row: usize| !masks.masker.is_ordinary(tokens.ids[row]);
        let inner =
            start + usize::from(is_special(start))..stop - usize::from(is_special(stop - 1));
        let n_room = length_max - (inner.start - start) - (stop - inner.end);
        let from = inner.start + masks.place(document).crop(inner.len(), n_room);
        push_masked(tokens, document, start..inner.start, masks, batch);
        push_masked(tokens, document, from..from + n_room, masks, batch);
        push_masked(tokens, document, inner.end..stop, masks, batch);
    }
    close_sequence(batch, (batch.ids.len() - first_row) as i32);
}

/// Appends a document as one sequence, with what is told of it. Of a longer one the beginning is
/// kept, and its last token, which ends it.
pub(super) fn push_told(
    tokens: &Tokens,
    document: usize,
    length_max: usize,
    told: &Objective,
    batch: &mut Batch,
) {
    let ids = tokens.document(document);
    let kept = kept_of(ids, length_max);
    let length = kept.clone().count();
    batch.ids.extend(kept.map(|&id| id as i32));
    match told {
        Objective::Classes(classes) => batch.targets.push(classes[document]),
        Objective::Numbers(numbers) => {
            let width = numbers.width;
            batch
                .given
                .extend(&numbers.values[document * width..][..width]);
            batch.targets.push(0);
        }
        Objective::TokenClasses(classes) => {
            let classes = &classes[tokens.start(document)..tokens.ends[document]];
            batch.targets.extend(kept_of(classes, length_max));
        }
        Objective::Causal | Objective::Masked { .. } => unreachable!("told of tokens"),
    }
    let row = batch.targets.len() - if told.is_of_tokens() { length } else { 1 };
    let counted = batch.targets[row..].iter();
    batch.n_loss_tokens += counted.filter(|&&target| target != NOT_COUNTED).count();
    close_sequence(batch, length as i32);
}

/// The first `length_max` items, the last of them replaced by the last of all.
pub(super) fn kept_of<T>(items: &[T], length_max: usize) -> impl Iterator<Item = &T> + Clone {
    let length = items.len().min(length_max);
    let last = items[items.len() - 1..].iter();
    items[..length - 1].iter().chain(last)
}

fn push_masked(
    tokens: &Tokens,
    document: usize,
    rows: Range<usize>,
    masks: Masks<'_>,
    batch: &mut Batch,
) {
    let first = rows.start - tokens.start(document);
    let n_fixed = tokens.n_prompt[document] as usize;
    let (inputs, labels) = (&mut batch.ids, &mut batch.targets);
    let before = labels.len();
    batch.n_loss_tokens += masks.masker.push(
        &tokens.ids[rows],
        first,
        n_fixed,
        masks.place(document),
        inputs,
        labels,
    );
    let counted = labels[before..]
        .iter()
        .filter(|&&label| label != NOT_COUNTED);
    let n_bytes = counted.map(|&label| u64::from(tokens.len_bytes[label as usize]));
    batch.n_bytes += n_bytes.sum::<u64>();
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
