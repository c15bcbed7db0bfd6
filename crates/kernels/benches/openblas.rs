//! OpenBLAS where the system has it, found when the bench runs: nothing of it is linked.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::mem::transmute;

/// Names that the system may know the library by.
const NAMES: [&CStr; 3] = [c"libopenblas.so.0", c"libopenblas.so", c"libopenblas.dylib"];
const RTLD_NOW: c_int = 2;
const ROW_MAJOR: c_int = 101;
const NOT_TRANSPOSED: c_int = 111;
const TRANSPOSED: c_int = 112;

type Sgemm = unsafe extern "C" fn(
    c_int,
    c_int,
    c_int,
    c_int,
    c_int,
    c_int,
    f32,
    *const f32,
    c_int,
    *const f32,
    c_int,
    f32,
    *mut f32,
    c_int,
);

unsafe extern "C" {
    fn dlopen(name: *const c_char, flags: c_int) -> *mut c_void;
    fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
}

/// The library, loaded until the program ends.
#[derive(Debug)]
pub(crate) struct OpenBlas {
    sgemm: Sgemm,
    /// What it says of its version and of the processor that it sees.
    pub(crate) config: String,
}

/// A factor: whether it lies in memory transposed, its elements, and the length of a stored row.
pub(crate) type Factor<'a> = (bool, &'a [f32], usize);

impl OpenBlas {
    /// Loads the library; `None` where there is none.
    pub(crate) fn load(threads: usize) -> Option<OpenBlas> {
        // SAFETY: a name with its terminator; the initialisers of a system library are sound.
        let open = |name: &&CStr| unsafe { dlopen(name.as_ptr(), RTLD_NOW) };
        let library = NAMES.iter().map(open).find(|library| !library.is_null())?;
        let symbol = |name: &CStr| {
            // SAFETY: the library was opened above, and the name has its terminator.
            let found = unsafe { dlsym(library, name.as_ptr()) };
            (!found.is_null()).then_some(found)
        };
        let set_threads = symbol(c"openblas_set_num_threads")?;
        // SAFETY: the declaration in OpenBLAS's cblas.h.
        let set_threads: unsafe extern "C" fn(c_int) = unsafe { transmute(set_threads) };
        let config = symbol(c"openblas_get_config")?;
        // SAFETY: the declaration in OpenBLAS's cblas.h.
        let config: unsafe extern "C" fn() -> *const c_char = unsafe { transmute(config) };
        let sgemm = symbol(c"cblas_sgemm")?;
        // SAFETY: the declaration in OpenBLAS's cblas.h, for 32-bit integers.
        let sgemm: Sgemm = unsafe { transmute(sgemm) };
        let n = c_int::try_from(threads).expect("few threads");
        // SAFETY: called with what they are declared for; the text is a constant of the library.
        let config = unsafe {
            set_threads(n);
            CStr::from_ptr(config()).to_string_lossy().into_owned()
        };
        Some(OpenBlas { sgemm, config })
    }

    /// `c [m, n] = a [m, k] · b [k, n]`.
    pub(crate) fn product(&self, [m, n, k]: [usize; 3], a: Factor, b: Factor, c: &mut [f32]) {
        assert!(a.1.len() >= m * k && b.1.len() >= k * n && c.len() >= m * n);
        let int = |x: usize| c_int::try_from(x).expect("sizes fit 32 bits");
        let transposed = |factor: Factor| if factor.0 { TRANSPOSED } else { NOT_TRANSPOSED };
        // SAFETY: the factors hold m·k and k·n elements and the result m·n, as asserted.
        unsafe {
            (self.sgemm)(
                ROW_MAJOR,
                transposed(a),
                transposed(b),
                int(m),
                int(n),
                int(k),
                1.0,
                a.1.as_ptr(),
                int(a.2),
                b.1.as_ptr(),
                int(b.2),
                0.0,
                c.as_mut_ptr(),
                int(n),
            );
        }
    }
}
