//! What encoders have in common.

use super::names::classes;
use super::names::encoder::{AMPLIFY, BERT, BERT_UNTIED, ENCODON, ESM, PLAIN_ENCODON};
use super::names::fused;
use super::{amplify, bert, encodon, esm};
use crate::checkpoint::mapping::Table;
use crate::net::{Net, Outputs, Weight};
use crate::spec::{Activation as Name, Encoder, EncoderSpec, Head};
use tenon_engine::graph::Part;
use tenon_engine::ops::WeightLayout;
use tenon_engine::table::{Activation, AttentionDims, RopeStyle};
use tenon_engine::{Graph, Init, ValueId};

impl Encoder {
    /// The family's name in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Encoder::Bert { .. } => "bert",
            Encoder::Esm { .. } => "esm2",
            Encoder::Amplify { .. } => "amplify",
            Encoder::Encodon { .. } | Encoder::PlainEncodon => "codonfm",
        }
    }
}

impl EncoderSpec {
    /// The names of its tensors.
    pub(super) fn table(&self) -> &'static Table {
        match (self.family, self.head) {
            (Encoder::Bert { .. }, Head::Masked) if self.tie_embeddings => &BERT,
            (Encoder::Bert { .. }, Head::Masked) => &BERT_UNTIED,
            (Encoder::Bert { .. }, _) => &classes::BERT,
            (Encoder::Esm { .. }, Head::Masked) => &ESM,
            (Encoder::Esm { .. }, _) => &classes::ESM,
            (Encoder::Amplify { .. }, _) => &AMPLIFY,
            (Encoder::Encodon { .. }, _) => &ENCODON,
            (Encoder::PlainEncodon, _) => &PLAIN_ENCODON,
        }
    }

    /// The names of its tensors in fused layers, where they are not those of the hub. No reference
    /// has fused layers and classes.
    pub(super) fn fused_table(&self) -> Option<&'static Table> {
        match self.family {
            _ if self.head != Head::Masked => None,
            Encoder::Bert { .. } => Some(&fused::BERT),
            Encoder::Esm { rope_theta, .. } => rope_theta.map(|_| &fused::ESM),
            Encoder::Amplify { .. } => Some(&fused::AMPLIFY),
            Encoder::Encodon { .. } => Some(&fused::ENCODON),
            Encoder::PlainEncodon => None,
        }
    }
}

impl EncoderSpec {
    /// Its attention: in both directions, each head with keys of its own.
    pub(crate) fn attention_dims(&self) -> AttentionDims {
        let head_dim = self.head_dim();
        AttentionDims {
            n_heads: self.n_heads,
            n_kv_heads: self.n_heads,
            head_dim,
            scale: (head_dim as f64).recip().sqrt(),
            causal: false,
            window: None,
        }
    }
}

/// Builds the graph.
pub(super) fn graph(spec: &EncoderSpec, outputs: &Outputs) -> Graph {
    let net = Net::new(outputs);
    match spec.family {
        Encoder::Bert { token_types } => bert::graph(net, spec, token_types),
        Encoder::Esm {
            token_dropout,
            embed_norm,
            ..
        } => esm::graph(net, spec, token_dropout, embed_norm),
        Encoder::Amplify { .. } => amplify::graph(net, spec),
        Encoder::Encodon { .. } => encodon::graph(net, spec, true),
        Encoder::PlainEncodon => encodon::graph(net, spec, false),
    }
}

/// The parts of an encoder's graph.
pub(super) struct Parts<'s> {
    pub(super) spec: &'s EncoderSpec,
    pub(super) init: Init,
    /// Whether linear maps have biases.
    pub(super) bias: bool,
    /// How queries and keys are rotated, when they are.
    pub(super) rotary: Option<RopeStyle>,
}

impl Parts<'_> {
    /// A linear map.
    pub(super) fn linear(
        &self,
        net: &mut Net<'_>,
        x: ValueId,
        (name, part): (&str, Part),
        sizes: [usize; 2],
    ) -> ValueId {
        let init = self.init;
        let w = Weight { name, part, init };
        net.linear(x, w, sizes, WeightLayout::OutIn, self.bias)
    }

    /// The token embedding and its table.
    pub(super) fn tokens(&self, net: &mut Net<'_>) -> (ValueId, ValueId) {
        let w = Weight {
            name: "token_embedding.weight",
            part: Part::TokenEmbedding,
            init: self.init,
        };
        let table = net.weight(w, &[self.spec.vocab_size, self.spec.d_model]);
        (net.tokens(table), table)
    }

    /// Attention in both directions, up to what its output projection reads.
    pub(super) fn attend(&self, net: &mut Net<'_>, y: ValueId) -> ValueId {
        let (d, head_dim) = (self.spec.d_model, self.spec.head_dim());
        let parts = [
            ("attn.q", Part::Query),
            ("attn.k", Part::Key),
            ("attn.v", Part::Value),
        ];
        let [mut q, mut k, v] = parts.map(|part| self.linear(net, y, part, [d, d]));
        if let Some(style) = self.rotary {
            q = net.rotate(q, "attn.rotate_q", head_dim, style);
            k = net.rotate(k, "attn.rotate_k", head_dim, style);
        }
        net.attention(&[q, k, v], self.spec.attention_dims())
    }

    /// The output projection of attention.
    pub(super) fn attention_out(&self, net: &mut Net<'_>, y: ValueId) -> ValueId {
        let d = self.spec.d_model;
        self.linear(net, y, ("attn.out", Part::AttentionOut), [d, d])
    }

    /// The first matrix of the feed-forward part, and its activation.
    pub(super) fn widen(&self, net: &mut Net<'_>, y: ValueId) -> ValueId {
        let sizes = [self.spec.d_model, self.spec.d_ffn];
        let y = self.linear(net, y, ("mlp.in", Part::FeedForwardIn), sizes);
        net.activate(y, self.activation())
    }

    /// The last matrix of the feed-forward part.
    pub(super) fn narrow(&self, net: &mut Net<'_>, y: ValueId) -> ValueId {
        let sizes = [self.spec.d_ffn, self.spec.d_model];
        self.linear(net, y, ("mlp.out", Part::FeedForwardOut), sizes)
    }

    pub(super) fn activation(&self) -> Activation {
        match self.spec.activation {
            Name::GeluNew => Activation::GeluTanh,
            Name::Gelu => Activation::GeluErf,
            Name::Relu => Activation::Relu,
            Name::Silu => Activation::Silu,
        }
    }

    /// The head that the model has; `activation` is that of the one for masked tokens.
    pub(super) fn head(
        &self,
        mut net: Net<'_>,
        x: ValueId,
        table: ValueId,
        activation: Activation,
    ) -> Graph {
        match self.spec.head {
            Head::Masked => self.masked_head(net, x, table, activation),
            Head::Token { n_classes } => {
                let x = net.dropout(x, "head.dropout");
                let [weight, bias] = self.classes(&mut net, "head.token", n_classes);
                net.counted_head(x, weight, WeightLayout::OutIn, bias)
            }
            Head::Sequence { n_classes, problem } => {
                let d = self.spec.d_model;
                let y = net.first_rows(x);
                let y = match self.spec.family {
                    Encoder::Esm { .. } => net.dropout(y, "head.first.dropout"),
                    _ => y,
                };
                let y = self.linear(&mut net, y, ("head.pool", Part::Head), [d, d]);
                let y = net.activate_at(y, "head.act", Activation::Tanh);
                let y = net.dropout(y, "head.dropout");
                let weights = self.classes(&mut net, "head.sequence", n_classes);
                let [weight, bias] = weights;
                match problem.value_loss() {
                    Some(kind) => net.value_head(y, weights, kind),
                    None => net.counted_head(y, weight, WeightLayout::OutIn, bias),
                }
            }
        }
    }

    /// Weight and bias of the map from rows of the stream to classes or numbers.
    fn classes(&self, net: &mut Net<'_>, name: &str, n_classes: usize) -> [ValueId; 2] {
        let weight = Weight {
            name: &format!("{name}.weight"),
            part: Part::Head,
            init: self.init,
        };
        let bias = Weight {
            name: &format!("{name}.bias"),
            init: Init::Constant(0.0),
            ..weight
        };
        let weight = net.weight(weight, &[n_classes, self.spec.d_model]);
        [weight, net.weight(bias, &[n_classes])]
    }

    /// The head for masked tokens: a map, an activation, a norm, and the vocabulary.
    fn masked_head(
        &self,
        mut net: Net<'_>,
        x: ValueId,
        table: ValueId,
        activation: Activation,
    ) -> Graph {
        let (v, d) = (self.spec.vocab_size, self.spec.d_model);
        let y = self.linear(&mut net, x, ("head.dense", Part::Head), [d, d]);
        let y = net.activate_at(y, "head.act", activation);
        let y = net.layer_norm(y, "head.norm", self.spec.norm_eps);
        let weight = match self.spec.tie_embeddings {
            true => table,
            false => self.head_weight(&mut net, [v, d]),
        };
        let bias = head_bias(&mut net, v);
        net.counted_head(y, weight, WeightLayout::OutIn, bias)
    }

    pub(super) fn head_weight(&self, net: &mut Net<'_>, shape: [usize; 2]) -> ValueId {
        let w = Weight {
            name: "head.weight",
            part: Part::Head,
            init: self.init,
        };
        net.weight(w, &shape)
    }
}

/// The bias of the logits.
pub(super) fn head_bias(net: &mut Net<'_>, vocab_size: usize) -> ValueId {
    let w = Weight {
        name: "head.bias",
        part: Part::Head,
        init: Init::Constant(0.0),
    };
    net.weight(w, &[vocab_size])
}
