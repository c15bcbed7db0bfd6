//! Running a meaning on real or dual numbers.

use super::build::broadcast_shape;
use super::{Build, Prim, Val};
use tenon_base::rng::philox4x32;

/// A number that a meaning can be run on.
pub trait Real: Copy {
    /// A constant.
    fn constant(x: f64) -> Self;
    /// The value without its derivative.
    fn value(self) -> f64;
    /// A differentiable function of one variable, given its value and slope at `self`.
    fn chain(self, value: f64, slope: f64) -> Self;
    /// Sum.
    fn plus(self, other: Self) -> Self;
    /// Product.
    fn times(self, other: Self) -> Self;
}

impl Real for f64 {
    fn constant(x: f64) -> Self {
        x
    }
    fn value(self) -> f64 {
        self
    }
    fn chain(self, value: f64, _slope: f64) -> Self {
        value
    }
    fn plus(self, other: Self) -> Self {
        self + other
    }
    fn times(self, other: Self) -> Self {
        self * other
    }
}

/// A value and its derivative along one direction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dual {
    /// The value.
    pub v: f64,
    /// The derivative.
    pub d: f64,
}

impl Real for Dual {
    fn constant(v: f64) -> Self {
        Dual { v, d: 0.0 }
    }
    fn value(self) -> f64 {
        self.v
    }
    fn chain(self, value: f64, slope: f64) -> Self {
        // A slope that does not matter must not turn 0 · ∞ into NaN.
        let d = if self.d == 0.0 { 0.0 } else { slope * self.d };
        Dual { v: value, d }
    }
    fn plus(self, other: Self) -> Self {
        Dual {
            v: self.v + other.v,
            d: self.d + other.d,
        }
    }
    fn times(self, other: Self) -> Self {
        Dual {
            v: self.v * other.v,
            d: self.d * other.v + self.v * other.d,
        }
    }
}

/// A dense tensor, last dimension contiguous.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor<R> {
    /// Dimensions.
    pub shape: Vec<usize>,
    /// Elements.
    pub data: Vec<R>,
}

/// Runs a meaning on its inputs and returns the values of `outs`. `key` is the run's dropout key.
pub fn run<R: Real>(
    b: &Build,
    inputs: &[Tensor<R>],
    key: [u32; 2],
    outs: &[Val],
) -> Vec<Tensor<R>> {
    let mut values: Vec<Tensor<R>> = Vec::with_capacity(b.steps().len());
    for step in b.steps() {
        let ins: Vec<&Tensor<R>> = step.ins.iter().map(|v| &values[v.0 as usize]).collect();
        let data = match &step.prim {
            Prim::Input(i) => {
                assert_eq!(inputs[*i].shape, step.shape, "input {i}");
                inputs[*i].data.clone()
            }
            prim => evaluate(prim, &ins, &step.shape, key),
        };
        assert_eq!(
            data.len(),
            step.shape.iter().product::<usize>(),
            "{:?}",
            step.prim
        );
        values.push(Tensor {
            shape: step.shape.clone(),
            data,
        });
    }
    outs.iter().map(|v| values[v.0 as usize].clone()).collect()
}

fn evaluate<R: Real>(prim: &Prim, ins: &[&Tensor<R>], shape: &[usize], key: [u32; 2]) -> Vec<R> {
    let len: usize = shape.iter().product();
    let unary = |f: fn(f64) -> (f64, f64)| -> Vec<R> {
        let apply = |x: &R| {
            let (value, slope) = f(x.value());
            x.chain(value, slope)
        };
        ins[0].data.iter().map(apply).collect()
    };
    let zip = |f: &dyn Fn(R, R) -> R| -> Vec<R> {
        let at = |x: &Tensor<R>, i| x.data[broadcast_index(i, shape, &x.shape)];
        (0..len).map(|i| f(at(ins[0], i), at(ins[1], i))).collect()
    };
    let flag = |yes: bool| R::constant(if yes { 1.0 } else { 0.0 });
    match prim {
        Prim::Input(_) => unreachable!("inputs are copied by the caller"),
        Prim::Fill(x) => vec![R::constant(*x); len],
        Prim::Iota => (0..len).map(|i| R::constant(i as f64)).collect(),
        Prim::Keep { site, p } => (0..len).map(|i| flag(keeps(key, *site, *p, i))).collect(),
        Prim::Reshape => ins[0].data.clone(),
        Prim::Permute(order) => permute(ins[0], order, shape),
        Prim::Broadcast => (0..len)
            .map(|i| ins[0].data[broadcast_index(i, shape, &ins[0].shape)])
            .collect(),
        Prim::Concat(axis) => concat(ins, *axis, shape),
        Prim::Slice { axis, start } => slice(ins[0], *axis, *start, shape),
        Prim::Gather => gather(ins[0], ins[1]),
        Prim::MatMul => matmul(ins[0], ins[1]),
        Prim::Add => zip(&|a, b| a.plus(b)),
        Prim::Sub => zip(&|a, b| a.plus(b.times(R::constant(-1.0)))),
        Prim::Mul => zip(&|a, b| a.times(b)),
        Prim::Div => zip(&|a, b| {
            let x = b.value();
            a.times(b.chain(1.0 / x, -1.0 / (x * x)))
        }),
        Prim::Maximum => zip(&|a, b| if a.value() >= b.value() { a } else { b }),
        Prim::Less => zip(&|a, b| flag(a.value() < b.value())),
        Prim::Equal => zip(&|a, b| flag(a.value() == b.value())),
        Prim::Select => {
            let at = |x: &Tensor<R>, i| x.data[broadcast_index(i, shape, &x.shape)];
            let pick = |i| {
                if at(ins[0], i).value() != 0.0 {
                    at(ins[1], i)
                } else {
                    at(ins[2], i)
                }
            };
            (0..len).map(pick).collect()
        }
        Prim::Neg => unary(|x| (-x, -1.0)),
        Prim::Exp => unary(|x| (x.exp(), x.exp())),
        Prim::Log => unary(|x| (x.ln(), 1.0 / x)),
        Prim::Sqrt => unary(|x| (x.sqrt(), 0.5 / x.sqrt())),
        Prim::Tanh => unary(|x| (x.tanh(), 1.0 - x.tanh().powi(2))),
        Prim::Erf => unary(|x| {
            (
                libm::erf(x),
                std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp(),
            )
        }),
        Prim::Sigmoid => unary(|x| {
            let s = 1.0 / (1.0 + (-x).exp());
            (s, s * (1.0 - s))
        }),
        Prim::Sum(axis) => reduce(ins[0], *axis, R::constant(0.0), |a, b| a.plus(b)),
        Prim::Max(axis) => {
            let lowest = R::constant(f64::NEG_INFINITY);
            reduce(ins[0], *axis, lowest, |a, b| {
                if b.value() > a.value() { b } else { a }
            })
        }
    }
}

/// Whether a dropout keeps element `i`.
fn keeps(key: [u32; 2], site: u32, p: f64, i: usize) -> bool {
    let block = (i / 4) as u64;
    let words = philox4x32([block as u32, (block >> 32) as u32, site, 0], key);
    f64::from(words[i % 4]) >= (p * 4_294_967_296.0).floor()
}

/// Index into a tensor of shape `from` for element `i` of the broadcast shape `to`.
fn broadcast_index(i: usize, to: &[usize], from: &[usize]) -> usize {
    debug_assert_eq!(broadcast_shape(from, to), to);
    let (mut rest, mut index, mut stride) = (i, 0, 1);
    for (axis, &dim) in to.iter().enumerate().rev() {
        let at = rest % dim;
        rest /= dim;
        if let Some(k) = (axis + from.len()).checked_sub(to.len()) {
            if from[k] != 1 {
                index += at * stride;
            }
            stride *= from[k];
        }
    }
    index
}

fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for i in (1..shape.len()).rev() {
        strides[i - 1] = strides[i] * shape[i];
    }
    strides
}

fn permute<R: Real>(x: &Tensor<R>, order: &[usize], shape: &[usize]) -> Vec<R> {
    let from = strides(&x.shape);
    let to = strides(shape);
    let source = |i: usize| -> usize {
        (0..shape.len())
            .map(|axis| (i / to[axis]) % shape[axis] * from[order[axis]])
            .sum()
    };
    (0..x.data.len()).map(|i| x.data[source(i)]).collect()
}

fn concat<R: Real>(xs: &[&Tensor<R>], axis: usize, shape: &[usize]) -> Vec<R> {
    let outer: usize = shape[..axis].iter().product();
    let inner: usize = shape[axis + 1..].iter().product();
    let mut out = Vec::with_capacity(shape.iter().product());
    for o in 0..outer {
        for x in xs {
            let width = x.shape[axis] * inner;
            out.extend_from_slice(&x.data[o * width..][..width]);
        }
    }
    out
}

fn slice<R: Real>(x: &Tensor<R>, axis: usize, start: usize, shape: &[usize]) -> Vec<R> {
    let outer: usize = shape[..axis].iter().product();
    let inner: usize = shape[axis + 1..].iter().product();
    let mut out = Vec::with_capacity(shape.iter().product());
    for o in 0..outer {
        let from = (o * x.shape[axis] + start) * inner;
        out.extend_from_slice(&x.data[from..][..shape[axis] * inner]);
    }
    out
}

fn gather<R: Real>(table: &Tensor<R>, ids: &Tensor<R>) -> Vec<R> {
    let width: usize = table.shape[1..].iter().product();
    let row = |id: &R| table.data[id.value() as usize * width..][..width].to_vec();
    ids.data.iter().flat_map(row).collect()
}

fn matmul<R: Real>(a: &Tensor<R>, b: &Tensor<R>) -> Vec<R> {
    let (na, nb) = (a.shape.len(), b.shape.len());
    let (m, k, n) = (a.shape[na - 2], a.shape[na - 1], b.shape[nb - 1]);
    let batch: usize = a.shape[..na - 2].iter().product();
    let mut out = vec![R::constant(0.0); batch * m * n];
    for t in 0..batch {
        for i in 0..m {
            let row = &mut out[(t * m + i) * n..][..n];
            for p in 0..k {
                let x = a.data[(t * m + i) * k + p];
                for (y, &w) in row.iter_mut().zip(&b.data[(t * k + p) * n..][..n]) {
                    *y = y.plus(x.times(w));
                }
            }
        }
    }
    out
}

fn reduce<R: Real>(x: &Tensor<R>, axis: usize, start: R, f: impl Fn(R, R) -> R) -> Vec<R> {
    let outer: usize = x.shape[..axis].iter().product();
    let inner: usize = x.shape[axis + 1..].iter().product();
    let n = x.shape[axis];
    let at = |o: usize, i: usize, j: usize| x.data[(o * n + j) * inner + i];
    (0..outer * inner)
        .map(|oi| (0..n).fold(start, |acc, j| f(acc, at(oi / inner, oi % inner, j))))
        .collect()
}
