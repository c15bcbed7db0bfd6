//! Ways to be wrong: operators, graphs, batches and weights as mistakes would make them.

use std::any::Any;
use std::sync::Arc;

use tenon_engine::graph::Node;
use tenon_engine::meaning::{Build, Val};
use tenon_engine::op::{Cx, Room, Vjp};
use tenon_engine::ops::{Activate, Add, Attention, Rotary, SwiGlu};
use tenon_engine::shape::ShapeError;
use tenon_engine::table::{Activation, RopeStyle};
use tenon_engine::{Buf, Cost, Extent, Grad, Graph, Op, Saves, Ty};
use tenon_models::predict::{Bounds, Packed, pack};
use tenon_models::weights::{Weight, Weights};

use crate::common::Inputs;

/// Two operators as one: the first's forward with the second's derivative.
#[derive(Debug)]
struct Chimera {
    forward: Arc<dyn Op>,
    vjp: Arc<dyn Op>,
}

/// Forwards what an operator states beside its two passes.
macro_rules! stated_by {
    ($field:ident) => {
        fn name(&self) -> &'static str {
            self.$field.name()
        }
        fn outputs(&self, ins: &[&Ty]) -> Result<Vec<Ty>, ShapeError> {
            self.$field.outputs(ins)
        }
        fn scratch(&self, ins: &[&Ty], room: &Room<'_>) -> usize {
            self.$field.scratch(ins, room)
        }
        fn cost(&self, ins: &[&Ty], extent: Extent) -> Cost {
            self.$field.cost(ins, extent)
        }
        fn meaning(&self, b: &mut Build, ins: &[Val]) -> Vec<Val> {
            self.$field.meaning(b, ins)
        }
    };
}

impl Op for Chimera {
    stated_by!(forward);

    fn grads(&self) -> Vec<Grad> {
        self.vjp.grads()
    }

    fn saves(&self) -> Saves {
        self.vjp.saves()
    }

    fn forward(&self, cx: &mut Cx<'_>, ins: &[Buf], outs: &[Buf]) {
        self.forward.forward(cx, ins, outs);
    }

    fn vjp(&self, cx: &mut Cx<'_>, call: &Vjp<'_>) {
        self.vjp.vjp(cx, call);
    }
}

/// `x += branch` as it was written once: the sum also lands in the buffer of `x`, which the
/// derivatives of the operators before still read.
#[derive(Debug)]
struct InPlaceAdd {
    add: Add,
}

impl Op for InPlaceAdd {
    stated_by!(add);

    fn grads(&self) -> Vec<Grad> {
        self.add.grads()
    }

    fn saves(&self) -> Saves {
        Saves::new(&[], &[])
    }

    fn forward(&self, cx: &mut Cx<'_>, ins: &[Buf], outs: &[Buf]) {
        self.add.forward(cx, ins, outs);
        cx.k.copy(outs[0], ins[0]);
    }

    fn vjp(&self, cx: &mut Cx<'_>, call: &Vjp<'_>) {
        self.add.vjp(cx, call);
    }
}

/// A residual addition that forgets the branch.
#[derive(Debug)]
struct Bypass {
    add: Add,
}

impl Op for Bypass {
    stated_by!(add);

    fn grads(&self) -> Vec<Grad> {
        vec![Grad::Same, Grad::None("the branch is cut off")]
    }

    fn saves(&self) -> Saves {
        Saves::new(&[], &[])
    }

    fn forward(&self, cx: &mut Cx<'_>, ins: &[Buf], outs: &[Buf]) {
        cx.k.copy(ins[0], outs[0]);
    }

    fn vjp(&self, cx: &mut Cx<'_>, call: &Vjp<'_>) {
        self.add.vjp(cx, call);
    }
}

/// The operator of a node, when it is of this type.
fn op<T: Op>(node: &Node) -> Option<&T> {
    (node.op.as_ref() as &dyn Any).downcast_ref()
}

/// Changes the nodes that `change` does not pass over; at least one, and the graph stays well
/// formed.
fn rewrite(graph: &mut Graph, change: impl Fn(&mut Node) -> Option<()>) {
    let n = graph.nodes.iter_mut().filter_map(change).count();
    assert!(n > 0, "the mutant has nothing to change");
    graph.verify().expect("a mutant is wrong, not malformed");
}

fn is_residual(node: &Node) -> bool {
    node.path.ends_with("attn.add") || node.path.ends_with("mlp.add")
}

pub(crate) fn in_place_residual(graph: &mut Graph) {
    rewrite(graph, |node| {
        is_residual(node).then(|| node.op = Arc::new(InPlaceAdd { add: Add }))
    });
}

fn other_gelu(function: Activation) -> Activation {
    match function {
        Activation::GeluErf => Activation::GeluTanh,
        _ => Activation::GeluErf,
    }
}

pub(crate) fn other_gelu_derivative(graph: &mut Graph) {
    rewrite(graph, |node| {
        let function = other_gelu(op::<Activate>(node)?.function);
        let (forward, vjp) = (node.op.clone(), Arc::new(Activate { function }));
        node.op = Arc::new(Chimera { forward, vjp });
        Some(())
    });
}

pub(crate) fn gelu_of_another_form(graph: &mut Graph) {
    rewrite(graph, |node| {
        let function = other_gelu(op::<Activate>(node)?.function);
        node.op = Arc::new(Activate { function });
        Some(())
    });
}

pub(crate) fn gate_and_up_swapped(graph: &mut Graph) {
    rewrite(graph, |node| {
        op::<SwiGlu>(node)?;
        node.ins.swap(0, 1);
        Some(())
    });
}

fn attention(graph: &mut Graph, change: impl Fn(&mut Attention)) {
    rewrite(graph, |node| {
        let mut attention = *op::<Attention>(node)?;
        change(&mut attention);
        node.op = Arc::new(attention);
        Some(())
    });
}

pub(crate) fn no_causal_mask(graph: &mut Graph) {
    attention(graph, |attention| attention.dims.causal = false);
}

pub(crate) fn attention_to_itself(graph: &mut Graph) {
    attention(graph, |attention| attention.dims.window = Some(1));
}

pub(crate) fn scores_unscaled(graph: &mut Graph) {
    attention(graph, |attention| attention.dims.scale = 1.0);
}

pub(crate) fn no_attention(graph: &mut Graph) {
    rewrite(graph, |node| {
        let is_attention = node.path.ends_with("attn.add");
        is_attention.then(|| node.op = Arc::new(Bypass { add: Add }))
    });
}

pub(crate) fn no_feed_forward(graph: &mut Graph) {
    rewrite(graph, |node| {
        node.path
            .ends_with("mlp.add")
            .then(|| node.op = Arc::new(Bypass { add: Add }))
    });
}

pub(crate) fn queries_as_keys(graph: &mut Graph) {
    rewrite(graph, |node| {
        op::<Attention>(node)?;
        node.ins.swap(0, 2);
        Some(())
    });
}

pub(crate) fn keys_as_values(graph: &mut Graph) {
    rewrite(graph, |node| {
        op::<Attention>(node)?;
        node.ins.swap(1, 2);
        Some(())
    });
}

pub(crate) fn interleaved_rotary(graph: &mut Graph) {
    rewrite(graph, |node| {
        let head_dim = op::<Rotary>(node)?.head_dim;
        let style = RopeStyle::Interleaved;
        node.op = Arc::new(Rotary { head_dim, style });
        Some(())
    });
}

/// Keys turn by another angle than queries: sines and cosines change places.
pub(crate) fn keys_rotated_apart(graph: &mut Graph) {
    // The rotation of keys takes its angles from a table of sines that is all the same: the
    // cosines.
    rewrite(graph, |node| {
        op::<Rotary>(node)?;
        node.path.ends_with("rotate_k").then(|| node.ins.swap(1, 2))
    });
}

/// The thirds of a packed projection in the order value, query, key.
pub(crate) fn qkv_rotated(weights: &mut Weights) {
    let packed = |w: &&mut Weight| w.name.contains("attn.qkv.");
    let mut n = 0;
    for weight in weights.tensors.iter_mut().filter(packed) {
        let row_bytes = weight.shape.last().unwrap() * weights.dtype.bytes();
        weight
            .bytes
            .chunks_exact_mut(row_bytes)
            .for_each(|row| row.rotate_right(row_bytes / 3));
        n += 1;
    }
    assert!(n > 0, "the mutant has nothing to change");
}

/// Tokens predict themselves.
pub(crate) fn labels_not_shifted(inputs: &Inputs, packed: &mut Packed) {
    let labels = &inputs["labels"].values;
    let targets = packed.places.iter().map(|&place| labels[place] as i32);
    packed.targets = Some(targets.collect());
}

/// Tokens predict the one after the next.
pub(crate) fn labels_shifted_twice(_: &Inputs, packed: &mut Packed) {
    let targets = packed.targets.as_mut().unwrap();
    targets.rotate_left(1);
    for &end in &packed.cu_seqlens[1..] {
        targets[end as usize - 1] = -100;
    }
}

/// The last token of a sequence predicts the first of the next.
pub(crate) fn labels_across_boundaries(inputs: &Inputs, packed: &mut Packed) {
    let labels = &inputs["input_ids"].values;
    let places = packed.places.clone();
    for &end in &packed.cu_seqlens[1..packed.cu_seqlens.len() - 1] {
        let target = &mut packed.targets.as_mut().unwrap()[end as usize - 1];
        *target = labels[places[end as usize]] as i32;
    }
}

/// One sequence for the whole batch.
pub(crate) fn no_boundaries(_: &Inputs, packed: &mut Packed) {
    packed.cu_seqlens = vec![0, packed.ids.len() as i32];
}

/// Padding becomes tokens.
pub(crate) fn no_padding_mask(inputs: &Inputs, packed: &mut Packed) {
    let mut inputs = inputs.clone();
    inputs.remove("attention_mask");
    let bounds = Bounds {
        vocab_size: usize::MAX,
        context_len: usize::MAX,
    };
    *packed = pack(&inputs, bounds).unwrap();
}
