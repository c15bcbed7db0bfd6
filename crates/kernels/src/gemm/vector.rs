//! Registers: the few vector operations that the micro-kernel is written in.

use crate::Float;

/// A register of `LANES` elements; methods are meaningful only where the processor has it.
#[cfg_attr(
    not(target_arch = "x86_64"),
    expect(
        unreachable_pub,
        reason = "public through `Wide`, which is empty there"
    )
)]
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

/// The registers of an element type for each instruction set; none outside x86-64.
pub trait Wide: Sized {
    /// 256 bits.
    #[cfg(target_arch = "x86_64")]
    type V256: Vector<S = Self>;
    /// 512 bits.
    #[cfg(target_arch = "x86_64")]
    type V512: Vector<S = Self>;

    /// Transposes `I` items of eight adjacent steps, `item` apart, into eight rows of `I`, `width`
    /// apart.
    ///
    /// # Safety
    /// The processor has `V256`; the elements are there.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    unsafe fn turn_eight<const I: usize>(
        from: *const Self,
        item: usize,
        to: *mut Self,
        width: usize,
    ) {
        for i in 0..I {
            for s in 0..8 {
                // SAFETY: the caller's promise.
                unsafe {
                    to.add(s * width + i)
                        .copy_from_nonoverlapping(from.add(i * item + s), 1)
                }
            }
        }
    }
}

/// Asks for the cache line of an address, into the second-level cache.
#[inline(always)]
pub(crate) fn prefetch<S>(p: *const S) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch reads nothing that the program could see; every x86-64 has it.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T1>(p.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = p;
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
impl Wide for f32 {}

#[cfg(not(target_arch = "x86_64"))]
impl Wide for f64 {}

#[cfg(target_arch = "x86_64")]
mod wide {
    use super::{Vector, Wide};
    use std::arch::x86_64::*;

    impl Wide for f32 {
        type V256 = __m256;
        type V512 = __m512;

        #[inline(always)]
        unsafe fn turn_eight<const I: usize>(
            from: *const f32,
            item: usize,
            to: *mut f32,
            width: usize,
        ) {
            // SAFETY: the caller's promise; rows from I on are neither read nor stored.
            unsafe {
                let mut rows = [_mm256_setzero_ps(); 8];
                for i in 0..I {
                    rows[i] = _mm256_loadu_ps(from.add(i * item));
                }
                for (s, row) in transpose(rows).into_iter().enumerate() {
                    store_first::<I>(row, to.add(s * width));
                }
            }
        }
    }

    /// An 8 by 8 transposition: neighbours, pairs, halves.
    #[inline(always)]
    unsafe fn transpose(r: [__m256; 8]) -> [__m256; 8] {
        // SAFETY: the caller has AVX.
        unsafe {
            let mut t = r;
            for i in (0..8).step_by(2) {
                t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
                t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
            }
            let mut u = t;
            for i in [0, 4] {
                u[i] = _mm256_shuffle_ps::<0x44>(t[i], t[i + 2]);
                u[i + 1] = _mm256_shuffle_ps::<0xee>(t[i], t[i + 2]);
                u[i + 2] = _mm256_shuffle_ps::<0x44>(t[i + 1], t[i + 3]);
                u[i + 3] = _mm256_shuffle_ps::<0xee>(t[i + 1], t[i + 3]);
            }
            let mut v = u;
            for i in 0..4 {
                v[i] = _mm256_permute2f128_ps::<0x20>(u[i], u[i + 4]);
                v[i + 4] = _mm256_permute2f128_ps::<0x31>(u[i], u[i + 4]);
            }
            v
        }
    }

    /// Stores the first 8, 6 or 4 lanes.
    #[inline(always)]
    unsafe fn store_first<const I: usize>(row: __m256, to: *mut f32) {
        const { assert!(I == 8 || I == 6 || I == 4) }
        // SAFETY: the caller has AVX and room for I elements.
        unsafe {
            if I == 8 {
                return _mm256_storeu_ps(to, row);
            }
            _mm_storeu_ps(to, _mm256_castps256_ps128(row));
            if I == 6 {
                let high = _mm_castps_pd(_mm256_extractf128_ps::<1>(row));
                _mm_store_sd(to.add(4).cast(), high);
            }
        }
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
