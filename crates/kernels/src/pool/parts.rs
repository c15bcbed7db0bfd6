//! What several tasks write at once.

use std::marker::PhantomData;
use std::ops::Range;

/// A slice whose parts are written by several tasks at once.
pub(crate) struct Parts<'a, T> {
    start: *mut T,
    len: usize,
    slice: PhantomData<&'a mut [T]>,
}

// SAFETY: `Parts` hands out `&mut T` only; `part` makes its caller keep them disjoint.
unsafe impl<T: Send> Sync for Parts<'_, T> {}

impl<'a, T> Parts<'a, T> {
    pub(crate) fn new(slice: &'a mut [T]) -> Self {
        Parts {
            start: slice.as_mut_ptr(),
            len: slice.len(),
            slice: PhantomData,
        }
    }

    /// # Safety
    /// Parts in use at the same time do not overlap.
    #[expect(clippy::mut_from_ref, reason = "the caller keeps parts disjoint")]
    pub(crate) unsafe fn part(&self, range: Range<usize>) -> &mut [T] {
        assert!(
            range.start <= range.end && range.end <= self.len,
            "{range:?} of {}",
            self.len
        );
        // SAFETY: in bounds as asserted; exclusive by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(range.start), range.len()) }
    }

    /// The address of one element.
    pub(crate) fn at(&self, index: usize) -> *mut T {
        assert!(index < self.len, "{index} of {}", self.len);
        // SAFETY: in bounds as asserted.
        unsafe { self.start.add(index) }
    }

    /// The rows `rows` of a matrix of width `width`.
    ///
    /// # Safety
    /// As [`Parts::part`].
    #[expect(clippy::mut_from_ref, reason = "the caller keeps parts disjoint")]
    pub(crate) unsafe fn rows(&self, rows: &Range<usize>, width: usize) -> &mut [T] {
        // SAFETY: the caller's promise is passed on.
        unsafe { self.part(rows.start * width..rows.end * width) }
    }
}
