//! BERT's `vocab.txt`: the pipeline that its class stands for, made from the file.

use serde_json::{Map, Value, json};
use tenon_base::{Error, Result};

use super::HubTokenizer;
use super::files::{Folder, VOCAB, added_token, pretty, template};

/// Longer words are one `[UNK]` (Devlin et al. 2018; the default of BERT's tokenizer).
const WORD_CHARS_MAX: usize = 100;

const NAMES: [&str; 5] = ["pad", "unk", "cls", "sep", "mask"];

/// A folder with BERT's `vocab.txt` and no `tokenizer.json`, which is added. `do_lower_case`,
/// `strip_accents` and `tokenize_chinese_chars` of `tokenizer_config.json` count; texts are lowered
/// where it is silent, as `transformers` does.
pub(super) fn from_folder(mut folder: Folder) -> Result<HubTokenizer> {
    let tokens = folder.vocab_lines()?;
    folder.check_added(&tokens)?;
    let mut special = Vec::new();
    for name in NAMES {
        let token = match folder.named_token(name)? {
            Some(Some(token)) => token,
            _ => format!("[{}]", name.to_ascii_uppercase()),
        };
        match tokens.iter().position(|known| *known == token) {
            Some(id) => special.push((name, token, id as u32)),
            None if name == "mask" || name == "pad" => {}
            None => {
                return Err(Error::data(format!(
                    "the {name} token `{token}` is not in the vocabulary"
                ))
                .at(folder.place(VOCAB)));
            }
        }
    }
    let config = folder.json("tokenizer_config.json")?;
    let tokenizer = pipeline(&tokens, &special, &config);
    if folder.file("special_tokens_map.json").is_none() {
        let mut map = Map::new();
        for (name, token, _) in &special {
            map.insert(format!("{name}_token"), Value::from(token.as_str()));
        }
        folder.add("special_tokens_map.json", pretty(&Value::Object(map)));
    }
    if config.is_null() {
        let config = json!({"tokenizer_class": "BertTokenizer", "do_lower_case": true});
        folder.add("tokenizer_config.json", pretty(&config));
    }
    folder.add("tokenizer.json", tokenizer.to_string().into_bytes());
    HubTokenizer::from_folder(folder)
}

fn pipeline(tokens: &[String], special: &[(&str, String, u32)], config: &Value) -> Value {
    let mut vocab = Map::new();
    for (id, token) in tokens.iter().enumerate() {
        vocab.insert(token.clone(), Value::from(id));
    }
    let find = |name: &str| {
        let found = special.iter().find(|(known, ..)| *known == name);
        found.map_or(("", 0), |(_, token, id)| (token.as_str(), *id))
    };
    let mut added: Vec<&(&str, String, u32)> = special.iter().collect();
    added.sort_by_key(|(.., id)| *id);
    let added: Vec<Value> = added
        .into_iter()
        .map(|(_, token, id)| added_token(*id, token))
        .collect();
    json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": added,
        "normalizer": {
            "type": "BertNormalizer", "clean_text": true,
            "handle_chinese_chars": config["tokenize_chinese_chars"] != json!(false),
            "strip_accents": config["strip_accents"],
            "lowercase": config["do_lower_case"] != json!(false)
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": template(find("cls"), find("sep")),
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
        "model": {
            "type": "WordPiece", "unk_token": find("unk").0, "continuing_subword_prefix": "##",
            "max_input_chars_per_word": WORD_CHARS_MAX, "vocab": vocab
        }
    })
}
