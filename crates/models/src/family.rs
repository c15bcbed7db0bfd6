//! The families: spec → graph, and the names of their tensors in hub checkpoints.
//!
//! To add one: a file here, a spec, a reader of its `config.json`, a golden and the mutants it must
//! notice.

mod custom;
mod gpt2;
mod llama;

use crate::checkpoint::mapping::Table;
use crate::net::Outputs;
use crate::spec::Spec;
use tenon_engine::Graph;

impl Spec {
    /// The graph of the model.
    pub fn graph(&self, outputs: &Outputs) -> Graph {
        match self {
            Spec::Custom(spec) => custom::graph(spec, outputs),
            Spec::Gpt2(spec) => gpt2::graph(spec, outputs),
            Spec::Llama(spec) => llama::graph(spec, outputs),
        }
    }

    /// The names of its tensors in hub checkpoints.
    pub fn table(&self) -> &'static Table {
        match self {
            Spec::Custom(_) => &custom::TABLE,
            Spec::Gpt2(_) => &gpt2::TABLE,
            Spec::Llama(_) => &llama::TABLE,
        }
    }

    /// The family's name in configurations.
    pub fn family(&self) -> &'static str {
        match self {
            Spec::Custom(_) => "custom",
            Spec::Gpt2(_) => "gpt2",
            Spec::Llama(_) => "llama",
        }
    }
}
