//! The keys of section `model`.

use tenon_base::config::{DefaultValue, Key, Type};
use tenon_models::spec::{
    CONTEXT_MAX, EXPERTS_MAX, HEADS_MAX, LAYERS_MAX, Problem, VOCAB_MAX, WIDTH_MAX,
};

const fn size(max: usize) -> Type {
    Type::int(1, max as i64)
}

const FAMILIES: &[&str] = &[
    "custom", "gpt2", "llama", "mistral", "qwen2", "qwen3", "mixtral", "bert", "esm2", "amplify",
    "codonfm",
];

/// The problem types of `transformers`.
const PROBLEMS: [&str; 3] = [
    Problem::SingleLabel.name(),
    Problem::MultiLabel.name(),
    Problem::Regression.name(),
];

pub(in crate::config) const KEYS: &[Key] = &[
    Key::new(
        "model.family",
        Type::Enum(FAMILIES),
        DefaultValue::Derived("`custom`; with `model.from`, that model's"),
        "Which kind of transformer a fresh model is; `tenon models ls` tells what each is. `bert`, \
         `esm2`, `amplify` and `codonfm` learn to tell masked tokens, the others the next one.",
    ),
    Key::new(
        "model.from",
        Type::Str,
        DefaultValue::Optional,
        "Model whose weights training starts from: a run, a model folder, or `ORG/NAME` that was \
         fetched. Family and sizes are then that model's and may not be given.",
    ),
    Key::new(
        "model.head",
        Type::Enum(&["sequence", "token"]),
        DefaultValue::Derived("one for tokens; with `model.from`, that model's"),
        "What the model tells: hidden tokens, or with `sequence` something of a text and with \
         `token` the class of each token, whose labels are in `data.label_column`. bert and esm2 \
         only. A model with another head in `model.from` gets a new one.",
    ),
    Key::new(
        "model.problem_type",
        Type::Enum(&PROBLEMS),
        DefaultValue::Derived("`single_label_classification`; with `model.from`, that model's"),
        "What `model.head: sequence` tells: one class, any number of labels, or numbers.",
    ),
    Key::new(
        "model.labels",
        Type::STR_LIST,
        DefaultValue::Derived("all that occur, sorted; of numbers the names of the columns"),
        "Names of the classes, labels or numbers that a head tells, in their order.",
    ),
    Key::new(
        "model.vocab_size",
        size(VOCAB_MAX),
        DefaultValue::Derived("the tokenizer's"),
        "Rows of the token embedding; at least the tokenizer's number of ids.",
    ),
    Key::new(
        "model.max_seq_len",
        size(CONTEXT_MAX),
        DefaultValue::Derived("the family's, see `tenon models ls`"),
        "Longest sequence in tokens.",
    ),
    Key::new(
        "model.n_blocks",
        size(LAYERS_MAX),
        DefaultValue::Derived("the family's"),
        "Transformer blocks.",
    )
    .aliases(&["model.n_layers"]),
    Key::new(
        "model.n_heads",
        size(HEADS_MAX),
        DefaultValue::Derived("the family's"),
        "Attention heads of a block.",
    ),
    Key::new(
        "model.n_kv_heads",
        size(HEADS_MAX),
        DefaultValue::Derived("`model.n_heads`"),
        "Key and value heads, each shared by equally many query heads. Llama and its \
         relatives only.",
    ),
    Key::new(
        "model.head_dim",
        size(WIDTH_MAX),
        DefaultValue::Derived("`model.d_model / model.n_heads`"),
        "Width of a head, even. Llama and its relatives only.",
    ),
    Key::new(
        "model.d_model",
        size(WIDTH_MAX),
        DefaultValue::Derived("the family's"),
        "Width of the residual stream.",
    ),
    Key::new(
        "model.d_ffn",
        size(WIDTH_MAX),
        DefaultValue::Derived(
            "128 (custom), 4·d_model (gpt2, bert, esm2, codonfm), 8/3·d_model up to a multiple of \
             64 (of 8 for amplify)",
        ),
        "Width of the feed-forward layer.",
    ),
    Key::new(
        "model.activation",
        Type::Enum(&["gelu_new", "gelu", "relu", "silu"]),
        DefaultValue::Derived(
            "`gelu_new` (gpt2, codonfm without inner norms), `silu` where it gates, `gelu`",
        ),
        "Activation of the feed-forward layer; `gelu` is the erf form, `gelu_new` the tanh form. \
         A choice for gpt2 and bert only.",
    ),
    Key::new(
        "model.norm_eps",
        Type::POSITIVE,
        DefaultValue::Derived("1e-5; 1e-12 for bert and codonfm"),
        "Added to the variance, or the mean square in RMS norms. Fixed for custom.",
    ),
    Key::new(
        "model.rope_theta",
        Type::POSITIVE,
        DefaultValue::Derived("10000; 100000 for codonfm with inner norms"),
        "Base of the rotary angles, where positions are rotary.",
    ),
    Key::new(
        "model.position_embedding_type",
        Type::Enum(&["rotary", "absolute"]),
        DefaultValue::Derived("the family's; `rotary` for esm2"),
        "How a token knows its position: by rotary angles, or by a learned table. A choice for \
         esm2 only, where `absolute` makes it ESM-1b: a norm behind the embedding, and a \
         `model.max_seq_len` of 1024 unless it is given.",
    ),
    Key::new(
        "model.inner_norms",
        Type::Bool,
        DefaultValue::Derived("true for codonfm"),
        "Whether a second norm stands inside both branches of a block, as in EnCodon; without them \
         the model is CodonFM's plain pre-norm variant (`model_type: codonfm`). codonfm only.",
    ),
    Key::new(
        "model.window",
        size(CONTEXT_MAX),
        DefaultValue::Optional,
        "Tokens that a token sees, itself included. Mistral and Mixtral only.",
    ),
    Key::new(
        "model.n_experts",
        size(EXPERTS_MAX),
        DefaultValue::Derived("8"),
        "Feed-forward layers among which each token chooses. Mixtral only.",
    ),
    Key::new(
        "model.experts_per_token",
        size(EXPERTS_MAX),
        DefaultValue::Derived("2"),
        "Feed-forward layers that each token goes through. Mixtral only.",
    ),
    Key::new(
        "model.tie_embeddings",
        Type::Bool,
        DefaultValue::Derived("true for gpt2, bert and esm2"),
        "Whether the output projection is the token embedding. Custom always has two.",
    ),
    Key::new(
        "model.init_std",
        Type::NON_NEGATIVE,
        DefaultValue::Derived("0.02; custom uses `√(1/d_model)`"),
        "Standard deviation of fresh weights. Fixed for custom.",
    ),
    Key::new(
        "model.dropout",
        Type::BELOW_ONE,
        DefaultValue::Float(0.0),
        "Probability of dropping an activation in training. Custom has none.",
    ),
    Key::new(
        "model.dtype",
        Type::Str,
        DefaultValue::Str("f32"),
        "Number format of weights and computation: `f32` or `f64`.",
    ),
    Key::new(
        "model.device",
        Type::Enum(&["auto", "cpu"]),
        DefaultValue::Str("auto"),
        "Where it is computed. There is only the CPU.",
    ),
];

/// The keys that an existing model answers.
pub(super) const SHAPE: &[&str] = &[
    "model.family",
    "model.vocab_size",
    "model.max_seq_len",
    "model.n_blocks",
    "model.n_heads",
    "model.n_kv_heads",
    "model.head_dim",
    "model.d_model",
    "model.d_ffn",
    "model.activation",
    "model.norm_eps",
    "model.rope_theta",
    "model.position_embedding_type",
    "model.inner_norms",
    "model.window",
    "model.n_experts",
    "model.experts_per_token",
    "model.tie_embeddings",
    "model.init_std",
];
