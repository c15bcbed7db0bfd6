//! The graph: parameters, values and nodes, in the order in which they run.

use crate::op::Op;
use crate::shape::{Dim, Shape, ShapeError, Ty};
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
            Part::Query => "query",
            Part::Key => "key",
            Part::Value => "value",
            Part::Qkv => "qkv",
            Part::AttentionOut => "attention_out",
            Part::FeedForwardIn => "ffn_in",
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
    /// The `loss_rows` value of the loss node, from which derivatives start.
    pub loss: Option<ValueId>,
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
        let named = self.outputs.iter().map(|&(_, v)| v).chain(self.loss);
        for v in named {
            if !ready[v.0 as usize] {
                return Err(format!("V5 output %{} is never computed", v.0));
            }
        }
        Ok(())
    }
}

/// Builds a graph node by node.
#[derive(Debug, Default)]
pub struct GraphBuilder {
    graph: Graph,
    block: Option<usize>,
}

impl GraphBuilder {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    /// Nodes added from here on belong to this block.
    pub fn set_block(&mut self, block: Option<usize>) {
        self.block = block;
    }

    /// The type of a value.
    pub fn ty(&self, v: ValueId) -> &Ty {
        self.graph.ty(v)
    }

    fn push_value(&mut self, ty: Ty, origin: Origin) -> ValueId {
        self.graph.values.push(Value { ty, origin });
        ValueId(self.graph.values.len() as u32 - 1)
    }

    /// A value that is given at each run; the same name gives the same value.
    pub fn input(&mut self, name: &str, ty: Ty) -> ValueId {
        if let Some(v) = self.graph.input(name) {
            assert_eq!(
                self.graph.ty(v),
                &ty,
                "input {name} declared twice with different types"
            );
            return v;
        }
        self.push_value(ty, Origin::Input(name.to_string()))
    }

    /// A new parameter and its value.
    pub fn param(&mut self, name: &str, shape: &[usize], role: Role, init: Init) -> ValueId {
        assert!(
            self.graph.find_param(name).is_none(),
            "parameter {name} declared twice"
        );
        let id = ParamId(self.graph.params.len() as u32);
        self.graph.params.push(Param {
            name: name.to_string(),
            shape: shape.to_vec(),
            role,
            init,
            trainable: true,
        });
        self.push_value(Ty::float(Shape::fixed(shape)), Origin::Param(id))
    }

    /// A constant table of the given shape.
    pub fn constant(&mut self, name: &str, shape: &[usize], values: Vec<f64>) -> ValueId {
        assert_eq!(
            values.len(),
            shape.iter().product::<usize>(),
            "constant {name}"
        );
        let table = Const {
            name: name.to_string(),
            values: Arc::new(values),
        };
        self.push_value(Ty::float(Shape::fixed(shape)), Origin::Const(table))
    }

    /// State that lives across runs.
    pub fn state(&mut self, name: &str, shape: &[usize]) -> ValueId {
        self.push_value(
            Ty::float(Shape::fixed(shape)),
            Origin::State(name.to_string()),
        )
    }

    /// Applies an operator; its first output is the result that most callers want.
    pub fn apply_all(
        &mut self,
        path: &str,
        op: impl Op + 'static,
        ins: &[ValueId],
    ) -> Vec<ValueId> {
        self.try_apply(path, Arc::new(op), ins)
            .unwrap_or_else(|e| panic!("{path}: {e}"))
    }

    /// Applies an operator and returns its first output.
    pub fn apply(&mut self, path: &str, op: impl Op + 'static, ins: &[ValueId]) -> ValueId {
        self.apply_all(path, op, ins)[0]
    }

    /// Applies an operator, or says which of its constraints does not hold.
    pub fn try_apply(
        &mut self,
        path: &str,
        op: Arc<dyn Op>,
        ins: &[ValueId],
    ) -> Result<Vec<ValueId>, ShapeError> {
        let tys: Vec<&Ty> = ins.iter().map(|&v| self.graph.ty(v)).collect();
        let outs = op.outputs(&tys)?;
        let node = NodeId(self.graph.nodes.len() as u32);
        let outs: Vec<ValueId> = outs
            .into_iter()
            .enumerate()
            .map(|(i, ty)| self.push_value(ty, Origin::Node(node, i)))
            .collect();
        self.graph.nodes.push(Node {
            op,
            ins: ins.to_vec(),
            outs: outs.clone(),
            path: path.to_string(),
            block: self.block,
        });
        Ok(outs)
    }

    /// Keeps a value to the end of the run under a name.
    pub fn output(&mut self, name: impl Into<String>, v: ValueId) {
        self.graph.outputs.push((name.into(), v));
    }

    /// Derivatives start from this value, the loss of each row.
    pub fn set_loss(&mut self, loss_rows: ValueId) {
        assert_eq!(self.ty(loss_rows).shape.lead(), Dim::Tokens);
        self.graph.loss = Some(loss_rows);
    }

    /// The gradient of this value will be given from outside.
    pub fn seed(&mut self, v: ValueId) {
        self.graph.seeds.push(v);
    }

    /// The gradient of this input is wanted.
    pub fn differentiate(&mut self, v: ValueId) {
        self.graph.differentiated.push(v);
    }

    /// The finished graph.
    pub fn finish(self) -> Graph {
        if let Err(rule) = self.graph.verify() {
            panic!("the builder made a malformed graph: {rule}");
        }
        self.graph
    }
}
