//! Counts in a CSV or TSV table with names on both sides.

use std::path::Path;

use tenon_base::{Error, Result};

use super::counts::{Counts, Entry, GenesAre, parse_count};
use super::genes::GeneVocabulary;
use crate::source::read_text;

/// Reads a table: the first line names the columns, the first column the rows; `.tsv` is parted by
/// tabs, anything else by commas, and either may be packed as `.gz`. The corner may hold anything
/// or be left out.
///
/// Where `genes_are` is not given, they are on the side of which more names are in `vocabulary`.
/// Data error when that decides nothing, a field is no count, or a line has another length.
pub fn read_table(
    path: &Path,
    genes_are: Option<GenesAre>,
    vocabulary: &GeneVocabulary,
) -> Result<Counts> {
    refuse_binary(path)?;
    let text = read_text(path)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.to_ascii_lowercase();
    let is_tsv = name.trim_end_matches(".gz").ends_with(".tsv");
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(if is_tsv { b'\t' } else { b',' })
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes());
    let place = |line: u64| format!("{}:{line}", path.display());
    let bad = |reason: csv::Error| {
        let line = reason.position().map_or(1, csv::Position::line);
        Error::data(format!("bad CSV: {reason}")).at(place(line))
    };
    let mut record = csv::StringRecord::new();
    if !reader.read_record(&mut record).map_err(bad)? {
        return Err(Error::data("the table has no header").at(place(1)));
    }
    let mut columns: Vec<String> = record.iter().map(|name| name.trim().to_owned()).collect();
    let (mut rows, mut entries) = (Vec::new(), Vec::new());
    while reader.read_record(&mut record).map_err(bad)? {
        let line = record.position().map_or(0, csv::Position::line);
        if rows.is_empty() && record.len() == columns.len() && !columns.is_empty() {
            columns.remove(0);
        }
        if record.len() != columns.len() + 1 {
            return Err(Error::data(format!(
                "a name and {} counts beside a header of {} columns",
                record.len().saturating_sub(1),
                columns.len()
            ))
            .at(place(line)));
        }
        for (column, field) in record.iter().skip(1).enumerate() {
            let count = parse_count(field)
                .map_err(|error| error.at(format!("{}:{}", place(line), column + 2)))?;
            if count != 0.0 {
                entries.push((rows.len() as u32, column as u32, count));
            }
        }
        rows.push(record[0].trim().to_owned());
    }
    oriented(genes_are, vocabulary, rows, columns, entries)
        .map_err(|error| error.at(path.display().to_string()))
}

/// Files of HDF5 would be read as text that is none.
fn refuse_binary(path: &Path) -> Result<()> {
    let extension = path.extension().and_then(|e| e.to_str());
    let extension = extension.unwrap_or_default().to_ascii_lowercase();
    if !["h5ad", "h5", "loom"].contains(&extension.as_str()) {
        return Ok(());
    }
    Err(
        Error::data(format!("cannot read counts from a `.{extension}` file"))
            .at(path.display().to_string())
            .hint(
                "write them in Python: `scipy.io.mmwrite('matrix.mtx', adata.X.T)`, and \
                 `adata.var_names` and `adata.obs_names` one a line as `genes.tsv` and \
                 `barcodes.tsv`",
            ),
    )
}

fn oriented(
    genes_are: Option<GenesAre>,
    vocabulary: &GeneVocabulary,
    rows: Vec<String>,
    columns: Vec<String>,
    mut entries: Vec<Entry>,
) -> Result<Counts> {
    let n_known = |names: &[String]| names.iter().filter(|name| vocabulary.knows(name)).count();
    let side = match (genes_are, n_known(&rows), n_known(&columns)) {
        (Some(side), ..) => side,
        (None, in_rows, in_columns) if in_rows > in_columns => GenesAre::Rows,
        (None, in_rows, in_columns) if in_rows < in_columns => GenesAre::Columns,
        (None, n, _) => {
            return Err(Error::data(format!(
                "{n} names of the rows and as many of the columns are genes of the vocabulary"
            ))
            .hint(
                "genes are named as in the vocabulary, mostly by Ensembl ids such as ENSG00000…",
            ));
        }
    };
    if side == GenesAre::Columns {
        return Counts::new(columns, rows, entries);
    }
    for entry in &mut entries {
        *entry = (entry.1, entry.0, entry.2);
    }
    Counts::new(rows, columns, entries)
}
