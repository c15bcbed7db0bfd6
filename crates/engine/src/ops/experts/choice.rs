//! The choice of experts in primitives.

use crate::meaning::{Build, Val};

/// `softmax` of each row of `logits [N, E]`.
pub(in crate::ops) fn softmax(b: &mut Build, logits: Val) -> Val {
    let top = b.max(logits, 1);
    let shifted = b.sub(logits, top);
    let weights = b.exp(shifted);
    let total = b.sum(weights, 1);
    b.div(weights, total)
}

/// 1 where an element of `logits [N, E]` is among the `k` largest of its row, else 0: fewer than
/// `k` are larger, or equal with a lower index.
pub(in crate::ops) fn chosen(b: &mut Build, logits: Val, k: usize) -> Val {
    let (n, e) = (b.shape(logits)[0], b.shape(logits)[1]);
    let mine = b.reshape(logits, &[n, e, 1]);
    let others = b.reshape(logits, &[n, 1, e]);
    let index = b.iota(e);
    let my_index = b.reshape(index, &[1, e, 1]);
    let other_index = b.reshape(index, &[1, 1, e]);
    let larger = b.less(mine, others);
    let equal = b.equal(mine, others);
    let lower = b.less(other_index, my_index);
    let earlier = b.mul(equal, lower);
    let ahead = b.add(larger, earlier);
    let ahead = b.sum(ahead, 2);
    let ahead = b.reshape(ahead, &[n, e]);
    let k = b.scalar(k as f64);
    b.less(ahead, k)
}
