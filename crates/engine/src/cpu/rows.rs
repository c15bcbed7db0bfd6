//! Row-wise operators on the CPU: derivatives of norms, rotation, dropout.

use super::{Cpu, whole, with_float};
use crate::table::{Buf, RopeStyle, Target};
use tenon_kernels::{self as kernels, Cols, ColsMut, NormGrads, NormSaved, Rope};

/// What a norm kept for its derivative.
pub(super) struct Saved {
    pub(super) x: Buf,
    pub(super) gain: Buf,
    pub(super) mean: Option<Buf>,
    pub(super) rstd: Buf,
}

pub(super) fn norm_vjp(
    cpu: &mut Cpu,
    dy: Buf,
    saved: Saved,
    dx: Option<Target>,
    dparams: [Option<Buf>; 2],
) {
    let (cx, lend) = cpu.open();
    with_float!(dy.dtype, S => {
        let kept = NormSaved::<S> {
            x: lend.read(whole(saved.x)),
            gain: lend.read(whole(saved.gain)),
            mean: saved.mean.map(|b| lend.read(whole(b))),
            rstd: lend.read(whole(saved.rstd)),
        };
        let dy = lend.read(whole(dy));
        let [dgain, dbias] = dparams.map(|b| b.map(|b| lend.write(whole(b))));
        let grads = NormGrads {
            accumulate_dx: dx.is_some_and(|t| t.accumulate),
            dx: dx.map(|t| lend.write(whole(t.buf))),
            dgain,
            dbias,
        };
        match saved.mean {
            Some(_) => kernels::layer_norm_vjp(cx, dy, kept, grads),
            None => kernels::rms_norm_vjp(cx, dy, kept, grads),
        }
    });
}

/// A rotation by the positions of the rows.
pub(super) struct Turn {
    pub(super) style: RopeStyle,
    pub(super) head_dim: usize,
    pub(super) inverse: bool,
    pub(super) cos: Buf,
    pub(super) sin: Buf,
    pub(super) positions: Buf,
}
pub(super) fn rope(cpu: &mut Cpu, turn: Turn, x: Buf, y: Buf) {
    let (cx, lend) = cpu.open();
    let Turn {
        style,
        head_dim,
        inverse,
        cos,
        sin,
        positions,
    } = turn;
    with_float!(x.dtype, S => {
        let rope = Rope::<S> {
            n_heads: x.cols / head_dim,
            head_dim,
            cos: lend.read(whole(cos)),
            sin: lend.read(whole(sin)),
            positions: lend.read(whole(positions)),
            style,
            inverse,
        };
        let to = ColsMut::whole(lend.write(whole(y)), y.cols);
        match x == y {
            true => kernels::rope_in_place(cx, rope, to),
            false => kernels::rope(cx, rope, Cols::whole(lend.read(whole(x)), x.cols), to),
        }
    });
}

pub(super) fn dropout(cpu: &mut Cpu, dropout: kernels::Dropout, x: Buf, y: Buf) {
    let (cx, lend) = cpu.open();
    with_float!(x.dtype, S => {
        kernels::dropout::<S>(cx, dropout, lend.read(whole(x)), lend.write(whole(y)));
    });
}
