//! Vocabularies of amino acids: one id per letter, as ESM-2 and AMPLIFY have them.

use serde_json::{Map, Value, json};
use tenon_base::{Error, Result};

use super::files::{Folder, VOCAB, added_token, files_with, pretty, template};
use super::table::{Table, check_own};
use super::{Known, Specials, Tokenizer, TokenizerFile};

/// ESM-2's tokens in the order of their ids (Lin et al. 2023; `vocab.txt` of the published models).
const ESM: &str = "<cls> <pad> <eos> <unk> L A G V S E R T I D P K Q N F Y M H W C X B U Z O . - \
                   <null_1> <mask>";

/// AMPLIFY's tokens in the order of their ids (Fournier et al. 2024; the published models' 27
/// rows). `|` parts chains.
const AMPLIFY: &str = "<pad> <unk> <mask> <bos> <eos> | L A G V S E R T I D P K Q N F Y M H W C B";

/// ESM's filler: an id that no text has.
const SILENT: &[&str] = &["<null_1>"];

/// How what the vocabulary lacks is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unknown {
    /// As `transformers` reads ESM vocabularies: white space parts, and what stands between two
    /// known tokens or spaces is one `<unk>`.
    Stretch,
    /// Every character is one `<unk>`.
    Character,
}

/// Letters to ids between the ids that begin and end a sequence. At each place the longest token
/// counts, so special tokens that are written out in a text, such as `<mask>`, are recognised.
#[derive(Clone, Debug)]
pub struct ResidueTokenizer {
    table: Table,
    begin: Option<u32>,
    end: Option<u32>,
    unknown: Unknown,
    name: &'static str,
    files: Vec<TokenizerFile>,
}

impl ResidueTokenizer {
    /// ESM-2's 33 ids: `<cls>` sequence `<eos>`. Lower-case letters are not in the vocabulary.
    pub fn esm() -> Self {
        let mut folder = Folder::of_files(Vec::new());
        folder.add(VOCAB, lines(ESM).into_bytes());
        let config = json!({
            "tokenizer_class": "EsmTokenizer",
            "clean_up_tokenization_spaces": false,
            "unk_token": "<unk>", "cls_token": "<cls>", "pad_token": "<pad>",
            "mask_token": "<mask>", "eos_token": "<eos>",
        });
        let mut map = config.clone();
        if let Some(map) = map.as_object_mut() {
            map.retain(|name, _| name.ends_with("_token"));
        }
        folder.add("tokenizer_config.json", pretty(&config));
        folder.add("special_tokens_map.json", pretty(&map));
        Self::from_folder(folder).expect("the built-in vocabulary is valid")
    }

    /// AMPLIFY's 27 ids: `<bos>` sequence `<eos>`. It has no `X`; unknown residues are `<unk>`.
    pub fn amplify() -> Self {
        let tokens: Vec<String> = split(AMPLIFY);
        let specials = Specials {
            pad: Some(0),
            unk: Some(1),
            mask: Some(2),
            bos: Some(3),
            eos: Some(4),
            ..Specials::default()
        };
        let table = Table::new(tokens, specials, &[]);
        let files = amplify_files(&table);
        ResidueTokenizer {
            table,
            begin: specials.bos,
            end: specials.eos,
            unknown: Unknown::Character,
            name: "amplify",
            files,
        }
    }

    pub(super) fn amplify_from_folder(folder: &Folder) -> Result<Self> {
        let ours = Self::amplify();
        check_own(folder, "amplify", &ours.files[0].1)?;
        Ok(ours)
    }

    /// A folder with the `vocab.txt` of an ESM tokenizer; its files are kept as they are.
    pub(super) fn from_folder(folder: Folder) -> Result<Self> {
        let tokens = folder.vocab_lines()?;
        folder.check_added(&tokens)?;
        let find = |name: &str| -> Result<Option<u32>> {
            let token = match folder.named_token(name)? {
                Some(None) => return Ok(None),
                Some(Some(token)) => token,
                None => format!("<{name}>"),
            };
            let id = tokens.iter().position(|known| *known == token);
            match (id, name) {
                (Some(id), _) => Ok(Some(id as u32)),
                (None, "unk" | "cls" | "eos") => Err(Error::data(format!(
                    "the {name} token `{token}` is not in the vocabulary"
                ))
                .at(folder.place(VOCAB))),
                (None, _) => Ok(None),
            }
        };
        let specials = Specials {
            eos: find("eos")?,
            pad: find("pad")?,
            unk: find("unk")?,
            mask: find("mask")?,
            cls: find("cls")?,
            ..Specials::default()
        };
        if specials.unk.is_none() || specials.cls.is_none() {
            return Err(
                Error::data("the vocabulary needs an unk and a cls token").at(folder.place(VOCAB))
            );
        }
        Ok(ResidueTokenizer {
            table: Table::new(tokens, specials, SILENT),
            begin: specials.cls,
            end: specials.eos,
            unknown: Unknown::Stretch,
            name: "esm",
            files: folder.into_files(),
        })
    }

    /// The tokens; each one's index is its id.
    pub fn tokens(&self) -> &[String] {
        self.table.tokens()
    }
}

impl Tokenizer for ResidueTokenizer {
    fn encode(&self, text: &str) -> Result<Vec<u32>> {
        Ok(self.encode_known(text)?.ids)
    }

    fn encode_known(&self, text: &str) -> Result<Known> {
        let unk = self.table.specials.unk;
        let mut ids = Vec::with_capacity(text.len() + 2);
        ids.extend(self.begin);
        let (mut at, mut n_unknown, mut in_stretch) = (0, 0, false);
        while at < text.len() {
            let rest = &text[at..];
            if let Some((id, len)) = self.table.longest(rest) {
                ids.push(id);
                at += len;
                in_stretch = false;
                continue;
            }
            let c = rest.chars().next().unwrap_or_default();
            at += c.len_utf8();
            let folds = self.unknown == Unknown::Stretch;
            if folds && is_space(c) {
                in_stretch = false;
            } else if !(folds && in_stretch) {
                ids.extend(unk);
                n_unknown += 1;
                in_stretch = true;
            }
        }
        ids.extend(self.end);
        Ok(Known { ids, n_unknown })
    }

    fn decode(&self, ids: &[u32]) -> String {
        self.table.decode(ids)
    }

    fn vocab_size(&self) -> usize {
        self.table.len()
    }

    fn specials(&self) -> Specials {
        self.table.specials
    }

    fn special_ids(&self) -> Vec<u32> {
        self.table.special_ids()
    }

    fn token_len_bytes(&self, id: u32) -> usize {
        self.table.len_bytes(id)
    }

    fn spec_name(&self) -> &'static str {
        self.name
    }

    fn files(&self) -> Vec<TokenizerFile> {
        self.files.clone()
    }
}

/// What Python's `str.split` parts at.
fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}')
}

fn split(tokens: &str) -> Vec<String> {
    tokens.split(' ').map(str::to_owned).collect()
}

fn lines(tokens: &str) -> String {
    split(tokens).join("\n")
}

fn amplify_files(table: &Table) -> Vec<TokenizerFile> {
    let mut vocab = Map::new();
    for (id, token) in table.tokens().iter().enumerate() {
        vocab.insert(token.clone(), Value::from(id));
    }
    let named = ["pad", "unk", "mask", "bos", "eos"];
    let tokens: Vec<(&str, &str)> = named
        .iter()
        .zip(table.tokens())
        .map(|(name, token)| (*name, token.as_str()))
        .collect();
    let added: Vec<Value> = tokens
        .iter()
        .zip(0..)
        .map(|((_, token), id)| added_token(id, token))
        .collect();
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": added, "normalizer": null,
        "pre_tokenizer": {
            "type": "Split", "pattern": {"Regex": "[\\s\\S]"},
            "behavior": "Isolated", "invert": false
        },
        "post_processor": template(("<bos>", 3), ("<eos>", 4)),
        "decoder": {"type": "Fuse"},
        "model": {"type": "WordLevel", "vocab": vocab, "unk_token": "<unk>"}
    });
    files_with("amplify", &tokenizer, false, &tokens)
}
