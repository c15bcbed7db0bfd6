//! The files of a tokenizer's folder: reading them as they are, writing ours.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use tenon_base::{Error, Result};

use super::TokenizerFile;

/// Every file that belongs to a tokenizer; what is found is kept to the byte.
const NAMES: [&str; 6] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "vocab.txt",
];

/// Larger files are refused before they are read.
pub(super) const TOKENIZER_FILE_BYTES_MAX: u64 = 256 << 20;

/// The tokenizer files of one folder.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    dir: PathBuf,
    files: Vec<TokenizerFile>,
    model_config: Value,
}

impl Folder {
    /// Reads a folder, or the folder of a `tokenizer.json`.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let dir = match path.is_file() {
            true => path.parent().unwrap_or(Path::new("")).to_path_buf(),
            false => path.to_path_buf(),
        };
        let mut files = Vec::new();
        for name in NAMES {
            let file = match name {
                "tokenizer.json" if path.is_file() => path.to_path_buf(),
                _ => dir.join(name),
            };
            if file.is_file() {
                files.push((name, read_limited(&file)?));
            }
        }
        if !files.iter().any(|(name, _)| *name == "tokenizer.json") {
            return Err(
                Error::data(format!("no `tokenizer.json` in `{}`", dir.display())).hint(
                    "save a fast tokenizer with `save_pretrained`, or use `byte`, `char` or `gpt2`",
                ),
            );
        }
        let config = dir.join("config.json");
        let model_config = match config.is_file() {
            true => parse(&read_limited(&config)?, &config)?,
            false => Value::Null,
        };
        Ok(Folder {
            dir,
            files,
            model_config,
        })
    }

    /// A folder that exists in memory only.
    pub(super) fn of_files(files: Vec<TokenizerFile>) -> Self {
        Folder {
            dir: PathBuf::new(),
            files,
            model_config: Value::Null,
        }
    }

    pub(super) fn file(&self, name: &str) -> Option<&[u8]> {
        self.files
            .iter()
            .find(|(n, _)| *n == name)
            .map(|(_, content)| content.as_slice())
    }

    /// The parsed file; null when absent.
    pub(super) fn json(&self, name: &str) -> Result<Value> {
        match self.file(name) {
            Some(content) => parse(content, &self.dir.join(name)),
            None => Ok(Value::Null),
        }
    }

    pub(super) fn place(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }

    pub(super) fn into_files(self) -> Vec<TokenizerFile> {
        self.files
    }

    /// The model's `config.json` beside the tokenizer; null when absent.
    pub(super) fn model_config(&self) -> &Value {
        &self.model_config
    }

    /// The name under which one of our own tokenizers wrote the folder.
    pub(super) fn own_name(&self) -> Option<&'static str> {
        let config = self.json("tokenizer_config.json").ok()?;
        let name = config["tenon_tokenizer"].as_str()?;
        ["byte", "char", "gpt2"]
            .into_iter()
            .find(|own| *own == name)
    }
}

fn read_limited(path: &Path) -> Result<Vec<u8>> {
    let cannot = |reason| Error::io("cannot read", path, &reason);
    let len = std::fs::metadata(path).map_err(cannot)?.len();
    if len > TOKENIZER_FILE_BYTES_MAX {
        return Err(Error::data(format!(
            "the file has {len} bytes; a tokenizer may have {TOKENIZER_FILE_BYTES_MAX}"
        ))
        .at(path.display().to_string()));
    }
    std::fs::read(path).map_err(cannot)
}

fn parse(content: &[u8], path: &Path) -> Result<Value> {
    serde_json::from_slice(content).map_err(|reason| {
        Error::data(format!("bad JSON: {reason}")).at(format!(
            "{}:{}:{}",
            path.display(),
            reason.line(),
            reason.column()
        ))
    })
}

/// An entry of `added_tokens` for a special token.
pub(super) fn added_token(id: u32, content: &str) -> Value {
    json!({
        "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
        "normalized": false, "special": true
    })
}

/// The three files of a tokenizer of ours. `split_special_tokens` makes other tools read the name
/// of a special token inside a text as text, as ours do.
pub(super) fn own_files(name: &str, tokenizer: &Value, eos: Option<&str>) -> Vec<TokenizerFile> {
    let mut config = json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "tenon_tokenizer": name,
        "clean_up_tokenization_spaces": false,
        "split_special_tokens": name != "gpt2",
    });
    let mut map = Map::new();
    let names: &[&str] = match name {
        "gpt2" => &["bos_token", "eos_token", "unk_token"],
        _ => &["eos_token"],
    };
    for (token, name) in eos
        .iter()
        .flat_map(|token| names.iter().map(move |name| (*token, *name)))
    {
        config[name] = Value::from(token);
        map.insert(name.into(), Value::from(token));
    }
    vec![
        ("tokenizer.json", tokenizer.to_string().into_bytes()),
        ("tokenizer_config.json", pretty(&config)),
        ("special_tokens_map.json", pretty(&Value::Object(map))),
    ]
}

/// Indented JSON with a final newline.
pub(super) fn pretty(value: &Value) -> Vec<u8> {
    format!("{value:#}\n").into_bytes()
}
