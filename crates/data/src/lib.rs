//! Everything up to a batch: tokenizers, sources, splits, packing, the cursor that makes resume
//! exact.
//!
//! `source` yields rows with provenance, `split` divides them, `vocab` turns their text into ids,
//! and `batch` packs ids into batches that hold no padding; `cells` turns counts of genes into ids,
//! and `hub` loads what others published. Nothing here knows of graphs or models.

pub mod batch;
pub mod cells;
pub mod hub;
pub mod source;
pub mod split;
pub mod vocab;

pub use batch::{Batch, Cursor, Loader, Tokens};
pub use source::Rows;
pub use vocab::Tokenizer;
