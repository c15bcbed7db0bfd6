//! Packing: operands copied into panels in the order in which the micro-kernel reads them.

use crate::isa::simd;
use crate::{Float, Isa};

/// A block of an operand, `len` items along the panel direction by `k` steps: item `i`, step `p` is
/// `data[i * item + p * step]`.
#[derive(Clone, Copy)]
pub(crate) struct Block<'a, S> {
    pub(crate) data: &'a [S],
    pub(crate) item: usize,
    pub(crate) step: usize,
    pub(crate) len: usize,
    pub(crate) k: usize,
}

/// Packs panels of `width` items: panel q holds items q·width.., step by step, `width` apart.
/// Places of missing items in the last panel keep what they held; nothing reads them.
pub(crate) fn pack<S: Float>(isa: Isa, block: Block<'_, S>, width: usize, out: &mut [S]) {
    if block.k == 0 || block.len == 0 {
        return;
    }
    let panels = out
        .chunks_mut(block.k * width)
        .take(block.len.div_ceil(width));
    for (q, panel) in panels.enumerate() {
        let items = width.min(block.len - q * width);
        let data = &block.data[q * width * block.item..];
        if block.item == 1 {
            copy_panel(isa, data, block.step, items, width, panel);
        } else if block.step == 1 {
            turn_panel(isa, data, block.item, items, width, panel);
        } else {
            gather_panel(data, block.item, block.step, items, width, panel);
        }
    }
}

simd! {
    /// Items adjacent: one short copy per step.
    fn copy_panel<S: Float>(data: &[S], step: usize, items: usize, width: usize, panel: &mut [S]) {
        if items == 16 && width == 16 {
            copy_fixed::<S, 16>(data, step, panel);
        } else if items == 32 && width == 32 {
            copy_fixed::<S, 32>(data, step, panel);
        } else if items == 6 && width == 6 {
            copy_fixed::<S, 6>(data, step, panel);
        } else {
            for (p, to) in panel.chunks_exact_mut(width).enumerate() {
                to[..items].copy_from_slice(&data[p * step..][..items]);
            }
        }
    }
}

#[inline(always)]
fn copy_fixed<S: Float, const W: usize>(data: &[S], step: usize, panel: &mut [S]) {
    let (panel, _) = panel.as_chunks_mut::<W>();
    for (p, to) in panel.iter_mut().enumerate() {
        to.copy_from_slice(&data[p * step..][..W]);
    }
}

simd! {
    /// Steps adjacent: a transposition, in blocks of eight steps.
    fn turn_panel<S: Float>(data: &[S], item: usize, items: usize, width: usize, panel: &mut [S]) {
        let k = panel.len() / width;
        let whole = k - k % 8;
        for p in (0..whole).step_by(8) {
            for i in 0..items {
                let from: &[S; 8] = data[i * item + p..].first_chunk().expect("inside the operand");
                let to = &mut panel[p * width + i..][..7 * width + 1];
                for (s, &x) in from.iter().enumerate() {
                    to[s * width] = x;
                }
            }
        }
        for p in whole..k {
            for i in 0..items {
                panel[p * width + i] = data[i * item + p];
            }
        }
    }
}

/// Any strides.
fn gather_panel<S: Float>(
    data: &[S],
    item: usize,
    step: usize,
    items: usize,
    width: usize,
    panel: &mut [S],
) {
    for (p, to) in panel.chunks_exact_mut(width).enumerate() {
        for i in 0..items {
            to[i] = data[i * item + p * step];
        }
    }
}
