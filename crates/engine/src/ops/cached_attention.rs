//! Attention of new tokens over cached keys and values, for generation.

use super::qkv::{AttentionLayout, masked_softmax, widths};
use crate::check::{Case, CaseInput, Entry, Reject};
use crate::constraint;
use crate::meaning::{Build, Val};
use crate::op::{Cost, Cx, Grad, Op, Room, Rows, Saves, Vjp};
use crate::shape::{Dim, Extent, Shape, ShapeError, Ty};
use crate::table::{AttentionDims, AttentionIn, Buf, Cache};

/// Appends the keys and values of the new tokens to their slots of the cache, and attends from each
/// new token over everything its slot holds up to itself. A row has the same bits as in
/// [`Attention`](super::Attention) over the whole sequence.
///
/// Inputs: queries, keys and values of the new tokens as the layout says, then their `bounds
/// [S+1]`, `past [S]` (tokens cached before), `slots [S]`, and the state `k_cache, v_cache [slots,
/// capacity, G·K]`. Output `out [N, H·K]`.
///
/// C1 widths fit heads. C2 attention is causal. C3 caches have rows of `G·K` values for `capacity`
/// positions.
///
/// There is no derivative: training runs the whole sequence.
///
/// Floor of a cached position that one new token sees: forward `8·G·K` bytes, `4·H·K` operations,
/// `H` exps; no derivative.
#[derive(Clone, Copy, Debug)]
pub struct CachedAttention {
    /// Heads, mask and scale.
    pub dims: AttentionDims,
    /// Form of the inputs.
    pub layout: AttentionLayout,
    /// Positions that a slot has room for.
    pub capacity: usize,
}

impl Op for CachedAttention {
    fn name(&self) -> &'static str {
        "cached_attention"
    }

    fn outputs(&self, ins: &[&Ty]) -> Result<Vec<Ty>, ShapeError> {
        self.layout.check(&self.dims, ins)?;
        let [q, kv, _] = widths(&self.dims);
        constraint!(self.dims.causal, "C2", "a cache needs causal attention");
        for cache in &ins[self.layout.n_qkv() + 3..] {
            let dims = cache.shape.resolve(Extent::new(0, 0));
            let fits = dims.len() == 3 && dims[1] == self.capacity && dims[2] == kv;
            constraint!(
                fits,
                "C3",
                "cache {} for {} positions of {kv}",
                cache.shape,
                self.capacity
            );
        }
        Ok(vec![Ty::float(Shape::new([
            ins[0].shape.lead(),
            Dim::Fixed(q),
        ]))])
    }

    fn grads(&self) -> Vec<Grad> {
        vec![Grad::None("training runs whole sequences, without a cache"); self.layout.n_qkv() + 5]
    }

    fn rows(&self) -> Rows {
        Rows::Others
    }

    fn saves(&self) -> Saves {
        Saves::new(&[], &[])
    }

    fn scratch(&self, _ins: &[&Ty], room: &Room<'_>) -> usize {
        room.device.attention_work_len(&self.dims, room.float)
    }

    fn forward(&self, cx: &mut Cx<'_>, ins: &[Buf], outs: &[Buf]) {
        let [q, k, v] = self.layout.bufs(&self.dims, |i| ins[i]);
        let [bounds, past, slots, k_cache, v_cache] = self.rest(ins);
        let x = AttentionIn {
            q,
            k,
            v,
            bounds,
            key_mask: None,
        };
        let by_position = |b: Buf| b.reshaped(b.rows * self.capacity, b.cols / self.capacity);
        let (k, v) = (by_position(k_cache), by_position(v_cache));
        let cache = Cache {
            k,
            v,
            capacity: self.capacity,
        };
        cx.k.attention_cached(&self.dims, &x, cache, past, slots, outs[0], cx.scratch);
    }

    fn vjp(&self, _cx: &mut Cx<'_>, _call: &Vjp<'_>) {
        unreachable!("no input has a gradient")
    }

    fn cost(&self, _ins: &[&Ty], extent: Extent) -> Cost {
        let n = extent.tokens as f64;
        let width = widths(&self.dims)[0] as f64;
        let seen = self.capacity as f64;
        Cost {
            flops: 4.0 * n * seen * width,
            elements: n * seen * width,
        }
    }

    fn meaning(&self, b: &mut Build, ins: &[Val]) -> Vec<Val> {
        let [q, k, v] = self.layout.vals(&self.dims, b, ins);
        let [bounds, past, slots, k_cache, v_cache] = self.rest(ins);
        let n = b.shape(q)[0];
        let kv = b.shape(k)[1];
        let cached = b.shape(k_cache)[0] * self.capacity;
        let k_old = b.reshape(k_cache, &[cached, kv]);
        let v_old = b.reshape(v_cache, &[cached, kv]);
        let keys = b.concat(&[k_old, k], 0);
        let values = b.concat(&[v_old, v], 0);
        let sequence = b.sequence_of_row(bounds, n);
        // Sequences are numbered from −S up; from 0 they index `past` and `slots`.
        let n_seqs = b.shape(past)[0];
        let number = b.add_scalar(sequence, n_seqs as f64);
        let past_of_row = b.gather(past, number);
        let slot_of_row = b.gather(slots, number);
        let visible = self.visible(b, [sequence, past_of_row, slot_of_row], bounds, [n, cached]);
        let mut out = masked_softmax(b, &self.dims, [q, keys, values], visible);
        out.truncate(1);
        out
    }
}

impl CachedAttention {
    /// The inputs after queries, keys and values.
    fn rest<T: Copy>(&self, ins: &[T]) -> [T; 5] {
        std::array::from_fn(|i| ins[self.layout.n_qkv() + i])
    }

    /// `[N, cached + N]`: which cached positions, and which new rows, each new row sees.
    fn visible(
        &self,
        b: &mut Build,
        of_row: [Val; 3],
        bounds: Val,
        [n, cached]: [usize; 2],
    ) -> Val {
        let [sequence, past, slot] = of_row.map(|x| b.reshape(x, &[n, 1]));
        // Where the cached key lies: its slot and its position.
        let (mut slots, mut positions) = (Vec::new(), Vec::new());
        for s in 0..cached / self.capacity {
            slots.push(b.fill(s as f64, &[self.capacity]));
            positions.push(b.iota(self.capacity));
        }
        let (slots, positions) = (b.concat(&slots, 0), b.concat(&positions, 0));
        let (slots, positions) = (
            b.reshape(slots, &[1, cached]),
            b.reshape(positions, &[1, cached]),
        );
        let same_slot = b.equal(slots, slot);
        let filled = b.less(positions, past);
        let mut old = b.mul(same_slot, filled);
        let rows = b.iota(n);
        let (i, j) = (b.reshape(rows, &[n, 1]), b.reshape(rows, &[1, n]));
        let key_sequence = b.reshape(sequence, &[1, n]);
        let mut new = b.equal(sequence, key_sequence);
        let behind = b.sub(i, j);
        let before = b.scalar(-0.5);
        let causal = b.less(before, behind);
        new = b.mul(new, causal);
        if let Some(window) = self.dims.window {
            let limit = b.scalar(window as f64);
            let near = b.less(behind, limit);
            new = b.mul(new, near);
            // Position of the new row: what its slot held, plus its place in its sequence.
            let n_seqs = b.shape(bounds)[0] - 1;
            let number = b.add_scalar(sequence, n_seqs as f64);
            let number = b.reshape(number, &[n]);
            let start = b.gather(bounds, number);
            let start = b.reshape(start, &[n, 1]);
            let place = b.sub(i, start);
            let position = b.add(past, place);
            let distance = b.sub(position, positions);
            let near = b.less(distance, limit);
            old = b.mul(old, near);
        }
        b.concat(&[old, new], 1)
    }
}

pub(super) const ENTRY: Entry = Entry {
    name: "cached_attention",
    cases,
    rejects,
};

fn case(name: &str, dims: AttentionDims, capacity: usize, past: &[i64], new: &[i64]) -> Case {
    let n: i64 = new.iter().sum();
    let bounds = std::iter::once(0).chain(new.iter().scan(0, |at, &len| {
        *at += len;
        Some(*at)
    }));
    let kv = dims.n_kv_heads * dims.head_dim;
    let rows = |width| CaseInput::random(Ty::float(Shape::rows(width)));
    let per_seq = |values: Vec<i64>| CaseInput::given(Ty::index(Shape::new([Dim::Seqs])), values);
    let cache = || {
        let ty = Ty::float(Shape::fixed(&[past.len() + 1, capacity, kv]));
        CaseInput::random(ty).state()
    };
    let ins = vec![
        rows(dims.n_heads * dims.head_dim),
        rows(kv),
        rows(kv),
        CaseInput::given(Ty::index(Shape::new([Dim::Bounds])), bounds),
        per_seq(past.to_vec()),
        // Slots in another order than sequences, and one slot unused.
        per_seq((0..past.len() as i64).rev().map(|s| s + 1).collect()),
        cache(),
        cache(),
    ];
    let op = CachedAttention {
        dims,
        layout: AttentionLayout::Separate,
        capacity,
    };
    Case::new(name, op, n as usize, ins).seqs(past.len())
}

fn dims(
    n_heads: usize,
    n_kv_heads: usize,
    head_dim: usize,
    window: Option<usize>,
) -> AttentionDims {
    let scale = 1.0 / (head_dim as f64).sqrt();
    AttentionDims {
        n_heads,
        n_kv_heads,
        head_dim,
        scale,
        causal: true,
        window,
    }
}

fn cases() -> Vec<Case> {
    vec![
        case("first token", dims(1, 1, 4, None), 3, &[0], &[1]),
        case(
            "prompts of two sequences",
            dims(2, 1, 4, None),
            9,
            &[0, 0],
            &[3, 5],
        ),
        case(
            "one token each",
            dims(4, 2, 8, None),
            90,
            &[70, 3, 64],
            &[1, 1, 1],
        ),
        case("chunks", dims(2, 2, 4, None), 140, &[60, 2], &[70, 9]),
        case("window", dims(2, 2, 4, Some(5)), 90, &[70, 3], &[2, 4]),
    ]
}

fn rejects() -> Vec<Reject> {
    let ins = |width: usize, capacity: usize| {
        let rows = |w| Ty::float(Shape::rows(w));
        let seqs = || Ty::index(Shape::new([Dim::Seqs]));
        let cache = || Ty::float(Shape::fixed(&[1, capacity, 4]));
        let bounds = Ty::index(Shape::new([Dim::Bounds]));
        vec![
            rows(width),
            rows(4),
            rows(4),
            bounds,
            seqs(),
            seqs(),
            cache(),
            cache(),
        ]
    };
    let layout = AttentionLayout::Separate;
    let op = CachedAttention {
        dims: dims(1, 1, 4, None),
        layout,
        capacity: 3,
    };
    let mut open = op;
    open.dims.causal = false;
    vec![
        Reject::new("C1", op, ins(5, 3)),
        Reject::new("C2", open, ins(4, 3)),
        Reject::new("C3", op, ins(4, 2)),
    ]
}
