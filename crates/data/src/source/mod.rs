//! Where text comes from: files, folders with splits, named data sets, the built-in corpus,
//! synthetic proteins.

mod corpus;
mod discover;
mod fasta;
mod grammar;
mod labels;
mod named;
mod parquet;
mod proteins;
mod read;
mod records;
mod rows;

pub use self::corpus::{CORPUS_BYTES_MAX, Corpus, CorpusSpec, Document, corpus};
pub use self::discover::{DataFiles, Split, discover, is_fasta};
pub use self::fasta::{FastaChanges, FastaRecord, read_fasta};
pub use self::labels::{cells, labels, list_items, list_items_or_none};
pub use self::named::{KNOWN_DATA_SETS, KnownDataSet, known, locate};
pub use self::proteins::{
    FAMILIES_MAX, PROTEINS_MAX, ProteinSpec, Proteins, proteins, unigram_perplexity,
};
pub(crate) use self::read::read_text;
pub use self::read::{DataSet, Documents, ReadOptions, open, read_files};
pub use self::records::read_columns;
pub use self::rows::Rows;
