//! Contact maps of ESM-2: which residues touch in the folded protein, told from attention.
//!
//! The method is that of Rao et al. 2020, *Transformer protein language models are unsupervised
//! structure learners*: each head's attention between residues is symmetrised and corrected for
//! how much each residue attends at all (average product correction); a logistic regression over
//! all heads gives the probability of a contact. Its weights come with the checkpoint.

use std::fmt;
use std::sync::Arc;

use tenon_base::{Error, Result};
use tenon_engine::cpu::Cpu;
use tenon_engine::table::AttentionDims;
use tenon_engine::{DType, Executor, Extent, Kernels, PlanOptions};

use crate::checkpoint::TensorView;
use crate::folder::{Extra, Folder};
use crate::net::{Outputs, feed};
use crate::spec::{Encoder, EncoderSpec, Spec};

const WEIGHT: &str = "contact_head.regression.weight";
const BIAS: &str = "contact_head.regression.bias";

/// Whether a tensor that was left out of the parameters belongs to the head for contacts.
pub fn is_contact_head(name: &str) -> bool {
    name.ends_with(WEIGHT) || name.ends_with(BIAS)
}

/// A model that tells contacts, one sequence at a time.
pub struct ContactMaps {
    exec: Executor,
    cpu: Cpu,
    dtype: DType,
    dims: AttentionDims,
    /// `[L·H]`: the heads of the first layer, then those of the next.
    weight: Vec<f64>,
    bias: f64,
    eos_ids: Vec<u32>,
    vocab_size: usize,
}

impl ContactMaps {
    /// A model for sequences of at most `tokens_max` tokens, computed in `dtype` on `device`; the
    /// probabilities of attention on `cpu`. The queries and keys of all layers are held at once,
    /// of attention only one head's `[T, T]` matrix.
    ///
    /// Errors are of kind data: a model of another family, a checkpoint without the head or with
    /// one of another shape, and more tokens than the model's context.
    pub fn new(
        folder: &Folder,
        tokens_max: usize,
        dtype: DType,
        device: Box<dyn Kernels>,
        cpu: Cpu,
    ) -> Result<ContactMaps> {
        let spec = esm(&folder.config.spec)?;
        let context = spec.max_positions;
        if tokens_max > context {
            let what =
                format!("{tokens_max} tokens are more than the model's context of {context}");
            return Err(Error::data(what));
        }
        let n_channels = spec.n_layers * spec.n_heads;
        let weight = head_tensor(folder, WEIGHT, &[1, n_channels])?;
        let bias = head_tensor(folder, BIAS, &[1])?[0];
        // Only as many rotary angles as the longest sequence needs.
        let graph = folder.config.spec.with_rotary_positions(tokens_max);
        let graph = Arc::new(graph.graph(&Outputs::attending()));
        let capacity = Extent::new(tokens_max, 1);
        let mut exec = Executor::new(graph, PlanOptions::inference(dtype, capacity), device);
        folder.weights.write(&mut exec);
        Ok(ContactMaps {
            exec,
            cpu,
            dtype,
            dims: spec.attention_dims(),
            weight,
            bias,
            eos_ids: spec.eos_ids.clone(),
            vocab_size: spec.vocab_size,
        })
    }

    /// The probability of a contact between any two residues, `[R, R]` and symmetric, of the ids
    /// of one sequence with R residues: a first token, the residues, and eos.
    ///
    /// Errors are of kind data: ids that are no such sequence or outside the vocabulary; of kind
    /// judged: probabilities that are no numbers.
    ///
    /// # Panics
    /// When there are more ids than the model was made for.
    pub fn map(&mut self, ids: &[u32]) -> Result<Vec<f64>> {
        self.check(ids)?;
        let n = ids.len();
        let tokens: Vec<i32> = ids.iter().map(|&id| id as i32).collect();
        let positions: Vec<i32> = (0..n as i32).collect();
        feed(&mut self.exec, &tokens, &positions, &[0, n as i32]);
        self.exec.forward();
        let mut logits = vec![self.bias; (n - 2) * (n - 2)];
        let (cpu, dims) = (&self.cpu, &self.dims);
        for (layer, weights) in self.weight.chunks(dims.n_heads).enumerate() {
            let names = ["queries", "keys"].map(|name| format!("{name}.{layer}"));
            match self.dtype {
                DType::F32 => {
                    let [q, k] = names.map(|name| {
                        let mut values = vec![0f32; n * dims.n_heads * dims.head_dim];
                        self.exec.copy_output_f32(&name, &mut values);
                        values
                    });
                    add_layer(weights, n, &mut logits, |head, out: &mut [f32]| {
                        cpu.attention_probabilities(dims, head, &q, &k, out);
                    });
                }
                _ => {
                    let [q, k] = names.map(|name| {
                        let values = self.exec.read_output(&name);
                        values.expect("the graph shows queries and keys")
                    });
                    add_layer(weights, n, &mut logits, |head, out: &mut [f64]| {
                        cpu.attention_probabilities(dims, head, &q, &k, out);
                    });
                }
            }
        }
        logits.iter_mut().for_each(|x| *x = sigmoid(*x));
        match logits.iter().all(|p| p.is_finite()) {
            true => Ok(logits),
            false => Err(
                Error::judged("the probabilities of contacts are no numbers")
                    .hint("the model's weights hold NaN or infinities, or overflow: try f64"),
            ),
        }
    }

    fn check(&self, ids: &[u32]) -> Result<()> {
        let refuse = |what: String| Err(Error::data(what));
        if ids.len() < 3 {
            return refuse(format!(
                "{} tokens hold no residue between the ends",
                ids.len()
            ));
        }
        if let Some(id) = ids.iter().find(|&&id| id as usize >= self.vocab_size) {
            let size = self.vocab_size;
            return refuse(format!("token {id} is outside the vocabulary of {size}"));
        }
        let is_eos = |id: &u32| self.eos_ids.contains(id);
        match ids.iter().position(is_eos) {
            Some(at) if at == ids.len() - 1 => Ok(()),
            Some(at) => refuse(format!("token {at} is eos, which only ends a sequence")),
            None => refuse("the sequence does not end in the model's eos token".to_owned()),
        }
    }
}

impl fmt::Debug for ContactMaps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContactMaps")
            .field("dtype", &self.dtype)
            .field("dims", &self.dims)
            .finish_non_exhaustive()
    }
}

fn esm(spec: &Spec) -> Result<&EncoderSpec> {
    match spec {
        Spec::Encoder(encoder) if matches!(encoder.family, Encoder::Esm { .. }) => Ok(encoder),
        _ => Err(
            Error::data("models of this family have no head for contacts")
                .hint("contact maps come from ESM-2 models"),
        ),
    }
}

/// A tensor of the head, which stands beside the parameters.
fn head_tensor(folder: &Folder, name: &str, shape: &[usize]) -> Result<Vec<f64>> {
    let name = format!("{}{name}", folder.prefix);
    let at = |error: Error| error.at(folder.path.display().to_string());
    let extra = |extra: &&Extra| extra.name == name;
    let Some(extra) = folder.dropped.iter().find(extra) else {
        let error = Error::data(format!("the checkpoint has no `{name}`"));
        let hint = "take an ESM-2 checkpoint with its head for contacts, as it was published";
        return Err(at(error.hint(hint)));
    };
    if extra.shape != shape {
        let what = format!("`{name}` has shape {:?} instead of {shape:?}", extra.shape);
        return Err(at(Error::data(what)));
    }
    let view = TensorView {
        name: &extra.name,
        dtype: extra.dtype,
        shape: &extra.shape,
        bytes: &extra.bytes,
    };
    view.to_f64().map_err(at)
}

/// Adds what the heads of a layer say to the logits `[R, R]`, R = n − 2.
///
/// With s = a + aᵀ over residues (the first token and eos are left out), a head adds
/// weight·(s_ij − s_i·s_j / Σs), where s_i is the sum of row i, and of column i.
fn add_layer<S: Copy + Default + Into<f64>>(
    weights: &[f64],
    n: usize,
    logits: &mut [f64],
    probabilities: impl Fn(usize, &mut [S]),
) {
    let residues = n - 2;
    let mut a = vec![S::default(); n * n];
    let mut sums = vec![0.0; residues];
    for (head, &weight) in weights.iter().enumerate() {
        probabilities(head, &mut a);
        let s = |i: usize, j: usize| -> f64 {
            let (i, j) = (i + 1, j + 1);
            a[i * n + j].into() + a[j * n + i].into()
        };
        for (i, sum) in sums.iter_mut().enumerate() {
            *sum = (0..residues).map(|j| s(i, j)).sum();
        }
        let total: f64 = sums.iter().sum();
        for (i, row) in logits.chunks_exact_mut(residues).enumerate() {
            for (j, logit) in row.iter_mut().enumerate() {
                *logit += weight * (s(i, j) - sums[i] * sums[j] / total);
            }
        }
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}
