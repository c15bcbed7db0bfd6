//! Primitives, and what a program of primitives computes.
//!
//! Every operator states its meaning as a small program of these primitives ([`Build`]). Run in f64
//! it is the oracle of the operator's values, run on dual numbers that of its derivative; exporters
//! spell the same program in other formats. The enum is closed: whoever matches on it matches on
//! all of it.

mod build;
mod run;

pub use build::Build;
pub use run::{Dual, Real, Tensor, run};

/// A value of a meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Val(pub(crate) u32);

/// A primitive. Elementwise ones broadcast their operands as NumPy does.
#[derive(Clone, Debug, PartialEq)]
pub enum Prim {
    /// The `usize`-th input of the operator.
    Input(usize),
    /// The same number everywhere.
    Fill(f64),
    /// `0, 1, 2, …` in one dimension.
    Iota,
    /// 1 where the counter-based mask of a dropout keeps an element, else 0.
    Keep {
        /// Which dropout of the model it is.
        site: u32,
        /// Probability of dropping.
        p: f64,
    },
    /// Another shape of the same elements.
    Reshape,
    /// Dimensions in another order.
    Permute(Vec<usize>),
    /// Repeats dimensions of size 1.
    Broadcast,
    /// Joins along an axis.
    Concat(usize),
    /// A range of an axis.
    Slice {
        /// The axis.
        axis: usize,
        /// First index.
        start: usize,
    },
    /// Rows of the first operand, chosen by the second.
    Gather,
    /// Product over the last dimension of the first and the last but one of the second operand;
    /// leading dimensions are a batch.
    MatMul,
    /// Sum.
    Add,
    /// Difference.
    Sub,
    /// Product.
    Mul,
    /// Quotient.
    Div,
    /// The larger one.
    Maximum,
    /// 1 where the first is smaller, else 0.
    Less,
    /// 1 where both are equal, else 0.
    Equal,
    /// The second where the first is not 0, else the third.
    Select,
    /// Negation.
    Neg,
    /// Exponential.
    Exp,
    /// Natural logarithm.
    Log,
    /// Square root.
    Sqrt,
    /// Hyperbolic tangent.
    Tanh,
    /// Error function.
    Erf,
    /// Logistic function.
    Sigmoid,
    /// Sum over an axis, which stays with size 1.
    Sum(usize),
    /// Maximum over an axis, which stays with size 1.
    Max(usize),
}

/// One step of a meaning.
#[derive(Clone, Debug)]
pub struct Step {
    /// What is done.
    pub prim: Prim,
    /// Operands.
    pub ins: Vec<Val>,
    /// Shape of the result.
    pub shape: Vec<usize>,
}
