//! One id per character of the training text, in the order of code points.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use tenon_base::{Error, Result};

use super::files::{Folder, added_token, own_files};
use super::{Known, Specials, Tokenizer, TokenizerFile};

const EOS_TOKEN: &str = "<eos>";

/// Whether a fitted vocabulary gets an id that ends documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eos {
    /// The last id is `<eos>`.
    Added,
    /// Characters only.
    Absent,
}

/// The sorted characters of a text; `<eos>` after them when added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CharTokenizer {
    chars: Vec<char>,
    eos: Eos,
}

impl CharTokenizer {
    /// Collects the characters of `texts`. Data error when there are none.
    pub fn fit<'a>(texts: impl IntoIterator<Item = &'a str>, eos: Eos) -> Result<Self> {
        let chars: BTreeSet<char> = texts.into_iter().flat_map(str::chars).collect();
        if chars.is_empty() {
            return Err(Error::data(
                "cannot fit a character vocabulary to an empty text",
            ));
        }
        Ok(CharTokenizer {
            chars: chars.into_iter().collect(),
            eos,
        })
    }

    /// The characters; each one's index is its id.
    pub fn chars(&self) -> &[char] {
        &self.chars
    }

    fn id(&self, c: char) -> Option<u32> {
        self.chars.binary_search(&c).ok().map(|index| index as u32)
    }

    fn unknown(&self, text: &str, at: usize, c: char) -> Error {
        let line = text[..at].matches('\n').count() + 1;
        let column = text[..at].chars().rev().take_while(|&c| c != '\n').count() + 1;
        Error::data(format!(
            "character {c:?} (U+{:04X}) at byte {at}, line {line}, column {column} of the text is \
             not among the {} characters of the vocabulary",
            u32::from(c),
            self.chars.len()
        ))
        .hint("it holds the characters of the training text; the `byte` tokenizer takes any text")
    }

    pub(super) fn from_folder(folder: &Folder) -> Result<Self> {
        let bad = |what: String| Error::data(what).at(folder.place("tokenizer.json"));
        let json = folder.json("tokenizer.json")?;
        let vocab = json["model"]["vocab"]
            .as_object()
            .ok_or_else(|| bad("the character tokenizer has no `model.vocab`".into()))?;
        let eos = if vocab.contains_key(EOS_TOKEN) {
            Eos::Added
        } else {
            Eos::Absent
        };
        let mut chars = Vec::with_capacity(vocab.len());
        for token in vocab.keys().filter(|token| *token != EOS_TOKEN) {
            let mut of_token = token.chars();
            match (of_token.next(), of_token.next()) {
                (Some(c), None) => chars.push(c),
                _ => return Err(bad(format!("token {token:?} is not one character"))),
            }
        }
        chars.sort_unstable();
        let tokenizer = CharTokenizer { chars, eos };
        for (token, id) in vocab {
            let expected = match token.as_str() {
                EOS_TOKEN => tokenizer.eos_id(),
                one => one.chars().next().and_then(|c| tokenizer.id(c)),
            };
            if id.as_u64() != expected.map(u64::from) {
                return Err(bad(format!(
                    "token {token:?} has id {id}, not its sorted place"
                )));
            }
        }
        if tokenizer.chars.is_empty() {
            return Err(bad("the character vocabulary is empty".into()));
        }
        Ok(tokenizer)
    }
}

impl Tokenizer for CharTokenizer {
    fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let mut ids = Vec::with_capacity(text.len());
        for (at, c) in text.char_indices() {
            ids.push(self.id(c).ok_or_else(|| self.unknown(text, at, c))?);
        }
        Ok(ids)
    }

    fn encode_known(&self, text: &str) -> Result<Known> {
        let ids: Vec<u32> = text.chars().filter_map(|c| self.id(c)).collect();
        let n_unknown = text.chars().count() - ids.len();
        Ok(Known { ids, n_unknown })
    }

    fn decode(&self, ids: &[u32]) -> String {
        ids.iter()
            .filter_map(|&id| self.chars.get(id as usize))
            .collect()
    }

    fn vocab_size(&self) -> usize {
        self.chars.len() + usize::from(self.eos == Eos::Added)
    }

    fn specials(&self) -> Specials {
        let eos = (self.eos == Eos::Added).then_some(self.chars.len() as u32);
        Specials {
            eos,
            ..Specials::default()
        }
    }

    fn token_len_bytes(&self, id: u32) -> usize {
        self.chars.get(id as usize).map_or(0, |c| c.len_utf8())
    }

    fn spec_name(&self) -> &'static str {
        "char"
    }

    fn files(&self) -> Vec<TokenizerFile> {
        let mut vocab = Map::new();
        for (id, c) in self.chars.iter().enumerate() {
            vocab.insert(c.to_string(), Value::from(id));
        }
        let mut added = Vec::new();
        if let Some(eos) = self.eos_id() {
            vocab.insert(EOS_TOKEN.into(), Value::from(eos));
            added.push(added_token(eos, EOS_TOKEN));
        }
        // The unknown token is named but absent, so other tools also fail on an unknown character.
        let tokenizer = json!({
            "version": "1.0", "truncation": null, "padding": null,
            "added_tokens": added, "normalizer": null,
            "pre_tokenizer": {
                "type": "Split", "pattern": {"Regex": "[\\s\\S]"},
                "behavior": "Isolated", "invert": false
            },
            "post_processor": null, "decoder": {"type": "Fuse"},
            "model": {"type": "WordLevel", "vocab": vocab, "unk_token": "<unk>"}
        });
        own_files(
            self.spec_name(),
            &tokenizer,
            self.eos_id().map(|_| EOS_TOKEN),
        )
    }
}
