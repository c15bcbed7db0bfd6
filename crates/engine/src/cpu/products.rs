//! Matrix products and updates on the CPU.

use super::{Cpu, span, whole, with_float};
use crate::table::{AdamW, Buf, Operand, Target};
use tenon_kernels::{self as kernels, Gemm, Lend, Mat, Pod};

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
        let (a, b) = (mat::<S>(&lend, a), mat(&lend, b));
        let (c_row_stride, accumulate) = (c.buf.row_stride, c.accumulate);
        let c = lend.write(span(c.buf));
        let product = Gemm { m, n, k, a, b, c, c_row_stride, accumulate, bias };
        kernels::gemm(cx, product, lend.write(whole(work)));
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
