//! Synthetic proteins: families whose conserved motifs can be learned, between letters that cannot.

use std::collections::BTreeMap;
use std::path::PathBuf;

use tenon_base::rng::{Key, Rng, Stream};
use tenon_base::{Error, Result};

use super::rows::Rows;

/// Amino acids and how often they occur, in hundredths of a per cent (the composition that
/// UniProtKB/Swiss-Prot publishes with its releases).
const BACKGROUND: [(char, u32); 20] = [
    ('A', 825),
    ('Q', 393),
    ('L', 965),
    ('S', 664),
    ('R', 553),
    ('E', 672),
    ('K', 580),
    ('T', 536),
    ('N', 406),
    ('G', 707),
    ('M', 241),
    ('W', 110),
    ('D', 546),
    ('H', 227),
    ('F', 386),
    ('Y', 292),
    ('C', 138),
    ('I', 591),
    ('P', 474),
    ('V', 686),
];

/// What is generated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProteinSpec {
    /// Decides the families and the sequences.
    pub seed: u64,
    /// Number of proteins, 1 to 2²⁴.
    pub n_proteins: usize,
    /// Number of families, 1 to 10,000.
    pub n_families: usize,
}

impl ProteinSpec {
    /// 800 proteins of four families: the file `configs/proteins.fasta`.
    pub const SMALL: ProteinSpec = ProteinSpec {
        seed: 0,
        n_proteins: 800,
        n_families: 4,
    };
}

/// Largest number of proteins.
pub const PROTEINS_MAX: usize = 1 << 24;
/// Largest number of families.
pub const FAMILIES_MAX: usize = 10_000;

/// A generated set of proteins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proteins {
    /// Sequences; each begins with `M`.
    pub sequences: Vec<String>,
    /// The family of each sequence.
    pub families: Vec<usize>,
    /// Residues that belong to motifs, of all sequences.
    pub n_motif_residues: usize,
}

/// A motif: at each position its possible letters with weights.
type Motif = Vec<Vec<(char, u32)>>;

/// Steps of the corpus stream; the built-in corpus of text uses 0 and 1.
const FAMILY_STEP: u64 = 2;
const PROTEIN_STEP: u64 = 3;

/// Generates proteins. Protein `i` depends on the seed, the number of families and `i` alone.
///
/// A family is three to five motifs of 12 to 24 positions in a fixed order. Of ten positions six
/// are conserved (one letter, 95 %) and four have two or three likely letters. Between the motifs
/// stand one to eight letters of the background. So most letters follow from their neighbours, and
/// a model that has learned the motifs is far below `unigram_perplexity`.
pub fn proteins(spec: ProteinSpec) -> Result<Proteins> {
    let bounded = |name: &str, n: usize, max: usize| match (1..=max).contains(&n) {
        true => Ok(()),
        false => Err(Error::usage(format!(
            "{n} {name}; the number lies between 1 and {max}"
        ))),
    };
    bounded("proteins", spec.n_proteins, PROTEINS_MAX)?;
    bounded("families", spec.n_families, FAMILIES_MAX)?;
    let key = Key::new(spec.seed, Stream::Corpus);
    let motifs: Vec<Vec<Motif>> = (0..spec.n_families as u64)
        .map(|family| family_of(&mut key.at(FAMILY_STEP, family)))
        .collect();
    let mut made = Proteins {
        sequences: Vec::with_capacity(spec.n_proteins),
        families: Vec::with_capacity(spec.n_proteins),
        n_motif_residues: 0,
    };
    for i in 0..spec.n_proteins as u64 {
        let mut rng = key.at(PROTEIN_STEP, i);
        let family = rng.below(spec.n_families as u64) as usize;
        let mut sequence = String::from("M");
        for motif in &motifs[family] {
            for _ in 0..1 + rng.below(8) {
                sequence.push(draw(&mut rng, &BACKGROUND));
            }
            sequence.extend(motif.iter().map(|letters| draw(&mut rng, letters)));
            made.n_motif_residues += motif.len();
        }
        made.sequences.push(sequence);
        made.families.push(family);
    }
    Ok(made)
}

fn family_of(rng: &mut Rng) -> Vec<Motif> {
    let n_motifs = 3 + rng.below(3);
    let mut motifs = Vec::new();
    for _ in 0..n_motifs {
        let n_positions = 12 + rng.below(13);
        motifs.push((0..n_positions).map(|_| position(rng)).collect());
    }
    motifs
}

fn position(rng: &mut Rng) -> Vec<(char, u32)> {
    if rng.below(10) < 6 {
        // What is left goes to the background, letter by letter.
        let likely = draw(rng, &BACKGROUND);
        let rest = BACKGROUND
            .iter()
            .map(|&(letter, weight)| (letter, weight * 5));
        let total: u32 = BACKGROUND.iter().map(|&(_, weight)| weight).sum();
        return [(likely, total * 95)].into_iter().chain(rest).collect();
    }
    let n_letters = 2 + rng.below(2);
    (0..n_letters)
        .map(|rank| (draw(rng, &BACKGROUND), 4 >> rank))
        .collect()
}

fn draw(rng: &mut Rng, letters: &[(char, u32)]) -> char {
    let total: u64 = letters.iter().map(|&(_, weight)| u64::from(weight)).sum();
    let mut left = rng.below(total);
    for &(letter, weight) in letters {
        match left.checked_sub(weight.into()) {
            Some(rest) => left = rest,
            None => return letter,
        }
    }
    unreachable!("the draw is below the sum of the weights")
}

impl Proteins {
    /// The proteins as FASTA with 60 letters a line and ids `syn0`, `syn1`, … .
    pub fn fasta(&self) -> String {
        let mut text = String::new();
        for (i, (sequence, family)) in self.sequences.iter().zip(&self.families).enumerate() {
            text += &format!(">syn{i} family={family}\n");
            let mut rest = sequence.as_str();
            while !rest.is_empty() {
                let (line, after) = rest.split_at(rest.len().min(60));
                text += line;
                text.push('\n');
                rest = after;
            }
        }
        text
    }

    /// The sequences as rows; the line of each is its number from 1.
    pub fn rows(&self) -> Result<Rows> {
        let mut rows = Rows::new();
        rows.begin_file(PathBuf::from("proteins"));
        for (sequence, line) in self.sequences.iter().zip(1..) {
            rows.push(line, sequence)?;
        }
        Ok(rows)
    }
}

/// Perplexity of the best model that looks at no neighbour: `exp(−Σ p ln p)` over the characters
/// of all texts. What a masked model has learned shows below it. Data error when there is no text.
pub fn unigram_perplexity<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<f64> {
    let mut counts = BTreeMap::new();
    for c in texts.into_iter().flat_map(str::chars) {
        *counts.entry(c).or_insert(0u64) += 1;
    }
    let total: u64 = counts.values().sum();
    if total == 0 {
        return Err(Error::data("a text without characters has no perplexity"));
    }
    let nats: f64 = counts
        .values()
        .map(|&n| n as f64 / total as f64)
        .map(|p| -p * libm::log(p))
        .sum();
    Ok(libm::exp(nats))
}
