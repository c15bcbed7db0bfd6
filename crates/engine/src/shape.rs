//! Shapes with symbolic row counts, element classes and data types.

use std::fmt;

/// A data type of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DType {
    /// 32-bit IEEE float.
    F32,
    /// 64-bit IEEE float.
    F64,
    /// 32-bit signed integer.
    I32,
}

impl DType {
    /// Bytes of one element.
    pub fn bytes(self) -> usize {
        match self {
            DType::F32 | DType::I32 => 4,
            DType::F64 => 8,
        }
    }

    /// The name used in configurations and listings.
    pub fn name(self) -> &'static str {
        match self {
            DType::F32 => "f32",
            DType::F64 => "f64",
            DType::I32 => "i32",
        }
    }
}

/// What the elements of a value are. The plan, not the graph, says how wide a float is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Elem {
    /// A real number in the plan's float type.
    Float,
    /// A token id, position, bound or target.
    Index,
    /// A sum that is always kept in f64.
    Sum,
}

impl Elem {
    /// The data type under a plan whose floats are `float`.
    pub fn dtype(self, float: DType) -> DType {
        match self {
            Elem::Float => float,
            Elem::Index => DType::I32,
            Elem::Sum => DType::F64,
        }
    }
}

/// One dimension. The symbolic ones can only lead a shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dim {
    /// `N`, the tokens of the batch.
    Tokens,
    /// `S`, the sequences of the batch.
    Seqs,
    /// `S + 1`, the bounds of the sequences.
    Bounds,
    /// `C`, the tokens of the batch that count for the loss.
    Counted,
    /// A number known when the graph is built.
    Fixed(usize),
}

impl Dim {
    /// The number under an extent.
    pub fn resolve(self, extent: Extent) -> usize {
        match self {
            Dim::Tokens => extent.tokens,
            Dim::Seqs => extent.seqs,
            Dim::Bounds => extent.seqs + 1,
            Dim::Counted => extent.counted,
            Dim::Fixed(n) => n,
        }
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Dim::Tokens => f.write_str("N"),
            Dim::Seqs => f.write_str("S"),
            Dim::Bounds => f.write_str("S+1"),
            Dim::Counted => f.write_str("C"),
            Dim::Fixed(n) => write!(f, "{n}"),
        }
    }
}

/// How many tokens and sequences a batch has, and tokens that count; or a plan has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// `N`.
    pub tokens: usize,
    /// `S`.
    pub seqs: usize,
    /// `C`, at most `N`: the tokens, or other rows, that count for the loss.
    pub counted: usize,
}

impl Extent {
    /// So many tokens in so many sequences; all tokens count.
    pub const fn new(tokens: usize, seqs: usize) -> Self {
        Extent {
            tokens,
            seqs,
            counted: tokens,
        }
    }
}

/// A shape: a leading dimension, possibly symbolic, and fixed ones after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape(Vec<Dim>);

impl Shape {
    /// A shape of one dimension or more.
    pub fn new(dims: impl Into<Vec<Dim>>) -> Self {
        let dims = dims.into();
        assert!(!dims.is_empty(), "a shape has at least one dimension");
        let fixed = |d: &Dim| matches!(d, Dim::Fixed(_));
        assert!(
            dims[1..].iter().all(fixed),
            "only the first dimension can be symbolic"
        );
        Shape(dims)
    }

    /// `[N, cols]`.
    pub fn rows(cols: usize) -> Self {
        Shape(vec![Dim::Tokens, Dim::Fixed(cols)])
    }

    /// A shape of fixed dimensions, as parameters have.
    pub fn fixed(dims: &[usize]) -> Self {
        Shape::new(dims.iter().map(|&n| Dim::Fixed(n)).collect::<Vec<_>>())
    }

    /// The dimensions.
    pub fn dims(&self) -> &[Dim] {
        &self.0
    }

    /// The first dimension.
    pub fn lead(&self) -> Dim {
        self.0[0]
    }

    /// The product of the dimensions after the first: the width of a row.
    pub fn cols(&self) -> usize {
        self.resolve(Extent::new(0, 0))[1..].iter().product()
    }

    /// The numbers under an extent.
    pub fn resolve(&self, extent: Extent) -> Vec<usize> {
        self.0.iter().map(|d| d.resolve(extent)).collect()
    }

    /// The number of elements under an extent.
    pub fn len(&self, extent: Extent) -> usize {
        self.resolve(extent).iter().product()
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (i, dim) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{dim}")?;
        }
        f.write_str("]")
    }
}

/// Shape and element class of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ty {
    /// The shape.
    pub shape: Shape,
    /// The element class.
    pub elem: Elem,
}

impl Ty {
    /// Floats of the given shape.
    pub fn float(shape: Shape) -> Self {
        Ty {
            shape,
            elem: Elem::Float,
        }
    }

    /// Indices of the given shape.
    pub fn index(shape: Shape) -> Self {
        Ty {
            shape,
            elem: Elem::Index,
        }
    }

    /// f64 sums of the given shape.
    pub fn sum(shape: Shape) -> Self {
        Ty {
            shape,
            elem: Elem::Sum,
        }
    }

    /// Bytes under a plan with floats `float` and the given extent.
    pub fn bytes(&self, float: DType, extent: Extent) -> usize {
        self.shape.len(extent) * self.elem.dtype(float).bytes()
    }
}

impl fmt::Display for Ty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let elem = match self.elem {
            Elem::Float => "float",
            Elem::Index => "index",
            Elem::Sum => "sum",
        };
        write!(f, "{}{elem}", self.shape)
    }
}

/// A violated constraint of an operator, named by the constraint's label (`C1`, `C2`, …).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShapeError {
    /// The label of the constraint in the operator's documentation.
    pub label: &'static str,
    /// What disagrees.
    pub message: String,
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.label, self.message)
    }
}

/// Returns a [`ShapeError`] from the enclosing function when a constraint does not hold.
#[macro_export]
macro_rules! constraint {
    ($holds:expr, $label:literal, $($message:tt)+) => {
        let holds: bool = $holds;
        if !holds {
            return Err($crate::shape::ShapeError { label: $label, message: format!($($message)+) });
        }
    };
}
