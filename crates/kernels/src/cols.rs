//! Column ranges of row-major matrices: the parts of one packed projection, read or written apart.

use std::marker::PhantomData;

/// Columns that are read: row i starts at `data[i * row_stride + offset]`.
#[derive(Clone, Copy, Debug)]
pub struct Cols<'a, S> {
    /// The whole matrix.
    pub data: &'a [S],
    /// Elements from one row to the next.
    pub row_stride: usize,
    /// First column.
    pub offset: usize,
}

impl<'a, S> Cols<'a, S> {
    /// All columns of a matrix with `width` of them.
    pub fn whole(data: &'a [S], width: usize) -> Self {
        Cols {
            data,
            row_stride: width,
            offset: 0,
        }
    }

    /// Panics unless `rows` rows of `width` columns are there.
    pub(crate) fn assert_holds(&self, rows: usize, width: usize, name: &str) {
        assert!(
            rows == 0
                || width == 0
                || last(rows, self.row_stride, self.offset, width)
                    .is_some_and(|end| end <= self.data.len()),
            "{name}: {rows} rows of {width} columns leave {} elements",
            self.data.len(),
        );
    }

    /// The address of column `at` of row `i`, good for everything behind it.
    pub(crate) fn at(&self, i: usize, at: usize) -> *const S {
        self.data[i * self.row_stride + self.offset + at..].as_ptr()
    }

    /// Row `i`, `width` columns from column `at`.
    #[inline(always)]
    pub(crate) fn row(&self, i: usize, at: usize, width: usize) -> &'a [S] {
        &self.data[i * self.row_stride + self.offset + at..][..width]
    }
}

/// One past the last element of a range of columns.
fn last(rows: usize, row_stride: usize, offset: usize, width: usize) -> Option<usize> {
    (rows - 1)
        .checked_mul(row_stride)?
        .checked_add(offset)?
        .checked_add(width)
}

/// Columns that are written, by one owner.
#[derive(Debug)]
pub struct ColsMut<'a, S> {
    start: *mut S,
    rows: usize,
    row_stride: usize,
    width: usize,
    slice: PhantomData<&'a mut [S]>,
}

// SAFETY: as `&mut [S]`, whose elements it reaches and nobody else does.
unsafe impl<S: Send> Send for ColsMut<'_, S> {}
// SAFETY: `&ColsMut` reaches elements only through `row`, whose caller keeps rows and columns
// apart.
unsafe impl<S: Send> Sync for ColsMut<'_, S> {}

impl<'a, S> ColsMut<'a, S> {
    /// All columns of a matrix with `width` of them.
    ///
    /// # Panics
    /// When `data` is not whole rows.
    pub fn whole(data: &'a mut [S], width: usize) -> Self {
        let [cols] = split_cols(data, width, [width]);
        cols
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Elements from one row to the next.
    pub(crate) fn row_stride(&self) -> usize {
        self.row_stride
    }

    /// The address of column `at` of row `i`.
    pub(crate) fn at(&self, i: usize, at: usize) -> *mut S {
        assert!(i < self.rows && at < self.width, "row {i}, column {at}");
        // SAFETY: inside the matrix, as asserted here and in `split_cols`.
        unsafe { self.start.add(i * self.row_stride + at) }
    }

    /// Row `i`, `width` columns from column `at`.
    ///
    /// # Safety
    /// Slices in use at the same time do not overlap.
    #[expect(clippy::mut_from_ref, reason = "the caller keeps slices disjoint")]
    pub(crate) unsafe fn row(&self, i: usize, at: usize, width: usize) -> &mut [S] {
        assert!(
            i < self.rows && at + width <= self.width,
            "row {i}, columns {at} and {width}"
        );
        // SAFETY: inside the matrix as asserted, exclusive by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(i * self.row_stride + at), width) }
    }
}

/// Cuts the columns of a row-major matrix into neighbouring ranges; columns beyond them are left
/// out.
///
/// # Panics
/// When `data` is not whole rows of `row_stride`, or the widths exceed it.
pub fn split_cols<S, const P: usize>(
    data: &mut [S],
    row_stride: usize,
    widths: [usize; P],
) -> [ColsMut<'_, S>; P] {
    let total: usize = widths.iter().sum();
    assert!(total <= row_stride, "columns {widths:?} of {row_stride}");
    let rows = data.len().checked_div(row_stride).unwrap_or(0);
    assert_eq!(
        rows * row_stride,
        data.len(),
        "{} elements in rows of {row_stride}",
        data.len()
    );
    let start = data.as_mut_ptr();
    let mut offset = 0;
    widths.map(|width| {
        // In range: offset ≤ row_stride, and without rows nothing is reached.
        let start = start.wrapping_add(offset);
        offset += width;
        ColsMut {
            start,
            rows,
            row_stride,
            width,
            slice: PhantomData,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::{ColsMut, split_cols};

    #[test]
    fn ranges_of_columns_are_disjoint_and_complete() {
        let mut data: Vec<f32> = (0..12).map(|i| i as f32).collect();
        let [a, b] = split_cols(&mut data, 6, [2, 3]);
        assert_eq!((a.rows(), a.width(), b.width()), (2, 2, 3));
        // SAFETY: different columns.
        let (x, y) = unsafe { (a.row(1, 0, 2), b.row(1, 0, 3)) };
        assert_eq!((&*x, &*y), (&[6.0, 7.0][..], &[8.0, 9.0, 10.0][..]));
        x[0] = -1.0;
        assert_eq!(data[6], -1.0);
    }

    #[test]
    #[should_panic(expected = "columns")]
    fn more_columns_than_there_are() {
        split_cols(&mut [0.0f32; 12], 6, [4, 3]);
    }

    #[test]
    #[should_panic(expected = "in rows of")]
    fn part_of_a_row() {
        ColsMut::whole(&mut [0.0f32; 13], 6);
    }
}
