//! Facts of a model, from its spec and the plans of its graphs: parameters, operations, memory.

mod memory;
mod render;

use crate::net::{LossOptions, Outputs};
use crate::spec::Spec;
use std::collections::BTreeMap;
use tenon_engine::graph::{Param, Part};
use tenon_engine::{DType, Extent, Graph, Kernels, PlanOptions, Recompute};

pub use memory::{Memory, Tenant};

/// What the facts are asked for.
pub struct Question<'a> {
    /// Type of all floats.
    pub float: DType,
    /// Tokens and sequences of a batch.
    pub batch: Extent,
    /// Dropout in training; masks take memory.
    pub dropout: f64,
    /// Optimiser buffers for each parameter (AdamW: 2).
    pub moments: usize,
    /// What the backward pass computes again.
    pub recompute: Recompute,
    /// The device, for the workspace of its kernels.
    pub device: &'a dyn Kernels,
}

/// Facts of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// The family's name.
    pub family: &'static str,
    /// Which of its variants, where there are several.
    pub variant: Option<&'static str>,
    /// Both, for reading.
    pub full_name: String,
    /// Elements of all parameters, tied ones once.
    pub n_params: usize,
    /// Parameters by what they are for, in the order of the graph.
    pub groups: Vec<Group>,
    /// Shapes by layer; equal neighbours are joined.
    pub layers: Vec<Layer>,
    /// The batch that operations and memory are told for.
    pub batch: Extent,
    /// Type of all floats.
    pub float: DType,
    /// Operations.
    pub flops: Flops,
    /// Memory of inference and of training at each level of recomputation, in the order of
    /// [`Purpose::all`].
    pub memory: Vec<Memory>,
    /// The level that a run would train at.
    pub recompute: Recompute,
    /// The ten largest tenants of the transient memory at the busiest call of training at that
    /// level.
    pub tenants: Vec<Tenant>,
}

/// Parameters of one part of the model, over all layers.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// The part's name.
    pub name: &'static str,
    /// Tensors.
    pub n_tensors: usize,
    /// Elements; 0 for a head that is the token embedding.
    pub n_params: usize,
    /// Part of all elements, in percent.
    pub percent: f64,
    /// Whether the part's matrix is another part's, as that of a tied head.
    pub is_tied: bool,
}

/// Parameters outside of the blocks, or those of a run of equal blocks.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// First and last block; absent outside.
    pub blocks: Option<[usize; 2]>,
    /// Names within the block, and shapes.
    pub tensors: Vec<(String, Vec<usize>)>,
}

/// Floating-point operations for one token of the batch. A multiply-add counts as two, everywhere.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Flops {
    /// Forward pass with head and loss.
    pub forward_per_token: f64,
    /// Forward and backward pass of a model whose parameters are all trained: three times the
    /// forward pass, since the derivative of a product is two products. Recomputation is no work of
    /// the model and not counted. All tokens are told: a masked model does less behind its last
    /// attention, where it learns some of them.
    pub training_per_token: f64,
    /// Scores and sums of attention alone, forward; they grow with the length of the sequences.
    pub attention_per_token: f64,
}

/// What a plan is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Loss without derivatives.
    Inference,
    /// A step of training.
    Training(Recompute),
}

impl Purpose {
    /// All purposes for a training graph, in the order of reports.
    pub fn all(graph: &Graph) -> Vec<Purpose> {
        let levels = Recompute::levels(graph).into_iter();
        std::iter::once(Purpose::Inference)
            .chain(levels.map(Purpose::Training))
            .collect()
    }

    /// The name used in reports.
    pub fn name(self) -> String {
        match self {
            Purpose::Inference => "inference".to_owned(),
            Purpose::Training(Recompute::None) => "training".to_owned(),
            Purpose::Training(Recompute::Selective) => "selective recompute".to_owned(),
            Purpose::Training(Recompute::Blocks(n)) => format!("recompute of {n} blocks"),
            Purpose::Training(Recompute::Full) => "full recompute".to_owned(),
        }
    }
}

impl Facts {
    /// The facts of a model. Plans are made, nothing is allocated for them.
    pub fn new(spec: &Spec, question: &Question<'_>) -> Facts {
        let training = spec.graph(&Outputs::training(LossOptions::PLAIN, question.dropout));
        let judging = spec.graph(&Outputs::training(LossOptions::PLAIN, 0.0));
        let Question {
            float,
            batch,
            moments,
            recompute,
            device,
            ..
        } = *question;
        let plan = |purpose| match purpose {
            Purpose::Inference => {
                let options = PlanOptions::inference(float, batch);
                tenon_engine::Plan::new(&judging, options, device)
            }
            Purpose::Training(recompute) => {
                let options = PlanOptions::training(float, batch, moments);
                let options = PlanOptions {
                    recompute,
                    ..options
                };
                tenon_engine::Plan::new(&training, options, device)
            }
        };
        let kept = plan(Purpose::Training(Recompute::None)).peak_bytes;
        let purposes = Purpose::all(&training).into_iter();
        let chosen = plan(Purpose::Training(recompute));
        Facts {
            family: spec.family(),
            variant: spec.variant(),
            full_name: spec.full_name(),
            n_params: training.n_params(),
            groups: groups(&training),
            layers: layers(&training),
            batch,
            float,
            flops: flops(&judging, batch),
            memory: purposes
                .map(|p| Memory::of(p, &plan(p), &training, kept))
                .collect(),
            recompute,
            tenants: memory::tenants(&chosen, &training, 10),
        }
    }
}

fn groups(graph: &Graph) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let total = graph.n_params().max(1) as f64;
    for param in &graph.params {
        let name = param.role.part.name();
        let at = groups
            .iter()
            .position(|g| g.name == name)
            .unwrap_or_else(|| {
                let (n_tensors, n_params) = (0, 0);
                groups.push(Group {
                    name,
                    n_tensors,
                    n_params,
                    percent: 0.0,
                    is_tied: false,
                });
                groups.len() - 1
            });
        let group = &mut groups[at];
        group.n_tensors += 1;
        group.n_params += param.len();
        group.percent = 100.0 * group.n_params as f64 / total;
    }
    let name = Part::Head.name();
    if !groups.iter().any(|g| g.name == name) {
        groups.push(Group {
            name,
            n_tensors: 0,
            n_params: 0,
            percent: 0.0,
            is_tied: true,
        });
    }
    groups
}

fn layers(graph: &Graph) -> Vec<Layer> {
    let mut by_layer: BTreeMap<Option<usize>, Vec<(String, Vec<usize>)>> = BTreeMap::new();
    for param in &graph.params {
        let tensor = (name_in_block(param), param.shape.clone());
        by_layer.entry(param.role.layer).or_default().push(tensor);
    }
    let mut layers: Vec<Layer> = Vec::new();
    for (layer, tensors) in by_layer {
        match (layers.last_mut(), layer) {
            (
                Some(Layer {
                    blocks: Some([_, last]),
                    tensors: same,
                }),
                Some(layer),
            ) if *same == tensors => {
                *last = layer;
            }
            _ => layers.push(Layer {
                blocks: layer.map(|l| [l, l]),
                tensors,
            }),
        }
    }
    layers
}

/// The name without the block's number.
fn name_in_block(param: &Param) -> String {
    let prefix = param.role.layer.map(|layer| format!("blocks.{layer}."));
    let stripped = prefix.and_then(|p| param.name.strip_prefix(&p));
    stripped.unwrap_or(&param.name).to_string()
}

fn flops(graph: &Graph, batch: Extent) -> Flops {
    let tokens = batch.tokens.max(1) as f64;
    let attention = graph.nodes.iter().filter(|n| n.op.name() == "attention");
    let forward_per_token = graph.forward_flops(batch) / tokens;
    Flops {
        forward_per_token,
        training_per_token: 3.0 * forward_per_token,
        attention_per_token: attention
            .map(|n| graph.node_cost(n, batch).flops)
            .sum::<f64>()
            / tokens,
    }
}
