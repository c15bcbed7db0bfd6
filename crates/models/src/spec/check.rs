//! What is wrong with a spec, all of it at once.

use super::{
    Activation, CONTEXT_MAX, CustomSpec, DecoderSpec, EXPERTS_MAX, Encoder, EncoderSpec, Gpt2Spec,
    HEADS_MAX, Head, LAYERS_MAX, Problem, Rope, RopeScaling, VOCAB_MAX, WIDTH_MAX,
};

#[derive(Default)]
pub(super) struct Check {
    pub(super) problems: Vec<String>,
}

impl Check {
    pub(super) fn custom(&mut self, spec: &CustomSpec) {
        self.size("vocab_size", spec.vocab_size, VOCAB_MAX);
        self.size("max_seq_len", spec.max_seq_len, CONTEXT_MAX);
        self.size("n_blocks", spec.n_blocks, LAYERS_MAX);
        self.size("n_heads", spec.n_heads, HEADS_MAX);
        self.size("d_model", spec.d_model, WIDTH_MAX);
        self.size("d_ffn", spec.d_ffn, WIDTH_MAX);
        self.divides("d_model", spec.d_model, "n_heads", spec.n_heads);
    }

    pub(super) fn gpt2(&mut self, spec: &Gpt2Spec) {
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

    pub(super) fn decoder(&mut self, spec: &DecoderSpec) {
        self.size("vocab_size", spec.vocab_size, VOCAB_MAX);
        self.size("max_positions", spec.max_positions, CONTEXT_MAX);
        self.size("d_model", spec.d_model, WIDTH_MAX);
        self.size("n_layers", spec.n_layers, LAYERS_MAX);
        self.size("n_heads", spec.n_heads, HEADS_MAX);
        self.size("n_kv_heads", spec.n_kv_heads, HEADS_MAX);
        self.size("head_dim", spec.head_dim, WIDTH_MAX);
        self.size("d_ffn", spec.d_ffn, WIDTH_MAX);
        self.divides("n_heads", spec.n_heads, "n_kv_heads", spec.n_kv_heads);
        self.even_head(spec.head_dim);
        self.positive("norm_eps", spec.norm_eps);
        self.std_dev(spec.initializer_range);
        if let Some(window) = spec.window {
            self.size("window.len", window.len, CONTEXT_MAX);
        }
        if let Some(experts) = spec.experts {
            self.size("experts.count", experts.count, EXPERTS_MAX);
            self.size("experts.per_token", experts.per_token, experts.count);
            if !experts.balance.is_finite() {
                self.add(format!("`experts.balance` is {}", experts.balance));
            }
        }
        self.rope(&spec.rope);
    }

    pub(super) fn encoder(&mut self, spec: &EncoderSpec) {
        self.size("vocab_size", spec.vocab_size, VOCAB_MAX);
        self.size("max_positions", spec.max_positions, CONTEXT_MAX);
        self.size("d_model", spec.d_model, WIDTH_MAX);
        self.size("n_layers", spec.n_layers, LAYERS_MAX);
        self.size("n_heads", spec.n_heads, HEADS_MAX);
        self.size("d_ffn", spec.d_ffn, WIDTH_MAX);
        self.divides("d_model", spec.d_model, "n_heads", spec.n_heads);
        self.positive("norm_eps", spec.norm_eps);
        self.std_dev(spec.initializer_range);
        if let Some(theta) = spec.rope_theta() {
            self.positive("rope_theta", theta);
            self.even_head(spec.head_dim());
        }
        self.head(spec);
        for (name, id) in [("pad_id", spec.pad_id), ("mask_id", spec.mask_id)] {
            if let Some(id) = id
                && id as usize >= spec.vocab_size
            {
                self.add(format!(
                    "`{name}` {id} is outside the vocabulary of {}",
                    spec.vocab_size
                ));
            }
        }
        match spec.family {
            Encoder::Bert { token_types } => self.size("token_types", token_types, VOCAB_MAX),
            Encoder::Esm {
                token_dropout,
                rope_theta,
                ..
            } => {
                if token_dropout && spec.mask_id.is_none() {
                    self.add("`token_dropout` needs `mask_id`".to_owned());
                }
                if rope_theta.is_none() && spec.pad_id.is_none() {
                    self.add("learned positions need `pad_id`, behind which they begin".to_owned());
                }
            }
            Encoder::PlainEncodon if spec.activation == Activation::Gelu => {
                self.add("`activation` is the exact GELU, which its fused layers lack".to_owned());
            }
            Encoder::Amplify { .. } | Encoder::Encodon { .. } | Encoder::PlainEncodon => {}
        }
    }

    fn rope(&mut self, rope: &Rope) {
        self.positive("rope.theta", rope.theta);
        match rope.scaling {
            None => {}
            Some(RopeScaling::Linear { factor } | RopeScaling::Dynamic { factor }) => {
                self.positive("rope.factor", factor);
            }
            Some(RopeScaling::Llama3 {
                factor,
                low_freq_factor: low,
                high_freq_factor: high,
                original_max_positions,
            }) => {
                self.positive("rope.factor", factor);
                self.positive("rope.low_freq_factor", low);
                if !(high > low && high.is_finite()) {
                    self.add(format!(
                        "`rope.high_freq_factor` {high} is not above `rope.low_freq_factor` {low}"
                    ));
                }
                self.original(original_max_positions);
            }
            Some(RopeScaling::Yarn(yarn)) => {
                self.positive("rope.factor", yarn.factor);
                self.positive("rope.beta_fast", yarn.beta_fast);
                self.positive("rope.beta_slow", yarn.beta_slow);
                self.positive(
                    "rope.attention_factor",
                    yarn.attention_factor.unwrap_or(1.0),
                );
                self.original(yarn.original_max_positions);
                // Its logarithm divides.
                if rope.theta == 1.0 {
                    self.add("`rope.theta` is 1".to_owned());
                }
            }
        }
    }

    fn original(&mut self, positions: usize) {
        self.size("rope.original_max_positions", positions, CONTEXT_MAX);
    }

    fn head(&mut self, spec: &EncoderSpec) {
        let n_classes = match spec.head {
            Head::Masked => return,
            Head::Sequence { n_classes, .. } | Head::Token { n_classes } => n_classes,
        };
        self.size("n_classes", n_classes, VOCAB_MAX);
        let problem = Problem::SingleLabel;
        if spec.head
            == (Head::Sequence {
                n_classes: 1,
                problem,
            })
        {
            self.add("`n_classes` is 1: one number a sequence is regression".to_owned());
        }
        if !matches!(spec.family, Encoder::Bert { .. } | Encoder::Esm { .. }) {
            let name = spec.family.name();
            self.add(format!("`{name}` has no head for classes"));
        }
    }

    fn even_head(&mut self, head_dim: usize) {
        if head_dim % 2 == 1 {
            self.add(format!("`head_dim` {head_dim} is odd, rotary turns pairs"));
        }
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
