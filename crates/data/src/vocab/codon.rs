//! Codons: one id per three letters, as CodonFM has them.

use serde_json::{Map, Value, json};
use tenon_base::{Error, Result};

use super::files::{Folder, added_token, files_with, template};
use super::table::{Table, check_own};
use super::{Known, Specials, Tokenizer, TokenizerFile};

const SPECIAL: [&str; 5] = ["<CLS>", "<SEP>", "<UNK>", "<PAD>", "<MASK>"];
const NAMES: [&str; 5] = ["cls", "sep", "unk", "pad", "mask"];
const BASES: [char; 4] = ['A', 'C', 'G', 'T'];
/// Letters of a codon.
const CODON: usize = 3;

/// 69 ids: `<CLS>` 0, `<SEP>` 1, `<UNK>` 2, `<PAD>` 3, `<MASK>` 4, then the 64 codons from `AAA` to
/// `TTT` in the order of `ACGT` (CodonFM's vocabulary).
///
/// A text is read in frame, `<CLS>` before it and `<SEP>` after it. `U` is read as `T` and lower
/// case as upper. Three letters with anything else among them, such as `ANG`, are one `<UNK>`, so
/// the frame is kept; CodonFM's own script goes on after one letter there. Special tokens that are
/// written out stand for one codon each.
#[derive(Clone, Debug)]
pub struct CodonTokenizer {
    table: Table,
    files: Vec<TokenizerFile>,
}

impl CodonTokenizer {
    /// The vocabulary is always the same.
    #[expect(
        clippy::new_without_default,
        reason = "a default among several vocabularies would be arbitrary"
    )]
    pub fn new() -> Self {
        let codons = BASES.into_iter().flat_map(|a| {
            BASES
                .into_iter()
                .flat_map(move |b| BASES.into_iter().map(move |c| [a, b, c].iter().collect()))
        });
        let special = SPECIAL.into_iter().map(str::to_owned);
        let specials = Specials {
            cls: Some(0),
            sep: Some(1),
            unk: Some(2),
            pad: Some(3),
            mask: Some(4),
            ..Specials::default()
        };
        let table = Table::new(special.chain(codons).collect(), specials, &[]);
        let files = files(&table);
        CodonTokenizer { table, files }
    }

    pub(super) fn from_folder(folder: &Folder) -> Result<Self> {
        let ours = Self::new();
        check_own(folder, "codon", &ours.files[0].1)?;
        Ok(ours)
    }

    /// Ids without those around the text, how many are unknown, and where a stretch between special
    /// tokens ends in an incomplete codon: its end and its number of letters.
    fn read(&self, text: &str) -> (Known, Option<(usize, usize)>) {
        let mut ids = vec![0];
        let (mut n_unknown, mut incomplete) = (0, None);
        let (mut codon, mut at) = (String::with_capacity(CODON), 0);
        let mut close = |codon: &mut String, ids: &mut Vec<u32>, at: usize| {
            let n_letters = codon.chars().count();
            if n_letters == 0 {
                return;
            }
            if n_letters < CODON && incomplete.is_none() {
                incomplete = Some((at, n_letters));
            }
            let id = self.table.id(codon);
            n_unknown += usize::from(id.is_none());
            ids.push(id.unwrap_or(UNK));
            codon.clear();
        };
        while at < text.len() {
            let rest = &text[at..];
            if let Some((id, len)) = self.table.longest_silent(rest) {
                close(&mut codon, &mut ids, at);
                ids.push(id);
                at += len;
                continue;
            }
            let c = rest.chars().next().unwrap_or_default();
            at += c.len_utf8();
            codon.push(match c.to_ascii_uppercase() {
                'U' => 'T',
                upper => upper,
            });
            if codon.chars().count() == CODON {
                close(&mut codon, &mut ids, at);
            }
        }
        close(&mut codon, &mut ids, at);
        ids.push(1);
        (Known { ids, n_unknown }, incomplete)
    }
}

/// Id of what is not one of the 64 codons.
const UNK: u32 = 2;

impl Tokenizer for CodonTokenizer {
    /// Data error when the letters between special tokens are no multiple of three: most likely the
    /// sequence is not in frame, and every codon would be wrong.
    fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let (known, incomplete) = self.read(text);
        match incomplete {
            None => Ok(known.ids),
            Some((end, n_letters)) => Err(Error::data(format!(
                "the sequence ends at byte {end} with {n_letters} of the {CODON} letters of a codon"
            ))
            .hint("cut coding sequences at whole codons, beginning in frame")),
        }
    }

    /// An incomplete last codon counts as one unknown.
    fn encode_known(&self, text: &str) -> Result<Known> {
        Ok(self.read(text).0)
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

    fn token_len_bytes(&self, id: u32) -> usize {
        self.table.len_bytes(id)
    }

    fn spec_name(&self) -> &'static str {
        "codon"
    }

    fn files(&self) -> Vec<TokenizerFile> {
        self.files.clone()
    }
}

fn files(table: &Table) -> Vec<TokenizerFile> {
    let mut vocab = Map::new();
    for (id, token) in table.tokens().iter().enumerate() {
        vocab.insert(token.clone(), Value::from(id));
    }
    let added: Vec<Value> = SPECIAL
        .into_iter()
        .zip(0..)
        .map(|(token, id)| added_token(id, token))
        .collect();
    let replaced = [
        ("a", "A"),
        ("c", "C"),
        ("g", "G"),
        ("t", "T"),
        ("u", "T"),
        ("U", "T"),
    ];
    let normalizers = replaced
        .map(|(from, to)| json!({"type": "Replace", "pattern": {"String": from}, "content": to}));
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": added,
        "normalizer": {"type": "Sequence", "normalizers": normalizers},
        "pre_tokenizer": {
            "type": "Split", "pattern": {"Regex": "[\\s\\S]{1,3}"},
            "behavior": "Isolated", "invert": false
        },
        "post_processor": template((SPECIAL[0], 0), (SPECIAL[1], 1)),
        "decoder": {"type": "Fuse"},
        "model": {"type": "WordLevel", "vocab": vocab, "unk_token": SPECIAL[2]}
    });
    let tokens: Vec<(&str, &str)> = NAMES.into_iter().zip(SPECIAL).collect();
    files_with("codon", &tokenizer, false, &tokens)
}
