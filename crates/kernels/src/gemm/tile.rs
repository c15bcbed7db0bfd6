//! The micro-kernel: a tile of C held in registers while k runs.

#[cfg(target_arch = "x86_64")]
use super::vector::Wide;
use super::vector::{One, Vector};
use crate::{Float, Isa};

/// What happens to a tile of C when its block of k is summed.
#[derive(Clone, Copy)]
pub(crate) struct Finish<S> {
    /// Add to what C holds instead of replacing it.
    pub(crate) add: bool,
    /// Then add these, one per column, unless null.
    pub(crate) bias: *const S,
    /// C is in a near cache: it need not be asked for.
    pub(crate) near: bool,
}

impl<S> Finish<S> {
    /// Replaces C, or adds to it.
    pub(crate) fn plain(add: bool) -> Self {
        Finish {
            add,
            bias: std::ptr::null(),
            near: false,
        }
    }

    /// The same where C is small and was just in use.
    pub(crate) fn near(add: bool) -> Self {
        Finish {
            near: true,
            ..Finish::plain(add)
        }
    }
}

/// C `[m, n]` from A `[m, k]` at any strides and B `[k, n]` with neighbouring columns adjacent.
/// Strides are in elements. Every element of C is one chain of fused steps over k, from zero.
#[derive(Clone, Copy)]
pub(crate) struct Product<S> {
    pub(crate) m: usize,
    pub(crate) n: usize,
    pub(crate) k: usize,
    pub(crate) a: *const S,
    pub(crate) a_row: usize,
    pub(crate) a_col: usize,
    pub(crate) b: *const S,
    pub(crate) b_row: usize,
    pub(crate) c: *mut S,
    pub(crate) c_row: usize,
    pub(crate) finish: Finish<S>,
}

impl<S: Float> Product<S> {
    /// The same product from row `i` on.
    #[inline(always)]
    unsafe fn below(self, i: usize) -> Self {
        // SAFETY: the caller keeps i ≤ m, so the pointers stay inside or one past their slices.
        let (a, c) = unsafe { (self.a.add(i * self.a_row), self.c.add(i * self.c_row)) };
        Product {
            m: self.m - i,
            a,
            c,
            ..self
        }
    }

    /// The same product from column `j` on.
    #[inline(always)]
    unsafe fn right(self, j: usize) -> Self {
        // SAFETY: the caller keeps j ≤ n.
        let (b, c) = unsafe { (self.b.add(j), self.c.add(j)) };
        let mut bias = self.finish.bias;
        if !bias.is_null() {
            // SAFETY: a bias has n elements.
            bias = unsafe { bias.add(j) };
        }
        Product {
            n: self.n - j,
            b,
            c,
            finish: Finish {
                bias,
                ..self.finish
            },
            ..self
        }
    }
}

/// Rows of A that one pointer serves: rows 0, 1 and 2 are within an address of it.
const ROWS_PER_POINTER: usize = 3;

/// The first `R` rows and `NV` registers of columns; `UNIT` when neighbouring rows of A are
/// adjacent.
///
/// # Safety
/// m ≥ R, n ≥ NV · LANES, everything the product names is there, and the processor has `V`.
#[inline(always)]
unsafe fn tile<V: Vector, const R: usize, const NV: usize, const UNIT: bool>(p: Product<V::S>) {
    const { assert!(R <= 4 * ROWS_PER_POINTER) }
    let a_row = if UNIT { 1 } else { p.a_row };
    // SAFETY: all offsets are inside the product by the caller's promise.
    unsafe {
        if !p.finish.near {
            for i in 0..R {
                // Rows of C seldom start on a cache line's boundary.
                let row = p.c.add(i * p.c_row);
                V::prefetch(row);
                V::prefetch(row.add(NV * V::LANES - 1));
            }
        }
        let mut acc = [[V::zero(); NV]; R];
        let mut b = p.b;
        let mut a = [p.a; 4];
        for i in 0..4 {
            a[i] = p.a.wrapping_add(i * ROWS_PER_POINTER * a_row);
        }
        for _ in 0..p.k {
            let mut cols = [V::zero(); NV];
            for v in 0..NV {
                cols[v] = V::load(b.add(v * V::LANES));
            }
            for i in 0..R {
                let row = match UNIT {
                    true => a[0].add(i),
                    false => a[i / ROWS_PER_POINTER].add(i % ROWS_PER_POINTER * a_row),
                };
                let x = V::splat(*row);
                for v in 0..NV {
                    acc[i][v] = x.fma(cols[v], acc[i][v]);
                }
            }
            for i in 0..4 {
                a[i] = a[i].wrapping_add(p.a_col);
            }
            b = b.wrapping_add(p.b_row);
        }
        for i in 0..R {
            for v in 0..NV {
                let c = p.c.add(i * p.c_row + v * V::LANES);
                let mut sum = acc[i][v];
                if p.finish.add {
                    sum = V::load(c).add(sum);
                }
                if !p.finish.bias.is_null() {
                    sum = sum.add(V::load(p.finish.bias.add(v * V::LANES)));
                }
                sum.store(c);
            }
        }
    }
}

/// All rows of the first `NV` registers of columns.
///
/// # Safety
/// As [`tile`], for every row.
#[inline(always)]
unsafe fn strip<V: Vector, const MR: usize, const NV: usize, const UNIT: bool>(
    mut p: Product<V::S>,
) {
    // SAFETY: rows are counted down to what is left.
    unsafe {
        while p.m >= MR {
            tile::<V, MR, NV, UNIT>(p);
            p = p.below(MR);
        }
        if MR > 6 && p.m >= 6 {
            tile::<V, 6, NV, UNIT>(p);
            p = p.below(6);
        }
        match p.m {
            5 => tile::<V, 5, NV, UNIT>(p),
            4 => tile::<V, 4, NV, UNIT>(p),
            3 => tile::<V, 3, NV, UNIT>(p),
            2 => tile::<V, 2, NV, UNIT>(p),
            1 => tile::<V, 1, NV, UNIT>(p),
            _ => {}
        }
    }
}

/// The whole product, by strips of two registers, then narrower ones.
///
/// # Safety
/// Everything the product names is there, C is written by nobody else and overlaps neither A nor B,
/// and the processor has `V` and `W`.
#[inline(always)]
unsafe fn columns<V, W, const MR: usize, const UNIT: bool>(mut p: Product<V::S>)
where
    V: Vector,
    W: Vector<S = V::S>,
{
    // SAFETY: columns are counted down to what is left.
    unsafe {
        while p.n >= 2 * V::LANES {
            strip::<V, MR, 2, UNIT>(p);
            p = p.right(2 * V::LANES);
        }
        if p.n >= V::LANES {
            strip::<V, MR, 1, UNIT>(p);
            p = p.right(V::LANES);
        }
        if W::LANES < V::LANES && p.n >= W::LANES {
            strip::<W, MR, 1, UNIT>(p);
            p = p.right(W::LANES);
        }
        while p.n > 0 {
            strip::<One<V::S>, 6, 1, UNIT>(p);
            p = p.right(1);
        }
    }
}

/// [`columns`] for either form of A.
///
/// # Safety
/// As [`columns`].
#[inline(always)]
unsafe fn product<V, W, const MR: usize>(p: Product<V::S>)
where
    V: Vector,
    W: Vector<S = V::S>,
{
    // SAFETY: passed on.
    unsafe {
        match p.a_row {
            1 => columns::<V, W, MR, true>(p),
            _ => columns::<V, W, MR, false>(p),
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn product_avx2<S: Float>(p: Product<S>) {
    // SAFETY: passed on.
    unsafe { product::<<S as Wide>::V256, <S as Wide>::V256, 6>(p) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
unsafe fn product_avx512<S: Float>(p: Product<S>) {
    // SAFETY: passed on.
    unsafe { product::<<S as Wide>::V512, <S as Wide>::V256, 12>(p) }
}

/// Rows and columns of the register tile: how operands are packed.
pub(crate) const fn tile_shape<S: Float>(isa: Isa) -> (usize, usize) {
    match isa {
        Isa::Scalar => (6, 2),
        Isa::Avx2 => (6, 64 / size_of::<S>()),
        Isa::Avx512 => (12, 128 / size_of::<S>()),
    }
}

/// Computes the product.
///
/// # Safety
/// Everything the product names is there, C is written by nobody else and overlaps neither A nor B,
/// and the processor has `isa`.
pub(crate) unsafe fn multiply<S: Float>(isa: Isa, p: Product<S>) {
    // SAFETY: passed on.
    unsafe {
        match isa {
            Isa::Scalar => product::<One<S>, One<S>, 6>(p),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => product_avx2(p),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => product_avx512(p),
            #[cfg(not(target_arch = "x86_64"))]
            _ => product::<One<S>, One<S>, 6>(p),
        }
    }
}
