//! The graph: parameters, values and nodes, in the order in which they run.

mod build;
mod rows;

pub use build::GraphBuilder;

use crate::op::Op;
use crate::shape::{ShapeError, Ty};
use std::fmt;
use std::sync::Arc;

/// A value of the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValueId(pub u32);

/// A node of the graph; nodes run in the order of their ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u32);

/// A parameter of the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ParamId(pub u32);

/// What a parameter is for: the unit of freezing, weight decay, adapters and reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// The layer, for parameters of a block.
    pub layer: Option<usize>,
    /// The part.
    pub part: Part,
}

/// The part of a model that a parameter belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Token embedding.
    TokenEmbedding,
    /// Learned position embedding.
    PositionEmbedding,
    /// Embedding of token types.
    TokenTypeEmbedding,
    /// Query projection (weight or bias).
    Query,
    /// Key projection.
    Key,
    /// Value projection.
    Value,
    /// Query, key and value in one matrix.
    Qkv,
    /// Output projection of attention.
    AttentionOut,
    /// First matrix of the feed-forward part.
    FeedForwardIn,
    /// Scores of the experts of a feed-forward part.
    Router,
    /// Gate of a gated feed-forward part.
    Gate,
    /// Up-projection of a gated feed-forward part.
    Up,
    /// Last matrix of the feed-forward part.
    FeedForwardOut,
    /// Gain or bias of a norm.
    Norm,
    /// Output head.
    Head,
}

impl Part {
    /// The name used in listings and configurations.
    pub fn name(self) -> &'static str {
        match self {
            Part::TokenEmbedding => "token_embedding",
            Part::PositionEmbedding => "position_embedding",
            Part::TokenTypeEmbedding => "token_type_embedding",
            Part::Query => "query",
            Part::Key => "key",
            Part::Value => "value",
            Part::Qkv => "qkv",
            Part::AttentionOut => "attention_out",
            Part::FeedForwardIn => "ffn_in",
            Part::Router => "router",
            Part::Gate => "ffn_gate",
            Part::Up => "ffn_up",
            Part::FeedForwardOut => "ffn_out",
            Part::Norm => "norm",
            Part::Head => "head",
        }
    }
}

/// How a parameter starts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// Independent normal values of mean 0 and this standard deviation.
    Normal(f64),
    /// Independent values, uniform within plus and minus this bound.
    Uniform(f64),
    /// One value everywhere.
    Constant(f64),
}

/// A parameter.
#[derive(Clone, Debug)]
pub struct Param {
    /// The name within Tenon, e.g. `blocks.3.attn.q.weight`.
    pub name: String,
    /// The shape; all dimensions fixed.
    pub shape: Vec<usize>,
    /// What it is for.
    pub role: Role,
    /// How it starts.
    pub init: Init,
    /// Frozen parameters get no gradient node at all.
    pub trainable: bool,
}

impl Param {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// True for an empty tensor, which no family has.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A table that is computed once, in f64, when the executor is made.
#[derive(Clone)]
pub struct Const {
    /// The name in listings.
    pub name: String,
    /// Element values, row by row.
    pub values: Arc<Vec<f64>>,
}

impl fmt::Debug for Const {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Const({}, {} values)", self.name, self.values.len())
    }
}

/// Where a value comes from.
#[derive(Clone, Debug)]
pub enum Origin {
    /// Given at each run under this name.
    Input(String),
    /// A parameter.
    Param(ParamId),
    /// A constant table.
    Const(Const),
    /// State that lives across runs (a cache), under this name.
    State(String),
    /// The `usize`-th output of a node.
    Node(NodeId, usize),
}

/// A value.
#[derive(Clone, Debug)]
pub struct Value {
    /// Shape and element class.
    pub ty: Ty,
    /// Where it comes from.
    pub origin: Origin,
}

/// One application of an operator.
#[derive(Clone, Debug)]
pub struct Node {
    /// The operator.
    pub op: Arc<dyn Op>,
    /// Its inputs.
    pub ins: Vec<ValueId>,
    /// Its outputs.
    pub outs: Vec<ValueId>,
    /// Where in the model it stands, e.g. `blocks.3.attn.scores`.
    pub path: String,
    /// The block it belongs to: the unit of recomputation.
    pub block: Option<usize>,
}

/// A model as a value.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// Parameters.
    pub params: Vec<Param>,
    /// Values.
    pub values: Vec<Value>,
    /// Nodes, in running order.
    pub nodes: Vec<Node>,
    /// Named outputs that are kept to the end of a run.
    pub outputs: Vec<(String, ValueId)>,
    /// The losses of each row, from which derivatives start: first that of the task, then what is
    /// added to it. Each is the first output of its node.
    pub losses: Vec<ValueId>,
    /// Values whose gradient is given from outside (operator checks).
    pub seeds: Vec<ValueId>,
    /// Inputs whose gradient is wanted (operator checks, attributions).
    pub differentiated: Vec<ValueId>,
}

impl Graph {
    /// The value with this id.
    pub fn value(&self, id: ValueId) -> &Value {
        &self.values[id.0 as usize]
    }

    /// The type of a value.
    pub fn ty(&self, id: ValueId) -> &Ty {
        &self.value(id).ty
    }

    /// The node with this id.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    /// The parameter with this id.
    pub fn param(&self, id: ParamId) -> &Param {
        &self.params[id.0 as usize]
    }

    /// The parameter of this name.
    pub fn find_param(&self, name: &str) -> Option<ParamId> {
        self.params
            .iter()
            .position(|p| p.name == name)
            .map(|i| ParamId(i as u32))
    }

    /// Ids of all parameters.
    pub fn param_ids(&self) -> impl Iterator<Item = ParamId> + use<> {
        (0..self.params.len() as u32).map(ParamId)
    }

    /// The named output.
    pub fn output(&self, name: &str) -> Option<ValueId> {
        self.outputs
            .iter()
            .find(|(n, _)| n == name)
            .map(|&(_, v)| v)
    }

    /// The named input.
    pub fn input(&self, name: &str) -> Option<ValueId> {
        let is = |v: &Value| matches!(&v.origin, Origin::Input(n) if n == name);
        self.values.iter().position(is).map(|i| ValueId(i as u32))
    }

    fn push_value(&mut self, ty: Ty, origin: Origin) -> ValueId {
        self.values.push(Value { ty, origin });
        ValueId(self.values.len() as u32 - 1)
    }

    /// Adds a node with new values for its outputs.
    fn push_node(&mut self, node: Node) -> Result<Vec<ValueId>, ShapeError> {
        let ins: Vec<&Ty> = node.ins.iter().map(|&v| self.ty(v)).collect();
        let tys = node.op.outputs(&ins)?;
        let id = NodeId(self.nodes.len() as u32);
        let of = |(i, ty)| self.push_value(ty, Origin::Node(id, i));
        let outs: Vec<ValueId> = tys.into_iter().enumerate().map(of).collect();
        self.nodes.push(Node {
            outs: outs.clone(),
            ..node
        });
        Ok(outs)
    }

    /// Number of parameters, tied ones once.
    pub fn n_params(&self) -> usize {
        self.params.iter().map(Param::len).sum()
    }

    /// Floating-point operations of one forward run over `extent`; a multiply-add counts as two.
    pub fn forward_flops(&self, extent: crate::Extent) -> f64 {
        self.nodes
            .iter()
            .map(|n| self.node_cost(n, extent).flops)
            .sum()
    }

    /// Cost of one node's forward.
    pub fn node_cost(&self, node: &Node, extent: crate::Extent) -> crate::Cost {
        let ins: Vec<&Ty> = node.ins.iter().map(|&v| self.ty(v)).collect();
        node.op.cost(&ins, extent)
    }

    /// Checks that the graph is well formed: every rule that a rewrite could break.
    pub fn verify(&self) -> Result<(), String> {
        let mut ready = vec![false; self.values.len()];
        for (i, value) in self.values.iter().enumerate() {
            ready[i] = !matches!(value.origin, Origin::Node(..));
        }
        for node in &self.nodes {
            if let Some(v) = node.ins.iter().find(|v| !ready[v.0 as usize]) {
                return Err(format!(
                    "{}: V1 input %{} is used before it is computed",
                    node.path, v.0
                ));
            }
            let ins: Vec<&Ty> = node.ins.iter().map(|&v| self.ty(v)).collect();
            let outs = node
                .op
                .outputs(&ins)
                .map_err(|e| format!("{}: {e}", node.path))?;
            if outs.len() != node.outs.len() {
                return Err(format!("{}: V2 wrong number of outputs", node.path));
            }
            for (ty, &v) in outs.iter().zip(&node.outs) {
                if ty != self.ty(v) {
                    let have = self.ty(v);
                    return Err(format!(
                        "{}: V3 output %{} is {have}, not {ty}",
                        node.path, v.0
                    ));
                }
                ready[v.0 as usize] = true;
            }
            if node.op.grads().len() != node.ins.len() {
                return Err(format!(
                    "{}: V4 not every input says whether gradient flows",
                    node.path
                ));
            }
        }
        let named = self.outputs.iter().map(|(_, v)| v).chain(&self.losses);
        for v in named {
            if !ready[v.0 as usize] {
                return Err(format!("V5 output %{} is never computed", v.0));
            }
        }
        Ok(())
    }
}
