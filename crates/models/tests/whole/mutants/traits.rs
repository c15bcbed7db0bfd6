//! What a graph is made of, and the mutants that each part asks for: a family can have no part
//! whose mistakes nobody tried.

use std::collections::BTreeSet;

use tenon_engine::Graph;
use tenon_engine::graph::{Node, Param, Part};
use tenon_engine::ops::{Attention, AttentionLayout, Embedding};
use tenon_models::spec::{Objective, RopeScaling, Spec};

use super::mutants_of;
use crate::common::{COMMITTED, Golden, committed};
use crate::mistakes::Subject;
use crate::mistakes::graphs::op;
use crate::mistakes::weights::has_fused_heads;

/// Parts, and the mutants of a golden that has them.
const ASKED: &[(&str, &[&str])] = &[
    (
        "add",
        &["in-place residual", "no attention", "no feed-forward"],
    ),
    (
        "attention",
        &[
            "attention to itself",
            "scores unscaled",
            "no boundaries",
            "no padding mask",
        ],
    ),
    ("attention, causal", &["no causal mask"]),
    ("attention, of both sides", &["causal mask"]),
    ("attention, query, key and value apart", &["keys as values"]),
    (
        "attention, as many keys as queries",
        &["queries as keys", "queries as values"],
    ),
    ("attention, packed", &["value, query, key"]),
    ("attention, window", &["no window", "window longer by one"]),
    (
        "attention, window in some layers",
        &["window in every layer"],
    ),
    ("embedding", &[]),
    (
        "experts",
        &[
            "gate and up swapped",
            "least likely experts",
            "one expert less",
            "experts not normalised",
        ],
    ),
    ("fused layout", &["heads of fused layers not undone"]),
    ("GELU in the head", &["GELU of the other form in the head"]),
    (
        "gelu_erf",
        &[
            "GELU of the other form",
            "derivative of the other GELU",
            "ReLU for GELU",
        ],
    ),
    (
        "gelu_tanh",
        &[
            "GELU of the other form",
            "derivative of the other GELU",
            "ReLU for GELU",
        ],
    ),
    (
        "layer_norm",
        &["other eps of norms", "norms on the other side"],
    ),
    ("linear", &[]),
    ("linear_xent", &["labels shifted once more"]),
    ("masked", &[]),
    (
        "next token",
        &["labels not shifted", "labels across boundaries"],
    ),
    ("norm `attn.inner_norm`", &["no inner norms"]),
    ("norm `attn.k_norm`", &["no norms of queries and keys"]),
    ("norm `attn.norm`", &["norms on the other side"]),
    ("norm `attn.q_norm`", &["no norms of queries and keys"]),
    ("norm `embed.norm`", &["no norm of the embedding"]),
    ("norm `final_norm`", &["no final norm"]),
    (
        "norm `head.norm`",
        &["no norm in the head", "other activation in the head"],
    ),
    ("norm `mlp.inner_norm`", &["no inner norms"]),
    ("norm `mlp.norm`", &["norms on the other side"]),
    ("bias of attention", &["no biases of attention"]),
    ("bias of the logits", &["no bias of the logits"]),
    (
        "input `positions`, learned",
        &["no positions", "positions of columns"],
    ),
    (
        "positions behind padding",
        &["positions from the first row"],
    ),
    (
        "input `token_types`",
        &["no token types", "all tokens of type 0"],
    ),
    ("relu", &["GELU for ReLU"]),
    (
        "rms_norm",
        &["other eps of norms", "norms on the other side"],
    ),
    ("rope scaling", &["no rope scaling"]),
    ("rope score factor", &["no rope score factor"]),
    (
        "rotary",
        &[
            "other rotary pairs",
            "other rotary theta",
            "keys rotated apart",
            "keys not rotated",
        ],
    ),
    ("router loss", &["no router loss"]),
    ("router_balance", &["no router loss"]),
    ("silent routers", &["router loss unasked"]),
    ("swiglu", &["gate and up swapped"]),
    ("token_dropout", &["no token dropout"]),
];

/// Parts that are found so far.
#[derive(Default)]
struct Parts(BTreeSet<String>);

impl Parts {
    fn has(&mut self, part: &str, yes: bool) {
        if yes {
            self.0.insert(part.to_owned());
        }
    }

    fn nodes(&mut self, graph: &Graph) {
        for node in &graph.nodes {
            let name = node.op.name();
            self.has(name, true);
            let path = match node.block {
                Some(layer) => node.path.strip_prefix(&format!("blocks.{layer}.")),
                None => Some(node.path.as_str()),
            };
            let path = path.expect("nodes of a block are named after it");
            self.has(&format!("norm `{path}`"), name.ends_with("_norm"));
            let gelu = name.starts_with("gelu");
            self.has("GELU in the head", gelu && path == "head.act");
        }
    }

    fn inputs(&mut self, graph: &Graph) {
        let of_attention = |name: &str| name.contains(".attn.") && name.ends_with(".bias");
        let biased = |p: &Param| of_attention(&p.name) && p.role.part != Part::Norm;
        self.has("bias of attention", graph.params.iter().any(biased));
        let has = |name: &str| graph.find_param(name).is_some();
        self.has("bias of the logits", has("head.bias"));
        let learned = has("position_embedding.weight");
        self.has("input `positions`, learned", learned);
        let later = |node: &Node| op::<Embedding>(node).is_some_and(|op| op.first > 0);
        self.has("positions behind padding", graph.nodes.iter().any(later));
        let types = graph.input("token_types").is_some();
        self.has("input `token_types`", types);
    }

    fn attention(&mut self, graph: &Graph, has_fused_layout: bool) {
        let layers = graph.nodes.iter().filter_map(|node| op::<Attention>(node));
        let layers: Vec<&Attention> = layers.collect();
        let windowed = layers.iter().filter(|layer| layer.dims.window.is_some());
        let windowed = windowed.count();
        let some = windowed > 0 && windowed < layers.len();
        self.has("attention, window", windowed > 0);
        self.has("attention, window in some layers", some);
        for layer in layers {
            let dims = layer.dims;
            let packed = layer.layout == AttentionLayout::Packed;
            let alike = dims.n_heads == dims.n_kv_heads;
            self.has("attention, causal", dims.causal);
            self.has("attention, of both sides", !dims.causal);
            self.has("attention, packed", packed);
            self.has("attention, query, key and value apart", !packed);
            self.has("attention, as many keys as queries", alike && !packed);
            // With one group of heads the order is the same.
            self.has("fused layout", dims.n_kv_heads > 1 && has_fused_layout);
        }
    }

    fn spec(&mut self, spec: &Spec) {
        let masked = spec.objective() == Objective::Masked;
        self.has(if masked { "masked" } else { "next token" }, true);
        if let Spec::Decoder(spec) = spec {
            self.has("rope scaling", spec.rope.scaling.is_some());
            self.has("rope score factor", spec.rope.score_factor() != 1.0);
            let balanced = spec.experts.map(|experts| experts.balanced);
            self.has("router loss", balanced == Some(true));
            self.has("silent routers", balanced == Some(false));
        }
    }
}

/// Everything that is to be known of a model to say what could be wrong with it.
fn parts(subject: &Subject) -> BTreeSet<String> {
    let mut parts = Parts::default();
    parts.nodes(&subject.graph);
    parts.inputs(&subject.graph);
    parts.attention(&subject.graph, has_fused_heads(&subject.spec));
    parts.spec(&subject.spec);
    parts.0
}

fn of_every_golden() -> Vec<(&'static str, BTreeSet<String>, BTreeSet<&'static str>)> {
    let of = |name| {
        let golden = Golden::open(&committed(name));
        let mutants = mutants_of(&golden).map(|mutant| mutant.name).collect();
        (name, parts(&Subject::of(&golden)), mutants)
    };
    COMMITTED.into_iter().map(of).collect()
}

#[test]
fn every_part_of_every_family_has_its_mutants() {
    for (name, parts, mutants) in of_every_golden() {
        for part in &parts {
            let asked = ASKED.iter().find(|(asked, _)| asked == part);
            let (_, asked) =
                asked.unwrap_or_else(|| panic!("{name}: `{part}` asks for no mutants"));
            let missing: Vec<_> = asked
                .iter()
                .filter(|mutant| !mutants.contains(*mutant))
                .collect();
            assert!(missing.is_empty(), "{name}: `{part}` lacks {missing:?}");
        }
    }
}

/// The other way round: no part is invented, and no mutant is without a part that asks for it.
#[test]
fn every_mutant_is_asked_for_and_acts_somewhere() {
    let goldens = of_every_golden();
    for (part, _) in ASKED {
        assert!(
            goldens.iter().any(|(_, parts, _)| parts.contains(*part)),
            "no golden has {part}"
        );
    }
    let asked: BTreeSet<&str> = ASKED
        .iter()
        .flat_map(|(_, mutants)| *mutants)
        .copied()
        .collect();
    for mutant in super::table::MUTANTS {
        let acts = |(_, _, mutants): &(_, _, BTreeSet<&str>)| mutants.contains(mutant.name);
        assert!(goldens.iter().any(acts), "`{}` acts nowhere", mutant.name);
    }
    let names: BTreeSet<&str> = super::table::MUTANTS
        .iter()
        .map(|mutant| mutant.name)
        .collect();
    let unasked: Vec<_> = names.difference(&asked).collect();
    assert!(unasked.is_empty(), "{unasked:?}");
    assert!(asked.is_subset(&names), "{asked:?}");
}

/// The scalings of rotary frequencies have a golden.
#[test]
fn every_rope_scaling_has_a_golden() {
    let scalings = COMMITTED.iter().filter_map(|name| {
        match Golden::open(&committed(name)).folder.config.spec {
            Spec::Decoder(spec) => spec.rope.scaling,
            _ => None,
        }
    });
    let kinds: BTreeSet<&str> = scalings
        .map(|scaling| match scaling {
            RopeScaling::Linear { .. } => "linear",
            RopeScaling::Llama3 { .. } => "llama3",
            RopeScaling::Yarn(_) => "yarn",
            RopeScaling::Dynamic { .. } => panic!("nothing is scaled within the context"),
        })
        .collect();
    assert_eq!(kinds.len(), 3);
}
