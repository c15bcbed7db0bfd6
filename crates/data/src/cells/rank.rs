//! Cells to sequences of genes, ranked by expression against each gene's median.

use tenon_base::{Error, Result};

use super::counts::Counts;
use super::genes::GeneVocabulary;
use crate::batch::Tokens;
use crate::vocab::Tokenizer;

/// Counts that every cell is scaled to before it is compared with the medians: `target_sum` of
/// Geneformer's `TranscriptomeTokenizer`, at which its medians were taken.
pub const TARGET_SUM: f64 = 10_000.0;

/// What ranking made of a matrix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RankFacts {
    /// Cells that became sequences.
    pub n_cells: u64,
    /// Cells without a count of a known gene, which are left out.
    pub n_empty: u64,
    /// Cells of which the lowest ranks were cut.
    pub n_truncated: u64,
    /// Genes of the matrix that the vocabulary lacks; their counts still belong to a cell's total.
    pub n_genes_unknown: u64,
}

/// All cells as documents: each `rank_cell` at a context of `n_tokens_max`. Data error when no gene
/// is known or no cell is left.
pub fn rank_cells(
    counts: &Counts,
    vocabulary: &GeneVocabulary,
    n_tokens_max: usize,
) -> Result<(Tokens, RankFacts)> {
    let genes: Vec<Option<(u32, f64)>> = counts
        .genes()
        .iter()
        .map(|name| vocabulary.gene(name))
        .collect();
    let n_unknown = genes.iter().filter(|gene| gene.is_none()).count();
    if n_unknown == genes.len() {
        return Err(Error::data(format!(
            "none of the {n_unknown} genes is in the vocabulary; the first is `{}`",
            counts.genes()[0]
        ))
        .hint("genes are named as in the vocabulary, mostly by Ensembl ids such as ENSG00000…"));
    }
    check_room(vocabulary, n_tokens_max)?;
    let mut tokens = Tokens::new(vocabulary);
    let mut facts = RankFacts {
        n_genes_unknown: n_unknown as u64,
        ..RankFacts::default()
    };
    for i in 0..counts.cells().len() {
        let ranked = ranked(counts.cell(i), &genes);
        if ranked.is_empty() {
            facts.n_empty += 1;
            continue;
        }
        let (ids, is_cut) = around(ranked, vocabulary, n_tokens_max);
        let n_bytes = ids.iter().map(|&id| vocabulary.token_len_bytes(id) as u64);
        tokens.push(&ids, 0, n_bytes.sum())?;
        facts.n_truncated += u64::from(is_cut);
        facts.n_cells += 1;
    }
    match facts.n_cells {
        0 => Err(Error::data("no cell has a count of a known gene")),
        _ => Ok((tokens, facts)),
    }
}

/// Ids of cell `i`: the known genes with a count above 0, from the highest `count / total ·
/// TARGET_SUM / median` to the lowest, where `total` is over all genes of the matrix; genes with
/// equal values keep the order of the matrix. With `<cls>` before and `<eos>` after them where the
/// vocabulary has these; cut at `n_tokens_max` ids with these among them (Geneformer: 2048, second
/// version 4096). Usage error when there is no room for a gene.
pub fn rank_cell(
    counts: &Counts,
    i: usize,
    vocabulary: &GeneVocabulary,
    n_tokens_max: usize,
) -> Result<Vec<u32>> {
    check_room(vocabulary, n_tokens_max)?;
    let names = counts.genes().iter();
    let genes: Vec<Option<(u32, f64)>> = names.map(|name| vocabulary.gene(name)).collect();
    Ok(around(ranked(counts.cell(i), &genes), vocabulary, n_tokens_max).0)
}

fn check_room(vocabulary: &GeneVocabulary, n_tokens_max: usize) -> Result<()> {
    let specials = vocabulary.specials();
    let n_around = specials.cls.iter().chain(&specials.eos).count();
    match n_tokens_max > n_around {
        true => Ok(()),
        false => Err(Error::usage(format!(
            "a context of {n_tokens_max} has no room for a gene beside {n_around} special ids"
        ))),
    }
}

fn ranked((present, count): (&[u32], &[f64]), genes: &[Option<(u32, f64)>]) -> Vec<u32> {
    let total: f64 = count.iter().sum();
    let known = present.iter().zip(count).filter_map(|(&gene, &count)| {
        let (id, median) = genes[gene as usize]?;
        Some((count / total * TARGET_SUM / median, id))
    });
    let mut known: Vec<(f64, u32)> = known.collect();
    // Stable, so that ties keep the order of the genes.
    known.sort_by(|a, b| b.0.total_cmp(&a.0));
    known.into_iter().map(|(_, id)| id).collect()
}

fn around(
    mut genes: Vec<u32>,
    vocabulary: &GeneVocabulary,
    n_tokens_max: usize,
) -> (Vec<u32>, bool) {
    let specials = vocabulary.specials();
    let n_room = n_tokens_max - specials.cls.iter().chain(&specials.eos).count();
    let is_cut = genes.len() > n_room;
    genes.truncate(n_room);
    let ids = specials.cls.into_iter().chain(genes).chain(specials.eos);
    (ids.collect(), is_cut)
}
