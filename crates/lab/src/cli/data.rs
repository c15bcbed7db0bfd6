//! `tenon data`: from measurements to texts that training reads.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;
use tenon_base::{Error, Result};
use tenon_data::Tokenizer;
use tenon_data::cells::{
    Counts, GeneVocabulary, GenesAre, RankFacts, rank_cells, read_medians, read_mtx, read_table,
    read_tokens,
};
use tenon_models::checkpoint::{PlainValue, read_plain};

use super::{Outcome, Output};
use crate::context::Context;

/// Prepare data
#[derive(Clone, Debug, Args)]
pub struct DataArgs {
    /// What to do
    #[command(subcommand)]
    pub command: DataCommand,
}

/// What to do with data.
#[derive(Clone, Debug, Subcommand)]
pub enum DataCommand {
    /// Turn the counts of single cells into ranked genes, as Geneformer reads them
    Rank(RankArgs),
}

/// Turn the counts of single cells into ranked genes, as Geneformer reads them
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
    Each cell is scaled to 10,000 counts, each gene divided by its median, and the genes are\n\
    written from the highest to the lowest: `cells.jsonl` (`cell`, `text`) and a tokenizer.\n\
    Medians and tokens are JSON, CSV, or Geneformer's pickles, which are read, not executed.\n\n\
    Example:\n  \
    tenon data rank counts.csv --medians medians.json --tokens tokens.json --out ranked/\n  \
    tenon train bert.yaml --set data.path=ranked/cells.jsonl --set data.tokenizer=ranked")]
pub struct RankArgs {
    /// Matrix of counts: CSV or TSV with a header, or MatrixMarket (`.mtx`)
    #[arg(value_name = "COUNTS")]
    pub counts: PathBuf,
    /// Median of each gene
    #[arg(long, value_name = "FILE")]
    pub medians: PathBuf,
    /// Id of each gene and special token
    #[arg(long, value_name = "FILE")]
    pub tokens: PathBuf,
    /// Where genes stand in a table [default: where the names are known]
    #[arg(long, value_enum)]
    pub genes: Option<GenesName>,
    /// Names of the genes of a `.mtx`, one a line
    #[arg(long, value_name = "FILE", requires = "cell_names")]
    pub gene_names: Option<PathBuf>,
    /// Names of the cells of a `.mtx`, one a line
    #[arg(long, value_name = "FILE", requires = "gene_names")]
    pub cell_names: Option<PathBuf>,
    /// Longest sequence: 2048 for Geneformer's first models, 4096 for its second
    #[arg(long, value_name = "N", default_value_t = 2048)]
    pub max_length: usize,
    /// Folder to write
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// Where genes stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum GenesName {
    /// A row is a gene
    Rows,
    /// A column is a gene
    Columns,
}

/// Version of the JSON document.
const SCHEMA_VERSION: u32 = 1;

/// Does what the call asks for.
///
/// # Errors
/// `Data` for files that cannot be used, `Io` when the folder cannot be written.
pub fn run(args: &DataArgs, context: &Context) -> Result<Outcome> {
    let DataCommand::Rank(args) = &args.command;
    let medians = medians(&args.medians, context)?;
    let tokens = tokens(&args.tokens, context)?;
    let vocabulary = GeneVocabulary::from_maps(&medians, &tokens)?;
    let counts = counts(args, &vocabulary)?;
    let (ranked, facts) = rank_cells(&counts, &vocabulary, args.max_length)?;
    let mut text = String::new();
    let full = (0..counts.cells().len()).filter(|&i| has_known(&counts, i, &vocabulary));
    for (document, i) in full.enumerate() {
        let genes = vocabulary.decode(ranked.document(document));
        text += &json!({"cell": counts.cells()[i], "text": genes}).to_string();
        text.push('\n');
    }
    let disk = context.disk.as_ref();
    vocabulary.save(disk, &args.out)?;
    disk.write_atomic(&args.out.join("cells.jsonl"), text.as_bytes())?;
    Ok(Outcome::of(report(args, &facts, context)))
}

fn has_known(counts: &Counts, i: usize, vocabulary: &GeneVocabulary) -> bool {
    let (genes, _) = counts.cell(i);
    let mut names = genes.iter().map(|&gene| &counts.genes()[gene as usize]);
    names.any(|name| vocabulary.gene(name).is_some())
}

fn counts(args: &RankArgs, vocabulary: &GeneVocabulary) -> Result<Counts> {
    match (&args.gene_names, &args.cell_names) {
        (Some(genes), Some(cells)) => read_mtx(&args.counts, genes, cells),
        _ => {
            let genes = args.genes.map(|genes| match genes {
                GenesName::Rows => GenesAre::Rows,
                GenesName::Columns => GenesAre::Columns,
            });
            read_table(&args.counts, genes, vocabulary)
        }
    }
}

fn medians(path: &Path, context: &Context) -> Result<BTreeMap<String, f64>> {
    let number = |value: &PlainValue| match *value {
        PlainValue::Float(x) => Some(x),
        PlainValue::Int(x) => Some(x as f64),
        _ => None,
    };
    match is_pickle(path) {
        true => pickled(path, context, "a number", number),
        false => read_medians(path),
    }
}

fn tokens(path: &Path, context: &Context) -> Result<BTreeMap<String, u32>> {
    let id = |value: &PlainValue| match *value {
        PlainValue::Int(x) => u32::try_from(x).ok(),
        _ => None,
    };
    match is_pickle(path) {
        true => pickled(path, context, "an id", id),
        false => read_tokens(path),
    }
}

fn is_pickle(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    matches!(extension, Some("pkl" | "pickle"))
}

/// A pickled dictionary of texts, without executing it.
fn pickled<T>(
    path: &Path,
    context: &Context,
    what: &str,
    read: impl Fn(&PlainValue) -> Option<T>,
) -> Result<BTreeMap<String, T>> {
    let place = path.display().to_string();
    let value = read_plain(&context.disk.read(path)?).map_err(|error| error.at(&place))?;
    let PlainValue::Dict(entries) = value else {
        return Err(Error::data("the pickle holds no dictionary").at(place));
    };
    let entry = |(key, value): &(PlainValue, PlainValue)| match (key, read(value)) {
        (PlainValue::Text(name), Some(value)) => Ok((name.clone(), value)),
        _ => Err(Error::data(format!("{key:?} does not map a name to {what}")).at(&place)),
    };
    entries.iter().map(entry).collect()
}

fn report(args: &RankArgs, facts: &RankFacts, context: &Context) -> Output {
    if context.json {
        return Output::Json(json!({
            "schema_version": SCHEMA_VERSION,
            "out": args.out.display().to_string(),
            "cells": facts.n_cells,
            "empty": facts.n_empty,
            "truncated": facts.n_truncated,
            "genes_unknown": facts.n_genes_unknown,
        }));
    }
    Output::Text(format!(
        "{} cells ranked, {} without a known gene left out, {} cut at {}; {} genes of the matrix \
         have no id; written to `{}`\n",
        facts.n_cells,
        facts.n_empty,
        facts.n_truncated,
        args.max_length,
        facts.n_genes_unknown,
        args.out.display()
    ))
}
