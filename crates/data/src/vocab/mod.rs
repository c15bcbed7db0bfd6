//! Tokenizers: text to ids and back, and the files that other tools load with equal ids.

use std::path::{Path, PathBuf};

use tenon_base::files::Disk;
use tenon_base::{Error, Result};

mod byte;
mod char;
mod files;
mod gpt2;
mod hub;
mod spell;
mod stream;

pub use self::byte::ByteTokenizer;
pub use self::char::{CharTokenizer, Eos};
pub use self::gpt2::gpt2;
pub use self::hub::HubTokenizer;
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

    /// Bytes of text that `id` stands for: 0 for special ids, exact for byte, char and byte-level
    /// BPE vocabularies, the length of the decoded piece otherwise.
    fn token_len_bytes(&self, id: u32) -> usize;

    /// `byte`, `char`, `gpt2` or `file`.
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

/// Which tokenizer a configuration asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spec {
    /// 256 bytes and eos.
    Byte,
    /// The characters of the training text.
    Char(Eos),
    /// GPT-2's 50,257 ids, embedded in the binary.
    Gpt2,
    /// A folder with `tokenizer.json`, or that file.
    File(PathBuf),
}

impl Spec {
    /// Reads `byte`, `char`, `gpt2` or a path. A name that is neither is a usage error.
    pub fn parse(text: &str) -> Result<Spec> {
        match text {
            "byte" => Ok(Spec::Byte),
            "char" => Ok(Spec::Char(Eos::Added)),
            "gpt2" => Ok(Spec::Gpt2),
            path if Path::new(path).exists() => Ok(Spec::File(PathBuf::from(path))),
            other => Err(Error::usage(format!("unknown tokenizer `{other}`"))
                .hint("use `byte`, `char`, `gpt2`, or the path of a folder with `tokenizer.json`")),
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
            Spec::File(path) => load(path)?,
        })
    }
}

/// Restores a tokenizer from a folder (or its `tokenizer.json`), written by us or by others.
pub fn load(path: &Path) -> Result<Box<dyn Tokenizer>> {
    let folder = files::Folder::read(path)?;
    Ok(match folder.own_name() {
        Some("byte") => Box::new(ByteTokenizer::from_folder(&folder)?),
        Some("char") => Box::new(CharTokenizer::from_folder(&folder)?),
        _ => Box::new(HubTokenizer::from_folder(folder)?),
    })
}
