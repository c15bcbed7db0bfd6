//! Numbers as the bytes they are stored in.

use crate::Pod;

/// The bytes of a slice of plain numbers, in the machine's order.
pub fn bytes_of<T: Pod>(values: &[T]) -> &[u8] {
    // SAFETY: a Pod has no padding and every byte is initialised; u8 has no alignment.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) }
}

/// The bytes of a slice of plain numbers, to be overwritten.
pub fn bytes_of_mut<T: Pod>(values: &mut [T]) -> &mut [u8] {
    // SAFETY: as above, and every bit pattern is a valid Pod.
    unsafe { std::slice::from_raw_parts_mut(values.as_mut_ptr().cast(), size_of_val(values)) }
}
