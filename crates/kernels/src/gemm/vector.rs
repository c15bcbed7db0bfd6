//! Registers: the few vector operations that the micro-kernel is written in.

use crate::Float;

/// A register of `LANES` elements; methods are meaningful only where the processor has it.
pub trait Vector: Copy {
    /// The element.
    type S: Float;
    /// Elements in a register.
    const LANES: usize;
    /// # Safety
    /// The processor has this register.
    unsafe fn zero() -> Self;
    /// # Safety
    /// The processor has this register.
    unsafe fn splat(x: Self::S) -> Self;
    /// # Safety
    /// The processor has this register; `LANES` elements are readable at `p`.
    unsafe fn load(p: *const Self::S) -> Self;
    /// # Safety
    /// The processor has this register; `LANES` elements are writable at `p`.
    unsafe fn store(self, p: *mut Self::S);
    /// `self · a + b`, rounded once.
    ///
    /// # Safety
    /// The processor has this register.
    unsafe fn fma(self, a: Self, b: Self) -> Self;
    /// # Safety
    /// The processor has this register.
    unsafe fn add(self, b: Self) -> Self;
    /// Asks for the cache line at `p`, which may lie anywhere.
    ///
    /// # Safety
    /// The processor has this register.
    unsafe fn prefetch(p: *const Self::S);
}

/// The registers of an element type for each instruction set.
pub trait Wide: Sized {
    /// 256 bits.
    type V256: Vector<S = Self>;
    /// 512 bits.
    type V512: Vector<S = Self>;
}

/// One element: the scalar twin, and the last columns beside wider registers.
#[derive(Clone, Copy)]
pub(super) struct One<S>(S);

impl<S: Float> Vector for One<S> {
    type S = S;
    const LANES: usize = 1;

    #[inline(always)]
    unsafe fn zero() -> Self {
        One(S::ZERO)
    }

    #[inline(always)]
    unsafe fn splat(x: S) -> Self {
        One(x)
    }

    #[inline(always)]
    unsafe fn load(p: *const S) -> Self {
        // SAFETY: the caller's promise.
        One(unsafe { *p })
    }

    #[inline(always)]
    unsafe fn store(self, p: *mut S) {
        // SAFETY: the caller's promise.
        unsafe { *p = self.0 }
    }

    #[inline(always)]
    unsafe fn fma(self, a: Self, b: Self) -> Self {
        One(self.0.mul_add(a.0, b.0))
    }

    #[inline(always)]
    unsafe fn add(self, b: Self) -> Self {
        One(self.0 + b.0)
    }

    #[inline(always)]
    unsafe fn prefetch(_: *const S) {}
}

#[cfg(not(target_arch = "x86_64"))]
mod wide {
    use super::{One, Wide};

    impl Wide for f32 {
        type V256 = One<f32>;
        type V512 = One<f32>;
    }

    impl Wide for f64 {
        type V256 = One<f64>;
        type V512 = One<f64>;
    }
}

#[cfg(target_arch = "x86_64")]
mod wide {
    use super::{Vector, Wide};
    use std::arch::x86_64::*;

    impl Wide for f32 {
        type V256 = __m256;
        type V512 = __m512;
    }

    impl Wide for f64 {
        type V256 = __m256d;
        type V512 = __m512d;
    }

    macro_rules! vector {
        ($v:ty, $s:ty, $lanes:literal, $zero:ident, $splat:ident, $load:ident, $store:ident,
         $fma:ident, $add:ident) => {
            // SAFETY of every block: the caller promises that the processor has the register and
            // that the memory is there.
            impl Vector for $v {
                type S = $s;
                const LANES: usize = $lanes;

                #[inline(always)]
                unsafe fn zero() -> Self {
                    // SAFETY: as above.
                    unsafe { $zero() }
                }

                #[inline(always)]
                unsafe fn splat(x: $s) -> Self {
                    // SAFETY: as above.
                    unsafe { $splat(x) }
                }

                #[inline(always)]
                unsafe fn load(p: *const $s) -> Self {
                    // SAFETY: as above.
                    unsafe { $load(p) }
                }

                #[inline(always)]
                unsafe fn store(self, p: *mut $s) {
                    // SAFETY: as above.
                    unsafe { $store(p, self) }
                }

                #[inline(always)]
                unsafe fn fma(self, a: Self, b: Self) -> Self {
                    // SAFETY: as above.
                    unsafe { $fma(self, a, b) }
                }

                #[inline(always)]
                unsafe fn add(self, b: Self) -> Self {
                    // SAFETY: as above.
                    unsafe { $add(self, b) }
                }

                #[inline(always)]
                unsafe fn prefetch(p: *const $s) {
                    // SAFETY: a prefetch reads nothing that the program could see.
                    unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) }
                }
            }
        };
    }
    vector!(
        __m256,
        f32,
        8,
        _mm256_setzero_ps,
        _mm256_set1_ps,
        _mm256_loadu_ps,
        _mm256_storeu_ps,
        _mm256_fmadd_ps,
        _mm256_add_ps
    );
    vector!(
        __m256d,
        f64,
        4,
        _mm256_setzero_pd,
        _mm256_set1_pd,
        _mm256_loadu_pd,
        _mm256_storeu_pd,
        _mm256_fmadd_pd,
        _mm256_add_pd
    );
    vector!(
        __m512,
        f32,
        16,
        _mm512_setzero_ps,
        _mm512_set1_ps,
        _mm512_loadu_ps,
        _mm512_storeu_ps,
        _mm512_fmadd_ps,
        _mm512_add_ps
    );
    vector!(
        __m512d,
        f64,
        8,
        _mm512_setzero_pd,
        _mm512_set1_pd,
        _mm512_loadu_pd,
        _mm512_storeu_pd,
        _mm512_fmadd_pd,
        _mm512_add_pd
    );
}
