//! Parameter updates, one pass over memory each.

use crate::isa::simd;
use crate::pool::Parts;
use crate::{Cx, Float};

/// One AdamW step (Loshchilov & Hutter 2019, decoupled decay).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// Learning rate.
    pub learning_rate: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Decay per unit of learning rate.
    pub weight_decay: f64,
    /// 1 − beta1ᵗ at step t ≥ 1.
    pub bias_correction1: f64,
    /// 1 − beta2ᵗ at step t ≥ 1.
    pub bias_correction2: f64,
    /// Factor on the gradient: clipping and 1 / tokens.
    pub grad_scale: f64,
}

/// One step of stochastic gradient descent, as in PyTorch without dampening.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sgd {
    /// Learning rate.
    pub learning_rate: f64,
    /// Decay of the velocity; read only with a velocity.
    pub momentum: f64,
    /// Look ahead along the velocity (Nesterov).
    pub nesterov: bool,
    /// Added to the gradient as `weight_decay · p`.
    pub weight_decay: f64,
    /// Factor on the gradient: clipping and 1 / tokens.
    pub grad_scale: f64,
}

/// g ← grad_scale·g; m ← β₁m + (1−β₁)g; v ← β₂v + (1−β₂)g²;
/// p ← p·(1 − lr·decay) − lr/c₁ · m / (√v/√c₂ + eps).
///
/// # Panics
/// When the lengths differ.
pub fn adamw<S: Float>(cx: Cx<'_>, h: AdamW, p: &mut [S], g: &[S], m: &mut [S], v: &mut [S]) {
    let n = g.len();
    assert_eq!([p.len(), m.len(), v.len()], [n; 3], "slices of AdamW");
    let (p, m, v) = (Parts::new(p), Parts::new(m), Parts::new(v));
    cx.ranges(n, 4, &|r| {
        // SAFETY: ranges are disjoint.
        let (p, m, v) = unsafe { (p.part(r.clone()), m.part(r.clone()), v.part(r.clone())) };
        adamw_part(cx.isa(), h, p, &g[r], m, v);
    });
}

/// g ← grad_scale·g + decay·p; with a velocity u ← momentum·u + g and g ← u (or g + momentum·u
/// with Nesterov); p ← p − lr·g.
///
/// # Panics
/// When the lengths differ.
pub fn sgd<S: Float>(cx: Cx<'_>, h: Sgd, p: &mut [S], g: &[S], velocity: Option<&mut [S]>) {
    let n = g.len();
    assert_eq!(p.len(), n, "p and g of SGD");
    let mut nothing = [];
    let has_velocity = velocity.is_some();
    let velocity = velocity.unwrap_or(&mut nothing);
    assert!(!has_velocity || velocity.len() == n, "velocity of SGD");
    let (p, velocity) = (Parts::new(p), Parts::new(velocity));
    cx.ranges(n, 2, &|r| {
        // SAFETY: ranges are disjoint.
        let p = unsafe { p.part(r.clone()) };
        if has_velocity {
            // SAFETY: as above.
            let velocity = unsafe { velocity.part(r.clone()) };
            momentum_part(cx.isa(), h, p, &g[r], velocity);
        } else {
            sgd_part(cx.isa(), h, p, &g[r]);
        }
    });
}

simd! {
    fn adamw_part<S: Float>(h: AdamW, p: &mut [S], g: &[S], m: &mut [S], v: &mut [S]) {
        let keep = S::from_f64(1.0 - h.learning_rate * h.weight_decay);
        let step = S::from_f64(-h.learning_rate / h.bias_correction1);
        let (beta1, rest1) = (S::from_f64(h.beta1), S::from_f64(1.0 - h.beta1));
        let (beta2, rest2) = (S::from_f64(h.beta2), S::from_f64(1.0 - h.beta2));
        let root = S::from_f64(1.0 / h.bias_correction2.sqrt());
        let (eps, grad_scale) = (S::from_f64(h.eps), S::from_f64(h.grad_scale));
        for (((p, &g), m), v) in p.iter_mut().zip(g).zip(m).zip(v) {
            let g = g * grad_scale;
            *m = m.mul_add(beta1, rest1 * g);
            *v = v.mul_add(beta2, rest2 * g * g);
            let denominator = v.sqrt().mul_add(root, eps);
            *p = step.mul_add(*m / denominator, *p * keep);
        }
    }
}

simd! {
    fn sgd_part<S: Float>(h: Sgd, p: &mut [S], g: &[S]) {
        let step = S::from_f64(-h.learning_rate);
        let (decay, grad_scale) = (S::from_f64(h.weight_decay), S::from_f64(h.grad_scale));
        for (p, &g) in p.iter_mut().zip(g) {
            *p = step.mul_add(p.mul_add(decay, g * grad_scale), *p);
        }
    }
}

simd! {
    fn momentum_part<S: Float>(h: Sgd, p: &mut [S], g: &[S], velocity: &mut [S]) {
        let step = S::from_f64(-h.learning_rate);
        let (decay, grad_scale) = (S::from_f64(h.weight_decay), S::from_f64(h.grad_scale));
        let momentum = S::from_f64(h.momentum);
        for ((p, &g), u) in p.iter_mut().zip(g).zip(velocity) {
            let g = p.mul_add(decay, g * grad_scale);
            *u = u.mul_add(momentum, g);
            let along = if h.nesterov { u.mul_add(momentum, g) } else { *u };
            *p = step.mul_add(along, *p);
        }
    }
}
