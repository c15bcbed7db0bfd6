//! Proof of a whole model's derivatives: along a random direction of every parameter tensor, the
//! gradient that training would use against differences of the loss, in f64.

mod differences;

use std::sync::Arc;

use tenon_base::rng::{Key, Stream};
use tenon_base::{Error, Result};
use tenon_engine::exec::IGNORE;
use tenon_engine::{DType, Executor, Graph, Init, Kernels, ParamId, PlanOptions};

use crate::net::{LossOptions, Outputs};
use crate::predict::{Packed, set_batch};
use crate::spec::{Objective, Spec};
use crate::weights::{Weight, Weights, encode};

use differences::derivative;

/// The largest relative error of a directional derivative.
pub const RELATIVE_ERROR_MAX: f64 = 1e-6;
/// Below this scale a derivative counts as zero, and errors are absolute.
pub const ZERO_BELOW: f64 = 1e-9;
/// Tokens of the longest sequence that is tried.
const TOKENS_MAX: usize = 12;

/// What is proved.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Decides tokens, directions, dropout masks and fresh weights.
    pub seed: u64,
    /// The loss.
    pub loss: LossOptions,
    /// Dropout rate; the masks are the same in every evaluation.
    pub dropout: f64,
    /// As many tensors as this are tried, spread evenly over the model; `None` tries all.
    pub tensors_max: Option<usize>,
}

impl Options {
    /// Plain loss, no dropout, every tensor.
    pub fn plain(seed: u64) -> Self {
        Options {
            seed,
            loss: LossOptions::PLAIN,
            dropout: 0.0,
            tensors_max: None,
        }
    }
}

/// How a tensor was judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The relative error is within [`RELATIVE_ERROR_MAX`].
    Agrees,
    /// Scale and difference are below [`ZERO_BELOW`]: a gradient that symmetry makes zero.
    Zero,
    /// They differ.
    Differs,
}

impl Verdict {
    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Agrees => "agrees",
            Verdict::Zero => "zero",
            Verdict::Differs => "differs",
        }
    }
}

/// The derivative of the loss along one tensor's direction, twice.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorReport {
    /// Our name of the tensor.
    pub name: String,
    /// ⟨gradient, direction⟩.
    pub analytic: f64,
    /// From differences of the loss.
    pub numeric: f64,
    /// How large such a derivative is: the larger of |numeric| and the standard deviation of
    /// analytic over directions, which a direction that happens to be orthogonal to the gradient
    /// does not shrink.
    pub scale: f64,
    /// |analytic − numeric| over the scale; 0 where they are equal.
    pub relative_error: f64,
    /// What the differences themselves may be wrong by.
    pub numeric_error: f64,
    /// The judgement.
    pub verdict: Verdict,
}

/// The proof of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct GradReport {
    /// One entry a tensor that was tried, in the order of the graph.
    pub tensors: Vec<TensorReport>,
    /// Trainable tensors that were not tried, because fewer were asked for.
    pub n_untried: usize,
    /// The mean loss at which the derivatives were taken.
    pub loss: f64,
}

impl GradReport {
    /// Whether every tensor that was tried agrees, and one was.
    pub fn passed(&self) -> bool {
        let bad = |t: &TensorReport| t.verdict == Verdict::Differs;
        !self.tensors.is_empty() && !self.tensors.iter().any(bad)
    }

    /// The tensor with the largest relative error among those that are not zero.
    pub fn worst(&self) -> Option<&TensorReport> {
        let sized = self.tensors.iter().filter(|t| t.verdict != Verdict::Zero);
        sized.max_by(|a, b| a.relative_error.total_cmp(&b.relative_error))
    }
}

/// Proves the derivatives of a model at the given weights, or at fresh ones that are large enough
/// for every part to matter.
///
/// Errors are of kind data: a loss that is not finite at the weights.
///
/// # Panics
/// When the weights are those of another model.
pub fn gradcheck(
    spec: &Spec,
    weights: Option<&Weights>,
    options: Options,
    device: Box<dyn Kernels>,
) -> Result<GradReport> {
    gradcheck_rewritten(spec, weights, |_| (), options, device)
}

/// [`gradcheck`] of the model's graph after a rewrite that keeps its parameters.
///
/// Errors are of kind data: a loss that is not finite at the weights.
///
/// # Panics
/// When the weights are those of another model, or the rewritten graph is malformed.
pub fn gradcheck_rewritten(
    spec: &Spec,
    weights: Option<&Weights>,
    rewrite: impl FnOnce(&mut Graph),
    options: Options,
    device: Box<dyn Kernels>,
) -> Result<GradReport> {
    let spec = spec.with_rotary_positions(TOKENS_MAX);
    let mut graph = spec.graph(&Outputs::training(options.loss, options.dropout));
    rewrite(&mut graph);
    let batch = batch(&spec, options.seed);
    match weights {
        Some(weights) => check(graph, weights, &batch, options, device),
        None => {
            let fresh = fresh(&graph, options.seed);
            check(graph, &fresh, &batch, options, device)
        }
    }
}

fn check(
    graph: Graph,
    weights: &Weights,
    batch: &Packed,
    options: Options,
    device: Box<dyn Kernels>,
) -> Result<GradReport> {
    let (graph, extent) = (Arc::new(graph), batch.extent());
    let programs = vec![
        (graph.clone(), PlanOptions::training(DType::F64, extent, 0)),
        (graph, PlanOptions::inference(DType::F64, extent)),
    ];
    let mut exec = Executor::with_programs(programs, device);
    weights.write(&mut exec);
    set_batch(&mut exec, batch);
    exec.set_key(Key::new(options.seed, Stream::Dropout).words(0));
    exec.forward();
    exec.backward();
    let loss = mean_loss(&mut exec);
    if !loss.is_finite() {
        let error = Error::data(format!("the loss at the weights is {loss}"));
        return Err(error.hint("a derivative can be proved at finite weights only"));
    }
    let trainable: Vec<ParamId> = exec.trainable().collect();
    let chosen = spread(&trainable, options.tensors_max.unwrap_or(usize::MAX));
    let counted = exec.loss().tokens as f64;
    let mut slopes = Vec::with_capacity(chosen.len());
    for &p in &chosen {
        let (direction, std_dev) = direction(&mut exec, p, options.seed);
        let sums = exec.read_grad(p).unwrap_or_default();
        let slope: f64 = sums.iter().zip(&direction).map(|(g, d)| g * d).sum();
        let norm = sums.iter().map(|g| g * g).sum::<f64>().sqrt();
        slopes.push([slope, std_dev * norm].map(|x| x / counted));
    }
    exec.activate(1);
    set_batch(&mut exec, batch);
    let tensors = chosen.iter().zip(slopes);
    let tensors = tensors.map(|(&p, slope)| tensor(&mut exec, p, slope, options.seed));
    Ok(GradReport {
        tensors: tensors.collect(),
        n_untried: trainable.len() - chosen.len(),
        loss,
    })
}

/// Judges one tensor, given its derivative along the direction and the standard deviation of that
/// over directions.
fn tensor(
    exec: &mut Executor,
    p: ParamId,
    [analytic, std_dev]: [f64; 2],
    seed: u64,
) -> TensorReport {
    let at = exec.read_param(p);
    let (direction, _) = direction(exec, p, seed);
    let mut moved = at.clone();
    let (numeric, numeric_error) = derivative(|step| {
        for ((moved, x), d) in moved.iter_mut().zip(&at).zip(&direction) {
            *moved = x + step * d;
        }
        exec.write_param(p, &moved);
        exec.forward();
        mean_loss(exec)
    });
    exec.write_param(p, &at);
    let scale = std_dev.max(numeric.abs());
    let error = (analytic - numeric).abs();
    let relative_error = if error == 0.0 { 0.0 } else { error / scale };
    let verdict = if relative_error <= RELATIVE_ERROR_MAX {
        Verdict::Agrees
    } else if error <= ZERO_BELOW && scale < ZERO_BELOW {
        Verdict::Zero
    } else {
        // Also where it is not a number.
        Verdict::Differs
    };
    TensorReport {
        name: exec.graph().param(p).name.clone(),
        analytic,
        numeric,
        scale,
        relative_error,
        numeric_error,
        verdict,
    }
}

fn mean_loss(exec: &mut Executor) -> f64 {
    exec.loss().mean().expect("the batch has targets")
}

/// Normal values as large as the tensor's own, or of size 1 where it is zero, and that size.
fn direction(exec: &mut Executor, p: ParamId, seed: u64) -> (Vec<f64>, f64) {
    let values = exec.read_param(p);
    let squares: f64 = values.iter().map(|x| x * x).sum();
    let rms = (squares / values.len() as f64).sqrt();
    let std_dev = if rms > 0.0 { rms } else { 1.0 };
    let mut rng = Key::new(seed, Stream::Direction).at(0, u64::from(p.0));
    let direction = values.iter().map(|_| std_dev * rng.normal());
    (direction.collect(), std_dev)
}

/// At most `n` of the items, spread evenly, the first among them.
fn spread<T: Copy>(items: &[T], n: usize) -> Vec<T> {
    let n = n.min(items.len());
    (0..n).map(|i| items[i * items.len() / n]).collect()
}

/// Three sequences of random tokens and targets, some of which do not count.
fn batch(spec: &Spec, seed: u64) -> Packed {
    let key = Key::new(seed, Stream::Direction);
    let draw = |index: u64, n: usize, below: usize| -> Vec<i32> {
        let mut rng = key.at(1, index);
        (0..n).map(|_| rng.below(below as u64) as i32).collect()
    };
    let vocabulary = spec.vocab_size();
    let lengths = [TOKENS_MAX, 1, TOKENS_MAX / 2 + 1].map(|n| n.min(spec.context_len()));
    let n = lengths.iter().sum();
    let mut targets = match spec.objective() {
        Objective::Causal | Objective::Masked => draw(1, n, vocabulary),
        Objective::Token { n_classes } => draw(1, n, n_classes),
        Objective::Sequence { n_classes, .. } => draw(1, lengths.len(), n_classes),
    };
    targets
        .iter_mut()
        .skip(3)
        .step_by(5)
        .for_each(|target| *target = IGNORE);
    let mut cu_seqlens = vec![0];
    cu_seqlens.extend(lengths.iter().scan(0, |end, &n| {
        *end += n as i32;
        Some(*end)
    }));
    Packed {
        rows_columns: [1, n],
        places: (0..n).collect(),
        ids: draw(0, n, vocabulary),
        positions: lengths.iter().flat_map(|&n| 0..n as i32).collect(),
        cu_seqlens,
        token_types: match spec.token_types() {
            0 => Vec::new(),
            types => draw(2, n, types),
        },
        given: match spec.objective() {
            Objective::Sequence { n_classes, .. } => answers(key, lengths.len() * n_classes),
            _ => Vec::new(),
        },
        targets: Some(targets),
        sequence_places: (0..lengths.len()).collect(),
        n_given: lengths.len(),
    }
}

/// Numbers between 0 and 1, which are probabilities too.
fn answers(key: Key, n: usize) -> Vec<f64> {
    let mut rng = key.at(1, 3);
    (0..n)
        .map(|_| rng.below(1 << 20) as f64 / f64::from(1 << 20))
        .collect()
}

/// Weights under which every part moves the loss: matrices that keep the size of what they
/// multiply, and gains and biases away from the 1 and 0 that would hide a wrong derivative.
fn fresh(graph: &Graph, seed: u64) -> Weights {
    let key = Key::new(seed, Stream::Direction);
    let tensors = graph.params.iter().enumerate().map(|(i, p)| {
        let mut rng = key.at(2, i as u64);
        let (mean, std_dev) = match p.init {
            Init::Constant(value) => (value, 0.1),
            Init::Normal(_) | Init::Uniform(_) => {
                let width = p.shape.iter().min().copied().unwrap_or(1);
                (0.0, 0.9 / (width as f64).sqrt())
            }
        };
        let values = (0..p.len()).map(|_| mean + std_dev * rng.normal());
        Weight {
            name: p.name.clone(),
            shape: p.shape.clone(),
            bytes: encode(DType::F64, values).into(),
        }
    });
    Weights {
        dtype: DType::F64,
        tensors: tensors.collect(),
    }
}
