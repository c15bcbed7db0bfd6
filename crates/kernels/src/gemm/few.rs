//! Few rows against panels, as in decoding: memory sets the pace, and it hands out most when
//! several panels are read side by side.

use super::tile::Product;
use super::vector::{One, Vector, Wide};
use crate::{Float, Isa};

/// A product whose B lies in panels of two registers' width.
#[derive(Clone, Copy)]
pub(super) struct Few<S> {
    /// The product from the first panel on; `b_row` is a panel's width.
    pub(super) product: Product<S>,
    /// Elements from one panel to the next.
    pub(super) panel: usize,
}

/// Panels that [`few_rows`] takes at once for so many rows: as many as leave their sums in
/// registers.
pub(super) const fn panels_at_once(rows: usize) -> usize {
    match rows {
        1 => 4,
        2 | 3 => 2,
        _ => 1,
    }
}

/// `R` rows of `P` panels.
///
/// # Safety
/// m ≥ R, n ≥ P · 2 · LANES, everything the product names is there, and the processor has `V`.
#[inline(always)]
unsafe fn strip<V: Vector, const R: usize, const P: usize>(few: Few<V::S>) {
    let Few { product: p, panel } = few;
    // SAFETY: all offsets are inside the product by the caller's promise.
    unsafe {
        let mut acc = [[[V::zero(); 2]; P]; R];
        let (mut a, mut b) = (p.a, p.b);
        for _ in 0..p.k {
            let mut rows = [V::zero(); R];
            for i in 0..R {
                rows[i] = V::splat(*a.add(i * p.a_row));
            }
            for q in 0..P {
                for v in 0..2 {
                    let column = V::load(b.add(q * panel + v * V::LANES));
                    for i in 0..R {
                        acc[i][q][v] = rows[i].fma(column, acc[i][q][v]);
                    }
                }
            }
            a = a.wrapping_add(p.a_col);
            b = b.wrapping_add(p.b_row);
        }
        for i in 0..R {
            for q in 0..P {
                for v in 0..2 {
                    let j = (2 * q + v) * V::LANES;
                    let c = p.c.add(i * p.c_row + j);
                    let mut sum = acc[i][q][v];
                    if p.finish.add {
                        sum = V::load(c).add(sum);
                    }
                    if !p.finish.bias.is_null() {
                        sum = sum.add(V::load(p.finish.bias.add(j)));
                    }
                    sum.store(c);
                }
            }
        }
    }
}

/// # Safety
/// As [`few_rows`], and the processor has `V`.
#[inline(always)]
unsafe fn strips<V: Vector>(few: Few<V::S>) {
    // SAFETY: passed on.
    unsafe {
        match few.product.m {
            1 => strip::<V, 1, { panels_at_once(1) }>(few),
            2 => strip::<V, 2, { panels_at_once(2) }>(few),
            3 => strip::<V, 3, { panels_at_once(3) }>(few),
            m => unreachable!("{m} rows take one panel at a time"),
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn strips_avx2<S: Float>(few: Few<S>) {
    // SAFETY: passed on.
    unsafe { strips::<<S as Wide>::V256>(few) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
unsafe fn strips_avx512<S: Float>(few: Few<S>) {
    // SAFETY: passed on.
    unsafe { strips::<<S as Wide>::V512>(few) }
}

/// Computes the product of m rows with [`panels_at_once`] panels, which are more than one.
///
/// # Safety
/// Everything the product names is there, all panels are of full width, C is written by nobody else
/// and overlaps neither A nor B, and the processor has `isa`.
pub(super) unsafe fn few_rows<S: Float>(isa: Isa, few: Few<S>) {
    // SAFETY: passed on.
    unsafe {
        match isa {
            Isa::Scalar => strips::<One<S>>(few),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => strips_avx2(few),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => strips_avx512(few),
            #[cfg(not(target_arch = "x86_64"))]
            _ => strips::<One<S>>(few),
        }
    }
}
