//! Blocks whose norms are on the other side of their branches.

use tenon_engine::graph::{Node, NodeId, Origin};
use tenon_engine::{Graph, ValueId};

/// The norm before each branch moves behind the sum that ends it, and the other way round.
pub(crate) fn norms_on_the_other_side(graph: &mut Graph) -> usize {
    let is_sum = |node: &&Node| node.path.ends_with("attn.add") || node.path.ends_with("mlp.add");
    let sums: Vec<String> = graph
        .nodes
        .iter()
        .filter(is_sum)
        .map(|node| node.path.clone())
        .collect();
    for sum in &sums {
        move_norm(graph, sum.strip_suffix("add").expect("filtered so"));
    }
    graph.verify().expect("a mutant is wrong, not malformed");
    sums.len()
}

fn move_norm(graph: &mut Graph, branch: &str) {
    let at = |graph: &Graph, name: &str| {
        let path = format!("{branch}{name}");
        graph
            .nodes
            .iter()
            .position(|node| node.path == path)
            .expect("a norm and a sum")
    };
    let (norm, sum) = (at(graph, "norm"), at(graph, "add"));
    let (y, z) = (graph.nodes[norm].outs[0], graph.nodes[sum].outs[0]);
    let x = graph.nodes[sum].ins[0];
    let was_before = norm < sum;
    let mut moved = graph.nodes.remove(norm);
    let place = match was_before {
        true => {
            moved.ins[0] = z;
            sum
        }
        false => {
            moved.ins[0] = x;
            let reads = |node: &Node| node.ins.contains(&x);
            graph
                .nodes
                .iter()
                .position(reads)
                .expect("the branch reads the stream")
        }
    };
    let renamed = |v: ValueId, in_sum: bool| match was_before {
        true if v == y => x,
        true if v == z => y,
        false if v == x && !in_sum => y,
        false if v == y => z,
        _ => v,
    };
    for node in &mut graph.nodes {
        let in_sum = node.outs[0] == z;
        node.ins.iter_mut().for_each(|v| *v = renamed(*v, in_sum));
    }
    // What is named on the way is the stream, which a sum and a norm hand on.
    for (_, v) in &mut graph.outputs {
        *v = renamed(*v, true);
    }
    graph.nodes.insert(place, moved);
    for (i, node) in graph.nodes.iter().enumerate() {
        for (j, v) in node.outs.iter().enumerate() {
            graph.values[v.0 as usize].origin = Origin::Node(NodeId(i as u32), j);
        }
    }
}
