//! Tokenizers: text to ids and back, and the files that other tools load with equal ids.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tenon_base::files::Disk;
use tenon_base::{Error, Result};

use crate::cells::GeneVocabulary;

mod byte;
mod char;
mod codon;
mod files;
mod gpt2;
mod hub;
mod residue;
mod spell;
mod stream;
mod table;
mod wordpiece;

use self::files::Vocabulary;

pub(crate) use self::files::{Folder, added_token, files_with, pretty, template};

pub use self::byte::ByteTokenizer;
pub use self::char::{CharTokenizer, Eos};
pub use self::codon::CodonTokenizer;
pub use self::gpt2::gpt2;
pub use self::hub::HubTokenizer;
pub use self::residue::ResidueTokenizer;
pub use self::stream::StreamDecoder;

/// Ids that stand for no text. Two names may share one id (GPT-2's bos is its eos).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Specials {
    /// Ends a document; learned like any other target.
    pub eos: Option<u32>,
    /// Begins a document.
    pub bos: Option<u32>,
    /// What the tokenizer's files name as padding. Batches hold no padding, and an id that is also
    /// eos keeps its meaning as eos.
    pub pad: Option<u32>,
    /// Stands for what the vocabulary lacks.
    pub unk: Option<u32>,
    /// Stands for a token that is to be guessed.
    pub mask: Option<u32>,
    /// Begins a text of an encoder; what is said of the whole text is read there.
    pub cls: Option<u32>,
    /// Ends a text of an encoder that has no eos.
    pub sep: Option<u32>,
}

impl Specials {
    /// The ids that are named, each once, in rising order.
    pub fn ids(&self) -> Vec<u32> {
        let named = [
            self.eos, self.bos, self.pad, self.unk, self.mask, self.cls, self.sep,
        ];
        let ids: BTreeSet<u32> = named.into_iter().flatten().collect();
        ids.into_iter().collect()
    }
}

/// Ids of a text of which some parts may be outside the vocabulary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Ids of the parts that the vocabulary has (and its unknown id where it has one).
    pub ids: Vec<u32>,
    /// Number of parts that it lacks.
    pub n_unknown: usize,
}

/// A file of a tokenizer's folder: name and content.
pub type TokenizerFile = (&'static str, Vec<u8>);

/// Text to ids and back. Ids are `< vocab_size()`.
pub trait Tokenizer: Send + Sync {
    /// Ids of `text`, with the special ids that the tokenizer's own files put around a text.
    /// Data error when the vocabulary cannot express the text.
    fn encode(&self, text: &str) -> Result<Vec<u32>>;

    /// As `encode`, but counts what the vocabulary lacks instead of failing.
    fn encode_known(&self, text: &str) -> Result<Known>;

    /// Text of `ids`. Special ids and ids outside the vocabulary stand for no text; bytes that are
    /// not UTF-8 become U+FFFD.
    fn decode(&self, ids: &[u32]) -> String;

    /// One more than the largest id.
    fn vocab_size(&self) -> usize;

    /// The special ids.
    fn specials(&self) -> Specials;

    /// All ids that stand for no text, in rising order: those of `specials` and whatever else the
    /// vocabulary marks as special. They are never masked and never drawn.
    fn special_ids(&self) -> Vec<u32> {
        self.specials().ids()
    }

    /// Bytes of text that `id` stands for: 0 for special ids, exact for byte, char and byte-level
    /// BPE vocabularies, the length of the decoded piece otherwise.
    fn token_len_bytes(&self, id: u32) -> usize;

    /// `byte`, `char`, `gpt2`, `esm`, `amplify`, `codon`, `genes` or `file`.
    fn spec_name(&self) -> &'static str;

    /// Files from which `load` restores this tokenizer and Python's `AutoTokenizer` reads equal
    /// ids.
    fn files(&self) -> Vec<TokenizerFile>;

    /// Writes `files` into a folder, which is created if absent.
    fn save(&self, disk: &dyn Disk, dir: &Path) -> Result<()> {
        disk.create_dir_all(dir)?;
        for (name, content) in self.files() {
            disk.write_atomic(&dir.join(name), &content)?;
        }
        Ok(())
    }

    /// The id that ends a document, when there is one.
    fn eos_id(&self) -> Option<u32> {
        self.specials().eos
    }

    /// Ids of one training document: `encode`, ended by eos where the vocabulary has one.
    fn encode_document(&self, text: &str) -> Result<Vec<u32>> {
        let mut ids = self.encode(text)?;
        if let Some(eos) = self.eos_id()
            && ids.last() != Some(&eos)
        {
            ids.push(eos);
        }
        Ok(ids)
    }
}

/// Which ids stand for text: all but the special ones, of which the id of what the vocabulary lacks
/// stands for text nevertheless.
pub fn text_ids(tokenizer: &dyn Tokenizer) -> impl Fn(u32) -> bool + use<> {
    let unk = tokenizer.specials().unk;
    let mut others = tokenizer.special_ids();
    others.retain(|&id| Some(id) != unk);
    move |id| others.binary_search(&id).is_err()
}

/// Which tokenizer a configuration asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spec {
    /// 256 bytes and eos.
    Byte,
    /// The characters of the training text.
    Char(Eos),
    /// GPT-2's 50,257 ids, embedded in the binary.
    Gpt2,
    /// The 33 ids of ESM-2: amino acids.
    Esm,
    /// The 27 ids of AMPLIFY: amino acids.
    Amplify,
    /// 64 codons and 5 special ids, as CodonFM has them.
    Codon,
    /// A folder with `tokenizer.json` or `vocab.txt`, or that file.
    File(PathBuf),
}

/// The tokenizers that are built in, by the names that configurations use.
pub const BUILT_IN: &[&str] = &["gpt2", "byte", "char", "esm", "amplify", "codon"];

impl Spec {
    /// Reads one of `BUILT_IN` or a path. A name that is neither is a usage error.
    pub fn parse(text: &str) -> Result<Spec> {
        match text {
            "byte" => Ok(Spec::Byte),
            "char" => Ok(Spec::Char(Eos::Added)),
            "gpt2" => Ok(Spec::Gpt2),
            "esm" => Ok(Spec::Esm),
            "amplify" => Ok(Spec::Amplify),
            "codon" => Ok(Spec::Codon),
            path if Path::new(path).exists() => Ok(Spec::File(PathBuf::from(path))),
            other => Err(
                Error::usage(format!("unknown tokenizer `{other}`")).hint(format!(
                    "use {}, or the path of a folder with `tokenizer.json` or `vocab.txt`",
                    names(BUILT_IN)
                )),
            ),
        }
    }

    /// Makes the tokenizer. `texts` are the training texts; only `Char` reads them.
    pub fn build<'a>(
        &self,
        texts: impl IntoIterator<Item = &'a str>,
    ) -> Result<Box<dyn Tokenizer>> {
        Ok(match self {
            Spec::Byte => Box::new(ByteTokenizer),
            Spec::Char(eos) => Box::new(CharTokenizer::fit(texts, *eos)?),
            Spec::Gpt2 => Box::new(gpt2()),
            Spec::Esm => Box::new(ResidueTokenizer::esm()),
            Spec::Amplify => Box::new(ResidueTokenizer::amplify()),
            Spec::Codon => Box::new(CodonTokenizer::new()),
            Spec::File(path) => load(path)?,
        })
    }
}

/// Restores a tokenizer from a folder (or its `tokenizer.json` or `vocab.txt`), written by us or by
/// others.
pub fn load(path: &Path) -> Result<Box<dyn Tokenizer>> {
    let folder = files::Folder::read(path)?;
    Ok(match (folder.own_name(), folder.vocabulary()?) {
        (Some("byte"), _) => Box::new(ByteTokenizer::from_folder(&folder)?),
        (Some("char"), _) => Box::new(CharTokenizer::from_folder(&folder)?),
        (Some("amplify"), _) => Box::new(ResidueTokenizer::amplify_from_folder(&folder)?),
        (Some("genes"), _) => Box::new(GeneVocabulary::from_folder(&folder)?),
        (Some("codon"), _) => Box::new(CodonTokenizer::from_folder(&folder)?),
        (_, Vocabulary::Residues) => Box::new(ResidueTokenizer::from_folder(folder)?),
        (_, Vocabulary::WordPiece) => Box::new(wordpiece::from_folder(folder)?),
        (_, Vocabulary::Pipeline) => Box::new(HubTokenizer::from_folder(folder)?),
    })
}

/// `a`, `b` and so on, in backticks.
fn names(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}
