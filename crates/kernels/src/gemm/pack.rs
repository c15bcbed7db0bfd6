//! Packing: operands copied into panels in the order in which the micro-kernel reads them.

use super::vector::prefetch;
use crate::isa::simd;
use crate::{Float, Isa};

/// Steps between what is copied and what is asked for: the latency of memory.
const STEPS_AHEAD: usize = 12;

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
    if block.item == 1 {
        return copy_panels(isa, block.data, block.step, block.len, width, block.k, out);
    }
    let panels = out
        .chunks_mut(block.k * width)
        .take(block.len.div_ceil(width));
    for (q, panel) in panels.enumerate() {
        let items = width.min(block.len - q * width);
        let data = &block.data[q * width * block.item..];
        if block.step == 1 {
            turn_panel(isa, data, block.item, items, width, block.k, panel);
        } else {
            gather_panel(data, block.item, block.step, items, width, panel);
        }
    }
}

/// Turns items whose steps are adjacent: step p of item i goes to `out[p * width + i]`.
pub(crate) fn turn_block<S: Float>(isa: Isa, block: Block<'_, S>, width: usize, out: &mut [S]) {
    assert!(
        block.step == 1 && (block.k - 1) * width + block.len <= out.len(),
        "a block leaves its panel"
    );
    turn_panel(isa, block.data, block.item, block.len, width, block.k, out);
}

simd! {
    /// Items adjacent: a step of several panels at a time, since rows of a wide matrix lie far
    /// apart and whole lines of each are worth asking for early.
    fn copy_panels<S: Float>(
        data: &[S],
        step: usize,
        items: usize,
        width: usize,
        k: usize,
        out: &mut [S],
    ) {
        let whole = match width {
            6 => copy_groups::<S, 6, 8>(data, step, items, k, out),
            12 => copy_groups::<S, 12, 4>(data, step, items, k, out),
            16 => copy_groups::<S, 16, 4>(data, step, items, k, out),
            32 => copy_groups::<S, 32, 2>(data, step, items, k, out),
            _ => 0,
        };
        let panels = out.chunks_mut(k * width).enumerate();
        for (q, panel) in panels.take(items.div_ceil(width)).skip(whole) {
            let items = width.min(items - q * width);
            let data = &data[q * width..];
            for (p, to) in panel.chunks_exact_mut(width).enumerate() {
                to[..items].copy_from_slice(&data[p * step..][..items]);
            }
        }
    }
}

/// Copies as many panels of width `W` as whole groups of `G` hold, and tells how many.
#[inline(always)]
fn copy_groups<S: Float, const W: usize, const G: usize>(
    data: &[S],
    step: usize,
    items: usize,
    k: usize,
    out: &mut [S],
) -> usize {
    let groups = items / (W * G);
    for (q, group) in out.chunks_exact_mut(k * W * G).take(groups).enumerate() {
        let (group, _) = group.as_chunks_mut::<W>();
        for p in 0..k {
            let start = p * step + q * W * G;
            let ahead = start + STEPS_AHEAD * step;
            for line in (0..W * G).step_by(64 / size_of::<S>()) {
                prefetch(data.as_ptr().wrapping_add(ahead + line));
            }
            let (from, _) = data[start..][..W * G].as_chunks::<W>();
            for g in 0..G {
                group[g * k + p] = from[g];
            }
        }
    }
    groups * G
}

/// Steps adjacent: a transposition, in blocks of eight steps where the processor has shuffles.
fn turn_panel<S: Float>(
    isa: Isa,
    data: &[S],
    item: usize,
    items: usize,
    width: usize,
    k: usize,
    panel: &mut [S],
) {
    assert!(
        items <= width
            && (items - 1) * item + k <= data.len()
            && (k - 1) * width + items <= panel.len(),
        "a panel leaves its operand"
    );
    let turned = match isa {
        Isa::Scalar => 0,
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 | Isa::Avx512 => {
            // SAFETY: `Cx::new` checked that the processor has AVX2; shapes as asserted.
            unsafe { turn_blocks(data, item, items, width, k, panel) }
            k - k % 8
        }
        #[cfg(not(target_arch = "x86_64"))]
        Isa::Avx2 | Isa::Avx512 => 0,
    };
    for p in turned..k {
        for i in 0..items {
            panel[p * width + i] = data[i * item + p];
        }
    }
}

/// Whole blocks of eight steps, in groups of eight, six, four and single items.
///
/// # Safety
/// The processor has AVX2; `items` ≤ `width`, and the last item's last step is inside `data` and
/// inside `panel`.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn turn_blocks<S: Float>(
    data: &[S],
    item: usize,
    items: usize,
    width: usize,
    k: usize,
    panel: &mut [S],
) {
    let (data, panel) = (data.as_ptr(), panel.as_mut_ptr());
    for p in (0..k - k % 8).step_by(8) {
        let mut i = 0;
        while i < items {
            // SAFETY: i < items and p + 8 ≤ k, so both lie inside by the caller's promise.
            let (from, to) = unsafe { (data.add(i * item + p), panel.add(p * width + i)) };
            // SAFETY: as above; a group never reaches beyond `items`.
            unsafe {
                i += match items - i {
                    8.. => turn_group::<S, 8>(from, item, to, width),
                    6.. => turn_group::<S, 6>(from, item, to, width),
                    4.. => turn_group::<S, 4>(from, item, to, width),
                    _ => {
                        for s in 0..8 {
                            *to.add(s * width) = *from.add(s);
                        }
                        1
                    }
                };
            }
        }
    }
}

/// Turns a group, and asks for the same steps of the next panel.
///
/// # Safety
/// As [`turn_blocks`], for `I` items.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn turn_group<S: Float, const I: usize>(
    from: *const S,
    item: usize,
    to: *mut S,
    width: usize,
) -> usize {
    for next in 0..I {
        prefetch(from.wrapping_add((width + next) * item));
    }
    // SAFETY: passed on.
    unsafe { S::turn_eight::<I>(from, item, to, width) };
    I
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
