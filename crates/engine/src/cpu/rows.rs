//! Row-wise operators on the CPU: norms, rotation, dropout, means, losses.

use super::{Cpu, whole, with_float};
use crate::table::{Buf, RopeStyle, Target, ValueKernels, ValueLoss, XentSpec};
use tenon_kernels::{
    self as kernels, Cols, ColsMut, Lend, MeanPool, NormGrads, NormSaved, Rope, split_cols,
};

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

fn means<'a>(lend: &Lend<'a>, skip: [bool; 2], bounds: Buf, width: usize) -> MeanPool<'a> {
    MeanPool {
        cu_seqlens: lend.read(whole(bounds)),
        width,
        skip_first: skip[0],
        skip_last: skip[1],
    }
}

pub(super) fn pool_mean(cpu: &mut Cpu, skip: [bool; 2], x: Buf, bounds: Buf, y: Buf) {
    let (cx, lend) = cpu.open();
    let pool = means(&lend, skip, bounds, x.cols);
    with_float!(x.dtype, S => {
        kernels::mean_pool::<S>(cx, pool, lend.read(whole(x)), lend.write(whole(y)));
    });
}

pub(super) fn pool_mean_vjp(cpu: &mut Cpu, skip: [bool; 2], dy: Buf, bounds: Buf, dx: Target) {
    let (cx, lend) = cpu.open();
    let pool = means(&lend, skip, bounds, dy.cols);
    with_float!(dy.dtype, S => {
        let (dy, to) = (lend.read(whole(dy)), lend.write(whole(dx.buf)));
        kernels::mean_pool_vjp::<S>(cx, pool, dy, to, dx.accumulate);
    });
}

pub(super) fn token_dropout(cpu: &mut Cpu, mask_id: u32, trained: f64, bufs: [Buf; 4]) {
    let [x, ids, bounds, y] = bufs;
    let (cx, lend) = cpu.open();
    let dropout = kernels::TokenDropout {
        ids: lend.read(whole(ids)),
        cu_seqlens: lend.read(whole(bounds)),
        mask_id,
        trained,
    };
    with_float!(x.dtype, S => {
        kernels::token_dropout::<S>(cx, dropout, lend.read(whole(x)), lend.write(whole(y)));
    });
}

pub(super) fn xent_rows(
    cpu: &mut Cpu,
    spec: &XentSpec,
    [logits, targets, loss]: [Buf; 3],
    chosen: Option<Buf>,
    gradient: bool,
    rank: Option<Buf>,
) {
    let (cx, lend) = cpu.open();
    let XentSpec {
        label_smoothing,
        z_loss,
    } = *spec;
    with_float!(logits.dtype, S => {
        let grad_scale = gradient.then_some(1.0);
        let xent = kernels::Xent::<S> { label_smoothing, z_loss, grad_scale };
        let rank = rank.map(|r| lend.write(whole(r)));
        let chosen = chosen.map(|c| lend.read(whole(c)));
        // What is between two rows is part of the buffer, behind the last one too; a single row
        // may have nothing behind it.
        let row_stride = if logits.rows <= 1 { logits.cols } else { logits.row_stride };
        let padded = Buf { cols: row_stride, row_stride, ..logits };
        let [z] = split_cols(lend.write(whole(padded)), row_stride, [logits.cols]);
        let targets = lend.read(whole(targets));
        kernels::xent_rows(cx, xent, z, targets, chosen, lend.write(whole(loss)), rank);
    });
}

impl ValueKernels for Cpu {
    fn value_rows(&mut self, kind: ValueLoss, y: Buf, given: Buf, targets: Buf, loss: Buf) {
        let (cx, lend) = self.open();
        with_float!(y.dtype, S => {
            let [y, given] = [y, given].map(|b| lend.read::<S>(whole(b)));
            let targets = lend.read(whole(targets));
            kernels::value_rows(cx, kind, y, given, targets, lend.write(whole(loss)));
        });
    }

    fn value_rows_vjp(&mut self, kind: ValueLoss, y: Buf, given: Buf, targets: Buf, dy: Target) {
        let (cx, lend) = self.open();
        let Target { buf, accumulate } = dy;
        with_float!(y.dtype, S => {
            let [y, given] = [y, given].map(|b| lend.read::<S>(whole(b)));
            let (targets, dy) = (lend.read(whole(targets)), lend.write(whole(buf)));
            kernels::value_rows_vjp(cx, kind, y, given, targets, dy, accumulate);
        });
    }
}
