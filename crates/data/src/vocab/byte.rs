//! 256 bytes and `<eos>`: no fitting, every text expressible.

use serde_json::{Map, Value, json};
use tenon_base::{Error, Result};

use super::files::{Folder, added_token, own_files};
use super::spell::byte_symbols;
use super::{Known, Specials, Tokenizer, TokenizerFile};

const EOS: u32 = 256;
const EOS_TOKEN: &str = "<eos>";

/// Ids 0–255 are the bytes, 256 is `<eos>`.
#[derive(Clone, Copy, Debug)]
pub struct ByteTokenizer;

impl ByteTokenizer {
    pub(super) fn from_folder(folder: &Folder) -> Result<Self> {
        let ours = ByteTokenizer.files();
        if folder.file("tokenizer.json") == Some(ours[0].1.as_slice()) {
            return Ok(ByteTokenizer);
        }
        Err(
            Error::data("the tokenizer calls itself `byte` but its vocabulary differs")
                .at(folder.place("tokenizer.json"))
                .hint("remove `tenon_tokenizer` from `tokenizer_config.json` to read it as it is"),
        )
    }
}

impl Tokenizer for ByteTokenizer {
    fn encode(&self, text: &str) -> Result<Vec<u32>> {
        Ok(text.bytes().map(u32::from).collect())
    }

    fn encode_known(&self, text: &str) -> Result<Known> {
        Ok(Known {
            ids: self.encode(text)?,
            n_unknown: 0,
        })
    }

    fn decode(&self, ids: &[u32]) -> String {
        let bytes: Vec<u8> = ids.iter().filter_map(|&id| u8::try_from(id).ok()).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn vocab_size(&self) -> usize {
        257
    }

    fn specials(&self) -> Specials {
        Specials {
            eos: Some(EOS),
            ..Specials::default()
        }
    }

    fn token_len_bytes(&self, id: u32) -> usize {
        usize::from(id < EOS)
    }

    fn spec_name(&self) -> &'static str {
        "byte"
    }

    fn files(&self) -> Vec<TokenizerFile> {
        let mut vocab = Map::new();
        for (byte, symbol) in byte_symbols().into_iter().enumerate() {
            vocab.insert(symbol.to_string(), Value::from(byte));
        }
        vocab.insert(EOS_TOKEN.into(), Value::from(EOS));
        let byte_level = json!({
            "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false
        });
        let tokenizer = json!({
            "version": "1.0", "truncation": null, "padding": null,
            "added_tokens": [added_token(EOS, EOS_TOKEN)],
            "normalizer": null, "pre_tokenizer": byte_level, "post_processor": null,
            "decoder": byte_level,
            "model": {
                "type": "BPE", "dropout": null, "unk_token": null,
                "continuing_subword_prefix": null, "end_of_word_suffix": null,
                "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
                "vocab": vocab, "merges": []
            }
        });
        own_files(self.spec_name(), &tokenizer, Some(EOS_TOKEN))
    }
}
