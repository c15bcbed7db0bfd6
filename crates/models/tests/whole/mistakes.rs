//! Ways to be wrong: operators, graphs, batches and weights as mistakes would make them.

pub(crate) mod batches;
pub(crate) mod graphs;
pub(crate) mod norms;
mod operators;
pub(crate) mod weights;

use tenon_engine::Graph;
use tenon_models::net::Outputs;
use tenon_models::predict::{Bounds, Packed, pack};
use tenon_models::spec::Spec;
use tenon_models::weights::Weights;

use crate::common::{Golden, Inputs};

/// Everything that a prediction is made from, to be spoilt.
pub(crate) struct Subject {
    pub(crate) spec: Spec,
    pub(crate) graph: Graph,
    pub(crate) weights: Weights,
    pub(crate) packed: Packed,
    /// As they were given.
    pub(crate) inputs: Inputs,
}

impl Subject {
    pub(crate) fn of(golden: &Golden) -> Subject {
        let spec = golden.folder.config.spec.clone();
        Subject {
            graph: spec.graph(&Outputs::inspecting(true)),
            weights: golden.folder.weights.clone(),
            packed: pack(&golden.inputs, Bounds::of(&spec)).unwrap(),
            inputs: golden.inputs.clone(),
            spec,
        }
    }
}
