//! Instruction sets, chosen once at run time, and the macro that compiles one body for each.

/// The instruction set that kernels run on. All of them give the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isa {
    /// Whatever the target guarantees; the only path outside x86-64.
    Scalar,
    /// AVX2 and FMA: 8 lanes of f32.
    Avx2,
    /// AVX-512 F, BW, DQ and VL: 16 lanes of f32.
    Avx512,
}

impl Isa {
    /// The widest set this processor has.
    pub fn detect() -> Isa {
        [Isa::Avx512, Isa::Avx2]
            .into_iter()
            .find(|isa| isa.is_available())
            .unwrap_or(Isa::Scalar)
    }

    /// Whether this processor has the set.
    pub fn is_available(self) -> bool {
        match self {
            Isa::Scalar => true,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => {
                Isa::Avx2.is_available()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
            }
            #[cfg(not(target_arch = "x86_64"))]
            Isa::Avx2 | Isa::Avx512 => false,
        }
    }

    /// The set called `scalar`, `avx2` or `avx512`.
    pub fn parse(name: &str) -> Option<Isa> {
        [Isa::Scalar, Isa::Avx2, Isa::Avx512]
            .into_iter()
            .find(|isa| isa.name() == name)
    }

    /// The name that [`Isa::parse`] reads.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Scalar => "scalar",
            Isa::Avx2 => "avx2",
            Isa::Avx512 => "avx512",
        }
    }
}

/// Compiles one safe generic body for every instruction set and dispatches on a first argument
/// `isa`. The body and everything it calls in a hot loop must be `#[inline(always)]`, or the callee
/// is compiled without the instructions and `mul_add` becomes a library call.
macro_rules! simd {
    ($(#[$meta:meta])* $vis:vis fn $name:ident<$s:ident: Float>(
        $($arg:ident: $ty:ty),* $(,)?
    ) $(-> $ret:ty)? $body:block) => {
        $(#[$meta])*
        $vis fn $name<$s: $crate::Float>(isa: $crate::Isa, $($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            fn body<$s: $crate::Float>($($arg: $ty),*) $(-> $ret)? $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2<$s: $crate::Float>($($arg: $ty),*) $(-> $ret)? { body::<$s>($($arg),*) }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
            fn avx512<$s: $crate::Float>($($arg: $ty),*) $(-> $ret)? { body::<$s>($($arg),*) }

            match isa {
                $crate::Isa::Scalar => body::<$s>($($arg),*),
                #[cfg(target_arch = "x86_64")]
                // SAFETY: `Cx::new` refused every path that this processor lacks.
                $crate::Isa::Avx2 => unsafe { avx2::<$s>($($arg),*) },
                #[cfg(target_arch = "x86_64")]
                // SAFETY: as above.
                $crate::Isa::Avx512 => unsafe { avx512::<$s>($($arg),*) },
                #[cfg(not(target_arch = "x86_64"))]
                _ => body::<$s>($($arg),*),
            }
        }
    };
}
pub(crate) use simd;

#[cfg(test)]
mod tests {
    use super::Isa;

    #[test]
    fn names_parse_back() {
        for isa in [Isa::Scalar, Isa::Avx2, Isa::Avx512] {
            assert_eq!(Isa::parse(isa.name()), Some(isa));
        }
        assert_eq!(Isa::parse("AVX2"), None);
    }

    #[test]
    fn detected_set_is_available() {
        assert!(Isa::detect().is_available());
        assert!(Isa::Scalar.is_available());
    }
}
