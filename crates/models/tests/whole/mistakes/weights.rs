//! Weights in wrong places. Each change returns in how many places it acted: none where it does
//! not apply.

use tenon_engine::ops::Attention;
use tenon_models::checkpoint::mapping::{By, Layout};
use tenon_models::hub::Naming;
use tenon_models::spec::Spec;
use tenon_models::weights::{decode, encode};

use super::Subject;
use super::graphs::op;

/// Changes the values of the tensors whose name contains one of these.
fn change(subject: &mut Subject, names: &[&str], new: impl Fn(f64) -> f64) -> usize {
    let dtype = subject.weights.dtype;
    let named = |name: &str| names.iter().any(|part| name.contains(part));
    let tensors = subject.weights.tensors.iter_mut();
    let meant = tensors.filter(|tensor| named(&tensor.name));
    meant
        .map(|tensor| {
            let values = decode(dtype, &tensor.bytes).into_iter().map(&new);
            tensor.bytes = encode(dtype, values).into();
        })
        .count()
}

/// The thirds of a packed projection in the order value, query, key.
pub(crate) fn qkv_rotated(subject: &mut Subject) -> usize {
    let weights = &mut subject.weights;
    let mut n = 0;
    for weight in weights
        .tensors
        .iter_mut()
        .filter(|w| w.name.contains("attn.qkv."))
    {
        let row_bytes = weight.shape.last().unwrap() * weights.dtype.bytes();
        let rows = weight.bytes.chunks_exact_mut(row_bytes);
        rows.for_each(|row| row.rotate_right(row_bytes / 3));
        n += 1;
    }
    n
}

/// Query, key and value of a fused layer, which lie side by side for each group of heads, read as
/// if all queries came first.
pub(crate) fn heads_not_undone(subject: &mut Subject) -> usize {
    let attention = subject
        .graph
        .nodes
        .iter()
        .find_map(|node| op::<Attention>(node));
    let Some(attention) = attention.filter(|_| has_fused_heads(&subject.spec)) else {
        return 0;
    };
    let groups = attention.dims.n_kv_heads;
    let at = |name: &str| subject.weights.tensors.iter().position(|w| w.name == name);
    let mut found = Vec::new();
    for layer in 0..subject.spec.n_layers() {
        for kind in ["weight", "bias"] {
            let [q, k, v] = ["q", "k", "v"].map(|p| at(&format!("blocks.{layer}.attn.{p}.{kind}")));
            found.extend([q, k, v].into_iter().collect::<Option<Vec<usize>>>());
        }
    }
    // With one group the two orders are the same.
    if groups < 2 {
        return 0;
    }
    let n_packed = packed_heads_not_undone(subject, groups);
    for qkv in &found {
        let parts = qkv
            .iter()
            .map(|&i| subject.weights.tensors[i].bytes.to_vec());
        let parts: Vec<Vec<u8>> = parts.collect();
        let group = |g: usize| {
            let slices = parts.iter().map(move |part| {
                let len = part.len() / groups;
                &part[g * len..(g + 1) * len]
            });
            slices.flatten().copied()
        };
        let mut fused = (0..groups).flat_map(group);
        for (&i, part) in qkv.iter().zip(&parts) {
            let bytes: Vec<u8> = fused.by_ref().take(part.len()).collect();
            subject.weights.tensors[i].bytes = bytes.into();
        }
    }
    found.len() + n_packed
}

/// The same within each row of a packed projection.
fn packed_heads_not_undone(subject: &mut Subject, heads: usize) -> usize {
    let weights = &mut subject.weights;
    let width = weights.dtype.bytes();
    let tensors = weights.tensors.iter_mut();
    let packed = tensors.filter(|tensor| tensor.name.contains("attn.qkv."));
    packed
        .map(|tensor| {
            let row = tensor.shape.last().unwrap() * width;
            let (part, head) = (row / 3, row / 3 / heads);
            let rows = tensor.bytes.chunks_exact(row).flat_map(|row| {
                (0..3 * heads).flat_map(move |i| &row[(i % 3) * part + (i / 3) * head..][..head])
            });
            let bytes: Vec<u8> = rows.copied().collect();
            tensor.bytes = bytes.into();
        })
        .count()
}

/// Whether query, key and value of each head lie side by side in a layout of the model.
pub(crate) fn has_fused_heads(spec: &Spec) -> bool {
    let fused = spec.mapping_of(Naming::Fused { padded_vocab: None });
    let layouts = [Some(spec.mapping()), fused.ok()];
    let mut rules = layouts
        .iter()
        .flatten()
        .flat_map(|mapping| mapping.table.rules.iter().copied().flatten());
    let by_head = |layout| match layout {
        Layout::Grouped(by) => matches!(by, By::Head | By::KvHead),
        other => other == Layout::HeadsFirst,
    };
    rules.any(|rule| by_head(rule.layout))
}

pub(crate) fn no_biases_of_attention(subject: &mut Subject) -> usize {
    let names = [
        "attn.q.bias",
        "attn.k.bias",
        "attn.v.bias",
        "attn.qkv.bias",
        "attn.out.bias",
    ];
    change(subject, &names, |_| 0.0)
}

pub(crate) fn no_bias_of_the_logits(subject: &mut Subject) -> usize {
    change(subject, &["head.bias"], |_| 0.0)
}

/// Routers that prefer the experts that they should avoid.
pub(crate) fn least_likely_experts(subject: &mut Subject) -> usize {
    change(subject, &["mlp.router.weight"], |x| -x)
}
