//! The vocabulary of genes: an id and a median for each.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use tenon_base::{Error, Result};

use crate::vocab::{
    Folder, Known, Specials, Tokenizer, TokenizerFile, added_token, files_with, pretty, template,
};

/// Medians beside `tokenizer.json`.
pub(crate) const MEDIANS: &str = "gene_medians.json";

/// Ids and medians of genes; as a tokenizer it reads the names of genes parted by white space.
///
/// Special tokens are `<pad>`, `<mask>`, and with Geneformer's second version `<cls>` and `<eos>`,
/// which then stand around each sequence. There is no unknown id: genes without one are left out of
/// cells, and are an error in a text.
#[derive(Clone, Debug, PartialEq)]
pub struct GeneVocabulary {
    /// Names by id; `None` where no token has the id.
    names: Vec<Option<String>>,
    genes: BTreeMap<String, Gene>,
    specials: Specials,
    /// Bytes of text by id.
    lens: Vec<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Gene {
    id: u32,
    /// `None` for special tokens and genes that never were normalised.
    median: Option<f64>,
}

/// Ids above are refused: tables are indexed by id.
const IDS_MAX: u32 = 1 << 24;

impl GeneVocabulary {
    /// From the two dictionaries of a Geneformer release: the median of a gene's non-zero
    /// expression at `TARGET_SUM` counts a cell, and the id of a gene or special token.
    ///
    /// Data error when two tokens share an id, a median is not positive and finite, a gene with a
    /// median has no id, no gene has both, or only one of `<cls>` and `<eos>` is there.
    pub fn from_maps(
        medians: &BTreeMap<String, f64>,
        tokens: &BTreeMap<String, u32>,
    ) -> Result<Self> {
        if let Some((gene, median)) = medians.iter().find(|(_, m)| !(m.is_finite() && **m > 0.0)) {
            return Err(Error::data(format!(
                "the median of `{gene}` is {median}; medians are positive and finite"
            )));
        }
        if let Some(gene) = medians.keys().find(|gene| !tokens.contains_key(*gene)) {
            return Err(Error::data(format!("gene `{gene}` has a median and no id"))
                .hint("medians and ids must be of the same release"));
        }
        let size = tokens.values().max().map_or(0, |&id| id as usize + 1);
        if size > IDS_MAX as usize {
            return Err(Error::data(format!(
                "id {} is above the limit of {IDS_MAX} ids",
                size - 1
            )));
        }
        let mut names: Vec<Option<String>> = vec![None; size];
        let mut genes = BTreeMap::new();
        for (name, &id) in tokens {
            if name.is_empty() || name.contains(char::is_whitespace) {
                return Err(Error::data(format!("{name:?} is not the name of a gene")));
            }
            let median = medians.get(name).copied();
            genes.insert(name.clone(), Gene { id, median });
            if let Some(other) = names[id as usize].replace(name.clone()) {
                return Err(Error::data(format!("`{other}` and `{name}` share id {id}")));
            }
        }
        if medians.is_empty() {
            return Err(Error::data("no gene has a median"));
        }
        let find = |name: &str| tokens.get(name).copied();
        let specials = Specials {
            pad: find("<pad>"),
            mask: find("<mask>"),
            cls: find("<cls>"),
            eos: find("<eos>"),
            ..Specials::default()
        };
        if specials.cls.is_some() != specials.eos.is_some() {
            return Err(Error::data(
                "only one of `<cls>` and `<eos>` is in the vocabulary",
            ));
        }
        let mut lens: Vec<usize> = names
            .iter()
            .map(|name| name.as_deref().map_or(0, str::len))
            .collect();
        for id in specials.ids() {
            lens[id as usize] = 0;
        }
        Ok(GeneVocabulary {
            names,
            genes,
            specials,
            lens,
        })
    }

    /// Whether a gene has an id and a median.
    pub fn knows(&self, gene: &str) -> bool {
        self.gene(gene).is_some()
    }

    /// Id and median of a gene that has both.
    pub fn gene(&self, name: &str) -> Option<(u32, f64)> {
        let gene = self.genes.get(name)?;
        Some((gene.id, gene.median?))
    }

    pub(crate) fn from_folder(folder: &Folder) -> Result<Self> {
        let place = folder.place(MEDIANS);
        let numbers = |json: &Value| -> Option<BTreeMap<String, f64>> {
            let entries = json.as_object()?.iter();
            entries
                .map(|(name, value)| Some((name.clone(), value.as_f64()?)))
                .collect()
        };
        let medians = numbers(&folder.json(MEDIANS)?)
            .ok_or_else(|| Error::data("the medians of the genes are missing").at(place.clone()))?;
        let json = folder.json("tokenizer.json")?;
        let tokens = numbers(&json["model"]["vocab"])
            .and_then(|ids| ids.into_iter().map(whole_id).collect())
            .ok_or_else(|| {
                Error::data("`model.vocab` does not map genes to ids")
                    .at(folder.place("tokenizer.json"))
            })?;
        Self::from_maps(&medians, &tokens).map_err(|error| error.at(place))
    }
}

fn whole_id((name, id): (String, f64)) -> Option<(String, u32)> {
    let is_id = id >= 0.0 && id < f64::from(IDS_MAX) && id.fract() == 0.0;
    is_id.then_some((name, id as u32))
}

impl Tokenizer for GeneVocabulary {
    fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let genes = text.split_whitespace().map(|name| {
            let gene = self.genes.get(name);
            gene.map(|gene| gene.id).ok_or_else(|| {
                Error::data(format!("gene `{name}` is not in the vocabulary"))
                    .hint("genes are named as in the vocabulary, mostly by Ensembl ids")
            })
        });
        let around = |id: Option<u32>| id.map(Ok).into_iter();
        around(self.specials.cls)
            .chain(genes)
            .chain(around(self.specials.eos))
            .collect()
    }

    fn encode_known(&self, text: &str) -> Result<Known> {
        let found = text.split_whitespace().map(|name| self.genes.get(name));
        let mut ids: Vec<u32> = self.specials.cls.into_iter().collect();
        let mut n_unknown = 0;
        for gene in found {
            match gene {
                Some(gene) => ids.push(gene.id),
                None => n_unknown += 1,
            }
        }
        ids.extend(self.specials.eos);
        Ok(Known { ids, n_unknown })
    }

    fn decode(&self, ids: &[u32]) -> String {
        let special = self.specials.ids();
        let genes = ids.iter().filter(|id| !special.contains(id));
        let names = genes.filter_map(|&id| self.names.get(id as usize)?.as_deref());
        names.collect::<Vec<_>>().join(" ")
    }

    fn vocab_size(&self) -> usize {
        self.names.len()
    }

    fn specials(&self) -> Specials {
        self.specials
    }

    /// Ids that no token has stand for no text either.
    fn special_ids(&self) -> Vec<u32> {
        (0..self.names.len() as u32)
            .filter(|&id| self.lens[id as usize] == 0)
            .collect()
    }

    fn token_len_bytes(&self, id: u32) -> usize {
        self.lens.get(id as usize).copied().unwrap_or(0)
    }

    fn spec_name(&self) -> &'static str {
        "genes"
    }

    fn files(&self) -> Vec<TokenizerFile> {
        let named = [
            ("pad", "<pad>", self.specials.pad),
            ("mask", "<mask>", self.specials.mask),
            ("cls", "<cls>", self.specials.cls),
            ("eos", "<eos>", self.specials.eos),
        ];
        let named: Vec<(&str, &str, u32)> = named
            .into_iter()
            .filter_map(|(name, token, id)| Some((name, token, id?)))
            .collect();
        let mut added: Vec<(u32, &str)> = named.iter().map(|&(_, token, id)| (id, token)).collect();
        added.sort_unstable();
        let added: Vec<Value> = added
            .into_iter()
            .map(|(id, token)| added_token(id, token))
            .collect();
        let (mut vocab, mut medians) = (Map::new(), Map::new());
        for (id, name) in self.names.iter().enumerate() {
            if let Some(name) = name {
                vocab.insert(name.clone(), Value::from(id));
            }
        }
        for (name, gene) in &self.genes {
            if let Some(median) = gene.median {
                medians.insert(name.clone(), Value::from(median));
            }
        }
        let post = match (self.specials.cls, self.specials.eos) {
            (Some(cls), Some(eos)) => template(("<cls>", cls), ("<eos>", eos)),
            _ => Value::Null,
        };
        // The unknown token is named but absent, so other tools also fail on an unknown gene.
        let tokenizer = json!({
            "version": "1.0", "truncation": null, "padding": null,
            "added_tokens": added, "normalizer": null,
            "pre_tokenizer": {"type": "WhitespaceSplit"},
            "post_processor": post, "decoder": null,
            "model": {"type": "WordLevel", "vocab": vocab, "unk_token": "<unk>"}
        });
        let tokens: Vec<(&str, &str)> = named
            .iter()
            .map(|&(name, token, _)| (name, token))
            .collect();
        let mut files = files_with("genes", &tokenizer, false, &tokens);
        files.push((MEDIANS, pretty(&Value::Object(medians))));
        files
    }
}
