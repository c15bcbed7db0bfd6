//! How a call of the experts divides its scratch.

use crate::shape::DType;
use crate::table::{Buf, Routes};
use std::ops::Range;

/// Rows of one expert that are computed together. Whole blocks of the product's k, so that a
/// weight's gradient is summed in the order of one product over all rows.
pub(super) const CHUNK: usize = 512;

/// The numbers that a call's buffers are made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    /// `N`.
    pub(super) n_rows: usize,
    /// Experts of a row.
    pub(super) per_token: usize,
    /// `E`.
    pub(super) n_experts: usize,
    /// `D`.
    pub(super) width: usize,
    /// `F`.
    pub(super) hidden: usize,
}

/// Parts of the scratch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Space {
    /// Who goes where.
    pub(super) routes: Routes,
    /// Gradient of the weights, in order of experts.
    pub(super) dweights: Buf,
    /// Room for chunks: see [`Chunk`].
    narrow: [Buf; 2],
    wide: [Buf; 5],
    /// What is left, for products.
    pub(super) work: Buf,
}

/// Rows of one expert, and room for what is computed of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chunk {
    /// The rows' numbers, weights and gradients of weights.
    pub(super) rows: Buf,
    pub(super) weights: Buf,
    pub(super) dweights: Buf,
    /// `[C, D]`: inputs; outputs or their gradients.
    pub(super) x: Buf,
    pub(super) y: Buf,
    /// `[C, F]`: both projections, and what they become.
    pub(super) gate: Buf,
    pub(super) up: Buf,
    pub(super) hidden: Buf,
    /// `[C, F]`: gradients.
    pub(super) dhidden: Buf,
    pub(super) dup: Buf,
}

/// Cuts memory into parts that start at cache lines.
struct Carve {
    at: usize,
}

impl Carve {
    fn take(&mut self, dtype: DType, rows: usize, cols: usize) -> Buf {
        let part = Buf::matrix(self.at, dtype, rows, cols);
        self.at += (rows * cols * dtype.bytes()).next_multiple_of(64);
        part
    }
}

impl Space {
    /// Elements of scratch for these sizes, without that of products.
    pub(super) fn len(sizes: &Sizes, float: DType) -> usize {
        let mut carve = Carve { at: 0 };
        Self::carved(&mut carve, sizes, float);
        carve.at / float.bytes()
    }

    /// The parts of this scratch.
    pub(super) fn new(scratch: Buf, sizes: &Sizes) -> Space {
        let mut carve = Carve { at: scratch.offset };
        let space = Self::carved(&mut carve, sizes, scratch.dtype);
        let used = (carve.at - scratch.offset) / scratch.dtype.bytes();
        let work = scratch.columns(used..scratch.cols);
        Space { work, ..space }
    }

    fn carved(carve: &mut Carve, sizes: &Sizes, float: DType) -> Space {
        let choices = sizes.n_rows * sizes.per_token;
        let chunk = sizes.n_rows.min(CHUNK);
        let routes = Routes {
            experts: carve.take(DType::I32, 1, choices),
            places: carve.take(DType::I32, 1, choices),
            rows: carve.take(DType::I32, 1, choices),
            bounds: carve.take(DType::I32, 1, sizes.n_experts + 1),
            shares: carve.take(float, 1, choices),
            weights: carve.take(float, 1, choices),
        };
        Space {
            routes,
            dweights: carve.take(float, 1, choices),
            narrow: std::array::from_fn(|_| carve.take(float, chunk, sizes.width)),
            wide: std::array::from_fn(|_| carve.take(float, chunk, sizes.hidden)),
            work: Buf::matrix(carve.at, float, 1, 0),
        }
    }

    /// Room for these places in order of experts, at most [`CHUNK`].
    pub(super) fn chunk(&self, places: Range<usize>) -> Chunk {
        let n = places.len();
        let [x, y] = self.narrow.map(|b| b.rows(0..n));
        let [gate, up, hidden, dhidden, dup] = self.wide.map(|b| b.rows(0..n));
        Chunk {
            rows: self.routes.rows.columns(places.clone()),
            weights: self.routes.weights.columns(places.clone()),
            dweights: self.dweights.columns(places),
            x,
            y,
            gate,
            up,
            hidden,
            dhidden,
            dup,
        }
    }
}
