//! The families: spec → graph, and the names of their tensors in hub checkpoints.
//!
//! To add one: a file here, a spec, a reader of its `config.json`, a golden and the mutants it must
//! notice.

mod amplify;
mod bert;
mod custom;
mod decoder;
mod encoder;
mod encodon;
mod esm;
mod gpt2;
mod names;

use crate::checkpoint::mapping::{Counts, Mapping, Table};
use crate::hub::Naming;
use crate::net::Outputs;
use crate::spec::{Encoder, EncoderSpec, Rope, Spec};
use tenon_base::{Error, Result};
use tenon_engine::Graph;

impl Spec {
    /// The graph of the model.
    pub fn graph(&self, outputs: &Outputs) -> Graph {
        match self {
            Spec::Custom(spec) => custom::graph(spec, outputs),
            Spec::Gpt2(spec) => gpt2::graph(spec, outputs),
            Spec::Decoder(spec) => decoder::graph(spec, outputs),
            Spec::Encoder(spec) => encoder::graph(spec, outputs),
        }
    }

    /// The names of its tensors in checkpoints of the family's reference.
    pub fn mapping(&self) -> Mapping {
        Mapping {
            table: self.table(),
            counts: self.counts(),
        }
    }

    /// The names of its tensors in checkpoints of either kind.
    ///
    /// # Errors
    /// `Data` when the family has no fused layers.
    pub fn mapping_of(&self, naming: Naming) -> Result<Mapping> {
        let Naming::Fused { padded_vocab } = naming else {
            return Ok(self.mapping());
        };
        if let Some(rows) = padded_vocab
            && rows < self.vocab_size()
        {
            let v = self.vocab_size();
            return Err(Error::data(format!(
                "{rows} padded rows for a vocabulary of {v}"
            )));
        }
        let table = match self {
            Spec::Decoder(spec) => Some(spec.family.fused_table()),
            Spec::Encoder(spec) => spec.fused_table(),
            Spec::Gpt2(_) => Some(&names::fused::GPT2),
            Spec::Custom(_) => None,
        };
        let table = table.ok_or_else(|| {
            let name = self.family();
            if self.is_published_fused() {
                return Error::data(format!(
                    "`{name}` without inner norms has no other layout: fused layers are the hub's"
                ));
            }
            let learned = self.variant().filter(|_| !self.has_classes());
            let head = match learned {
                Some(variant) => format!(" {variant}"),
                None if self.has_classes() => " with a head for classes".to_owned(),
                None => String::new(),
            };
            Error::data(format!("`{name}`{head} has no layout of fused layers"))
        })?;
        let counts = Counts {
            padded_vocab,
            ..self.counts()
        };
        Ok(Mapping { table, counts })
    }

    /// Whether the family's reference has its tensors in fused layers.
    pub(crate) fn is_published_fused(&self) -> bool {
        matches!(self, Spec::Encoder(spec) if spec.family == Encoder::PlainEncodon)
    }

    fn counts(&self) -> Counts {
        let (heads, kv_heads) = match self {
            Spec::Decoder(spec) => (spec.n_heads, spec.n_kv_heads),
            Spec::Encoder(spec) => (spec.n_heads, spec.n_heads),
            Spec::Gpt2(spec) => (spec.n_heads, spec.n_heads),
            Spec::Custom(_) => return Counts::default(),
        };
        Counts {
            heads,
            kv_heads,
            padded_vocab: None,
        }
    }

    fn table(&self) -> &'static Table {
        match self {
            Spec::Custom(_) => &custom::TABLE,
            Spec::Gpt2(_) => &gpt2::TABLE,
            Spec::Decoder(spec) => spec.family.table(),
            Spec::Encoder(spec) => spec.table(),
        }
    }

    /// The family's name in configurations.
    pub fn family(&self) -> &'static str {
        match self {
            Spec::Custom(_) => "custom",
            Spec::Gpt2(_) => "gpt2",
            Spec::Decoder(spec) => spec.family.name(),
            Spec::Encoder(spec) => spec.family.name(),
        }
    }

    /// The family's name, and its variant's where there are several, for reading.
    pub fn full_name(&self) -> String {
        match self.variant() {
            Some(variant) => format!("{} {variant}", self.family()),
            None => self.family().to_owned(),
        }
    }

    /// Which of the family's published variants it is, to stand behind its name; `None` where there
    /// is one.
    pub fn variant(&self) -> Option<&'static str> {
        match self {
            Spec::Encoder(spec) => match spec.family {
                Encoder::Encodon { .. } => Some("with inner norms"),
                Encoder::PlainEncodon => Some("without inner norms"),
                Encoder::Esm {
                    rope_theta: None, ..
                } => Some("with learned positions"),
                Encoder::Bert { .. } | Encoder::Esm { .. } | Encoder::Amplify { .. } => None,
            },
            Spec::Custom(_) | Spec::Gpt2(_) | Spec::Decoder(_) => None,
        }
    }
}

/// Radians a position for each pair of a head.
fn frequencies(spec: &EncoderSpec) -> Vec<f64> {
    let theta = spec.rope_theta();
    theta.map_or_else(Vec::new, |theta| {
        Rope::plain(theta).frequencies(spec.head_dim())
    })
}
