//! What is judged: a spec with weights, brought into an executor.

use std::sync::Arc;

use tenon_base::{Error, Result};
use tenon_engine::{Executor, Extent, Graph, Kernels, PlanOptions};
use tenon_models::net::Outputs;
use tenon_models::spec::Spec;
use tenon_models::weights::Weights;

/// An executor for forward passes over at most `capacity`, with the weights in it. Data error when
/// the spec is impossible or the weights are another model's.
pub(crate) fn executor(
    spec: &Spec,
    outputs: &Outputs,
    weights: &Weights,
    capacity: Extent,
    device: Box<dyn Kernels>,
) -> Result<Executor> {
    spec.validate()?;
    let graph = Arc::new(spec.graph(outputs));
    check_weights(&graph, weights)?;
    let options = PlanOptions::inference(weights.dtype, capacity);
    let mut exec = Executor::new(graph, options, device);
    weights.write(&mut exec);
    Ok(exec)
}

/// Data error when the weights are not the graph's parameters.
pub(crate) fn check_weights(graph: &Graph, weights: &Weights) -> Result<()> {
    let (needed, given) = (graph.params.len(), weights.tensors.len());
    if needed != given {
        return Err(Error::data(format!(
            "{given} tensors of weights, the model has {needed} parameters"
        )));
    }
    for (param, weight) in graph.params.iter().zip(&weights.tensors) {
        if (&param.name, &param.shape) != (&weight.name, &weight.shape) {
            return Err(Error::data(format!(
                "tensor `{}` {:?} where the model has parameter `{}` {:?}",
                weight.name, weight.shape, param.name, param.shape
            )));
        }
        let n_bytes = param.len() * weights.dtype.bytes();
        if weight.bytes.len() != n_bytes {
            return Err(Error::data(format!(
                "tensor `{}` has {} bytes, {n_bytes} are needed",
                weight.name,
                weight.bytes.len()
            )));
        }
    }
    Ok(())
}
