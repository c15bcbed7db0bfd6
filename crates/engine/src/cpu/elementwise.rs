//! Fills, copies and sums on the CPU.

use super::{Cpu, span, whole, with_float};
use crate::shape::DType;
use crate::table::Buf;
use tenon_kernels::{self as kernels, Cols};

pub(super) fn fill(cpu: &mut Cpu, dst: Buf, value: f64) {
    let (cx, lend) = cpu.open();
    match dst.dtype {
        DType::I32 => lend.write::<i32>(whole(dst)).fill(value as i32),
        DType::F32 => kernels::fill(cx, value as f32, lend.write(whole(dst))),
        DType::F64 => kernels::fill(cx, value, lend.write(whole(dst))),
    }
}

pub(super) fn copy(cpu: &mut Cpu, src: Buf, dst: Buf) {
    assert_eq!(
        (src.rows, src.cols, src.dtype),
        (dst.rows, dst.cols, dst.dtype),
        "copy"
    );
    let (cx, lend) = cpu.open();
    with_float!(src.dtype, S => {
        let (from, to) = (lend.read::<S>(span(src)), lend.write::<S>(span(dst)));
        if src.is_contiguous() && dst.is_contiguous() {
            kernels::copy(cx, from, to);
        } else {
            let rows = to.chunks_mut(dst.row_stride).zip(from.chunks(src.row_stride));
            rows.for_each(|(to, from)| to[..dst.cols].copy_from_slice(&from[..src.cols]));
        }
    });
}

pub(super) fn add(cpu: &mut Cpu, a: Buf, b: Buf, y: Buf) {
    if a == y {
        return add_assign(cpu, b, y);
    }
    let (cx, lend) = cpu.open();
    with_float!(a.dtype, S => {
        let (a, b) = (lend.read::<S>(whole(a)), lend.read(whole(b)));
        kernels::add(cx, a, b, lend.write(whole(y)));
    });
}

pub(super) fn add_assign(cpu: &mut Cpu, x: Buf, y: Buf) {
    let (cx, lend) = cpu.open();
    with_float!(x.dtype, S => {
        kernels::add_assign::<S>(cx, lend.read(whole(x)), lend.write(whole(y)));
    });
}

pub(super) fn add_column_sums(cpu: &mut Cpu, x: Buf, sums: Buf) {
    let (cx, lend) = cpu.open();
    with_float!(x.dtype, S => {
        let rows = Cols {
            data: lend.read(span(x)),
            row_stride: x.row_stride,
            offset: 0,
        };
        kernels::column_sums::<S>(cx, rows, x.rows, lend.write(whole(sums)), true);
    });
}
