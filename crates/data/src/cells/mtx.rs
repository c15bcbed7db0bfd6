//! Counts in the MatrixMarket format with the names of genes and cells beside it.

use std::path::Path;

use tenon_base::{Error, Result};

use super::counts::{Counts, Entry, parse_count};
use crate::source::read_text;

/// Reads `matrix` (MatrixMarket, `coordinate`, `integer` or `real`, `general`) with one gene and
/// one cell a line in the other files, of which the first column counts; each may be packed as
/// `.gz`.
///
/// A matrix is genes × cells, as 10x Genomics writes it, unless only the other way fits the
/// numbers of names. Data errors name the line: a header of another kind, an index outside the
/// matrix, two counts at one place, more or fewer entries than announced, names that fit neither
/// way.
pub fn read_mtx(matrix: &Path, genes: &Path, cells: &Path) -> Result<Counts> {
    let (genes, cells) = (read_names(genes)?, read_names(cells)?);
    let (sizes, mut entries) = read_entries(matrix)?;
    let whole = |error: Error| error.at(matrix.display().to_string());
    if sizes == (cells.len(), genes.len()) && genes.len() != cells.len() {
        return Counts::new(genes, cells, entries).map_err(whole);
    }
    if sizes != (genes.len(), cells.len()) {
        return Err(whole(Error::data(format!(
            "a matrix of {} × {} beside {} genes and {} cells",
            sizes.0,
            sizes.1,
            genes.len(),
            cells.len()
        ))));
    }
    for entry in &mut entries {
        *entry = (entry.1, entry.0, entry.2);
    }
    Counts::new(genes, cells, entries).map_err(whole)
}

fn read_names(path: &Path) -> Result<Vec<String>> {
    let text = read_text(path)?;
    let first = |line: &str| {
        line.split('\t')
            .next()
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    Ok(text.lines().map(first).collect())
}

/// Numbers of rows and columns, and the entries as row, column, count from 0.
fn read_entries(path: &Path) -> Result<((usize, usize), Vec<Entry>)> {
    let text = read_text(path)?;
    let place = |line: usize| format!("{}:{line}", path.display());
    let mut lines = text.lines().zip(1..);
    let (header, _) = lines.next().unwrap_or_default();
    check_header(header).map_err(|error| error.at(place(1)))?;
    let mut lines = lines.filter(|(line, _)| {
        let line = line.trim();
        !line.is_empty() && !line.starts_with('%')
    });
    let (sizes, line) = lines.next().ok_or_else(|| {
        Error::data("the line with the sizes of the matrix is missing").at(place(1))
    })?;
    let fields: Vec<Option<usize>> = sizes
        .split_whitespace()
        .map(|field| field.parse().ok())
        .collect();
    let [Some(n_rows), Some(n_columns), Some(n_entries)] = fields[..] else {
        let message = format!("`{}` is not the sizes of a matrix", sizes.trim());
        return Err(Error::data(message).at(place(line)));
    };
    let mut entries = Vec::new();
    for (text, line) in lines {
        let entry = read_entry(text, n_rows, n_columns).map_err(|error| error.at(place(line)))?;
        entries.push(entry);
    }
    if entries.len() != n_entries {
        return Err(Error::data(format!(
            "{} entries where {n_entries} are announced",
            entries.len()
        ))
        .at(path.display().to_string()));
    }
    Ok(((n_rows, n_columns), entries))
}

fn check_header(line: &str) -> Result<()> {
    let words: Vec<String> = line
        .split_whitespace()
        .map(str::to_ascii_lowercase)
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        [
            "%%matrixmarket",
            "matrix",
            "coordinate",
            "integer" | "real",
            "general",
        ] => Ok(()),
        ["%%matrixmarket", ..] => Err(Error::data(format!(
            "cannot read counts from `{}`",
            line.trim()
        ))
        .hint("write it as `matrix coordinate integer general`")),
        _ => Err(Error::data(
            "not a MatrixMarket file: the first line is no `%%MatrixMarket`",
        )),
    }
}

fn read_entry(text: &str, n_rows: usize, n_columns: usize) -> Result<Entry> {
    let fields: Vec<&str> = text.split_whitespace().collect();
    let [row, column, count] = fields[..] else {
        return Err(Error::data(format!(
            "{} numbers where row, column and count are expected",
            fields.len()
        )));
    };
    let index = |what: &str, field: &str, n: usize| match field.parse::<usize>() {
        Ok(index) if (1..=n).contains(&index) && index <= u32::MAX as usize => Ok(index as u32 - 1),
        _ => Err(Error::data(format!(
            "{what} {field} of a matrix with {n} {what}s"
        ))),
    };
    Ok((
        index("row", row, n_rows)?,
        index("column", column, n_columns)?,
        parse_count(count)?,
    ))
}
