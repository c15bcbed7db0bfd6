//! One run of a model over a packed batch.

use std::collections::BTreeMap;
use std::sync::Arc;

use tenon_base::{Error, Result};
use tenon_engine::{DType, Dim, Executor, Graph, Kernels, LossSum, PlanOptions};

use super::pack::{Bounds, IntTensor, LABELS, Packed, pack};
use crate::checkpoint::mapping::Mapping;
use crate::folder::Folder;
use crate::net::{Outputs, feed_targets};
use crate::spec::{Objective, Spec};
use crate::weights::{Weights, decode, encode};

/// A model to run.
#[derive(Clone, Copy, Debug)]
pub struct Model<'a> {
    /// What it is.
    pub spec: &'a Spec,
    /// Its parameters.
    pub weights: &'a Weights,
    /// The names of gradients.
    pub mapping: Mapping,
    /// What `{prefix}` stands for in them.
    pub prefix: &'a str,
    /// Names of its file that are others, by those of the mapping.
    pub own_names: &'a BTreeMap<String, String>,
}

/// Those of a model without a file.
static NO_NAMES: BTreeMap<String, String> = BTreeMap::new();

impl<'a> Model<'a> {
    /// A model whose tensors have the names that we write.
    pub fn new(spec: &'a Spec, weights: &'a Weights) -> Self {
        let mapping = spec.mapping();
        Model {
            spec,
            weights,
            mapping,
            prefix: mapping.table.prefixes[0],
            own_names: &NO_NAMES,
        }
    }

    /// A model that was read, with the names of its file.
    pub fn of(folder: &'a Folder) -> Self {
        Model {
            spec: &folder.config.spec,
            weights: &folder.weights,
            mapping: folder.mapping(),
            prefix: folder.prefix,
            own_names: &folder.own_names,
        }
    }
}

/// What a prediction is to hold.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// In which type everything is computed and returned.
    pub dtype: DType,
    /// Whether gradients of the mean loss are wanted; they need labels.
    pub grads: bool,
}

/// A named tensor of a prediction.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// `logits`, `hidden_states.N`, `loss` or `grad.<name in the file>`.
    pub name: String,
    /// Outermost dimension first.
    pub shape: Vec<usize>,
    /// Elements of the prediction's type, little-endian.
    pub bytes: Vec<u8>,
}

/// What a model computed.
#[derive(Clone, Debug)]
pub struct Prediction {
    /// The type of all elements.
    pub dtype: DType,
    /// `logits [B, T, V]` (`[B, C]` of a model that tells the class of a sequence, 0 for an empty
    /// one), `hidden_states.N [B, T, D]` (0 at padding), `loss [1]`, gradients.
    pub outputs: Vec<Output>,
    /// The loss as a sum over tokens, or over sequences of a model that tells something of them;
    /// when labels were given.
    pub loss: Option<LossSum>,
    /// Tokens that ran.
    pub tokens: usize,
    /// Sequences that ran.
    pub sequences: usize,
}

impl Prediction {
    /// The values of an output.
    pub fn values(&self, name: &str) -> Option<Vec<f64>> {
        let output = self.outputs.iter().find(|output| output.name == name)?;
        Some(decode(self.dtype, &output.bytes))
    }
}

/// Runs a model on the inputs of [`pack`]. Without a single real token there is nothing to run, and
/// the outputs are 0.
///
/// Errors are of kind data: what [`pack`] refuses, and labels of which none counts.
///
/// # Panics
/// When the weights are not those of the model.
pub fn predict(
    model: Model<'_>,
    inputs: &BTreeMap<String, IntTensor>,
    options: Options,
    device: Box<dyn Kernels>,
) -> Result<Prediction> {
    predict_packed(
        model,
        &pack(inputs, Bounds::of(model.spec))?,
        options,
        device,
    )
}

/// As [`predict`], on inputs that are packed.
///
/// # Panics
/// When the weights are not those of the model.
pub fn predict_packed(
    model: Model<'_>,
    packed: &Packed,
    options: Options,
    device: Box<dyn Kernels>,
) -> Result<Prediction> {
    let counted = |targets: &Vec<i32>| targets.iter().any(|&target| target >= 0);
    match &packed.targets {
        Some(targets) if !counted(targets) => {
            let error = Error::data("no label counts, so there is no mean loss");
            let hint = match model.spec.objective() {
                Objective::Sequence { .. } => "give one sequence with a token a label",
                Objective::Masked | Objective::Token { .. } => "give one token a label",
                Objective::Causal => "give one token after the first a label",
            };
            return Err(error.hint(format!("leave `labels` out, or {hint}")));
        }
        None if options.grads => {
            return Err(Error::data(
                "gradients are those of the loss, which needs `labels`",
            ));
        }
        _ => {}
    }
    let is_lost = |&x: &f64| options.dtype == DType::F32 && !(x as f32).is_finite();
    if let Some(x) = packed.given.iter().copied().find(is_lost) {
        let message = format!("`{LABELS}` hold {x}, which is no finite number in f32");
        return Err(Error::data(message).hint("compute in f64"));
    }
    // Only as many rotary angles as the batch needs.
    let last = packed.positions.iter().max().map_or(0, |&p| p as usize);
    let spec = model.spec.with_rotary_positions(last + 1);
    let graph = spec.graph(&Outputs::inspecting(packed.targets.is_some()));
    run(model, graph, packed, options, device)
}

/// Runs a graph of the model, or a rewrite of one, over a packed batch. Its outputs are those of
/// the graph.
///
/// # Panics When the graph has other parameters than the weights, or gradients are wanted of a
/// graph or batch without loss.
pub fn run(
    model: Model<'_>,
    graph: Graph,
    packed: &Packed,
    options: Options,
    device: Box<dyn Kernels>,
) -> Result<Prediction> {
    let graph = Arc::new(graph);
    if packed.places.is_empty() {
        let outputs = row_outputs(&graph, packed, options.dtype, |_| Vec::new());
        return Ok(prediction(options.dtype, outputs, packed, None));
    }
    let capacity = packed.extent();
    let plan = match options.grads {
        true => PlanOptions::training(options.dtype, capacity, 0),
        false => PlanOptions::inference(options.dtype, capacity),
    };
    let mut exec = Executor::new(graph.clone(), plan, device);
    model.weights.write(&mut exec);
    set_batch(&mut exec, packed);
    exec.forward();
    if options.grads {
        exec.backward();
    }
    let read = |name: &str| output_bytes(&mut exec, name, options.dtype);
    let mut outputs = row_outputs(&graph, packed, options.dtype, read);
    let loss = packed.targets.is_some().then(|| exec.loss());
    if let Some(mean) = loss.and_then(|loss| loss.mean()) {
        outputs.push(Output {
            name: "loss".to_owned(),
            shape: vec![1],
            bytes: encode(options.dtype, [mean].into_iter()),
        });
    }
    if let (true, Some(loss)) = (options.grads, loss) {
        outputs.extend(grads(model, &mut exec, loss.tokens, options.dtype)?);
    }
    Ok(prediction(options.dtype, outputs, packed, loss))
}

/// The rows of an output, little-endian.
fn output_bytes(exec: &mut Executor, name: &str, dtype: DType) -> Vec<u8> {
    let graph = exec.graph().clone();
    let value = graph.output(name).expect("the graph names its outputs");
    match dtype {
        DType::F32 => {
            let mut values = vec![0f32; graph.ty(value).shape.len(exec.extent())];
            exec.copy_output_f32(name, &mut values);
            values.iter().flat_map(|x| x.to_le_bytes()).collect()
        }
        _ => encode(dtype, exec.read_output(name).into_iter().flatten()),
    }
}

fn prediction(
    dtype: DType,
    outputs: Vec<Output>,
    packed: &Packed,
    loss: Option<LossSum>,
) -> Prediction {
    Prediction {
        dtype,
        outputs,
        loss,
        tokens: packed.places.len(),
        sequences: packed.cu_seqlens.len() - 1,
    }
}

/// Gives an executor a batch, as far as its graph asks.
pub(crate) fn set_batch(exec: &mut Executor, packed: &Packed) {
    let n_sequences = packed.cu_seqlens.len() - 1;
    let inputs = [
        ("input_ids", packed.ids.as_slice()),
        ("positions", &packed.positions),
        ("cu_seqlens", &packed.cu_seqlens),
        ("first_rows", &packed.cu_seqlens[..n_sequences]),
        ("token_types", &packed.token_types),
    ];
    for (name, values) in inputs {
        if exec.has_input(name) {
            exec.set_input(name, values);
        }
    }
    if exec.has_input("targets") {
        let targets = packed.targets.as_deref();
        let targets = targets.expect("a graph with a loss has targets");
        feed_targets(exec, targets, &packed.given);
    }
}

/// The outputs of a graph at their places in `[B, T, …]`, or `[B, …]` for one row a sequence; 0
/// elsewhere.
fn row_outputs(
    graph: &Graph,
    packed: &Packed,
    dtype: DType,
    mut read: impl FnMut(&str) -> Vec<u8>,
) -> Vec<Output> {
    let [b, t] = packed.rows_columns;
    let mut outputs = Vec::with_capacity(graph.outputs.len());
    for (name, value) in &graph.outputs {
        let shape = &graph.ty(*value).shape;
        let width = shape.cols();
        let (shape, places) = match shape.lead() {
            Dim::Seqs => (vec![packed.n_given, width], &packed.sequence_places),
            Dim::Tokens => (vec![b, t, width], &packed.places),
            other => unreachable!("{name} has a row for each of {other}"),
        };
        let row_bytes = width * dtype.bytes();
        let mut bytes = vec![0; shape.iter().product::<usize>() * dtype.bytes()];
        for (row, &place) in read(name).chunks_exact(row_bytes).zip(places) {
            bytes[place * row_bytes..][..row_bytes].copy_from_slice(row);
        }
        outputs.push(Output {
            name: name.clone(),
            shape,
            bytes,
        });
    }
    outputs
}

/// Gradients of the mean loss under the names of the model's file. The executor holds those of the
/// sum.
fn grads(
    model: Model<'_>,
    exec: &mut Executor,
    counted: usize,
    dtype: DType,
) -> Result<Vec<Output>> {
    let targets = model.weights.targets();
    let graph = exec.graph().clone();
    let grads: Vec<Option<Vec<f64>>> = targets
        .iter()
        .map(|target| exec.read_grad(graph.find_param(&target.name)?))
        .collect();
    let mut outputs = Vec::new();
    for tensor in model.mapping.hub_tensors(&targets, model.prefix)? {
        let parts = tensor.parts.iter();
        let parts = parts.map(|&(i, piece)| Some((grads[i].as_ref()?, piece)));
        // A frozen parameter has no gradient, and so no key.
        let Some(parts) = parts.collect::<Option<Vec<_>>>() else {
            continue;
        };
        let mut values = vec![0.0; tensor.shape.iter().product()];
        for (grad, piece) in parts {
            for (hub, ours) in piece.blocks() {
                values[hub..][..piece.len].copy_from_slice(&grad[ours..][..piece.len]);
            }
        }
        let mean = values.into_iter().map(|sum| sum / counted as f64);
        let name = model.own_names.get(&tensor.name).unwrap_or(&tensor.name);
        outputs.push(Output {
            name: format!("grad.{name}"),
            bytes: encode(dtype, mean),
            shape: tensor.shape,
        });
    }
    Ok(outputs)
}
