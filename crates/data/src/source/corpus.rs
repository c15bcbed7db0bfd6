//! The built-in corpus: text whose entropy is known exactly, so that a loss has a floor.

use std::path::PathBuf;

use tenon_base::rng::{Key, Stream};
use tenon_base::{Error, Result};

use super::grammar::{Draw, PERSONS_MAX, World};
use super::rows::Rows;

/// What is generated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CorpusSpec {
    /// Decides the facts and the text.
    pub seed: u64,
    /// Documents are added until the text has at least so many bytes; 1 to 2³⁰.
    pub n_bytes: usize,
    /// Persons in the world, 2 to 40; more facts to learn.
    pub n_persons: usize,
}

impl CorpusSpec {
    /// 1.5 MB about 40 persons.
    pub fn standard(seed: u64) -> Self {
        CorpusSpec {
            seed,
            n_bytes: 1_500_000,
            n_persons: PERSONS_MAX,
        }
    }
}

/// Largest corpus in bytes.
pub const CORPUS_BYTES_MAX: usize = 1 << 30;

/// A document's place in the text of a corpus.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Document {
    /// First byte.
    pub start: usize,
    /// One past its last byte, a line feed.
    pub end: usize,
    /// −ln of the probability with which the generator writes this document, end included.
    pub entropy_nats: f64,
}

/// A generated corpus. Documents are parted by an empty line.
#[derive(Clone, Debug, PartialEq)]
pub struct Corpus {
    /// All documents; ASCII, so bytes are characters.
    pub text: String,
    /// Where each document lies.
    pub documents: Vec<Document>,
    /// Σ −ln p over all choices: no model that knows all facts but not the draws can have a smaller
    /// expected total loss over the text.
    pub entropy_nats: f64,
    /// Prompt and answer of every question about the facts.
    pub questions: Vec<(String, String)>,
}

impl Corpus {
    /// Floor of the mean loss per byte (= per character) of the text, in nats.
    pub fn nats_per_byte(&self) -> f64 {
        self.entropy_nats / self.text.len() as f64
    }

    /// The documents as rows, without their last line feed.
    pub fn rows(&self) -> Result<Rows> {
        let mut rows = Rows::new();
        rows.begin_file(PathBuf::from("corpus"));
        for (index, document) in self.documents.iter().enumerate() {
            rows.push(
                index as u64 + 1,
                &self.text[document.start..document.end - 1],
            )?;
        }
        Ok(rows)
    }
}

/// Generates a corpus. Document `i` depends on the seed and `i` alone.
pub fn corpus(spec: CorpusSpec) -> Result<Corpus> {
    if !(2..=PERSONS_MAX).contains(&spec.n_persons) {
        return Err(Error::usage(format!(
            "a corpus about {} persons; the number lies between 2 and {PERSONS_MAX}",
            spec.n_persons
        )));
    }
    if !(1..=CORPUS_BYTES_MAX).contains(&spec.n_bytes) {
        return Err(Error::usage(format!(
            "a corpus of {} bytes; the size lies between 1 and {CORPUS_BYTES_MAX}",
            spec.n_bytes
        )));
    }
    let key = Key::new(spec.seed, Stream::Corpus);
    let world = World::new(&mut key.at(0, 0), spec.n_persons);
    let mut text = String::with_capacity(spec.n_bytes + 1024);
    let mut documents = Vec::new();
    while text.len() < spec.n_bytes {
        if !text.is_empty() {
            text.push('\n');
        }
        let mut draw = Draw {
            rng: key.at(1, documents.len() as u64),
            nats: 0.0,
        };
        let start = text.len();
        text += &world.document(&mut draw);
        documents.push(Document {
            start,
            end: text.len(),
            entropy_nats: draw.nats,
        });
    }
    let entropy_nats = documents.iter().map(|document| document.entropy_nats).sum();
    Ok(Corpus {
        text,
        documents,
        entropy_nats,
        questions: world.questions(),
    })
}
