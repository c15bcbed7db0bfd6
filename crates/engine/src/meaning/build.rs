//! Building a meaning.

use super::{Prim, Step, Val};

/// A program of primitives under construction. Shapes are numbers: a meaning is built for one
/// extent.
#[derive(Clone, Debug, Default)]
pub struct Build {
    steps: Vec<Step>,
}

impl Build {
    /// An empty program.
    pub fn new() -> Self {
        Self::default()
    }

    /// The steps so far.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Shape of a value.
    pub fn shape(&self, v: Val) -> &[usize] {
        &self.steps[v.0 as usize].shape
    }

    fn push(&mut self, prim: Prim, ins: &[Val], shape: Vec<usize>) -> Val {
        self.steps.push(Step {
            prim,
            ins: ins.to_vec(),
            shape,
        });
        Val(self.steps.len() as u32 - 1)
    }

    /// The `i`-th input.
    pub fn input(&mut self, i: usize, shape: &[usize]) -> Val {
        self.push(Prim::Input(i), &[], shape.to_vec())
    }

    /// One number in the given shape.
    pub fn fill(&mut self, value: f64, shape: &[usize]) -> Val {
        self.push(Prim::Fill(value), &[], shape.to_vec())
    }

    /// A scalar that broadcasts.
    pub fn scalar(&mut self, value: f64) -> Val {
        self.fill(value, &[1])
    }

    /// `0 … n−1`.
    pub fn iota(&mut self, n: usize) -> Val {
        self.push(Prim::Iota, &[], vec![n])
    }

    /// The mask of a dropout.
    pub fn keep(&mut self, site: u32, p: f64, shape: &[usize]) -> Val {
        self.push(Prim::Keep { site, p }, &[], shape.to_vec())
    }

    /// Another shape of the same elements.
    pub fn reshape(&mut self, x: Val, shape: &[usize]) -> Val {
        let n = |s: &[usize]| s.iter().product::<usize>();
        assert_eq!(n(self.shape(x)), n(shape), "reshape of {:?}", self.shape(x));
        self.push(Prim::Reshape, &[x], shape.to_vec())
    }

    /// Dimensions in another order.
    pub fn permute(&mut self, x: Val, order: &[usize]) -> Val {
        let shape = order.iter().map(|&i| self.shape(x)[i]).collect();
        self.push(Prim::Permute(order.to_vec()), &[x], shape)
    }

    /// Last two dimensions swapped.
    pub fn transpose(&mut self, x: Val) -> Val {
        let n = self.shape(x).len();
        let mut order: Vec<usize> = (0..n).collect();
        order.swap(n - 2, n - 1);
        self.permute(x, &order)
    }

    /// Repeats dimensions of size 1 up to `shape`.
    pub fn broadcast(&mut self, x: Val, shape: &[usize]) -> Val {
        assert_eq!(broadcast_shape(self.shape(x), shape), shape, "broadcast");
        self.push(Prim::Broadcast, &[x], shape.to_vec())
    }

    /// Joins along an axis.
    pub fn concat(&mut self, xs: &[Val], axis: usize) -> Val {
        let mut shape = self.shape(xs[0]).to_vec();
        shape[axis] = xs.iter().map(|&x| self.shape(x)[axis]).sum();
        self.push(Prim::Concat(axis), xs, shape)
    }

    /// `len` indices of an axis from `start`.
    pub fn slice(&mut self, x: Val, axis: usize, start: usize, len: usize) -> Val {
        let mut shape = self.shape(x).to_vec();
        assert!(start + len <= shape[axis], "slice");
        shape[axis] = len;
        self.push(Prim::Slice { axis, start }, &[x], shape)
    }

    /// Rows `table[ids]`: `[V, …], [N] → [N, …]`.
    pub fn gather(&mut self, table: Val, ids: Val) -> Val {
        let mut shape = self.shape(ids).to_vec();
        shape.extend_from_slice(&self.shape(table)[1..]);
        self.push(Prim::Gather, &[table, ids], shape)
    }

    /// `[…, M, K] · […, K, N]`.
    pub fn matmul(&mut self, a: Val, b: Val) -> Val {
        let (sa, sb) = (self.shape(a).to_vec(), self.shape(b).to_vec());
        let (na, nb) = (sa.len(), sb.len());
        assert_eq!(sa[na - 1], sb[nb - 2], "matmul of {sa:?} and {sb:?}");
        assert_eq!(sa[..na - 2], sb[..nb - 2], "matmul of {sa:?} and {sb:?}");
        let mut shape = sa[..na - 1].to_vec();
        shape.push(sb[nb - 1]);
        self.push(Prim::MatMul, &[a, b], shape)
    }

    fn binary(&mut self, prim: Prim, a: Val, b: Val) -> Val {
        let shape = broadcast_shape(self.shape(a), self.shape(b));
        self.push(prim, &[a, b], shape)
    }

    /// `a + b`.
    pub fn add(&mut self, a: Val, b: Val) -> Val {
        self.binary(Prim::Add, a, b)
    }

    /// `a − b`.
    pub fn sub(&mut self, a: Val, b: Val) -> Val {
        self.binary(Prim::Sub, a, b)
    }

    /// `a · b`, element by element.
    pub fn mul(&mut self, a: Val, b: Val) -> Val {
        self.binary(Prim::Mul, a, b)
    }

    /// `a / b`.
    pub fn div(&mut self, a: Val, b: Val) -> Val {
        self.binary(Prim::Div, a, b)
    }

    /// The larger one.
    pub fn maximum(&mut self, a: Val, b: Val) -> Val {
        self.binary(Prim::Maximum, a, b)
    }

    /// 1 where `a < b`.
    pub fn less(&mut self, a: Val, b: Val) -> Val {
        self.binary(Prim::Less, a, b)
    }

    /// 1 where `a = b`.
    pub fn equal(&mut self, a: Val, b: Val) -> Val {
        self.binary(Prim::Equal, a, b)
    }

    /// `yes` where `mask` is not 0, else `no`.
    pub fn select(&mut self, mask: Val, yes: Val, no: Val) -> Val {
        let shape = broadcast_shape(self.shape(yes), self.shape(no));
        let shape = broadcast_shape(self.shape(mask), &shape);
        self.push(Prim::Select, &[mask, yes, no], shape)
    }

    fn unary(&mut self, prim: Prim, x: Val) -> Val {
        let shape = self.shape(x).to_vec();
        self.push(prim, &[x], shape)
    }

    /// `−x`.
    pub fn neg(&mut self, x: Val) -> Val {
        self.unary(Prim::Neg, x)
    }

    /// `eˣ`.
    pub fn exp(&mut self, x: Val) -> Val {
        self.unary(Prim::Exp, x)
    }

    /// `ln x`.
    pub fn log(&mut self, x: Val) -> Val {
        self.unary(Prim::Log, x)
    }

    /// `√x`.
    pub fn sqrt(&mut self, x: Val) -> Val {
        self.unary(Prim::Sqrt, x)
    }

    /// `tanh x`.
    pub fn tanh(&mut self, x: Val) -> Val {
        self.unary(Prim::Tanh, x)
    }

    /// `erf x`.
    pub fn erf(&mut self, x: Val) -> Val {
        self.unary(Prim::Erf, x)
    }

    /// `1 / (1 + e⁻ˣ)`.
    pub fn sigmoid(&mut self, x: Val) -> Val {
        self.unary(Prim::Sigmoid, x)
    }

    /// Sum over an axis, kept with size 1.
    pub fn sum(&mut self, x: Val, axis: usize) -> Val {
        let mut shape = self.shape(x).to_vec();
        shape[axis] = 1;
        self.push(Prim::Sum(axis), &[x], shape)
    }

    /// Maximum over an axis, kept with size 1.
    pub fn max(&mut self, x: Val, axis: usize) -> Val {
        let mut shape = self.shape(x).to_vec();
        shape[axis] = 1;
        self.push(Prim::Max(axis), &[x], shape)
    }

    /// Mean over an axis, kept with size 1.
    pub fn mean(&mut self, x: Val, axis: usize) -> Val {
        let n = self.shape(x)[axis] as f64;
        let sum = self.sum(x, axis);
        let n = self.scalar(n);
        self.div(sum, n)
    }

    /// `x + c`.
    pub fn add_scalar(&mut self, x: Val, c: f64) -> Val {
        let c = self.scalar(c);
        self.add(x, c)
    }

    /// `x · c`.
    pub fn scale(&mut self, x: Val, c: f64) -> Val {
        let c = self.scalar(c);
        self.mul(x, c)
    }

    /// 1 where a row of a packed batch belongs to a sequence, without its first `skip[0]` and last
    /// `skip[1]` rows, else 0: `bounds [S+1] → [S, N]`.
    pub fn rows_of_sequences(&mut self, bounds: Val, n_rows: usize, skip: [usize; 2]) -> Val {
        let n_seqs = self.shape(bounds)[0] - 1;
        let bound = |b: &mut Self, at, moved| {
            let x = b.slice(bounds, 0, at, n_seqs);
            let x = b.reshape(x, &[n_seqs, 1]);
            b.add_scalar(x, moved)
        };
        // Half a row before the first, so that one comparison means "not before".
        let start = bound(self, 0, skip[0] as f64 - 0.5);
        let end = bound(self, 1, -(skip[1] as f64));
        let rows = self.iota(n_rows);
        let rows = self.reshape(rows, &[1, n_rows]);
        let after = self.less(start, rows);
        let before = self.less(rows, end);
        self.mul(after, before)
    }

    /// For every row of a packed batch the number of its sequence: `bounds [S+1] → [N]`.
    pub fn sequence_of_row(&mut self, bounds: Val, n_rows: usize) -> Val {
        let n_bounds = self.shape(bounds)[0];
        let ends = self.slice(bounds, 0, 1, n_bounds - 1);
        let ends = self.reshape(ends, &[1, n_bounds - 1]);
        let rows = self.iota(n_rows);
        let rows = self.reshape(rows, &[n_rows, 1]);
        let before = self.less(rows, ends);
        let before = self.sum(before, 1);
        let before = self.reshape(before, &[n_rows]);
        self.neg(before)
    }
}

/// The shape to which both operands broadcast.
pub(super) fn broadcast_shape(a: &[usize], b: &[usize]) -> Vec<usize> {
    let n = a.len().max(b.len());
    let at = |s: &[usize], i: usize| {
        if i + s.len() < n {
            1
        } else {
            s[i + s.len() - n]
        }
    };
    (0..n)
        .map(|i| match (at(a, i), at(b, i)) {
            (x, y) if x == y => x,
            (1, y) => y,
            (x, 1) => x,
            _ => panic!("shapes {a:?} and {b:?} do not broadcast"),
        })
        .collect()
}
