//! Building a graph.

use super::{Const, Graph, Init, Node, Origin, Param, ParamId, Role, Value, ValueId};
use crate::op::Op;
use crate::shape::{Dim, Shape, ShapeError, Ty};
use std::sync::Arc;

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
        self.graph.push_value(ty, Origin::Input(name.to_string()))
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
        self.graph
            .push_value(Ty::float(Shape::fixed(shape)), Origin::Param(id))
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
        self.graph
            .push_value(Ty::float(Shape::fixed(shape)), Origin::Const(table))
    }

    /// State that lives across runs.
    pub fn state(&mut self, name: &str, shape: &[usize]) -> ValueId {
        self.graph.push_value(
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
        self.graph.push_node(Node {
            op,
            ins: ins.to_vec(),
            outs: Vec::new(),
            path: path.to_string(),
            block: self.block,
        })
    }

    /// Keeps a value to the end of the run under a name.
    pub fn output(&mut self, name: impl Into<String>, v: ValueId) {
        self.graph.outputs.push((name.into(), v));
    }

    /// Derivatives start from this value, the loss of each token, sequence or other row: the first
    /// of the graph's losses.
    ///
    /// # Panics
    /// When there is a loss already, or this is not the first output of a node.
    pub fn set_loss(&mut self, loss_rows: ValueId) {
        assert!(self.graph.losses.is_empty(), "a loss is set");
        self.push_loss(loss_rows);
    }

    /// Derivatives start from this value too: a further loss of the rows that the first is of, that
    /// of a regulariser for one. [`crate::Executor::loss`] is the sum of all losses over the one
    /// number of counted rows.
    ///
    /// # Panics
    /// When no loss is set, or this is one already, is of other rows or not the first output of a
    /// node.
    pub fn add_loss(&mut self, loss_rows: ValueId) {
        let losses = &self.graph.losses;
        let first = *losses.first().expect("a loss is set");
        assert!(!losses.contains(&loss_rows), "a loss already");
        let lead = |v| self.ty(v).shape.lead();
        assert_eq!(lead(loss_rows), lead(first), "losses of the same rows");
        self.push_loss(loss_rows);
    }

    fn push_loss(&mut self, loss_rows: ValueId) {
        let Value { ty, origin } = self.graph.value(loss_rows);
        let lead = ty.shape.lead();
        assert_ne!(lead, Dim::Bounds, "losses of bounds");
        assert!(
            matches!(origin, Origin::Node(_, 0)),
            "a loss is a first output"
        );
        self.graph.losses.push(loss_rows);
    }

    /// The gradient of this value will be given from outside.
    pub fn seed(&mut self, v: ValueId) {
        self.graph.seeds.push(v);
    }

    /// The gradient of this input is wanted.
    pub fn differentiate(&mut self, v: ValueId) {
        self.graph.differentiated.push(v);
    }

    /// The finished graph. Where it chooses rows ([`crate::ops::SelectRows`]), they are chosen
    /// before all that computes each row by itself: values may have other ids then, or fewer rows.
    pub fn finish(self) -> Graph {
        let verified = |graph: Graph| match graph.verify() {
            Ok(()) => graph,
            Err(rule) => panic!("the builder made a malformed graph: {rule}"),
        };
        verified(super::rows::choose_early(verified(self.graph)))
    }
}
