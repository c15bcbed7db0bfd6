//! Rows picked by index: embeddings, and the rows that carry a label.

use crate::isa::simd;
use crate::pool::Parts;
use crate::{Cx, Float};

/// Columns that one task adds over all rows are a multiple of this, whole lines of the cache.
const COLS: usize = 16;

/// `out[i] = table[index[i]]` for rows of `width`: table `[V, D]`, index `[N]`, out `[N, D]`.
///
/// # Panics
/// When an index is outside the table or a length does not fit.
pub fn gather_rows<S: Float>(cx: Cx<'_>, table: &[S], width: usize, index: &[i32], out: &mut [S]) {
    assert_index(table.len(), width, index, out.len());
    let out = Parts::new(out);
    cx.ranges(index.len(), width, &|rows| {
        for i in rows {
            // SAFETY: ranges of rows are disjoint.
            let to = unsafe { out.rows(&(i..i + 1), width) };
            to.copy_from_slice(&table[index[i] as usize * width..][..width]);
        }
    });
}

/// The derivative of [`gather_rows`]: `table[index[i]] += rows[i]`, in the order of i.
///
/// # Panics
/// When an index is outside the table or a length does not fit.
pub fn scatter_add_rows<S: Float>(
    cx: Cx<'_>,
    rows: &[S],
    width: usize,
    index: &[i32],
    table: &mut [S],
) {
    assert_index(table.len(), width, index, rows.len());
    let table = Parts::new(table);
    // Few and wide: a task reads and writes whole stretches of memory.
    let cols_per_task = width.div_ceil(cx.pool().threads()).next_multiple_of(COLS);
    let n_tasks = width.div_ceil(cols_per_task.max(1));
    cx.in_order(n_tasks, rows.len(), &|task| {
        let cols = task * cols_per_task..width.min((task + 1) * cols_per_task);
        for (i, &row) in index.iter().enumerate() {
            let at = row as usize * width;
            // SAFETY: blocks of columns are disjoint, and rows are visited one by one.
            let to = unsafe { table.part(at + cols.start..at + cols.end) };
            add_row(cx.isa(), &rows[i * width..][cols.clone()], to);
        }
    });
}

fn assert_index(table: usize, width: usize, index: &[i32], rows: usize) {
    assert_eq!(
        Some(rows),
        index.len().checked_mul(width),
        "rows of {width}"
    );
    assert!(width > 0 || table == 0, "a table without columns");
    let n = table.checked_div(width).unwrap_or(0);
    assert_eq!(
        n * width,
        table,
        "a table of {table} elements in rows of {width}"
    );
    let outside = index
        .iter()
        .find(|&&i| usize::try_from(i).map_or(true, |i| i >= n));
    assert!(
        outside.is_none() || width == 0,
        "row {outside:?} of a table of {n}"
    );
}

simd! {
    fn add_row<S: Float>(x: &[S], y: &mut [S]) {
        for (y, &x) in y.iter_mut().zip(x) {
            *y += x;
        }
    }
}
