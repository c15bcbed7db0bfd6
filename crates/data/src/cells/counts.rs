//! Counts of genes in cells, without the zeros.

use std::collections::BTreeMap;

use tenon_base::{Error, Result};

/// Which side of a matrix the genes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GenesAre {
    /// A row is a gene, a column a cell.
    Rows,
    /// A row is a cell, a column a gene.
    Columns,
}

/// A sparse matrix of counts, cell after cell, genes in the order of the file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counts {
    genes: Vec<String>,
    cells: Vec<String>,
    /// One past the last entry of each cell.
    ends: Vec<usize>,
    gene: Vec<u32>,
    count: Vec<f64>,
}

/// A count with its place: cell, gene, count.
pub(super) type Entry = (u32, u32, f64);

impl Counts {
    /// Counts from entries in any order; zeros are left out. Data error when a gene or a cell has
    /// the name of another, or a place has two counts.
    pub(super) fn new(
        genes: Vec<String>,
        cells: Vec<String>,
        mut entries: Vec<Entry>,
    ) -> Result<Self> {
        check_names("gene", &genes)?;
        check_names("cell", &cells)?;
        entries.sort_unstable_by_key(|&(cell, gene, _)| (cell, gene));
        if let Some(two) = entries.windows(2).find(|two| same_place(two)) {
            let (cell, gene, _) = two[0];
            return Err(Error::data(format!(
                "two counts of gene `{}` in cell `{}`",
                genes[gene as usize], cells[cell as usize]
            )));
        }
        let mut counts = Counts {
            ends: Vec::with_capacity(cells.len()),
            genes,
            cells,
            ..Counts::default()
        };
        let mut entries = entries.into_iter().peekable();
        for cell in 0..counts.cells.len() as u32 {
            while let Some((_, gene, count)) = entries.next_if(|entry| entry.0 == cell) {
                if count != 0.0 {
                    counts.gene.push(gene);
                    counts.count.push(count);
                }
            }
            counts.ends.push(counts.gene.len());
        }
        Ok(counts)
    }

    /// Names of the genes.
    pub fn genes(&self) -> &[String] {
        &self.genes
    }

    /// Names of the cells.
    pub fn cells(&self) -> &[String] {
        &self.cells
    }

    /// Genes of cell `i`, in the order of `genes`, and their counts, all above 0.
    pub fn cell(&self, i: usize) -> (&[u32], &[f64]) {
        let start = if i == 0 { 0 } else { self.ends[i - 1] };
        (
            &self.gene[start..self.ends[i]],
            &self.count[start..self.ends[i]],
        )
    }

    /// Number of counts above 0.
    pub fn n_entries(&self) -> usize {
        self.gene.len()
    }
}

fn same_place(two: &[Entry]) -> bool {
    (two[0].0, two[0].1) == (two[1].0, two[1].1)
}

fn check_names(what: &str, names: &[String]) -> Result<()> {
    let mut seen = BTreeMap::new();
    for (index, name) in names.iter().enumerate() {
        if name.is_empty() {
            return Err(Error::data(format!("{what} {} has no name", index + 1)));
        }
        if let Some(first) = seen.insert(name, index) {
            let message = format!(
                "{what}s {} and {} are both called `{name}`",
                first + 1,
                index + 1
            );
            return Err(Error::data(message).hint("sum them up, or name them apart"));
        }
    }
    match names.len() {
        0 => Err(Error::data(format!("there are no {what}s"))),
        n if n > u32::MAX as usize => Err(Error::data(format!("more than {} {what}s", u32::MAX))),
        _ => Ok(()),
    }
}

/// The count that a text spells. Data error unless it is finite and not negative.
pub(super) fn parse_count(text: &str) -> Result<f64> {
    match text.trim().parse::<f64>() {
        Ok(count) if count.is_finite() && count >= 0.0 => Ok(count),
        Ok(count) => Err(Error::data(format!(
            "a count of {count}; counts are finite and not negative"
        ))
        .hint("ranks are made of raw counts, not of logarithms or scaled values")),
        Err(_) => Err(Error::data(format!("`{}` is not a number", text.trim()))),
    }
}
