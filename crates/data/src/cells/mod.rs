//! Single cells: counts of genes become sequences of genes ranked by how unusual their expression
//! is, as Geneformer has them (Theodoris et al. 2023).

mod counts;
mod genes;
mod maps;
mod mtx;
mod rank;
mod table;

pub(crate) use self::genes::MEDIANS;

pub use self::counts::{Counts, GenesAre};
pub use self::genes::GeneVocabulary;
pub use self::maps::{read_medians, read_tokens};
pub use self::mtx::read_mtx;
pub use self::rank::{RankFacts, TARGET_SUM, rank_cell, rank_cells};
pub use self::table::read_table;
