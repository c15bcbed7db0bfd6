//! Another head for a model that was read.

use tenon_base::Result;

use super::{Extra, Folder};
use crate::checkpoint::TensorView;
use crate::hub::Naming;
use crate::net::Outputs;
use crate::spec::Spec;
use crate::weights::{Weights, encode};

/// Parameters that mean what one head tells: its classes, labels or numbers.
const OUTPUTS: [&str; 2] = ["head.sequence.", "head.token."];

impl Folder {
    /// Makes it the model of `spec`, which has another head: parameters that both have stay, but
    /// not the outputs of a head that tells something else, however many these are. Those of the
    /// new head come from tensors that the old one had no use for, or are fresh. Returns the names
    /// of the fresh ones.
    ///
    /// # Errors
    /// `Data` when a left-out tensor is no float.
    pub fn change_head(&mut self, spec: Spec, seed: u64) -> Result<Vec<String>> {
        let graph = spec.with_rotary_positions(1).graph(&Outputs::judging());
        let mut weights = Weights::init(&graph, self.weights.dtype, seed);
        let targets = weights.targets();
        let mapping = spec.mapping();
        let prefixes = mapping.table.prefixes;
        if !prefixes.contains(&self.prefix) {
            self.prefix = prefixes[0];
        }
        let mut names = vec![String::new(); targets.len()];
        for tensor in mapping.hub_tensors(&targets, self.prefix)? {
            for (i, _) in tensor.parts {
                names[i].clone_from(&tensor.name);
            }
        }
        let is_told_anew = spec.objective() != self.config.spec.objective();
        let stays =
            |name: &str| !is_told_anew || !OUTPUTS.iter().any(|prefix| name.starts_with(prefix));
        let mut fresh = Vec::new();
        for (weight, name) in weights.tensors.iter_mut().zip(names) {
            let mut own = self.weights.tensors.iter();
            let own = own.find(|own| {
                own.name == weight.name && own.shape == weight.shape && stays(&own.name)
            });
            let fits = |extra: &Extra| extra.name == name && extra.shape == weight.shape;
            if let Some(own) = own {
                weight.bytes = own.bytes.clone();
            } else if let Some(i) = self.dropped.iter().position(fits) {
                let extra = self.dropped.remove(i);
                let view = TensorView {
                    name: &extra.name,
                    dtype: extra.dtype,
                    shape: &extra.shape,
                    bytes: &extra.bytes,
                };
                weight.bytes = encode(self.weights.dtype, view.to_f64()?.into_iter()).into();
            } else {
                fresh.push(weight.name.clone());
            }
        }
        self.weights = weights;
        self.config.spec = spec;
        self.config.naming = Naming::Hub;
        for key in ["architectures", "problem_type"] {
            self.config.extra.shift_remove(key);
        }
        Ok(fresh)
    }
}
