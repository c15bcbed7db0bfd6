//! The tokens of a data set, document after document.

use std::num::NonZeroUsize;

use tenon_base::{Error, Result};

use crate::source::Rows;
use crate::vocab::Tokenizer;

/// What a data set amounts to, for a look before training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Documents that are used.
    pub n_documents: u64,
    /// Their tokens, eos included, after truncation.
    pub n_tokens: u64,
    /// Bytes of the documents' text before truncation.
    pub n_bytes: u64,
    /// Documents cut at the greatest length.
    pub n_truncated: u64,
    /// Documents without any counted target, which are left out.
    pub n_dropped: u64,
}

/// All documents of a data set as ids, end to end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    pub(super) ids: Vec<u32>,
    /// One past the last token of each document.
    pub(super) ends: Vec<usize>,
    /// Tokens at each document's start that are never targets.
    pub(super) n_prompt: Vec<u32>,
    /// Bytes of text by id.
    pub(super) len_bytes: Vec<u32>,
    n_bytes: u64,
    n_dropped: u64,
}

impl Tokens {
    /// No documents, in the vocabulary of `tokenizer`.
    pub fn new(tokenizer: &dyn Tokenizer) -> Self {
        let ids = 0..tokenizer.vocab_size() as u32;
        Tokens {
            len_bytes: ids.map(|id| tokenizer.token_len_bytes(id) as u32).collect(),
            ..Tokens::default()
        }
    }

    /// Tokenizes rows, each a document ended by eos, on `n_threads` threads; the result does not
    /// depend on their number. The first row that the vocabulary cannot express is the error.
    pub fn of_rows(
        rows: &Rows,
        tokenizer: &dyn Tokenizer,
        n_threads: NonZeroUsize,
    ) -> Result<Self> {
        let n_rows_each = rows.len().div_ceil(n_threads.get()).max(1);
        let encode = |start: usize| -> Result<Self> {
            let mut part = Tokens::default();
            for i in start..rows.len().min(start + n_rows_each) {
                let ids = tokenizer
                    .encode_document(rows.text(i))
                    .map_err(|error| error.at(rows.place(i)))?;
                part.push_unchecked(&ids, 0);
            }
            Ok(part)
        };
        let parts: Vec<Result<Self>> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..rows.len())
                .step_by(n_rows_each)
                .map(|start| scope.spawn(move || encode(start)))
                .collect();
            workers
                .into_iter()
                .map(|worker| {
                    worker
                        .join()
                        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                })
                .collect()
        });
        let mut tokens = Tokens {
            n_bytes: rows.n_bytes(),
            ..Tokens::new(tokenizer)
        };
        for part in parts {
            let part = part?;
            let offset = tokens.ids.len();
            tokens.ids.extend(part.ids);
            tokens.ends.extend(part.ends.iter().map(|end| offset + end));
            tokens.n_prompt.extend(part.n_prompt);
            tokens.n_dropped += part.n_dropped;
        }
        tokens.check_vocabulary(tokenizer.vocab_size())?;
        Ok(tokens)
    }

    /// Adds a document that stands for `n_bytes` of text. Its first `n_prompt` ids are context
    /// only; a document without a counted target is left out and counted. Data error when an id is
    /// outside the vocabulary.
    pub fn push(&mut self, ids: &[u32], n_prompt: usize, n_bytes: u64) -> Result<()> {
        check_ids(ids, self.len_bytes.len())?;
        self.push_unchecked(ids, n_prompt);
        self.n_bytes += n_bytes;
        Ok(())
    }

    fn push_unchecked(&mut self, ids: &[u32], n_prompt: usize) {
        // The first token of a document is never predicted.
        if ids.len() <= n_prompt.max(1) {
            self.n_dropped += 1;
            return;
        }
        self.ids.extend_from_slice(ids);
        self.ends.push(self.ids.len());
        self.n_prompt.push(n_prompt as u32);
    }

    /// Number of documents.
    pub fn n_documents(&self) -> usize {
        self.ends.len()
    }

    /// Ids of document `i`.
    pub fn document(&self, i: usize) -> &[u32] {
        &self.ids[self.start(i)..self.ends[i]]
    }

    /// Index of the first token of document `i`.
    pub(super) fn start(&self, i: usize) -> usize {
        if i == 0 { 0 } else { self.ends[i - 1] }
    }

    /// Data error when an id does not fit a model's vocabulary.
    pub fn check_vocabulary(&self, vocab_size: usize) -> Result<()> {
        check_ids(&self.ids, vocab_size)
    }

    /// Numbers of the whole set, nothing truncated.
    pub fn facts(&self) -> Facts {
        Facts {
            n_documents: self.ends.len() as u64,
            n_tokens: self.ids.len() as u64,
            n_bytes: self.n_bytes,
            n_truncated: 0,
            n_dropped: self.n_dropped,
        }
    }
}

/// Data error when an id is not below `vocab_size`.
pub fn check_ids(ids: &[u32], vocab_size: usize) -> Result<()> {
    match ids.iter().max() {
        Some(&id) if id as usize >= vocab_size => Err(Error::data(format!(
            "token id {id} is outside a vocabulary of {vocab_size} ids"
        ))
        .hint("the tokenizer and the model's `vocab_size` must agree")),
        _ => Ok(()),
    }
}
