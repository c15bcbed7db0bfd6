//! The files of a tokenizer's folder: reading them as they are, writing ours.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use tenon_base::{Error, Result};

use super::TokenizerFile;
use crate::cells::MEDIANS;

/// Every file that belongs to a tokenizer; what is found is kept to the byte.
const NAMES: [&str; 7] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    VOCAB,
    MEDIANS,
];

/// One token a line.
pub(super) const VOCAB: &str = "vocab.txt";

/// Larger files are refused before they are read.
pub(super) const TOKENIZER_FILE_BYTES_MAX: u64 = 256 << 20;

/// What the files of a folder describe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Vocabulary {
    /// A whole `tokenizer.json`.
    Pipeline,
    /// ESM's `vocab.txt`: the longest token at each place.
    Residues,
    /// BERT's `vocab.txt`.
    WordPiece,
}

/// The tokenizer files of one folder.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    dir: PathBuf,
    files: Vec<TokenizerFile>,
    model_config: Value,
}

impl Folder {
    /// Reads a folder, or the folder of a `tokenizer.json` or `vocab.txt`.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let dir = match path.is_file() {
            true => path.parent().unwrap_or(Path::new("")).to_path_buf(),
            false => path.to_path_buf(),
        };
        let is_vocab = path.file_name().is_some_and(|name| name == VOCAB);
        let mut files = Vec::new();
        for name in NAMES {
            let file = match name {
                "tokenizer.json" if path.is_file() && !is_vocab => path.to_path_buf(),
                _ => dir.join(name),
            };
            if file.is_file() {
                files.push((name, read_limited(&file)?));
            }
        }
        let has = |wanted: &str| files.iter().any(|(name, _)| *name == wanted);
        if !has("tokenizer.json") && !has(VOCAB) {
            let message = format!("no `tokenizer.json` or `vocab.txt` in `{}`", dir.display());
            return Err(Error::data(message).hint(format!(
                "save the tokenizer with `save_pretrained`, or use one of {}",
                super::names(super::BUILT_IN)
            )));
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
    pub(crate) fn json(&self, name: &str) -> Result<Value> {
        match self.file(name) {
            Some(content) => parse(content, &self.dir.join(name)),
            None => Ok(Value::Null),
        }
    }

    pub(crate) fn place(&self, name: &str) -> String {
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
        ["byte", "char", "gpt2", "amplify", "codon", "genes"]
            .into_iter()
            .find(|own| *own == name)
    }

    /// Adds a file that the folder lacks, where reading would have found it.
    pub(super) fn add(&mut self, name: &'static str, content: Vec<u8>) {
        self.files.push((name, content));
        let place = |name: &str| NAMES.iter().position(|known| *known == name);
        self.files.sort_by_key(|(name, _)| place(name));
    }

    /// How the folder's vocabulary is read. The class decides where `tokenizer_config.json` names
    /// one that has only `vocab.txt`; without a class the names of the special tokens do.
    pub(super) fn vocabulary(&self) -> Result<Vocabulary> {
        let config = self.json("tokenizer_config.json")?;
        let class = config["tokenizer_class"].as_str().unwrap_or_default();
        let has_vocab = self.file(VOCAB).is_some();
        match (class, self.file("tokenizer.json").is_some()) {
            ("EsmTokenizer", _) if has_vocab => Ok(Vocabulary::Residues),
            (_, true) => Ok(Vocabulary::Pipeline),
            ("", false) => self.vocabulary_by_tokens(),
            (class, false) if WORD_PIECE.contains(&class.trim_end_matches("Fast")) => {
                Ok(Vocabulary::WordPiece)
            }
            (class, false) => Err(Error::data(format!(
                "cannot read the `vocab.txt` of a `{class}` without `tokenizer.json`"
            ))
            .at(self.place("tokenizer_config.json"))
            .hint("load it in Python as a fast tokenizer and save it with `save_pretrained`")),
        }
    }

    fn vocabulary_by_tokens(&self) -> Result<Vocabulary> {
        let tokens = self.vocab_lines()?;
        let has = |token: &str| tokens.iter().any(|line| line == token);
        if has("<unk>") && has("<cls>") {
            Ok(Vocabulary::Residues)
        } else if has("[UNK]") && has("[CLS]") && has("[SEP]") {
            Ok(Vocabulary::WordPiece)
        } else {
            Err(Error::data(
                "the vocabulary has neither `<unk>` and `<cls>` (ESM) nor `[UNK]`, `[CLS]` and \
                 `[SEP]` (BERT)",
            )
            .at(self.place(VOCAB))
            .hint("name its `tokenizer_class` in `tokenizer_config.json`"))
        }
    }

    /// The tokens of `vocab.txt`, each one's index being its id: distinct and not empty.
    pub(super) fn vocab_lines(&self) -> Result<Vec<String>> {
        let place = self.place(VOCAB);
        let text = std::str::from_utf8(self.file(VOCAB).unwrap_or_default()).map_err(|reason| {
            Error::data(format!("not UTF-8 from byte {}", reason.valid_up_to())).at(place.clone())
        })?;
        let mut lines: Vec<String> = Vec::new();
        let mut seen = BTreeMap::new();
        for (index, line) in text.trim_end().lines().enumerate() {
            let token = line.trim();
            let at = || format!("{place}:{}", index + 1);
            if token.is_empty() {
                return Err(Error::data("an empty line among the tokens").at(at()));
            }
            if let Some(first) = seen.insert(token, index) {
                let message = format!("token `{token}` is already that of line {}", first + 1);
                return Err(Error::data(message).at(at()));
            }
            lines.push(token.to_owned());
        }
        match lines.is_empty() {
            true => Err(Error::data("the vocabulary is empty").at(place)),
            false => Ok(lines),
        }
    }

    /// Data error when the files add a token that `vocab.txt` has not, or has under another id: its
    /// ids would be silently wrong.
    pub(super) fn check_added(&self, tokens: &[String]) -> Result<()> {
        let config = self.json("tokenizer_config.json")?;
        let by_id = config["added_tokens_decoder"].as_object().into_iter();
        let by_id = by_id.flatten().map(|(id, token)| {
            let token = token["content"].as_str().unwrap_or_default();
            (token.to_owned(), id.parse::<u64>().ok())
        });
        let added = self.json("added_tokens.json")?;
        let by_token = added.as_object().into_iter().flatten();
        let by_token = by_token.map(|(token, id)| (token.clone(), id.as_u64()));
        for (token, id) in by_id.chain(by_token) {
            let known = id.and_then(|id| tokens.get(usize::try_from(id).ok()?));
            if known != Some(&token) {
                let id = id.map_or("no number".to_owned(), |id| id.to_string());
                let message = format!("the added token `{token}` with id {id} is not in `{VOCAB}`");
                return Err(Error::data(message)
                    .at(self.place("tokenizer_config.json"))
                    .hint("save the tokenizer in Python as a fast one, with `tokenizer.json`"));
            }
        }
        Ok(())
    }

    /// The token that the files name as `<name>_token`: in `tokenizer_config.json`, else in
    /// `special_tokens_map.json`. `Some(None)` when a file says that there is none.
    pub(super) fn named_token(&self, name: &str) -> Result<Option<Option<String>>> {
        for file in ["tokenizer_config.json", "special_tokens_map.json"] {
            let json = self.json(file)?;
            let Some(entry) = json.get(format!("{name}_token")) else {
                continue;
            };
            let token = entry.as_str().or(entry["content"].as_str());
            return Ok(Some(token.map(str::to_owned)));
        }
        Ok(None)
    }
}

/// Classes whose `vocab.txt` is BERT's, without the `Fast` of their second form.
const WORD_PIECE: [&str; 4] = [
    "BertTokenizer",
    "DistilBertTokenizer",
    "ElectraTokenizer",
    "MobileBertTokenizer",
];

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
pub(crate) fn added_token(id: u32, content: &str) -> Value {
    json!({
        "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
        "normalized": false, "special": true
    })
}

/// The three files of a tokenizer of ours. `split_special_tokens` makes other tools read the name
/// of a special token inside a text as text, as ours do.
pub(super) fn own_files(name: &str, tokenizer: &Value, eos: Option<&str>) -> Vec<TokenizerFile> {
    let names: &[&str] = match name {
        "gpt2" => &["bos", "eos", "unk"],
        _ => &["eos"],
    };
    let tokens = eos
        .iter()
        .flat_map(|token| names.iter().map(move |name| (*name, *token)));
    let tokens: Vec<(&str, &str)> = tokens.collect();
    files_with(name, tokenizer, name != "gpt2", &tokens)
}

/// The three files of a tokenizer of ours whose special tokens are `(name, token)`.
pub(crate) fn files_with(
    name: &str,
    tokenizer: &Value,
    split_special_tokens: bool,
    tokens: &[(&str, &str)],
) -> Vec<TokenizerFile> {
    let mut config = json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "tenon_tokenizer": name,
        "clean_up_tokenization_spaces": false,
        "split_special_tokens": split_special_tokens,
    });
    let mut map = Map::new();
    for (name, token) in tokens {
        config[format!("{name}_token")] = Value::from(*token);
        map.insert(format!("{name}_token"), Value::from(*token));
    }
    vec![
        ("tokenizer.json", tokenizer.to_string().into_bytes()),
        ("tokenizer_config.json", pretty(&config)),
        ("special_tokens_map.json", pretty(&Value::Object(map))),
    ]
}

/// The post-processor that puts `begin` before a text and `end` after it, and `end` after a second.
pub(crate) fn template(begin: (&str, u32), end: (&str, u32)) -> Value {
    let special =
        |(token, _): (&str, u32), text| json!({"SpecialToken": {"id": token, "type_id": text}});
    let sequence = |name: &str, text| json!({"Sequence": {"id": name, "type_id": text}});
    let entry = |(token, id): (&str, u32)| json!({"id": token, "ids": [id], "tokens": [token]});
    let single = [special(begin, 0), sequence("A", 0), special(end, 0)];
    let second = [sequence("B", 1), special(end, 1)];
    let pair: Vec<&Value> = single.iter().chain(&second).collect();
    let mut special_tokens = Map::new();
    for token in [begin, end] {
        special_tokens.insert(token.0.to_owned(), entry(token));
    }
    json!({
        "type": "TemplateProcessing",
        "single": single, "pair": pair, "special_tokens": special_tokens,
    })
}

/// Indented JSON with a final newline.
pub(crate) fn pretty(value: &Value) -> Vec<u8> {
    format!("{value:#}\n").into_bytes()
}
