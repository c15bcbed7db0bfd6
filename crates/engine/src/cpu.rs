//! The CPU's table of kernels: handles become slices here, and only here.

mod attention;
mod elementwise;
mod experts;
mod products;
mod rows;

use crate::shape::DType;
use crate::table::{
    AdamW, AttentionDims, AttentionIn, Buf, Cache, Kernels, Operand, Sgd, Target, XentSpec,
};
pub use tenon_kernels::Isa;
use tenon_kernels::{self as kernels, Activation, Arena, Cx, Lend, Pool, Region, RopeStyle};

/// A CPU with an arena, a thread pool and an instruction set.
pub struct Cpu {
    arena: Arena,
    pool: Pool,
    isa: Isa,
}

impl Cpu {
    /// A CPU that works with `threads` threads and the given instruction set.
    pub fn new(threads: usize, isa: Isa) -> Cpu {
        Cpu {
            arena: Arena::new(0),
            pool: Pool::new(threads),
            isa,
        }
    }

    fn open(&mut self) -> (Cx<'_>, Lend<'_>) {
        (Cx::new(&self.pool, self.isa), self.arena.lend())
    }
}

/// The region of a contiguous buffer.
fn whole(b: Buf) -> Region {
    assert!(b.is_contiguous(), "{b:?} has gaps between its rows");
    span(b)
}

/// The region from a buffer's first element to its last.
fn span(b: Buf) -> Region {
    assert!(b.panels.is_none(), "{b:?} lies in panels");
    region(b)
}

/// The region of a buffer's elements, however they lie.
fn region(b: Buf) -> Region {
    Region {
        offset: b.offset,
        bytes: b.span_bytes(),
    }
}

/// Runs the body with `S` as the float type of `$dtype`.
macro_rules! with_float {
    ($dtype:expr, $S:ident => $body:expr) => {
        match $dtype {
            $crate::shape::DType::F32 => {
                type $S = f32;
                $body
            }
            $crate::shape::DType::F64 => {
                type $S = f64;
                $body
            }
            $crate::shape::DType::I32 => unreachable!("a float buffer"),
        }
    };
}
use with_float;

impl Kernels for Cpu {
    fn reserve(&mut self, bytes: usize) {
        self.arena = Arena::new(bytes);
    }

    fn upload(&mut self, dst: Buf, bytes: &[u8]) {
        match dst.panels {
            Some(panels) => products::pack(self, dst, panels, bytes),
            None => self
                .arena
                .lend()
                .write::<u8>(whole(dst))
                .copy_from_slice(bytes),
        }
    }

    fn download(&mut self, src: Buf, bytes: &mut [u8]) {
        match src.panels {
            Some(panels) => products::unpack(self, src, panels, bytes),
            None => bytes.copy_from_slice(self.arena.lend().read::<u8>(whole(src))),
        }
    }

    fn threads(&self) -> usize {
        self.pool.threads()
    }

    fn gemm_work_len(&self, dtype: DType) -> usize {
        with_float!(dtype, S => kernels::gemm_work_len::<S>(self.pool.threads()))
    }

    fn attention_work_len(&self, dims: &AttentionDims, dtype: DType) -> usize {
        attention::work_len(self, dims, dtype)
    }

    fn fill(&mut self, dst: Buf, value: f64) {
        elementwise::fill(self, dst, value);
    }

    fn copy(&mut self, src: Buf, dst: Buf) {
        elementwise::copy(self, src, dst);
    }

    fn add(&mut self, a: Buf, b: Buf, y: Buf) {
        elementwise::add(self, a, b, y);
    }

    fn add_assign(&mut self, x: Buf, y: Buf) {
        elementwise::add_assign(self, x, y);
    }

    fn gemm(&mut self, a: Operand, b: Operand, c: Target, bias: Option<Buf>, work: Buf) {
        products::gemm(self, a, b, c, bias, work);
    }

    fn add_column_sums(&mut self, x: Buf, sums: Buf) {
        elementwise::add_column_sums(self, x, sums);
    }

    fn layer_norm(
        &mut self,
        x: Buf,
        gain: Buf,
        bias: Option<Buf>,
        eps: f64,
        y: Buf,
        mean: Buf,
        rstd: Buf,
    ) {
        let (cx, lend) = self.open();
        with_float!(x.dtype, S => {
            let bias = bias.map(|b| lend.read(whole(b)));
            let (x, gain) = (lend.read(whole(x)), lend.read(whole(gain)));
            let [y, mean, rstd] = [y, mean, rstd].map(|b| lend.write(whole(b)));
            kernels::layer_norm::<S>(cx, x, gain, bias, eps, y, mean, rstd);
        });
    }

    fn layer_norm_vjp(
        &mut self,
        dy: Buf,
        x: Buf,
        gain: Buf,
        mean: Buf,
        rstd: Buf,
        dx: Option<Target>,
        dgain: Option<Buf>,
        dbias: Option<Buf>,
    ) {
        rows::norm_vjp(
            self,
            dy,
            rows::Saved {
                x,
                gain,
                mean: Some(mean),
                rstd,
            },
            dx,
            [dgain, dbias],
        );
    }

    fn rms_norm(&mut self, x: Buf, gain: Buf, eps: f64, y: Buf, rstd: Buf) {
        let (cx, lend) = self.open();
        with_float!(x.dtype, S => {
            let (x, gain) = (lend.read(whole(x)), lend.read(whole(gain)));
            let (y, rstd) = (lend.write(whole(y)), lend.write(whole(rstd)));
            kernels::rms_norm::<S>(cx, x, gain, eps, y, rstd);
        });
    }

    fn rms_norm_vjp(
        &mut self,
        dy: Buf,
        x: Buf,
        gain: Buf,
        rstd: Buf,
        dx: Option<Target>,
        dgain: Option<Buf>,
    ) {
        rows::norm_vjp(
            self,
            dy,
            rows::Saved {
                x,
                gain,
                mean: None,
                rstd,
            },
            dx,
            [dgain, None],
        );
    }

    fn activation(&mut self, act: Activation, x: Buf, y: Buf) {
        let (cx, lend) = self.open();
        with_float!(x.dtype, S => {
            kernels::activation::<S>(cx, act, lend.read(whole(x)), lend.write(whole(y)));
        });
    }

    fn activation_vjp(&mut self, act: Activation, dy: Buf, x: Buf, dx: Target) {
        let (cx, lend) = self.open();
        with_float!(x.dtype, S => {
            let (dy, x) = (lend.read(whole(dy)), lend.read(whole(x)));
            kernels::activation_vjp::<S>(cx, act, dy, x, lend.write(whole(dx.buf)), dx.accumulate);
        });
    }

    fn swiglu(&mut self, gate: Buf, up: Buf, y: Buf) {
        let (cx, lend) = self.open();
        with_float!(gate.dtype, S => {
            let (gate, up) = (lend.read(whole(gate)), lend.read(whole(up)));
            kernels::swiglu::<S>(cx, gate, up, lend.write(whole(y)));
        });
    }

    fn swiglu_vjp(&mut self, dy: Buf, gate: Buf, up: Buf, grads: [Buf; 2]) {
        let (cx, lend) = self.open();
        with_float!(gate.dtype, S => {
            let [dy, gate, up] = [dy, gate, up].map(|b| lend.read(whole(b)));
            let (dg, du) = (lend.write(whole(grads[0])), lend.write(whole(grads[1])));
            kernels::swiglu_vjp::<S>(cx, dy, gate, up, dg, du, false);
        });
    }

    fn rope(
        &mut self,
        style: RopeStyle,
        head_dim: usize,
        inverse: bool,
        x: Buf,
        cos: Buf,
        sin: Buf,
        positions: Buf,
        y: Buf,
    ) {
        rows::rope(
            self,
            rows::Turn {
                style,
                head_dim,
                inverse,
                cos,
                sin,
                positions,
            },
            x,
            y,
        );
    }

    fn attention(&mut self, dims: &AttentionDims, x: &AttentionIn, out: Buf, lse: Buf, work: Buf) {
        attention::forward(self, dims, x, out, lse, work);
    }

    fn attention_vjp(
        &mut self,
        dims: &AttentionDims,
        x: &AttentionIn,
        out: Buf,
        lse: Buf,
        dout: Buf,
        grads: [Buf; 3],
        work: Buf,
    ) {
        attention::vjp(self, dims, x, [out, lse, dout], grads, work);
    }

    fn attention_cached(
        &mut self,
        dims: &AttentionDims,
        x: &AttentionIn,
        cache: Cache,
        past: Buf,
        slots: Buf,
        out: Buf,
        work: Buf,
    ) {
        attention::cached(self, dims, x, cache, [past, slots], out, work);
    }

    fn embedding(&mut self, table: Buf, ids: Buf, y: Buf) {
        products::embedding(self, table, ids, y);
    }

    fn embedding_vjp(&mut self, dy: Buf, ids: Buf, dtable: Buf) {
        products::embedding_vjp(self, dy, ids, dtable);
    }

    fn dropout(&mut self, p: f64, key: [u32; 2], site: u32, x: Buf, y: Buf) {
        rows::dropout(
            self,
            kernels::Dropout {
                p,
                key,
                site: u64::from(site),
            },
            x,
            y,
        );
    }

    fn token_dropout(&mut self, mask_id: u32, trained: f64, x: Buf, ids: Buf, bounds: Buf, y: Buf) {
        rows::token_dropout(self, mask_id, trained, [x, ids, bounds, y]);
    }

    fn pool_mean(&mut self, skip_first: bool, skip_last: bool, x: Buf, bounds: Buf, y: Buf) {
        rows::pool_mean(self, [skip_first, skip_last], x, bounds, y);
    }

    fn pool_mean_vjp(
        &mut self,
        skip_first: bool,
        skip_last: bool,
        dy: Buf,
        bounds: Buf,
        dx: Target,
    ) {
        rows::pool_mean_vjp(self, [skip_first, skip_last], dy, bounds, dx);
    }

    fn counted_rows(&mut self, targets: Buf, rows: Buf) -> usize {
        let (_, lend) = self.open();
        kernels::counted_rows(lend.read(whole(targets)), lend.write(whole(rows)))
    }

    fn xent_rows(
        &mut self,
        spec: &XentSpec,
        logits: Buf,
        targets: Buf,
        chosen: Option<Buf>,
        gradient: bool,
        loss: Buf,
        rank: Option<Buf>,
    ) {
        rows::xent_rows(self, spec, [logits, targets, loss], chosen, gradient, rank);
    }

    fn adamw(&mut self, p: Buf, g: Buf, m: Buf, v: Buf, spec: &AdamW) {
        products::adamw(self, [p, g, m, v], spec);
    }

    fn sgd(&mut self, p: Buf, g: Buf, velocity: Option<Buf>, spec: &Sgd) {
        products::sgd(self, [p, g], velocity, spec);
    }

    fn sum_of_squares(&mut self, x: Buf) -> f64 {
        let (cx, lend) = self.open();
        with_float!(x.dtype, S => kernels::sum_sq::<S>(cx, lend.read(whole(x))))
    }

    fn sum(&mut self, x: Buf) -> f64 {
        let (cx, lend) = self.open();
        with_float!(x.dtype, S => kernels::sum::<S>(cx, lend.read(whole(x))))
    }
}
