//! Kernels that move more than they compute.

use std::hint::black_box;

use tenon_engine::DType;
use tenon_engine::table::{Activation, AdamW, RopeStyle, Target, XentSpec};
use tenon_kernels::{Pointwise, bytes_of};

use super::{Bench, ROWS, WIDTH, Work};

const LAYER: (DType, usize, usize) = (DType::F32, ROWS, WIDTH);
const PER_ROW: (DType, usize, usize) = (DType::F32, ROWS, 1);
const PER_COLUMN: (DType, usize, usize) = (DType::F32, 1, WIDTH);
const HEAD_DIM: usize = 64;
const EPS: f64 = 1e-5;
/// Rows of logits and their width.
const LOGITS: [usize; 2] = [64, 50257];
/// Parameters of an update: more than caches hold.
const N_PARAMS: usize = 16 << 20;

/// A gradient that is written afresh.
fn fresh(buf: tenon_engine::Buf) -> Target {
    Target {
        buf,
        accumulate: false,
    }
}

impl Bench<'_> {
    pub(super) fn norms(&mut self) {
        let [x, y, dx, mean, rstd, gain, bias, dgain, dbias] = self.buffers([
            LAYER, LAYER, LAYER, PER_ROW, PER_ROW, PER_COLUMN, PER_COLUMN, PER_COLUMN, PER_COLUMN,
        ]);
        self.values_of_layer(Pointwise::LayerNorm, |k| {
            k.layer_norm(x, gain, Some(bias), EPS, y, mean, rstd);
        });
        self.values_of_layer(Pointwise::LayerNormVjp, |k| {
            let (dx, dgain, dbias) = (Some(fresh(dx)), Some(dgain), Some(dbias));
            k.layer_norm_vjp(y, x, gain, mean, rstd, dx, dgain, dbias);
        });
        self.values_of_layer(Pointwise::RmsNorm, |k| k.rms_norm(x, gain, EPS, y, rstd));
        self.values_of_layer(Pointwise::RmsNormVjp, |k| {
            k.rms_norm_vjp(y, x, gain, rstd, Some(fresh(dx)), Some(dgain));
        });
    }

    pub(super) fn activations(&mut self) {
        let [x, up, y, dx, dup] = self.buffers([LAYER; 5]);
        for function in [
            Activation::GeluTanh,
            Activation::GeluErf,
            Activation::Silu,
            Activation::Relu,
        ] {
            self.values_of_layer(Pointwise::Activation(function), |k| {
                k.activation(function, x, y);
            });
            self.values_of_layer(Pointwise::ActivationVjp(function), |k| {
                k.activation_vjp(function, y, x, fresh(dx));
            });
        }
        self.values_of_layer(Pointwise::Swiglu, |k| k.swiglu(x, up, y));
        self.values_of_layer(Pointwise::SwigluVjp, |k| {
            k.swiglu_vjp(y, x, up, [dx, dup]);
        });
    }

    pub(super) fn values(&mut self) {
        let [a, b, y] = self.buffers([LAYER; 3]);
        self.values_of_layer(Pointwise::Add, |k| k.add(a, b, y));
        self.values_of_layer(Pointwise::AddAssign, |k| k.add_assign(a, y));
        self.values_of_layer(Pointwise::Dropout, |k| k.dropout(0.1, [1, 2], 0, a, y));
        self.values_of_layer(Pointwise::SumSq, |k| {
            black_box(k.sum_of_squares(a));
        });
    }

    pub(super) fn tables(&mut self) {
        let angles = (DType::F32, ROWS, HEAD_DIM / 2);
        let indices = (DType::I32, ROWS, 1);
        let [x, y, table, cos, sin, ids] =
            self.buffers([LAYER, LAYER, LAYER, angles, angles, indices]);
        let places: Vec<i32> = (0..ROWS as i32).rev().collect();
        self.device.upload(ids, bytes_of(&places));
        self.values_of_layer(Pointwise::Rope, |k| {
            k.rope(RopeStyle::RotateHalf, HEAD_DIM, false, x, cos, sin, ids, y);
        });
        self.values_of_layer(Pointwise::Embedding, |k| k.embedding(table, ids, y));
        self.values_of_layer(Pointwise::EmbeddingVjp, |k| {
            k.embedding_vjp(x, ids, table);
        });
    }

    /// Logits are read once, and with gradients written too.
    pub(super) fn losses(&mut self) {
        let [rows, vocab_size] = LOGITS;
        let logits = (DType::F32, rows, vocab_size);
        let [logits, loss, targets] =
            self.buffers([logits, (DType::F64, rows, 1), (DType::I32, rows, 1)]);
        let spec = XentSpec {
            label_smoothing: 0.0,
            z_loss: 0.0,
        };
        for (kernel, gradient) in [(Pointwise::Xent, false), (Pointwise::XentVjp, true)] {
            let work = Work::each(kernel, rows * vocab_size, false);
            let shape = format!("{rows}×{vocab_size}");
            self.push(kernel.name(), shape, work, |k| {
                k.xent_rows(&spec, logits, targets, None, gradient, loss, None);
            });
        }
    }

    pub(super) fn updates(&mut self) {
        let [p, g, m, v] = self.buffers([(DType::F32, 1, N_PARAMS); 4]);
        let spec = AdamW {
            learning_rate: 1e-3,
            beta1: 0.9,
            beta2: 0.95,
            eps: 1e-8,
            weight_decay: 0.1,
            step: 1,
            grad_scale: 1.0,
        };
        let kernel = Pointwise::AdamW;
        let work = Work::each(kernel, N_PARAMS, true);
        self.push(kernel.name(), N_PARAMS.to_string(), work, |k| {
            k.adamw(p, g, m, v, &spec);
        });
    }
}
