//! Wrong graphs. Each change returns in how many places it acted: none where it does not apply.

use std::any::Any;
use std::sync::Arc;

use tenon_engine::graph::{Node, Origin};
use tenon_engine::ops::{
    Activate, Add, Attention, Embedding, Experts, LayerNorm, RmsNorm, Rotary, SwiGlu, rotary_tables,
};
use tenon_engine::table::{Activation, RopeStyle};
use tenon_engine::{Graph, Op};

use super::operators::{Bypass, Chimera, InPlaceAdd, Unnormalised};

/// The operator of a node, when it is of this type.
pub(crate) fn op<T: Op>(node: &Node) -> Option<&T> {
    (node.op.as_ref() as &dyn Any).downcast_ref()
}

/// Changes the nodes that `change` does not pass over; the graph stays well formed.
fn rewrite(graph: &mut Graph, change: impl Fn(&mut Node) -> Option<()>) -> usize {
    let n = graph.nodes.iter_mut().filter_map(change).count();
    graph.verify().expect("a mutant is wrong, not malformed");
    n
}

/// Nodes whose path ends like this hand their first input on.
fn bypass(graph: &mut Graph, ends: &[&str]) -> usize {
    rewrite(graph, |node| {
        let meant = ends.iter().any(|end| node.path.ends_with(end));
        meant.then(|| {
            node.op = Arc::new(Bypass {
                of: node.op.clone(),
            })
        })
    })
}

pub(crate) fn no_attention(graph: &mut Graph) -> usize {
    bypass(graph, &["attn.add"])
}

pub(crate) fn no_feed_forward(graph: &mut Graph) -> usize {
    bypass(graph, &["mlp.add"])
}

pub(crate) fn no_positions(graph: &mut Graph) -> usize {
    bypass(graph, &["add_positions"])
}

/// Positions begin at the first row of their table.
pub(crate) fn no_first_position(graph: &mut Graph) -> usize {
    rewrite(graph, |node| {
        let later = op::<Embedding>(node).is_some_and(|embedding| embedding.first > 0);
        later.then(|| node.op = Arc::new(Embedding::default()))
    })
}

pub(crate) fn no_token_types(graph: &mut Graph) -> usize {
    bypass(graph, &["add_token_types"])
}

pub(crate) fn no_token_dropout(graph: &mut Graph) -> usize {
    bypass(graph, &["embed.token_dropout"])
}

pub(crate) fn no_embedding_norm(graph: &mut Graph) -> usize {
    bypass(graph, &["embed.norm"])
}

pub(crate) fn no_final_norm(graph: &mut Graph) -> usize {
    bypass(graph, &["final_norm"])
}

pub(crate) fn no_head_norm(graph: &mut Graph) -> usize {
    bypass(graph, &["head.norm"])
}

pub(crate) fn no_inner_norm(graph: &mut Graph) -> usize {
    bypass(graph, &["inner_norm"])
}

pub(crate) fn no_query_key_norm(graph: &mut Graph) -> usize {
    bypass(graph, &["attn.q_norm", "attn.k_norm"])
}

pub(crate) fn keys_not_rotated(graph: &mut Graph) -> usize {
    bypass(graph, &["attn.rotate_k"])
}

pub(crate) fn in_place_residual(graph: &mut Graph) -> usize {
    rewrite(graph, |node| {
        let residual = node.path.ends_with("attn.add") || node.path.ends_with("mlp.add");
        residual.then(|| node.op = Arc::new(InPlaceAdd { add: Add }))
    })
}

fn other_gelu(function: Activation) -> Option<Activation> {
    match function {
        Activation::GeluErf => Some(Activation::GeluTanh),
        Activation::GeluTanh => Some(Activation::GeluErf),
        _ => None,
    }
}

fn activations(
    graph: &mut Graph,
    end: &str,
    other: impl Fn(Activation) -> Option<Activation>,
) -> usize {
    rewrite(graph, |node| {
        let function = other(op::<Activate>(node)?.function)?;
        let meant = node.path.ends_with(end);
        meant.then(|| node.op = Arc::new(Activate { function }))
    })
}

pub(crate) fn other_gelu_derivative(graph: &mut Graph) -> usize {
    rewrite(graph, |node| {
        let function = other_gelu(op::<Activate>(node)?.function)?;
        let (forward, vjp) = (node.op.clone(), Arc::new(Activate { function }));
        node.op = Arc::new(Chimera { forward, vjp });
        Some(())
    })
}

pub(crate) fn gelu_of_another_form(graph: &mut Graph) -> usize {
    activations(graph, "mlp.act", other_gelu)
}

pub(crate) fn gelu_of_another_form_in_the_head(graph: &mut Graph) -> usize {
    activations(graph, "head.act", other_gelu)
}

pub(crate) fn relu_for_gelu(graph: &mut Graph) -> usize {
    activations(graph, "mlp.act", |function| {
        other_gelu(function).map(|_| Activation::Relu)
    })
}

pub(crate) fn gelu_for_relu(graph: &mut Graph) -> usize {
    activations(graph, "mlp.act", |function| {
        (function == Activation::Relu).then_some(Activation::GeluErf)
    })
}

pub(crate) fn other_activation_in_the_head(graph: &mut Graph) -> usize {
    activations(graph, "head.act", |_| Some(Activation::Tanh))
}

/// Of a gated layer, or of every expert.
pub(crate) fn gate_and_up_swapped(graph: &mut Graph) -> usize {
    rewrite(graph, |node| {
        let gate = match (op::<SwiGlu>(node), op::<Experts>(node)) {
            (Some(_), _) => 0,
            (_, Some(_)) => 2,
            _ => return None,
        };
        node.ins.swap(gate, gate + 1);
        Some(())
    })
}

fn attention(graph: &mut Graph, change: impl Fn(&mut Attention) -> Option<()>) -> usize {
    rewrite(graph, |node| {
        let mut attention = *op::<Attention>(node)?;
        change(&mut attention)?;
        node.op = Arc::new(attention);
        Some(())
    })
}

pub(crate) fn no_causal_mask(graph: &mut Graph) -> usize {
    attention(graph, |attention| {
        let causal = &mut attention.dims.causal;
        std::mem::replace(causal, false).then_some(())
    })
}

pub(crate) fn causal_mask(graph: &mut Graph) -> usize {
    attention(graph, |attention| {
        let causal = &mut attention.dims.causal;
        (!std::mem::replace(causal, true)).then_some(())
    })
}

pub(crate) fn attention_to_itself(graph: &mut Graph) -> usize {
    attention(graph, |attention| {
        attention.dims.window = Some(1);
        Some(())
    })
}

pub(crate) fn no_window(graph: &mut Graph) -> usize {
    attention(graph, |attention| attention.dims.window.take().map(|_| ()))
}

pub(crate) fn window_longer_by_one(graph: &mut Graph) -> usize {
    attention(graph, |attention| {
        attention.dims.window.as_mut().map(|window| *window += 1)
    })
}

/// The window of some layers in those that have none.
pub(crate) fn window_everywhere(graph: &mut Graph) -> usize {
    let windows = graph
        .nodes
        .iter()
        .filter_map(|node| op::<Attention>(node)?.dims.window);
    let Some(window) = windows.max() else {
        return 0;
    };
    attention(graph, |attention| {
        let own = &mut attention.dims.window;
        own.is_none().then(|| *own = Some(window))
    })
}

pub(crate) fn scores_unscaled(graph: &mut Graph) -> usize {
    attention(graph, |attention| {
        attention.dims.scale = 1.0;
        Some(())
    })
}

/// Exchanges two of query, key and value, where they are apart and of one width.
fn exchange(graph: &mut Graph, a: usize, b: usize) -> usize {
    let tys: Vec<_> = graph.values.iter().map(|value| value.ty.clone()).collect();
    rewrite(graph, |node| {
        // Packed ones are followed by the bounds alone.
        (op::<Attention>(node).is_some() && node.ins.len() > 2).then_some(())?;
        let [x, y] = [a, b].map(|i| node.ins[i].0 as usize);
        (tys[x] == tys[y]).then(|| node.ins.swap(a, b))
    })
}

pub(crate) fn queries_as_keys(graph: &mut Graph) -> usize {
    exchange(graph, 0, 1)
}

pub(crate) fn queries_as_values(graph: &mut Graph) -> usize {
    exchange(graph, 0, 2)
}

pub(crate) fn keys_as_values(graph: &mut Graph) -> usize {
    exchange(graph, 1, 2)
}

pub(crate) fn other_rotary_pairs(graph: &mut Graph) -> usize {
    rewrite(graph, |node| {
        let &Rotary { head_dim, style } = op::<Rotary>(node)?;
        let style = match style {
            RopeStyle::RotateHalf => RopeStyle::Interleaved,
            RopeStyle::Interleaved => RopeStyle::RotateHalf,
        };
        node.op = Arc::new(Rotary { head_dim, style });
        Some(())
    })
}

/// Keys turn by another angle than queries: sines and cosines change places.
pub(crate) fn keys_rotated_apart(graph: &mut Graph) -> usize {
    rewrite(graph, |node| {
        op::<Rotary>(node)?;
        node.path.ends_with("rotate_k").then(|| node.ins.swap(1, 2))
    })
}

/// A base of the rotary angles that is twice as large.
pub(crate) fn other_rotary_theta(graph: &mut Graph) -> usize {
    let table = |name: &str| {
        let is = |origin: &Origin| matches!(origin, Origin::Const(c) if c.name == name);
        graph.values.iter().position(|value| is(&value.origin))
    };
    let (Some(cos), Some(sin)) = (table("rotary.cos"), table("rotary.sin")) else {
        return 0;
    };
    let pairs = graph.values[cos].ty.shape.cols();
    let values = |i: usize| match &graph.values[i].origin {
        Origin::Const(table) => table.values.clone(),
        _ => unreachable!("found as a constant"),
    };
    let (cosines, sines) = (values(cos), values(sin));
    // Frequencies are at most 1: the angles of position 1 tell them.
    let frequency = |i: usize| sines[pairs + i].atan2(cosines[pairs + i]);
    let other = |i: usize| frequency(i) * 2f64.powf(-(i as f64) / pairs as f64);
    let frequencies: Vec<f64> = (0..pairs).map(other).collect();
    let (new_cos, new_sin) = rotary_tables(&frequencies, cosines.len() / pairs);
    for (i, new) in [(cos, new_cos), (sin, new_sin)] {
        if let Origin::Const(table) = &mut graph.values[i].origin {
            table.values = Arc::new(new);
        }
    }
    1
}

pub(crate) fn one_expert_less(graph: &mut Graph) -> usize {
    rewrite(graph, |node| {
        let mut experts = *op::<Experts>(node)?;
        experts.per_token -= 1;
        (experts.per_token > 0).then(|| node.op = Arc::new(experts))
    })
}

pub(crate) fn unnormalised_experts(graph: &mut Graph) -> usize {
    rewrite(graph, |node| {
        let experts = *op::<Experts>(node)?;
        node.op = Arc::new(Unnormalised { experts });
        Some(())
    })
}

pub(crate) fn other_eps(graph: &mut Graph) -> usize {
    rewrite(graph, |node| {
        if let Some(&LayerNorm { eps, bias }) = op::<LayerNorm>(node) {
            let eps = 100.0 * eps;
            node.op = Arc::new(LayerNorm { eps, bias });
        } else {
            let eps = 100.0 * op::<RmsNorm>(node)?.eps;
            node.op = Arc::new(RmsNorm { eps });
        }
        Some(())
    })
}
