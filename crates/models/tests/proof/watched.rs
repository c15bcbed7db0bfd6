//! A device that notes the highest byte that kernels are handed, to hold the planned peak against.

use crate::small::{Batch, families, step, training, training_graph};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use tenon_engine::cpu::{Cpu, Isa};
use tenon_engine::table::{
    Activation, AdamW, AttentionDims, AttentionIn, Cache, Operand, RopeStyle, Sgd, Target, XentSpec,
};
use tenon_engine::table::{Balance, ExpertKernels, Routes, ValueKernels, ValueLoss};
use tenon_engine::{Buf, DType, Executor, Kernels, PlanOptions, Recompute};

/// Where an argument of a kernel ends in the arena; 0 for numbers.
trait Ends {
    fn end(&self) -> usize;
}

impl Ends for Buf {
    fn end(&self) -> usize {
        let last_row = self.rows.saturating_sub(1) * self.row_stride + self.cols;
        self.offset
            + if self.rows == 0 {
                0
            } else {
                last_row * self.dtype.bytes()
            }
    }
}

impl Ends for Operand {
    fn end(&self) -> usize {
        self.buf.end()
    }
}

impl Ends for Target {
    fn end(&self) -> usize {
        self.buf.end()
    }
}

impl Ends for Cache {
    fn end(&self) -> usize {
        self.k.end().max(self.v.end())
    }
}

impl Ends for &AttentionIn {
    fn end(&self) -> usize {
        let mask = self.key_mask.end();
        [self.q, self.k, self.v, self.bounds].end().max(mask)
    }
}

impl Ends for &Routes {
    fn end(&self) -> usize {
        let indices = [self.experts, self.places, self.rows, self.bounds].end();
        [self.shares, self.weights].end().max(indices)
    }
}

impl<const N: usize> Ends for [Buf; N] {
    fn end(&self) -> usize {
        self.iter().map(Ends::end).max().unwrap_or(0)
    }
}

impl<T: Ends> Ends for Option<T> {
    fn end(&self) -> usize {
        self.as_ref().map_or(0, Ends::end)
    }
}

macro_rules! touch_nothing {
    ($($ty:ty),*) => { $(impl Ends for $ty { fn end(&self) -> usize { 0 } })* };
}
touch_nothing!(
    f64, u32, usize, bool, [u32; 2], RopeStyle, Activation, ValueLoss
);
touch_nothing!(&Balance);
touch_nothing!(&AttentionDims, &AdamW, &Sgd, &XentSpec, &[u8], &mut [u8]);

struct Watched {
    cpu: Cpu,
    highest: Arc<AtomicUsize>,
}

macro_rules! watched {
    ($(fn $name:ident($($arg:ident: $ty:ty),*) $(-> $ret:ty)?;)*) => {
        $(fn $name(&mut self, $($arg: $ty),*) $(-> $ret)? {
            $(self.highest.fetch_max($arg.end(), Relaxed);)*
            self.cpu.$name($($arg),*)
        })*
    };
}

impl ExpertKernels for Watched {
    watched! {
        fn route(logits: Buf, routes: &Routes);
        fn route_vjp(routes: &Routes, dweights: Buf, dlogits: Target);
        fn weigh_rows(weights: Buf, x: Buf);
        fn weigh_rows_vjp(weights: Buf, y: Buf, dy: Buf, dweights: Buf);
        fn balance_add(logits: Buf, per_token: usize, sums: Buf);
        fn balance_rows(balance: &Balance, targets: Buf, sums: Buf, loss: Buf);
        fn balance_vjp(logits: Buf, sums: Buf, dlogits: Target);
    }
}

impl ValueKernels for Watched {
    watched! {
        fn value_rows(kind: ValueLoss, y: Buf, given: Buf, targets: Buf, loss: Buf);
        fn value_rows_vjp(kind: ValueLoss, y: Buf, given: Buf, targets: Buf, dy: Target);
    }
}

impl Kernels for Watched {
    fn reserve(&mut self, bytes: usize) {
        self.cpu.reserve(bytes);
    }

    fn threads(&self) -> usize {
        self.cpu.threads()
    }

    fn gemm_work_len(&self, dtype: DType) -> usize {
        self.cpu.gemm_work_len(dtype)
    }

    fn attention_work_len(&self, dims: &AttentionDims, dtype: DType) -> usize {
        self.cpu.attention_work_len(dims, dtype)
    }

    watched! {
        fn upload(dst: Buf, bytes: &[u8]);
        fn download(src: Buf, bytes: &mut [u8]);
        fn fill(dst: Buf, value: f64);
        fn copy(src: Buf, dst: Buf);
        fn add(a: Buf, b: Buf, y: Buf);
        fn add_assign(x: Buf, y: Buf);
        fn gemm(a: Operand, b: Operand, c: Target, bias: Option<Buf>, work: Buf);
        fn add_column_sums(x: Buf, sums: Buf);
        fn layer_norm(
            x: Buf, gain: Buf, bias: Option<Buf>, eps: f64, y: Buf, mean: Buf, rstd: Buf
        );
        fn layer_norm_vjp(
            dy: Buf, x: Buf, gain: Buf, mean: Buf, rstd: Buf, dx: Option<Target>,
            dgain: Option<Buf>, dbias: Option<Buf>
        );
        fn rms_norm(x: Buf, gain: Buf, eps: f64, y: Buf, rstd: Buf);
        fn rms_norm_vjp(
            dy: Buf, x: Buf, gain: Buf, rstd: Buf, dx: Option<Target>, dgain: Option<Buf>
        );
        fn activation(act: Activation, x: Buf, y: Buf);
        fn activation_vjp(act: Activation, dy: Buf, x: Buf, dx: Target);
        fn swiglu(gate: Buf, up: Buf, y: Buf);
        fn swiglu_vjp(dy: Buf, gate: Buf, up: Buf, grads: [Buf; 2]);
        fn rope(
            style: RopeStyle, head_dim: usize, inverse: bool, x: Buf, cos: Buf, sin: Buf,
            positions: Buf, y: Buf
        );
        fn attention(dims: &AttentionDims, x: &AttentionIn, out: Buf, lse: Buf, work: Buf);
        fn attention_vjp(
            dims: &AttentionDims, x: &AttentionIn, out: Buf, lse: Buf, dout: Buf,
            grads: [Buf; 3], work: Buf
        );
        fn attention_cached(
            dims: &AttentionDims, x: &AttentionIn, cache: Cache, past: Buf, slots: Buf,
            out: Buf, work: Buf
        );
        fn embedding(table: Buf, ids: Buf, y: Buf);
        fn embedding_vjp(dy: Buf, ids: Buf, dtable: Buf);
        fn dropout(p: f64, key: [u32; 2], site: u32, x: Buf, y: Buf);
        fn xent_rows(
            spec: &XentSpec, logits: Buf, targets: Buf, chosen: Option<Buf>, gradient: bool,
            loss: Buf, rank: Option<Buf>
        );
        fn token_dropout(
            mask_id: u32, trained: f64, x: Buf, ids: Buf, bounds: Buf, y: Buf
        );
        fn pool_mean(skip_first: bool, skip_last: bool, x: Buf, bounds: Buf, y: Buf);
        fn pool_mean_vjp(
            skip_first: bool, skip_last: bool, dy: Buf, bounds: Buf, dx: Target
        );
        fn counted_rows(targets: Buf, rows: Buf) -> usize;
        fn adamw(p: Buf, g: Buf, m: Buf, v: Buf, spec: &AdamW);
        fn sgd(
            p: Buf, g: Buf, velocity: Option<Buf>, spec: &Sgd
        );
        fn sum_of_squares(x: Buf) -> f64;
        fn sum(x: Buf) -> f64;
    }
}

#[test]
fn a_step_touches_the_arena_up_to_the_planned_peak_and_no_further() {
    let batch = Batch::of_lengths(&[17, 1, 40, 13], 0);
    for spec in families() {
        for recompute in [Recompute::None, Recompute::Selective, Recompute::Full] {
            let highest = Arc::new(AtomicUsize::new(0));
            let cpu = Cpu::new(1, Isa::detect());
            let device = Box::new(Watched {
                cpu,
                highest: highest.clone(),
            });
            let options = training(DType::F32, batch.extent());
            let options = PlanOptions {
                recompute,
                ..options
            };
            let graph = Arc::new(training_graph(&spec, 0.1));
            let mut exec = Executor::new(graph, options, device);
            step(&mut exec, &batch, 1);
            let (planned, touched) = (exec.peak_bytes(), highest.load(Relaxed));
            // The last buffer ends within one cache line of the peak.
            let label = format!("{} {recompute:?}: {touched} of {planned}", spec.family());
            assert!(touched <= planned && planned - touched < 64, "{label}");
        }
    }
}
