//! What kernels that are no products cost at least, and bare loops with whose rates that is a time.

use crate::dropout::{NO_WORDS, draw_chunk, round_keys};
use crate::isa::simd;
use crate::{Activation, Cx};
use std::hint::black_box;

/// A kernel that is no product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pointwise {
    /// [`crate::activation`].
    Activation(Activation),
    /// [`crate::activation_vjp`].
    ActivationVjp(Activation),
    /// [`crate::swiglu`].
    Swiglu,
    /// [`crate::swiglu_vjp`].
    SwigluVjp,
    /// [`crate::add`].
    Add,
    /// [`crate::add_assign`].
    AddAssign,
    /// [`crate::sum_sq`].
    SumSq,
    /// [`crate::column_sums`].
    ColumnSums,
    /// [`crate::fill`].
    Fill,
    /// [`crate::dropout`].
    Dropout,
    /// [`crate::gather_rows`].
    Embedding,
    /// [`crate::scatter_add_rows`].
    EmbeddingVjp,
    /// [`crate::rope`].
    Rope,
    /// [`crate::layer_norm`].
    LayerNorm,
    /// [`crate::layer_norm_vjp`].
    LayerNormVjp,
    /// [`crate::rms_norm`].
    RmsNorm,
    /// [`crate::rms_norm_vjp`].
    RmsNormVjp,
    /// [`crate::xent_rows`] without gradients; elements are logits.
    Xent,
    /// [`crate::xent_rows`] with gradients.
    XentVjp,
    /// [`crate::attention_cached`] for one new token; elements are those of cached keys and values.
    AttentionCached,
    /// [`crate::adamw`]; elements are parameters.
    AdamW,
}

/// What one element costs at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Floor {
    /// Elements read and written.
    pub words: usize,
    /// Exponentials. What belongs to a row and not to an element counts nothing, nor do divisions
    /// and the polynomial of the error function.
    pub exps: usize,
    /// Random words of Philox.
    pub random_words: usize,
}

impl Pointwise {
    /// What benchmarks call it.
    pub fn name(self) -> &'static str {
        match self {
            Pointwise::Activation(Activation::GeluErf) => "GELU with erf",
            Pointwise::Activation(Activation::GeluTanh) => "GELU with tanh",
            Pointwise::Activation(Activation::Relu) => "ReLU",
            Pointwise::Activation(Activation::Silu) => "SiLU",
            Pointwise::Activation(Activation::Sigmoid) => "sigmoid",
            Pointwise::Activation(Activation::Tanh) => "tanh",
            Pointwise::ActivationVjp(Activation::GeluErf) => "GELU with erf, derivative",
            Pointwise::ActivationVjp(Activation::GeluTanh) => "GELU with tanh, derivative",
            Pointwise::ActivationVjp(Activation::Relu) => "ReLU, derivative",
            Pointwise::ActivationVjp(Activation::Silu) => "SiLU, derivative",
            Pointwise::ActivationVjp(Activation::Sigmoid) => "sigmoid, derivative",
            Pointwise::ActivationVjp(Activation::Tanh) => "tanh, derivative",
            Pointwise::Swiglu => "SwiGLU",
            Pointwise::SwigluVjp => "SwiGLU, derivative",
            Pointwise::Add => "add",
            Pointwise::AddAssign => "add to",
            Pointwise::SumSq => "sum of squares",
            Pointwise::ColumnSums => "column sums",
            Pointwise::Fill => "fill",
            Pointwise::Dropout => "dropout",
            Pointwise::Embedding => "embedding",
            Pointwise::EmbeddingVjp => "embedding, derivative",
            Pointwise::Rope => "rotary",
            Pointwise::LayerNorm => "layer norm",
            Pointwise::LayerNormVjp => "layer norm, derivative",
            Pointwise::RmsNorm => "RMS norm",
            Pointwise::RmsNormVjp => "RMS norm, derivative",
            Pointwise::Xent => "cross-entropy",
            Pointwise::XentVjp => "cross-entropy with gradient",
            Pointwise::AttentionCached => "attention, cached",
            Pointwise::AdamW => "AdamW",
        }
    }

    /// What an element costs at least.
    pub fn floor(self) -> Floor {
        let moves = |words| Floor {
            words,
            exps: 0,
            random_words: 0,
        };
        match self {
            Pointwise::Activation(act) => Floor {
                exps: exps_of(act),
                ..moves(2)
            },
            Pointwise::ActivationVjp(act) => Floor {
                exps: exps_of(act),
                ..moves(3)
            },
            Pointwise::Swiglu => Floor {
                exps: 1,
                ..moves(3)
            },
            Pointwise::SwigluVjp => Floor {
                exps: 1,
                ..moves(5)
            },
            Pointwise::Dropout => Floor {
                random_words: 1,
                ..moves(2)
            },
            Pointwise::Xent => Floor {
                exps: 1,
                ..moves(1)
            },
            Pointwise::XentVjp => Floor {
                exps: 1,
                ..moves(2)
            },
            Pointwise::SumSq
            | Pointwise::ColumnSums
            | Pointwise::Fill
            | Pointwise::AttentionCached => moves(1),
            Pointwise::Embedding | Pointwise::Rope | Pointwise::LayerNorm | Pointwise::RmsNorm => {
                moves(2)
            }
            Pointwise::Add
            | Pointwise::AddAssign
            | Pointwise::EmbeddingVjp
            | Pointwise::LayerNormVjp
            | Pointwise::RmsNormVjp => moves(3),
            Pointwise::AdamW => moves(7),
        }
    }
}

/// Exponentials of an activation and of its derivative alike.
fn exps_of(act: Activation) -> usize {
    match act {
        Activation::Relu => 0,
        _ => 1,
    }
}

/// Elements of a bare loop: both arrays fit the first-level cache.
const BARE: usize = 2048;
/// How often a bare loop runs on every thread.
const TIMES: usize = 256;
/// Exponentials whose chains overlap.
const BLOCK: usize = 32;

/// Takes exponentials on every thread and does nothing else: reads, [`crate::Float::exp_block`],
/// writes, in the first-level cache. Returns how many.
pub fn bare_exps(cx: Cx<'_>) -> usize {
    let threads = cx.pool().threads();
    cx.pool().run(threads, &|_, _| {
        let x: [f32; BARE] = std::array::from_fn(|i| (i % 997) as f32 * -0.02);
        let mut y = [0.0; BARE];
        for _ in 0..TIMES {
            exps(cx.isa(), black_box(&x), black_box(&mut y));
        }
    });
    threads * TIMES * BARE
}

/// Draws random words on every thread and does nothing else, in the first-level cache. Returns how
/// many.
pub fn bare_random_words(cx: Cx<'_>) -> usize {
    let threads = cx.pool().threads();
    cx.pool().run(threads, &|_, _| {
        black_box(random_words::<f32>(cx.isa()));
    });
    threads * TIMES * size_of_val(&NO_WORDS) / size_of::<u32>()
}

simd! {
    fn exps<S: Float>(x: &[S], y: &mut [S]) {
        let (xs, ys) = (x.as_chunks::<BLOCK>().0, y.as_chunks_mut::<BLOCK>().0);
        for (y, &x) in ys.iter_mut().zip(xs) {
            *y = S::exp_block(x);
        }
    }
}

simd! {
    /// Returns one of the words.
    fn random_words<S: Float>() -> S {
        let (keys, mut words) = (round_keys([1, 2]), NO_WORDS);
        for i in 0..TIMES as u64 {
            draw_chunk(i, 0, &keys, black_box(&mut words));
        }
        S::from_f64(f64::from(words[0][0][0]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Activation as Act;
    use crate::{Isa, Pool};

    #[test]
    fn bare_loops_count_what_every_thread_does() {
        for threads in [1, 3] {
            let pool = Pool::new(threads);
            let cx = Cx::new(&pool, Isa::detect());
            assert_eq!(bare_exps(cx), threads * TIMES * BARE);
            assert_eq!(bare_random_words(cx), threads * TIMES * 256);
        }
    }

    /// Elements read and written, exponentials and random words, from the operators' definitions.
    #[test]
    fn floors_are_those_of_the_definitions() {
        use Pointwise::*;
        let all = [
            (Activation(Act::GeluErf), [2, 1, 0]),
            (Activation(Act::Silu), [2, 1, 0]),
            (Activation(Act::Relu), [2, 0, 0]),
            (ActivationVjp(Act::GeluTanh), [3, 1, 0]),
            (ActivationVjp(Act::Relu), [3, 0, 0]),
            (Swiglu, [3, 1, 0]),
            (SwigluVjp, [5, 1, 0]),
            (Add, [3, 0, 0]),
            (AddAssign, [3, 0, 0]),
            (SumSq, [1, 0, 0]),
            (ColumnSums, [1, 0, 0]),
            (Fill, [1, 0, 0]),
            (Dropout, [2, 0, 1]),
            (Embedding, [2, 0, 0]),
            (EmbeddingVjp, [3, 0, 0]),
            (Rope, [2, 0, 0]),
            (LayerNorm, [2, 0, 0]),
            (LayerNormVjp, [3, 0, 0]),
            (RmsNorm, [2, 0, 0]),
            (RmsNormVjp, [3, 0, 0]),
            (Xent, [1, 1, 0]),
            (XentVjp, [2, 1, 0]),
            (AttentionCached, [1, 0, 0]),
            (AdamW, [7, 0, 0]),
        ];
        for (kernel, counts) in all {
            let floor = kernel.floor();
            let got = [floor.words, floor.exps, floor.random_words];
            assert_eq!(got, counts, "{}", kernel.name());
        }
    }
}
