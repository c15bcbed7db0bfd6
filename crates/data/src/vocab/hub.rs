//! Any `tokenizer.json`, with the special tokens that the files beside it name.

use serde_json::{Value, json};
use tenon_base::{Error, Result};
use tokenizers::Tokenizer as Pipeline;

use super::files::{Folder, pretty};
use super::spell::Spelling;
use super::{Known, Specials, Tokenizer, TokenizerFile};

/// Ids above this are refused: tables are indexed by id.
pub(super) const VOCAB_SIZE_MAX: u32 = 1 << 24;

/// A tokenizer read from `tokenizer.json`; its own padding and truncation are switched off.
#[derive(Clone, Debug)]
pub struct HubTokenizer {
    pipeline: Pipeline,
    specials: Specials,
    len_bytes: Vec<u32>,
    files: Vec<TokenizerFile>,
    name: &'static str,
}

impl HubTokenizer {
    pub(super) fn from_folder(folder: Folder) -> Result<Self> {
        let place = folder.place("tokenizer.json");
        let bad = |what: String| Error::data(what).at(place.clone());
        let json = folder.json("tokenizer.json")?;
        check_ids(&json).map_err(bad)?;
        let mut pipeline = Pipeline::from_bytes(folder.file("tokenizer.json").unwrap_or_default())
            .map_err(|reason| bad(format!("cannot use the tokenizer: {reason}")))?;
        pipeline.with_padding(None);
        pipeline
            .with_truncation(None)
            .map_err(|reason| bad(reason.to_string()))?;
        let config = folder.json("tokenizer_config.json")?;
        pipeline.set_encode_special_tokens(config["split_special_tokens"] == json!(true));

        let len_bytes = len_bytes(&pipeline, spelling(&json));
        if len_bytes.is_empty() {
            return Err(bad("the vocabulary is empty".into()));
        }
        let specials = find_specials(&folder, &pipeline, len_bytes.len())?;
        let name = folder.own_name().unwrap_or("file");
        let mut files = folder.into_files();
        if !files
            .iter()
            .any(|(name, _)| *name == "tokenizer_config.json")
        {
            files.push((
                "tokenizer_config.json",
                pretty(&config_of(&pipeline, specials)),
            ));
        }
        Ok(HubTokenizer {
            pipeline,
            specials,
            len_bytes,
            files,
            name,
        })
    }
}

impl Tokenizer for HubTokenizer {
    fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let encoding = self
            .pipeline
            .encode_fast(text, true)
            .map_err(|reason| Error::data(format!("cannot tokenize the text: {reason}")))?;
        Ok(encoding.get_ids().to_vec())
    }

    fn encode_known(&self, text: &str) -> Result<Known> {
        let ids = self.encode(text)?;
        // GPT-2 names its eos as unk, but a byte-level vocabulary never lacks anything.
        let unk = self
            .specials
            .unk
            .filter(|&unk| Some(unk) != self.specials.eos);
        let n_unknown = ids.iter().filter(|&&id| Some(id) == unk).count();
        Ok(Known { ids, n_unknown })
    }

    fn decode(&self, ids: &[u32]) -> String {
        self.pipeline.decode(ids, true).unwrap_or_default()
    }

    fn vocab_size(&self) -> usize {
        self.len_bytes.len()
    }

    fn specials(&self) -> Specials {
        self.specials
    }

    fn special_ids(&self) -> Vec<u32> {
        let added = self.pipeline.get_added_tokens_decoder();
        let marked = added.iter().filter(|(_, token)| token.special);
        let mut ids = self.specials.ids();
        ids.extend(marked.map(|(id, _)| *id));
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    fn token_len_bytes(&self, id: u32) -> usize {
        self.len_bytes
            .get(id as usize)
            .map_or(0, |&len| len as usize)
    }

    fn spec_name(&self) -> &'static str {
        self.name
    }

    fn files(&self) -> Vec<TokenizerFile> {
        self.files.clone()
    }
}

/// Refuses huge ids before any table is sized by them.
fn check_ids(json: &Value) -> std::result::Result<(), String> {
    let vocab = json["model"]["vocab"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(_, id)| id);
    let added = json["added_tokens"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|token| &token["id"]);
    match vocab
        .chain(added)
        .filter_map(Value::as_u64)
        .find(|&id| id >= VOCAB_SIZE_MAX.into())
    {
        Some(id) => Err(format!(
            "id {id} is above the limit of {VOCAB_SIZE_MAX} ids"
        )),
        None => Ok(()),
    }
}

fn spelling(json: &Value) -> Spelling {
    let decoder = json["decoder"].to_string();
    let model = &json["model"];
    if decoder.contains("\"ByteLevel\"") {
        Spelling::ByteLevel
    } else if decoder.contains("\"WordPiece\"") || model["type"] == "WordPiece" {
        Spelling::WordPiece
    } else if decoder.contains('▁') || decoder.contains("\"ByteFallback\"") {
        Spelling::Metaspace
    } else {
        Spelling::Plain
    }
}

/// Bytes of text per id; its length is the vocabulary's size.
fn len_bytes(pipeline: &Pipeline, spelling: Spelling) -> Vec<u32> {
    let vocab = pipeline.get_vocab(true);
    let size = vocab.values().max().map_or(0, |&id| id as usize + 1);
    let mut table = vec![0; size];
    for (token, id) in vocab {
        table[id as usize] = spelling.len_bytes(&token) as u32;
    }
    for (id, token) in pipeline.get_added_tokens_decoder() {
        table[id as usize] = if token.special {
            0
        } else {
            token.content.len() as u32
        };
    }
    table
}

/// Special ids by the tokenizer's own files; the model's `config.json` answers where they are
/// silent.
fn find_specials(folder: &Folder, pipeline: &Pipeline, vocab_size: usize) -> Result<Specials> {
    let sources = [
        folder.json("tokenizer_config.json")?,
        folder.json("special_tokens_map.json")?,
    ];
    let find = |name: &str| -> Result<Option<u32>> {
        for source in &sources {
            let entry = &source[format!("{name}_token")];
            let Some(token) = entry.as_str().or(entry["content"].as_str()) else {
                continue;
            };
            return match pipeline.token_to_id(token) {
                Some(id) => Ok(Some(id)),
                None if ["pad", "mask", "cls", "sep"].contains(&name) => Ok(None),
                None => Err(Error::data(format!(
                    "the {name} token `{token}` is not in the vocabulary"
                ))
                .at(folder.place("tokenizer_config.json"))),
            };
        }
        let entry = &folder.model_config()[format!("{name}_token_id")];
        let id = entry.as_u64().or(entry[0].as_u64());
        Ok(id.filter(|&id| id < vocab_size as u64).map(|id| id as u32))
    };
    Ok(Specials {
        eos: find("eos")?,
        bos: find("bos")?,
        pad: find("pad")?,
        unk: find("unk")?,
        mask: find("mask")?,
        cls: find("cls")?,
        sep: find("sep")?,
    })
}

fn config_of(pipeline: &Pipeline, specials: Specials) -> Value {
    let mut config = json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": false,
    });
    let named = [
        ("eos_token", specials.eos),
        ("bos_token", specials.bos),
        ("pad_token", specials.pad),
        ("unk_token", specials.unk),
        ("mask_token", specials.mask),
        ("cls_token", specials.cls),
        ("sep_token", specials.sep),
    ];
    for (name, id) in named {
        if let Some(token) = id.and_then(|id| pipeline.id_to_token(id)) {
            config[name] = Value::from(token);
        }
    }
    config
}
