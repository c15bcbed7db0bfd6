//! Where text comes from: files, folders with splits, named data sets, the built-in corpus.

mod corpus;
mod discover;
mod grammar;
mod named;
mod read;
mod records;
mod rows;

pub use self::corpus::{CORPUS_BYTES_MAX, Corpus, CorpusSpec, Document, corpus};
pub use self::discover::{DataFiles, Split, discover};
pub use self::named::{KNOWN_DATA_SETS, KnownDataSet, known, locate};
pub use self::read::{DataSet, Documents, ReadOptions, open, read_files};
pub use self::records::read_columns;
pub use self::rows::Rows;
