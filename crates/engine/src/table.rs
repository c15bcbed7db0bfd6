//! Buffer handles and the table of kernels that a device provides.
//!
//! Operators see [`Buf`] handles only. What a handle points to is known to the device's [`Kernels`]
//! alone, so that another device is another table under the same operators.

mod experts;
mod update;
mod values;

use crate::shape::DType;
pub use experts::{Balance, ExpertKernels, Routes};
use std::ops::Range;
pub use tenon_kernels::{Activation, RopeStyle};
pub use update::{AdamW, Sgd};
pub use values::{ValueKernels, ValueLoss};

/// For which products a matrix was packed into panels when it was written. What panels look like is
/// known to the device alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Panels {
    /// Those that read it as it is.
    Plain,
    /// Those that read its transpose.
    Transposed,
}

/// A handle to a matrix in a device's memory: `rows × cols`, rows `row_stride` elements apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buf {
    /// Byte offset in the arena.
    pub offset: usize,
    /// Data type of the elements.
    pub dtype: DType,
    /// Rows in this run.
    pub rows: usize,
    /// Elements of a row.
    pub cols: usize,
    /// Elements between the starts of two rows.
    pub row_stride: usize,
    /// Whether the elements lie in panels instead: uploads write those and downloads read them,
    /// products and [`Kernels::embedding`] take them, nothing else does.
    pub panels: Option<Panels>,
}

impl Buf {
    /// A contiguous matrix.
    pub fn matrix(offset: usize, dtype: DType, rows: usize, cols: usize) -> Self {
        Buf {
            offset,
            dtype,
            rows,
            cols,
            row_stride: cols,
            panels: None,
        }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.rows * self.cols
    }

    /// True when there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// True when the rows follow each other without a gap.
    pub fn is_contiguous(&self) -> bool {
        self.row_stride == self.cols || self.rows <= 1
    }

    /// Bytes from the first element to the last.
    pub fn span_bytes(&self) -> usize {
        if self.is_empty() {
            return 0;
        }
        ((self.rows - 1) * self.row_stride + self.cols) * self.dtype.bytes()
    }

    /// The given rows.
    pub fn rows(self, range: Range<usize>) -> Self {
        assert!(range.end <= self.rows, "rows {range:?} of {}", self.rows);
        assert!(self.panels.is_none(), "rows of {self:?}");
        let skip = range.start * self.row_stride * self.dtype.bytes();
        Buf {
            offset: self.offset + skip,
            rows: range.len(),
            ..self
        }
    }

    /// The given columns.
    pub fn columns(self, range: Range<usize>) -> Self {
        assert!(range.end <= self.cols, "columns {range:?} of {}", self.cols);
        assert!(self.panels.is_none(), "columns of {self:?}");
        let skip = range.start * self.dtype.bytes();
        Buf {
            offset: self.offset + skip,
            cols: range.len(),
            ..self
        }
    }

    /// The same elements as a contiguous matrix of another width.
    pub fn reshaped(self, rows: usize, cols: usize) -> Self {
        assert!(
            self.is_contiguous() && self.panels.is_none() && rows * cols == self.len(),
            "reshape of {self:?}"
        );
        Buf {
            rows,
            cols,
            row_stride: cols,
            ..self
        }
    }
}

/// A matrix operand of a product, read as it is or transposed.
#[derive(Clone, Copy, Debug)]
pub struct Operand {
    /// The matrix in memory.
    pub buf: Buf,
    /// Whether the product reads its transpose.
    pub transposed: bool,
}

impl Operand {
    /// The matrix as it is.
    pub fn plain(buf: Buf) -> Self {
        Operand {
            buf,
            transposed: false,
        }
    }

    /// The transpose of the matrix, without a copy.
    pub fn transposed(buf: Buf) -> Self {
        Operand {
            buf,
            transposed: true,
        }
    }

    /// The panels that would serve this product.
    pub fn panels(&self) -> Panels {
        if self.transposed {
            Panels::Transposed
        } else {
            Panels::Plain
        }
    }

    /// Rows and columns as the product sees them.
    pub fn dims(&self) -> (usize, usize) {
        if self.transposed {
            (self.buf.cols, self.buf.rows)
        } else {
            (self.buf.rows, self.buf.cols)
        }
    }
}

/// A gradient to write: into a fresh buffer, or added to what is there.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Where.
    pub buf: Buf,
    /// Add to the buffer's content instead of replacing it.
    pub accumulate: bool,
}

/// Which keys a query sees, beside the bounds of its sequence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AttentionDims {
    /// `H`.
    pub n_heads: usize,
    /// `G`; query head `h` reads key/value head `h / (H / G)`.
    pub n_kv_heads: usize,
    /// `K`.
    pub head_dim: usize,
    /// Factor of the scores, usually `1/√K`.
    pub scale: f64,
    /// Keys after the query are hidden.
    pub causal: bool,
    /// Only keys less than this many positions away are seen.
    pub window: Option<usize>,
}

/// The inputs of attention: `q [N, H·K]`, `k, v [N, G·K]` (any row stride), `cu_seqlens [S+1]`.
#[derive(Clone, Copy, Debug)]
pub struct AttentionIn {
    /// Queries.
    pub q: Buf,
    /// Keys.
    pub k: Buf,
    /// Values.
    pub v: Buf,
    /// Bounds of the sequences.
    pub bounds: Buf,
    /// Keys with mask 0 are seen by no query, `[N]`.
    pub key_mask: Option<Buf>,
}

/// How a row of logits becomes a loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct XentSpec {
    /// Mass given to the uniform distribution, in `[0, 1)`.
    pub label_smoothing: f64,
    /// Weight of the squared log-partition.
    pub z_loss: f64,
}

/// Where cached keys and values of sequences lie: `[slots, capacity, G·K]`.
#[derive(Clone, Copy, Debug)]
pub struct Cache {
    /// Cached keys, one row a position: `[slots · capacity, G·K]`.
    pub k: Buf,
    /// Cached values, likewise.
    pub v: Buf,
    /// Positions a slot has room for.
    pub capacity: usize,
}

/// Everything a device can do. All buffers are handles into the device's one arena.
///
/// Every method computes the same bits for every number of threads.
pub trait Kernels: ExpertKernels + ValueKernels + Send {
    /// Allocates the arena, zeroed. Called once, before anything else.
    fn reserve(&mut self, bytes: usize);
    /// Copies host bytes, row by row, into a contiguous buffer, or into panels.
    fn upload(&mut self, dst: Buf, bytes: &[u8]);
    /// Copies a contiguous buffer, or what panels hold, into host bytes, row by row.
    fn download(&mut self, src: Buf, bytes: &mut [u8]);
    /// Number of threads the device works with.
    fn threads(&self) -> usize;
    /// Elements of workspace that a product needs.
    fn gemm_work_len(&self, dtype: DType) -> usize;
    /// Elements of workspace that attention needs, forward or backward.
    fn attention_work_len(&self, dims: &AttentionDims, dtype: DType) -> usize;

    /// Sets every element.
    fn fill(&mut self, dst: Buf, value: f64);
    /// `dst = src`, any row strides.
    fn copy(&mut self, src: Buf, dst: Buf);
    /// `y = a + b`; `y` may be `a`.
    fn add(&mut self, a: Buf, b: Buf, y: Buf);
    /// `y += x`.
    fn add_assign(&mut self, x: Buf, y: Buf);
    /// `c = a·b (+ bias)` or `c += a·b`. With `b` in panels `c` is replaced, with the same bits.
    fn gemm(&mut self, a: Operand, b: Operand, c: Target, bias: Option<Buf>, work: Buf);
    /// `sums[c] += Σ_rows x[r, c]`; the rows of x may have gaps between them.
    fn add_column_sums(&mut self, x: Buf, sums: Buf);

    /// Layer norm; `mean, rstd [N]` are kept for the derivative.
    fn layer_norm(
        &mut self,
        x: Buf,
        gain: Buf,
        bias: Option<Buf>,
        eps: f64,
        y: Buf,
        mean: Buf,
        rstd: Buf,
    );
    /// Derivative of [`Kernels::layer_norm`].
    fn layer_norm_vjp(
        &mut self,
        dy: Buf,
        x: Buf,
        gain: Buf,
        mean: Buf,
        rstd: Buf,
        dx: Option<Target>,
        dgain: Option<Buf>,
        dbias: Option<Buf>,
    );
    /// RMS norm; `rstd [N]` is kept for the derivative.
    fn rms_norm(&mut self, x: Buf, gain: Buf, eps: f64, y: Buf, rstd: Buf);
    /// Derivative of [`Kernels::rms_norm`].
    fn rms_norm_vjp(
        &mut self,
        dy: Buf,
        x: Buf,
        gain: Buf,
        rstd: Buf,
        dx: Option<Target>,
        dgain: Option<Buf>,
    );

    /// `y = act(x)`.
    fn activation(&mut self, act: Activation, x: Buf, y: Buf);
    /// `dx = dy · act'(x)`.
    fn activation_vjp(&mut self, act: Activation, dy: Buf, x: Buf, dx: Target);
    /// `y = silu(gate) · up`.
    fn swiglu(&mut self, gate: Buf, up: Buf, y: Buf);
    /// Derivative of [`Kernels::swiglu`].
    fn swiglu_vjp(&mut self, dy: Buf, gate: Buf, up: Buf, grads: [Buf; 2]);
    /// Rotates pairs of each head by the angle of the row's position; `inverse` turns back. `y` may
    /// be `x`.
    fn rope(
        &mut self,
        style: RopeStyle,
        head_dim: usize,
        inverse: bool,
        x: Buf,
        cos: Buf,
        sin: Buf,
        positions: Buf,
        y: Buf,
    );

    /// Attention with an online softmax over tiles of keys: `out [N, H·K]`, log₂ `lse [N, H]`.
    fn attention(&mut self, dims: &AttentionDims, x: &AttentionIn, out: Buf, lse: Buf, work: Buf);
    /// Derivative of [`Kernels::attention`].
    fn attention_vjp(
        &mut self,
        dims: &AttentionDims,
        x: &AttentionIn,
        out: Buf,
        lse: Buf,
        dout: Buf,
        grads: [Buf; 3],
        work: Buf,
    );
    /// Appends the new rows' keys and values to their slots and attends over everything cached;
    /// `past [S]` are the lengths before, `slots [S]` the slots of the sequences.
    fn attention_cached(
        &mut self,
        dims: &AttentionDims,
        x: &AttentionIn,
        cache: Cache,
        past: Buf,
        slots: Buf,
        out: Buf,
        work: Buf,
    );

    /// `y[r] = table[ids[r]]`; the table may lie in panels of its transpose.
    fn embedding(&mut self, table: Buf, ids: Buf, y: Buf);
    /// `dtable[ids[r]] += dy[r]`, in row order.
    fn embedding_vjp(&mut self, dy: Buf, ids: Buf, dtable: Buf);
    /// `y = x · mask / (1 − p)`. Element `e` is kept when word `e mod 4` of
    /// `philox4x32([e/4 low, e/4 high, site, 0], key)` is at least `p·2³²`.
    fn dropout(&mut self, p: f64, key: [u32; 2], site: u32, x: Buf, y: Buf);
    /// `y = x · (1 − trained) / (1 − observed)`, 0 where the id is `mask_id`; observed is the
    /// fraction of such ids in the row's sequence, and where that is 1 all of `y` is 0.
    fn token_dropout(&mut self, mask_id: u32, trained: f64, x: Buf, ids: Buf, bounds: Buf, y: Buf);
    /// Means over the rows of each sequence, `x [N, D]` to `y [S, D]`, without its first or last
    /// row where asked; 0 where no row is left.
    fn pool_mean(&mut self, skip_first: bool, skip_last: bool, x: Buf, bounds: Buf, y: Buf);
    /// Derivative of [`Kernels::pool_mean`], `dy [S, D]` to `dx [N, D]`.
    fn pool_mean_vjp(
        &mut self,
        skip_first: bool,
        skip_last: bool,
        dy: Buf,
        bounds: Buf,
        dx: Target,
    );
    /// Writes the indices of the targets that count to the front of `rows [N]`, in order, and
    /// returns how many they are.
    fn counted_rows(&mut self, targets: Buf, rows: Buf) -> usize;
    /// Loss (and rank of the target) of each row of logits; with `gradient` the logits are replaced
    /// by their gradients. Row `i` of the logits belongs to element `chosen[i]` of targets, losses
    /// and ranks, or to element `i`; `chosen` ascends. Several rows may have gaps, the last too.
    fn xent_rows(
        &mut self,
        spec: &XentSpec,
        logits: Buf,
        targets: Buf,
        chosen: Option<Buf>,
        gradient: bool,
        loss: Buf,
        rank: Option<Buf>,
    );
    /// One AdamW update.
    fn adamw(&mut self, p: Buf, g: Buf, m: Buf, v: Buf, spec: &AdamW);
    /// One SGD update, with momentum when there is a velocity.
    fn sgd(&mut self, p: Buf, g: Buf, velocity: Option<Buf>, spec: &Sgd);
    /// `Σ x²`, accumulated in f64 in a fixed order.
    fn sum_of_squares(&mut self, x: Buf) -> f64;
    /// `Σ x`, accumulated in f64 in a fixed order.
    fn sum(&mut self, x: Buf) -> f64;
}
