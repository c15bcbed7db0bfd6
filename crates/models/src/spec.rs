//! What a model is, as plain numbers: enough to build its graph and to write its `config.json`.

use tenon_base::{Error, Result};

/// The largest vocabulary.
pub const VOCAB_MAX: usize = 1 << 24;
/// The longest context, in tokens.
pub const CONTEXT_MAX: usize = 1 << 24;
/// The widest stream, feed-forward layer or head.
pub const WIDTH_MAX: usize = 1 << 20;
/// The most layers.
pub const LAYERS_MAX: usize = 512;
/// The most heads.
pub const HEADS_MAX: usize = 4096;

/// A model family with its sizes.
#[derive(Clone, Debug, PartialEq)]
pub enum Spec {
    /// Post-norm transformer with stacked, right-multiplied weights and no biases.
    Custom(CustomSpec),
    /// GPT-2.
    Gpt2(Gpt2Spec),
    /// Llama.
    Llama(LlamaSpec),
}

/// The sizes of `custom_transformer`.
#[derive(Clone, Debug, PartialEq)]
pub struct CustomSpec {
    /// Rows of the token embedding.
    pub vocab_size: usize,
    /// Rows of the learned position embedding.
    pub max_seq_len: usize,
    /// Blocks.
    pub n_blocks: usize,
    /// Attention heads; divides `d_model`.
    pub n_heads: usize,
    /// Width of the stream.
    pub d_model: usize,
    /// Width of the feed-forward layer.
    pub d_ffn: usize,
}

/// The feed-forward activation of GPT-2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// GELU in its tanh form.
    GeluNew,
    /// GELU with erf.
    Gelu,
    /// max(x, 0).
    Relu,
    /// x·sigmoid(x).
    Silu,
}

/// The sizes of GPT-2.
#[derive(Clone, Debug, PartialEq)]
pub struct Gpt2Spec {
    /// Rows of the token embedding.
    pub vocab_size: usize,
    /// Rows of the learned position embedding.
    pub n_positions: usize,
    /// Width of the stream.
    pub d_model: usize,
    /// Blocks.
    pub n_layers: usize,
    /// Attention heads; divides `d_model`.
    pub n_heads: usize,
    /// Width of the feed-forward layer.
    pub d_ffn: usize,
    /// Between the two feed-forward matrices.
    pub activation: Activation,
    /// Added to the variance in layer norms.
    pub norm_eps: f64,
    /// Whether the head is the token embedding.
    pub tie_embeddings: bool,
    /// Begin-of-text id.
    pub bos_id: Option<u32>,
    /// End-of-text ids; any of them stops generation.
    pub eos_ids: Vec<u32>,
    /// Standard deviation of fresh weights.
    pub initializer_range: f64,
}

/// The sizes of Llama.
#[derive(Clone, Debug, PartialEq)]
pub struct LlamaSpec {
    /// Rows of the token embedding.
    pub vocab_size: usize,
    /// The context it was made for, in tokens.
    pub max_positions: usize,
    /// Width of the stream.
    pub d_model: usize,
    /// Blocks.
    pub n_layers: usize,
    /// Query heads.
    pub n_heads: usize,
    /// Key and value heads; divides `n_heads`.
    pub n_kv_heads: usize,
    /// Width of a head; even. Query rows are `n_heads · head_dim`.
    pub head_dim: usize,
    /// Width of the gated feed-forward layer.
    pub d_ffn: usize,
    /// Added to the mean square in RMS norms.
    pub norm_eps: f64,
    /// Base of the rotary angles.
    pub rope_theta: f64,
    /// Whether the head is the token embedding.
    pub tie_embeddings: bool,
    /// Whether the four attention projections have biases.
    pub attention_bias: bool,
    /// Whether the three feed-forward projections have biases.
    pub mlp_bias: bool,
    /// Begin-of-text id.
    pub bos_id: Option<u32>,
    /// End-of-text ids; any of them stops generation.
    pub eos_ids: Vec<u32>,
    /// Standard deviation of fresh weights.
    pub initializer_range: f64,
}

impl Spec {
    /// Checks sizes, limits and divisibility. The error lists everything that is wrong, in the
    /// words of this type's fields.
    pub fn validate(&self) -> Result<()> {
        let mut check = Check::default();
        match self {
            Spec::Custom(spec) => check.custom(spec),
            Spec::Gpt2(spec) => check.gpt2(spec),
            Spec::Llama(spec) => check.llama(spec),
        }
        if check.problems.is_empty() {
            return Ok(());
        }
        Err(Error::data(format!(
            "not a possible model: {}",
            check.problems.join("; ")
        )))
    }

    /// Rows of the token embedding.
    pub fn vocab_size(&self) -> usize {
        match self {
            Spec::Custom(spec) => spec.vocab_size,
            Spec::Gpt2(spec) => spec.vocab_size,
            Spec::Llama(spec) => spec.vocab_size,
        }
    }

    /// The same model with rotary tables for this many positions, at most its own: shorter tables
    /// change no bit of shorter sequences. Learned positions stay.
    pub fn with_rotary_positions(&self, positions: usize) -> Spec {
        let mut spec = self.clone();
        if let Spec::Llama(llama) = &mut spec {
            llama.max_positions = llama.max_positions.min(positions.max(1));
        }
        spec
    }

    /// The longest sequence, in tokens.
    pub fn context_len(&self) -> usize {
        match self {
            Spec::Custom(spec) => spec.max_seq_len,
            Spec::Gpt2(spec) => spec.n_positions,
            Spec::Llama(spec) => spec.max_positions,
        }
    }
}

#[derive(Default)]
struct Check {
    problems: Vec<String>,
}

impl Check {
    fn custom(&mut self, spec: &CustomSpec) {
        self.size("vocab_size", spec.vocab_size, VOCAB_MAX);
        self.size("max_seq_len", spec.max_seq_len, CONTEXT_MAX);
        self.size("n_blocks", spec.n_blocks, LAYERS_MAX);
        self.size("n_heads", spec.n_heads, HEADS_MAX);
        self.size("d_model", spec.d_model, WIDTH_MAX);
        self.size("d_ffn", spec.d_ffn, WIDTH_MAX);
        self.divides("d_model", spec.d_model, "n_heads", spec.n_heads);
    }

    fn gpt2(&mut self, spec: &Gpt2Spec) {
        self.size("vocab_size", spec.vocab_size, VOCAB_MAX);
        self.size("n_positions", spec.n_positions, CONTEXT_MAX);
        self.size("d_model", spec.d_model, WIDTH_MAX);
        self.size("n_layers", spec.n_layers, LAYERS_MAX);
        self.size("n_heads", spec.n_heads, HEADS_MAX);
        self.size("d_ffn", spec.d_ffn, WIDTH_MAX);
        self.divides("d_model", spec.d_model, "n_heads", spec.n_heads);
        self.positive("norm_eps", spec.norm_eps);
        self.std_dev(spec.initializer_range);
    }

    fn llama(&mut self, spec: &LlamaSpec) {
        self.size("vocab_size", spec.vocab_size, VOCAB_MAX);
        self.size("max_positions", spec.max_positions, CONTEXT_MAX);
        self.size("d_model", spec.d_model, WIDTH_MAX);
        self.size("n_layers", spec.n_layers, LAYERS_MAX);
        self.size("n_heads", spec.n_heads, HEADS_MAX);
        self.size("n_kv_heads", spec.n_kv_heads, HEADS_MAX);
        self.size("head_dim", spec.head_dim, WIDTH_MAX);
        self.size("d_ffn", spec.d_ffn, WIDTH_MAX);
        self.divides("n_heads", spec.n_heads, "n_kv_heads", spec.n_kv_heads);
        if spec.head_dim % 2 == 1 {
            self.add(format!(
                "`head_dim` {} is odd, rotary turns pairs",
                spec.head_dim
            ));
        }
        self.positive("norm_eps", spec.norm_eps);
        self.positive("rope_theta", spec.rope_theta);
        self.std_dev(spec.initializer_range);
    }

    fn add(&mut self, problem: String) {
        self.problems.push(problem);
    }

    fn size(&mut self, name: &str, value: usize, max: usize) {
        if value == 0 {
            self.add(format!("`{name}` is 0"));
        } else if value > max {
            self.add(format!("`{name}` {value} is above the limit of {max}"));
        }
    }

    fn divides(&mut self, name: &str, value: usize, by_name: &str, by: usize) {
        if by != 0 && !value.is_multiple_of(by) {
            self.add(format!(
                "`{name}` {value} is not a multiple of `{by_name}` {by}"
            ));
        }
    }

    fn positive(&mut self, name: &str, value: f64) {
        if !(value > 0.0 && value.is_finite()) {
            self.add(format!("`{name}` {value} is not above 0"));
        }
    }

    fn std_dev(&mut self, value: f64) {
        if !(value >= 0.0 && value.is_finite()) {
            self.add(format!(
                "`initializer_range` {value} is not a standard deviation"
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn llama() -> LlamaSpec {
        LlamaSpec {
            vocab_size: 97,
            max_positions: 64,
            d_model: 48,
            n_layers: 3,
            n_heads: 6,
            n_kv_heads: 2,
            head_dim: 8,
            d_ffn: 88,
            norm_eps: 1e-5,
            rope_theta: 10000.0,
            tie_embeddings: false,
            attention_bias: false,
            mlp_bias: false,
            bos_id: Some(1),
            eos_ids: vec![2],
            initializer_range: 0.02,
        }
    }

    #[track_caller]
    fn rejects(change: impl Fn(&mut LlamaSpec), message: &str) {
        let mut spec = llama();
        change(&mut spec);
        let error = Spec::Llama(spec).validate().expect_err("accepted");
        assert!(
            error.message().contains(message),
            "`{}` lacks `{message}`",
            error.message()
        );
    }

    #[test]
    fn possible_models_pass() {
        Spec::Llama(llama()).validate().unwrap();
        let wide_heads = LlamaSpec {
            head_dim: 128,
            ..llama()
        };
        Spec::Llama(wide_heads).validate().unwrap();
    }

    #[test]
    fn impossible_models_are_named() {
        rejects(
            |s| s.n_kv_heads = 4,
            "`n_heads` 6 is not a multiple of `n_kv_heads` 4",
        );
        rejects(|s| s.head_dim = 7, "`head_dim` 7 is odd");
        rejects(|s| s.d_ffn = 0, "`d_ffn` is 0");
        rejects(|s| s.n_heads = 0, "`n_heads` is 0");
        rejects(|s| s.n_kv_heads = 0, "`n_kv_heads` is 0");
        rejects(
            |s| s.n_layers = LAYERS_MAX + 1,
            "`n_layers` 513 is above the limit of 512",
        );
        rejects(|s| s.norm_eps = 0.0, "`norm_eps` 0 is not above 0");
        rejects(|s| s.norm_eps = f64::NAN, "`norm_eps` NaN");
        rejects(|s| s.rope_theta = f64::INFINITY, "`rope_theta` inf");
        rejects(|s| s.initializer_range = -1.0, "`initializer_range` -1");
    }

    #[test]
    fn all_problems_are_listed_at_once() {
        let spec = CustomSpec {
            vocab_size: 0,
            max_seq_len: 8,
            n_blocks: 1,
            n_heads: 3,
            d_model: 32,
            d_ffn: 0,
        };
        let error = Spec::Custom(spec).validate().unwrap_err();
        let expected = "not a possible model: `vocab_size` is 0; `d_ffn` is 0; \
                        `d_model` 32 is not a multiple of `n_heads` 3";
        assert_eq!(error.message(), expected);
    }
}
