//! The families: their default sizes, and what they decide themselves.

use tenon_base::yaml::Value;

use super::super::judge::Judge;

/// What `tenon models ls` says of a family, and the sizes of a model whose configuration gives
/// none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FamilyInfo {
    /// The word in `model.family`.
    pub name: &'static str,
    /// What it is, as a fragment.
    pub doc: &'static str,
    /// Longest sequence in tokens.
    pub max_seq_len: usize,
    /// Blocks.
    pub n_blocks: usize,
    /// Attention heads.
    pub n_heads: usize,
    /// Width of the stream.
    pub d_model: usize,
    /// What the family decides itself, with its value, in groups; a configuration may repeat it.
    fixed: &'static [&'static [(&'static str, Fixed)]],
}

/// What a family says of a key that it does not leave open.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fixed {
    Number(f64),
    Flag(bool),
    Word(&'static str),
    /// The family has nothing of the kind.
    Absent,
}

const LLAMA: FamilyInfo = FamilyInfo {
    name: "llama",
    doc: "RMS norm, rotary positions, SwiGLU, shared key and value heads",
    max_seq_len: 1024,
    n_blocks: 12,
    n_heads: 12,
    d_model: 768,
    fixed: &[],
};

type Decided = &'static [(&'static str, Fixed)];

/// The gated layer has SiLU.
const GATED: Decided = &[("model.activation", Fixed::Word("silu"))];

const ERF_GELU: Decided = &[("model.activation", Fixed::Word("gelu"))];

const UNTIED: Decided = &[("model.tie_embeddings", Fixed::Flag(false))];

/// One feed-forward layer.
const NO_EXPERTS: Decided = &[
    ("model.n_experts", Fixed::Absent),
    ("model.experts_per_token", Fixed::Absent),
];

/// A token sees all that its mask allows.
const NO_WINDOW: Decided = &[("model.window", Fixed::Absent)];

/// Equally many heads of each kind, which together are as wide as the stream.
const EVEN_HEADS: Decided = &[
    ("model.n_kv_heads", Fixed::Absent),
    ("model.head_dim", Fixed::Absent),
];

/// The norms of a block stand before its branches.
const NO_INNER_NORMS: Decided = &[("model.inner_norms", Fixed::Absent)];

/// Transformer Engine, whose layers the plain variant of CodonFM is made of, computes GELU in the
/// tanh form and turns by the base 10000.
const PLAIN_CODONFM: &[Decided] = &[
    &[
        ("model.activation", Fixed::Word("gelu_new")),
        ("model.rope_theta", Fixed::Number(1e4)),
    ],
    ROTARY,
    UNTIED,
    NO_EXPERTS,
    NO_WINDOW,
    EVEN_HEADS,
];

/// Learned positions.
const NO_ROTARY: Decided = &[
    ("model.rope_theta", Fixed::Absent),
    ("model.position_embedding_type", Fixed::Word("absolute")),
];

const ROTARY: Decided = &[("model.position_embedding_type", Fixed::Word("rotary"))];

const ESM1B: &[Decided] = &[
    &[("model.rope_theta", Fixed::Absent)],
    ERF_GELU,
    NO_EXPERTS,
    NO_WINDOW,
    EVEN_HEADS,
    NO_INNER_NORMS,
];

impl FamilyInfo {
    /// Every family, in the order of the documentation.
    pub const ALL: &'static [FamilyInfo] = &[
        FamilyInfo {
            name: "custom",
            doc: "post-norm transformer, learned positions, erf GELU, no biases",
            max_seq_len: 128,
            n_blocks: 8,
            n_heads: 4,
            d_model: 128,
            fixed: &[
                ERF_GELU,
                UNTIED,
                NO_ROTARY,
                NO_EXPERTS,
                NO_WINDOW,
                EVEN_HEADS,
                NO_INNER_NORMS,
                &[
                    ("model.norm_eps", Fixed::Number(1e-5)),
                    ("model.dropout", Fixed::Number(0.0)),
                    ("model.init_std", Fixed::Absent),
                ],
            ],
        },
        FamilyInfo {
            name: "gpt2",
            doc: "pre-norm transformer, learned positions, tied embeddings",
            max_seq_len: 1024,
            n_blocks: 12,
            n_heads: 12,
            d_model: 768,
            fixed: &[NO_ROTARY, NO_EXPERTS, NO_WINDOW, EVEN_HEADS, NO_INNER_NORMS],
        },
        FamilyInfo {
            fixed: &[GATED, ROTARY, NO_EXPERTS, NO_WINDOW, NO_INNER_NORMS],
            ..LLAMA
        },
        FamilyInfo {
            name: "mistral",
            doc: "Llama with a sliding window",
            fixed: &[GATED, ROTARY, NO_EXPERTS, NO_INNER_NORMS],
            ..LLAMA
        },
        FamilyInfo {
            name: "qwen2",
            doc: "Llama with biases of query, key and value",
            fixed: &[GATED, ROTARY, NO_EXPERTS, NO_WINDOW, NO_INNER_NORMS],
            ..LLAMA
        },
        FamilyInfo {
            name: "qwen3",
            doc: "Llama with norms of query and key heads",
            fixed: &[GATED, ROTARY, NO_EXPERTS, NO_WINDOW, NO_INNER_NORMS],
            ..LLAMA
        },
        FamilyInfo {
            name: "mixtral",
            doc: "Llama with experts in place of the feed-forward layer",
            fixed: &[GATED, ROTARY, NO_INNER_NORMS],
            ..LLAMA
        },
        FamilyInfo {
            name: "bert",
            doc: "masked tokens, post-norm, learned positions; Geneformer with `relu`",
            max_seq_len: 512,
            fixed: &[NO_ROTARY, NO_EXPERTS, NO_WINDOW, EVEN_HEADS, NO_INNER_NORMS],
            ..LLAMA
        },
        FamilyInfo {
            name: "esm2",
            doc: "masked residues, pre-norm, rotary positions, token dropout; ESM-1b with \
                  `position_embedding_type: absolute`",
            max_seq_len: 1026,
            n_blocks: 6,
            n_heads: 20,
            d_model: 320,
            fixed: &[ERF_GELU, NO_EXPERTS, NO_WINDOW, EVEN_HEADS, NO_INNER_NORMS],
        },
        FamilyInfo {
            name: "amplify",
            doc: "masked residues, RMS norm, interleaved rotary positions, SwiGLU",
            max_seq_len: 2048,
            n_blocks: 24,
            n_heads: 10,
            d_model: 640,
            fixed: &[
                GATED,
                ROTARY,
                UNTIED,
                NO_EXPERTS,
                NO_WINDOW,
                EVEN_HEADS,
                NO_INNER_NORMS,
                &[("model.rope_theta", Fixed::Number(1e4))],
            ],
        },
        FamilyInfo {
            name: "codonfm",
            doc: "masked codons, rotary positions, norms inside both branches or with \
                  `inner_norms: false` none",
            max_seq_len: 2048,
            n_blocks: 12,
            n_heads: 12,
            d_model: 768,
            fixed: &[ERF_GELU, ROTARY, UNTIED, NO_EXPERTS, NO_WINDOW, EVEN_HEADS],
        },
    ];

    /// The longest sequence where a configuration says nothing of it. Of ESM-1b's 1026 rows of
    /// positions the first two are no token's.
    pub(super) fn context(&self, judge: &Judge) -> usize {
        match self.name {
            "esm2" if is_absolute(judge) => 1024,
            _ => self.max_seq_len,
        }
    }

    pub(super) fn of(name: &str) -> &'static FamilyInfo {
        let found = FamilyInfo::ALL.iter().find(|info| info.name == name);
        found.unwrap_or(&FamilyInfo::ALL[0])
    }
}

/// Whether a configuration asks for learned positions.
fn is_absolute(judge: &Judge) -> bool {
    judge.values.str("model.position_embedding_type") == Some("absolute")
}

/// A key that the family decides itself may only repeat what the family says.
pub(super) fn fixed_keys(judge: &mut Judge, info: &FamilyInfo) {
    let has_inner_norms = judge.values.bool("model.inner_norms") != Some(false);
    let (decided, which) = match info.name {
        "codonfm" if !has_inner_norms => (PLAIN_CODONFM, " without inner norms"),
        "esm2" if is_absolute(judge) => (ESM1B, " with learned positions"),
        _ => (info.fixed, ""),
    };
    for &(key, fixed) in decided.iter().copied().flatten() {
        let Some(value) = judge.values.any(key).filter(|_| judge.values.is_set(key)) else {
            continue;
        };
        let (agrees, says) = match (fixed, value) {
            (Fixed::Number(x), Value::Float(y)) => (x == y, format!("is {x}")),
            (Fixed::Flag(x), Value::Bool(y)) => (x == y, format!("is {x}")),
            (Fixed::Word(x), Value::Str(y)) => (x == y, format!("is `{x}`")),
            _ => (false, "does not exist".to_owned()),
        };
        if !agrees {
            let message = format!(
                "`{key}` {says} in models of the family `{}`{which}",
                info.name
            );
            judge.fault(
                key,
                message,
                "",
                "remove the key, or choose another `model.family`",
            );
        }
    }
}
