//! One update of all trainable parameters.

use crate::settings::Optimizer;
use tenon_engine::Executor;
use tenon_engine::table::{AdamW, Sgd};

/// Moves all trainable parameters along their gradients, which are multiplied by `grad_scale`
/// first. `count` is the number of this update, from 1.
pub fn update(exec: &mut Executor, optimizer: &Optimizer, rate: f64, grad_scale: f64, count: u64) {
    let graph = exec.graph().clone();
    for p in graph.param_ids().filter(|&p| graph.param(p).trainable) {
        let is_matrix = graph.param(p).shape.len() > 1;
        let decays = if is_matrix { 1.0 } else { 0.0 };
        match *optimizer {
            Optimizer::Sgd {
                momentum,
                weight_decay,
            } => {
                let spec = Sgd {
                    learning_rate: rate,
                    momentum,
                    weight_decay: weight_decay * decays,
                    grad_scale,
                };
                exec.sgd(p, &spec);
            }
            Optimizer::AdamW {
                beta1,
                beta2,
                eps,
                weight_decay,
            } => {
                let weight_decay = weight_decay * decays;
                let learning_rate = rate;
                let step = count;
                let spec = AdamW {
                    learning_rate,
                    beta1,
                    beta2,
                    eps,
                    weight_decay,
                    step,
                    grad_scale,
                };
                exec.adamw(p, &spec);
            }
        }
    }
}
