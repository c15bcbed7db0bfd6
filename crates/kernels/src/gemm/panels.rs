//! Panels of a matrix: how [`gemm_packed`](crate::gemm_packed) wants B, there and back.

use super::pack::{Block, pack};
use super::tile_shape;
use crate::bytes::bytes_of_mut;
use crate::pool::Parts;
use crate::{Cx, Float, Isa, Pod};

/// Panels that one task packs: a run of full cache lines in every row of B.
const PANELS: usize = 16;
/// Steps that are packed of each panel in turn, so that a page of B is used while it is known.
const STEPS: usize = 16;

/// Columns of a panel.
pub(crate) fn panel_width<S: Float>(isa: Isa) -> usize {
    tile_shape::<S>(isa).1
}

/// Packs B `[k, n]`, whose elements lie in `bytes` row by row (or its transpose's, `transposed`),
/// into `panels`. The bytes are in the machine's order, at any alignment.
///
/// # Panics
/// When the lengths are not k·n elements.
pub fn pack_panels<S: Float>(
    cx: Cx<'_>,
    bytes: &[u8],
    transposed: bool,
    [k, n]: [usize; 2],
    panels: &mut [S],
) {
    assert_eq!(Some(panels.len()), k.checked_mul(n), "panels");
    assert_eq!(
        bytes.len(),
        size_of_val(panels),
        "bytes of a matrix [{k}, {n}]"
    );
    let source = Source {
        bytes,
        transposed,
        k,
        n,
    };
    let (isa, width) = (cx.isa(), panel_width::<S>(cx.isa()));
    let group = width * PANELS;
    // The columns of a transpose lie one after the other: a panel reads a few of them to the end.
    let stride = if transposed { k.max(1) } else { STEPS };
    let panels = Parts::new(panels);
    cx.pool().run(n.div_ceil(group), &|t, _| {
        let columns = t * group..n.min((t + 1) * group);
        // SAFETY: groups of panels are disjoint.
        let out = unsafe { panels.part(columns.start * k..columns.end * k) };
        for p in (0..k).step_by(stride) {
            let steps = stride.min(k - p);
            for j in columns.clone().step_by(width) {
                let items = width.min(columns.end - j);
                let at = (j - columns.start) * k + p * items;
                source.pack(isa, [p, j], [steps, items], &mut out[at..][..steps * items]);
            }
        }
    });
}

/// Writes B `[k, n]` out of its panels row by row (or its transpose).
///
/// # Panics
/// When the lengths are not k·n elements.
pub fn unpack_panels<S: Float>(
    isa: Isa,
    panels: &[S],
    transposed: bool,
    [k, n]: [usize; 2],
    out: &mut [S],
) {
    assert_eq!(Some(panels.len()), k.checked_mul(n), "panels");
    assert_eq!(out.len(), panels.len(), "elements of a matrix [{k}, {n}]");
    let nr = panel_width::<S>(isa);
    for j in 0..n {
        let column = Column::of(panels, nr, [k, n], j);
        for (p, x) in column.steps().enumerate() {
            out[if transposed { j * k + p } else { p * n + j }] = x;
        }
    }
}

/// Row `i` of `out` `[N, k]` is column `index[i]` of B `[k, n]`, which lies in panels.
///
/// # Panics
/// When an index is no column or a length does not fit.
pub fn gather_panel_columns<S: Float>(
    cx: Cx<'_>,
    panels: &[S],
    [k, n]: [usize; 2],
    index: &[i32],
    out: &mut [S],
) {
    assert_eq!(Some(panels.len()), k.checked_mul(n), "panels");
    assert_eq!(Some(out.len()), k.checked_mul(index.len()), "rows of {k}");
    let nr = panel_width::<S>(cx.isa());
    let out = Parts::new(out);
    cx.ranges(index.len(), k, &|rows| {
        for i in rows {
            let j = usize::try_from(index[i]).ok().filter(|&j| j < n);
            let j = j.unwrap_or_else(|| panic!("column {} of {n}", index[i]));
            // SAFETY: ranges of rows are disjoint.
            let to = unsafe { out.rows(&(i..i + 1), k) };
            let column = Column::of(panels, nr, [k, n], j);
            for (to, x) in to.iter_mut().zip(column.steps()) {
                *to = x;
            }
        }
    });
}

/// One column of a matrix in panels.
struct Column<'a, S> {
    /// The panel from the column's first element on.
    data: &'a [S],
    width: usize,
}

impl<'a, S: Float> Column<'a, S> {
    fn of(panels: &'a [S], nr: usize, [k, n]: [usize; 2], j: usize) -> Self {
        let start = j / nr * nr;
        let width = nr.min(n - start);
        let panel = &panels[start * k..][..width * k];
        Column {
            data: panel.get(j - start..).unwrap_or_default(),
            width,
        }
    }

    fn steps(&self) -> impl Iterator<Item = S> {
        self.data.iter().step_by(self.width).copied()
    }
}

/// Where panels come from.
#[derive(Clone, Copy)]
struct Source<'a> {
    bytes: &'a [u8],
    transposed: bool,
    k: usize,
    n: usize,
}

impl Source<'_> {
    /// Elements from one item (column of B) to the next, and from one step (row of B) to the next.
    fn strides(&self) -> (usize, usize) {
        match self.transposed {
            true => (self.k, 1),
            false => (1, self.n),
        }
    }

    /// Packs the steps and items from `[p, j]` on into one panel.
    fn pack<S: Float>(
        &self,
        isa: Isa,
        [p, j]: [usize; 2],
        [steps, items]: [usize; 2],
        out: &mut [S],
    ) {
        let (item, step) = self.strides();
        let first = (p * step + j * item) * size_of::<S>();
        if let Some(data) = floats::<S>(&self.bytes[first..]) {
            let block = Block {
                data,
                item,
                step,
                len: items,
                k: steps,
            };
            return pack(isa, block, items, out);
        }
        for (s, row) in out.chunks_exact_mut(items).enumerate() {
            for (i, to) in row.iter_mut().enumerate() {
                let at = first + (s * step + i * item) * size_of::<S>();
                bytes_of_mut(std::slice::from_mut(to))
                    .copy_from_slice(&self.bytes[at..][..size_of::<S>()]);
            }
        }
    }
}

/// Bytes as the numbers they are, where they begin at a multiple of a number's size.
fn floats<S: Pod>(bytes: &[u8]) -> Option<&[S]> {
    // SAFETY: every bit pattern is a `Pod`.
    let (before, values, _) = unsafe { bytes.align_to::<S>() };
    before.is_empty().then_some(values)
}
