//! Matrix products, tables in their layouts, and updates on the CPU.

use super::{Cpu, region, span, whole, with_float};
use crate::table::{AdamW, Buf, Operand, Panels, Sgd, Target};
use tenon_kernels::{self as kernels, Gemm, Lend, Mat, PackedGemm, Pod};

/// An operand as the kernel reads it.
fn mat<'a, S: Pod>(lend: &Lend<'a>, x: Operand) -> Mat<'a, S> {
    let data = lend.read::<S>(span(x.buf));
    let stride = x.buf.row_stride;
    match x.transposed {
        false => Mat {
            data,
            row_stride: stride,
            col_stride: 1,
        },
        true => Mat {
            data,
            row_stride: 1,
            col_stride: stride,
        },
    }
}

pub(super) fn gemm(cpu: &mut Cpu, a: Operand, b: Operand, c: Target, bias: Option<Buf>, work: Buf) {
    let ((m, k), (k2, n)) = (a.dims(), b.dims());
    assert_eq!(
        (k, m, n),
        (k2, c.buf.rows, c.buf.cols),
        "product of {a:?} and {b:?} into {c:?}"
    );
    let (cx, lend) = cpu.open();
    with_float!(c.buf.dtype, S => {
        let bias = bias.map(|b| lend.read::<S>(whole(b)));
        let a = mat::<S>(&lend, a);
        let (c_row_stride, accumulate) = (c.buf.row_stride, c.accumulate);
        let c = lend.write(span(c.buf));
        let work = lend.write(whole(work));
        if b.buf.panels.is_some() {
            assert!(b.buf.panels == Some(b.panels()) && !accumulate, "product with {b:?}");
            let b = lend.read(region(b.buf));
            let product = PackedGemm { m, n, k, a, b, c, c_row_stride, bias };
            kernels::gemm_packed(cx, product, work);
        } else {
            let b = mat(&lend, b);
            let product = Gemm { m, n, k, a, b, c, c_row_stride, accumulate, bias };
            kernels::gemm(cx, product, work);
        }
    });
}

/// The matrix that products see in panels of `b`: its rows and columns, and whether that is the
/// transpose.
fn seen(b: Buf, panels: Panels) -> ([usize; 2], bool) {
    match panels {
        Panels::Plain => ([b.rows, b.cols], false),
        Panels::Transposed => ([b.cols, b.rows], true),
    }
}

/// Fills panels from the matrix, whose rows follow each other in `bytes`.
pub(super) fn pack(cpu: &mut Cpu, dst: Buf, panels: Panels, bytes: &[u8]) {
    let (shape, transposed) = seen(dst, panels);
    let (cx, lend) = cpu.open();
    with_float!(dst.dtype, S => {
        kernels::pack_panels::<S>(cx, bytes, transposed, shape, lend.write(region(dst)));
    });
}

/// The matrix that was packed, row by row.
pub(super) fn unpack(cpu: &mut Cpu, src: Buf, panels: Panels, bytes: &mut [u8]) {
    let (shape, transposed) = seen(src, panels);
    let (cx, lend) = cpu.open();
    with_float!(src.dtype, S => {
        let mut values = vec![S::default(); src.len()];
        let from = lend.read(region(src));
        kernels::unpack_panels::<S>(cx.isa(), from, transposed, shape, &mut values);
        bytes.copy_from_slice(kernels::bytes_of(&values));
    });
}

/// Rows of a table; panels must be those of its transpose.
pub(super) fn embedding(cpu: &mut Cpu, table: Buf, ids: Buf, y: Buf) {
    let (cx, lend) = cpu.open();
    with_float!(table.dtype, S => {
        let (ids, y) = (lend.read(whole(ids)), lend.write(whole(y)));
        match table.panels {
            None => {
                kernels::gather_rows::<S>(cx, lend.read(whole(table)), table.cols, ids, y);
            }
            Some(panels) => {
                assert!(panels == Panels::Transposed, "rows of {table:?}");
                let (shape, _) = seen(table, panels);
                kernels::gather_panel_columns::<S>(cx, lend.read(region(table)), shape, ids, y);
            }
        }
    });
}

pub(super) fn embedding_vjp(cpu: &mut Cpu, dy: Buf, ids: Buf, dtable: Buf) {
    let (cx, lend) = cpu.open();
    with_float!(dy.dtype, S => {
        let (rows, ids) = (lend.read(whole(dy)), lend.read(whole(ids)));
        kernels::scatter_add_rows::<S>(cx, rows, dy.cols, ids, lend.write(whole(dtable)));
    });
}

pub(super) fn adamw(cpu: &mut Cpu, [p, g, m, v]: [Buf; 4], spec: &AdamW) {
    let power = |beta: f64| beta.powf(spec.step as f64);
    let update = kernels::AdamW {
        learning_rate: spec.learning_rate,
        beta1: spec.beta1,
        beta2: spec.beta2,
        eps: spec.eps,
        weight_decay: spec.weight_decay,
        bias_correction1: 1.0 - power(spec.beta1),
        bias_correction2: 1.0 - power(spec.beta2),
        grad_scale: spec.grad_scale,
    };
    let (cx, lend) = cpu.open();
    with_float!(p.dtype, S => {
        let (g, p) = (lend.read::<S>(whole(g)), lend.write(whole(p)));
        kernels::adamw(cx, update, p, g, lend.write(whole(m)), lend.write(whole(v)));
    });
}

pub(super) fn sgd(cpu: &mut Cpu, [p, g]: [Buf; 2], velocity: Option<Buf>, spec: &Sgd) {
    let update = kernels::Sgd {
        learning_rate: spec.learning_rate,
        momentum: spec.momentum,
        nesterov: false,
        weight_decay: spec.weight_decay,
        grad_scale: spec.grad_scale,
    };
    let (cx, lend) = cpu.open();
    with_float!(p.dtype, S => {
        let velocity = velocity.map(|u| lend.write(whole(u)));
        kernels::sgd::<S>(cx, update, lend.write(whole(p)), lend.read(whole(g)), velocity);
    });
}
