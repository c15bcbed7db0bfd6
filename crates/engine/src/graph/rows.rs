//! Rows that nobody reads are not computed: where a graph chooses rows of a value, such as the last
//! of each sequence or those that count for the loss, they are chosen before all that computes each
//! row by itself.

use super::{Graph, Node, Origin, ValueId};
use crate::op::Rows;
use crate::ops::SelectRows;
use crate::shape::Dim;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Who reads a value.
#[derive(Clone, Copy, PartialEq)]
enum Read {
    Nobody,
    /// Whoever does reads the rows that this index names.
    Rows(ValueId),
    All,
}

impl Read {
    fn also(&mut self, other: Read) {
        *self = match (*self, other) {
            (Read::Nobody, one) | (one, Read::Nobody) => one,
            (one, other) if one == other => one,
            _ => Read::All,
        };
    }
}

/// The same graph with rows chosen as early as may be. Kept values have the same bits, but for
/// dropout's, whose masks are of the rows that it is given; gradients of parameters are summed over
/// fewer rows.
pub(super) fn choose_early(graph: Graph) -> Graph {
    let read = reads(&graph);
    if !graph.nodes.iter().any(|node| chosen(node, &read).is_some()) {
        return graph;
    }
    let mut rewrite = Rewrite {
        map: vec![None; graph.values.len()],
        rows: BTreeMap::new(),
        new: Graph {
            params: graph.params.clone(),
            ..Graph::default()
        },
        old: &graph,
        read,
    };
    for (i, value) in graph.values.iter().enumerate() {
        if is_given(&graph, ValueId(i as u32)) {
            let (ty, origin) = (value.ty.clone(), value.origin.clone());
            rewrite.map[i] = Some(rewrite.new.push_value(ty, origin));
        }
    }
    graph.nodes.iter().for_each(|node| rewrite.node(node));
    rewrite.finish()
}

/// Whether the value is there before the first node runs.
fn is_given(graph: &Graph, v: ValueId) -> bool {
    !matches!(graph.value(v).origin, Origin::Node(..))
}

/// The index of the rows of the node's outputs that are read, where those alone are computed.
fn chosen(node: &Node, read: &[Read]) -> Option<ValueId> {
    let mut outs = node.outs.iter().map(|v| read[v.0 as usize]);
    match (node.op.rows(), outs.next()) {
        (Rows::Same, Some(Read::Rows(index))) if outs.all(|read| read == Read::Nobody) => {
            Some(index)
        }
        _ => None,
    }
}

/// Who reads each value, from the last node back.
fn reads(graph: &Graph) -> Vec<Read> {
    let mut read = vec![Read::Nobody; graph.values.len()];
    let outputs = graph.outputs.iter().map(|(_, v)| v);
    let kept = outputs.chain(&graph.losses).chain(&graph.seeds);
    for v in kept.chain(&graph.differentiated) {
        read[v.0 as usize] = Read::All;
    }
    for node in graph.nodes.iter().rev() {
        // An index that a node computes may come too late.
        let first = match node.op.rows() {
            Rows::Chosen if is_given(graph, node.ins[1]) => Some(Read::Rows(node.ins[1])),
            _ => None,
        };
        let same = chosen(node, &read);
        if same.is_none() {
            // What is not computed for some rows is read by all.
            node.outs
                .iter()
                .for_each(|v| read[v.0 as usize].also(Read::All));
        }
        for (i, &v) in node.ins.iter().enumerate() {
            let by = match (i, first, same) {
                (0, Some(rows), _) => rows,
                (_, _, Some(index)) if has_rows(graph, v) => Read::Rows(index),
                _ => Read::All,
            };
            read[v.0 as usize].also(by);
        }
    }
    read
}

/// Whether the value has a row for each token.
fn has_rows(graph: &Graph, v: ValueId) -> bool {
    graph.ty(v).shape.lead() == Dim::Tokens
}

struct Rewrite<'g> {
    old: &'g Graph,
    read: Vec<Read>,
    new: Graph,
    /// The values of the old graph in the new one.
    map: Vec<Option<ValueId>>,
    /// Rows of old values, by their indices.
    rows: BTreeMap<(ValueId, ValueId), ValueId>,
}

impl Rewrite<'_> {
    fn now(&self, v: ValueId) -> ValueId {
        self.map[v.0 as usize].expect("verify: a value is computed before it is used")
    }

    fn node(&mut self, node: &Node) {
        let outs = match (chosen(node, &self.read), node.op.rows()) {
            (None, Rows::Chosen) if is_given(self.old, node.ins[1]) => {
                vec![self.rows_of(node.ins[0], node.ins[1], node)]
            }
            (index, _) => {
                let ins: Vec<ValueId> = (node.ins.iter())
                    .map(|&v| match index {
                        Some(index) if has_rows(self.old, v) => self.rows_of(v, index, node),
                        _ => self.now(v),
                    })
                    .collect();
                self.push(Node {
                    ins,
                    ..node.clone()
                })
            }
        };
        for (&old, new) in node.outs.iter().zip(outs) {
            self.map[old.0 as usize] = Some(new);
        }
    }

    /// Rows of a value of the old graph for a node: computed alone, or chosen here.
    fn rows_of(&mut self, v: ValueId, index: ValueId, reader: &Node) -> ValueId {
        let path = match self.old.value(v).origin {
            Origin::Node(node, _) => {
                let node = self.old.node(node);
                if chosen(node, &self.read) == Some(index) {
                    return self.now(v);
                }
                format!("{}.rows", node.path)
            }
            _ => "rows".to_owned(),
        };
        if let Some(&rows) = self.rows.get(&(v, index)) {
            return rows;
        }
        let rows = self.push(Node {
            op: Arc::new(SelectRows),
            ins: vec![self.now(v), self.now(index)],
            outs: Vec::new(),
            path,
            block: reader.block,
        })[0];
        self.rows.insert((v, index), rows);
        rows
    }

    fn push(&mut self, node: Node) -> Vec<ValueId> {
        let outs = self.new.push_node(node);
        outs.unwrap_or_else(|e| panic!("chosen rows are rows as well: {e}"))
    }

    fn finish(mut self) -> Graph {
        let now = |list: &[ValueId]| list.iter().map(|&v| self.now(v)).collect();
        let old = self.old;
        let [losses, seeds, differentiated] =
            [&old.losses, &old.seeds, &old.differentiated].map(|list| now(list));
        let outputs = old.outputs.iter();
        let outputs = outputs.map(|(name, v)| (name.clone(), self.now(*v)));
        self.new.outputs = outputs.collect();
        Graph {
            losses,
            seeds,
            differentiated,
            ..self.new
        }
    }
}
