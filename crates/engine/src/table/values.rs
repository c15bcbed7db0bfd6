//! The kernels of losses of numbers.

use super::{Buf, Target};
pub use tenon_kernels::ValueLoss;

/// What a device does for [`crate::ops::RowValueLoss`].
pub trait ValueKernels {
    /// Loss of each row of numbers `y [R, C]` against given ones `[R, C]`, the mean over C; 0 where
    /// the target is negative.
    fn value_rows(&mut self, kind: ValueLoss, y: Buf, given: Buf, targets: Buf, loss: Buf);
    /// Derivative of the sum of [`ValueKernels::value_rows`] in `y`.
    fn value_rows_vjp(&mut self, kind: ValueLoss, y: Buf, given: Buf, targets: Buf, dy: Target);
}
