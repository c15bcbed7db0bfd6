//! Generation: how long a prompt takes to read and a token to write, and how fast the weights can
//! be read at most.

use std::any::Any;
use std::num::NonZeroUsize;

use tenon_base::clock::Clock;
use tenon_base::memory::peak_resident_bytes;
use tenon_base::rng::{Key, Stream};
use tenon_base::{Error, Result};
use tenon_engine::cpu::Cpu;
use tenon_engine::graph::Origin;
use tenon_engine::ops::{Embedding, Linear};
use tenon_engine::table::{Operand, Panels, Target};
use tenon_engine::{Buf, DType, Executor, Extent, Graph, Init, Kernels};
use tenon_eval::{Flow, Generator, Sampling};
use tenon_models::net::feed;
use tenon_models::weights::encode;

use super::case::{Case, random_ids};
use super::machine::{bandwidth, buffers, rate};
use super::ops::{OpTime, Readings};
use super::products::{best_rate, of_step};
use super::{Times, least, ms};
use crate::context::Context;

/// Tokens written before the first that is watched.
const WARM_TOKENS: usize = 2;
/// Times that the prompt is read and watched, after once unwatched.
const PROMPT_READINGS: usize = 3;
/// Tokens that are watched call by call.
const OBSERVED_TOKENS: usize = 5;
/// Numbers that all parameters are made of. A prime, so that no two rows begin alike.
const NOISE: usize = 99_991;
/// Rows and columns of the matrix whose reading is timed: more than caches hold.
const MATRIX: [usize; 2] = [32_768, 1024];
/// Readings of that matrix, of which the best counts.
const MATRIX_READINGS: usize = 7;

/// Lengths of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lengths {
    /// Tokens of the prompt.
    pub prompt: NonZeroUsize,
    /// Tokens that are written and watched.
    pub new: NonZeroUsize,
}

/// What was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct DecodeReport {
    /// Readings of the prompt, up to its first new token.
    pub prefill: Times,
    /// Each token after that.
    pub token: Times,
    /// The arena's size as planned.
    pub planned_peak_bytes: usize,
    /// Most memory that the program has had; `None` where the system does not tell.
    pub peak_rss_bytes: Option<u64>,
    /// Elements of all parameters.
    pub n_params: usize,
    /// Floating-point operations of a token.
    pub flops: f64,
    /// Bytes that a token in the middle of the written ones must read: weights, keys and values.
    pub bytes_per_token: f64,
    /// The best rate from main memory, in GB/s.
    pub bandwidth: f64,
    /// The best rate of the prompt's own products, in GFLOP/s.
    pub sgemm_gflops: Option<f64>,
    /// Least time in which the prompt's products could be computed: each of them at that rate, or
    /// its weights at the rate of memory where that takes longer.
    pub prefill_floor_ms: Option<f64>,
    /// Operators of one token, the dearest first.
    pub ops: Vec<OpTime>,
}

impl DecodeReport {
    /// Least time in which main memory could hand out what a token reads.
    pub fn decode_floor_ms(&self) -> f64 {
        self.bytes_per_token / self.bandwidth / 1e6
    }

    /// The best token against its floor.
    pub fn decode_ratio(&self) -> Option<f64> {
        least(&self.token.wall_ms).map(|best| best / self.decode_floor_ms())
    }

    /// The best reading of the prompt against its floor.
    pub fn prefill_ratio(&self) -> Option<f64> {
        let best = least(&self.prefill.wall_ms)?;
        Some(best / self.prefill_floor_ms?)
    }
}

/// Reads one prompt of random tokens and continues it greedily.
///
/// # Errors
/// `Usage` when the context has no room for prompt and new tokens.
pub fn measure(
    case: &Case,
    lengths: Lengths,
    threads: NonZeroUsize,
    context: &Context,
) -> Result<DecodeReport> {
    let Lengths { prompt, new } = lengths;
    let clock = context.clock.as_ref();
    let total = room(case, lengths)?;
    let spec = case.spec.with_rotary_positions(total);
    let device = || Box::new(Cpu::new(threads.get(), context.isa));
    let mut generator = Generator::filled(&spec, case.float, device(), (1, total), &mut fill)?;
    let ids = random_ids(&spec, prompt.get(), 0);
    let ids: Vec<u32> = ids.into_iter().map(i32::cast_unsigned).collect();
    let mut prefill = Times::default();
    for i in 0..=PROMPT_READINGS {
        let times = written(&mut generator, &ids, 1, clock)?;
        if i > 0 {
            prefill.wall_ms.extend(times.wall_ms);
            prefill.cpu_ms.extend(times.cpu_ms);
        }
    }
    let all = written(&mut generator, &ids, WARM_TOKENS + new.get(), clock)?;
    let peak_rss_bytes = peak_resident_bytes(context.disk.as_ref());
    let middle = prompt.get() + WARM_TOKENS + new.get() / 2;
    let exec = generator.executor();
    let ops = observed(exec, middle, clock);
    let (graph, planned_peak_bytes) = (exec.graph().clone(), exec.peak_bytes());
    drop(generator);
    let bandwidth = bandwidth(device().as_mut(), clock).max(read_rate(device().as_mut(), clock));
    let batch = Extent::new(prompt.get(), 1);
    let products = of_step(&graph, batch, case.float, false);
    let rate = best_rate(&products, case.float, device().as_mut(), clock);
    let sgemm_gflops = Some(rate).filter(|&rate| rate > 0.0);
    Ok(DecodeReport {
        prefill,
        token: after(all, WARM_TOKENS),
        planned_peak_bytes,
        peak_rss_bytes,
        n_params: graph.n_params(),
        flops: graph.forward_flops(ONE_TOKEN),
        bytes_per_token: bytes_per_token(&graph, case, middle as f64 / total as f64),
        bandwidth,
        sgemm_gflops,
        prefill_floor_ms: sgemm_gflops
            .map(|gflops| prefill_floor_ms(&graph, case.float, batch, (gflops, bandwidth))),
        ops,
    })
}

const ONE_TOKEN: Extent = Extent::new(1, 1);

/// Tokens of prompt and continuation.
fn room(case: &Case, lengths: Lengths) -> Result<usize> {
    let Lengths { prompt, new } = lengths;
    let total = prompt.get().saturating_add(new.get()) + WARM_TOKENS;
    if total <= case.spec.context_len() {
        return Ok(total);
    }
    let message = format!(
        "{prompt} tokens of prompt, {new} new ones and {WARM_TOKENS} to warm up make {total}, the \
         context of `{}` has {}",
        case.name,
        case.spec.context_len()
    );
    Err(Error::usage(message).hint("lower `--prompt-tokens` or `--steps`"))
}

/// Parameters of the right size that cost little to make: a block of noise, again and again.
fn fill(exec: &mut Executor) {
    let graph = exec.graph().clone();
    let float = exec.plan().options.float;
    let mut rng = Key::new(0, Stream::Init).at(0, 0);
    let noise: Vec<f64> = (0..NOISE).map(|_| rng.normal()).collect();
    for id in graph.param_ids() {
        let param = graph.param(id);
        let n = param.len().min(NOISE);
        let block = match param.init {
            Init::Normal(std) => encode(float, noise[..n].iter().map(|x| std * x)),
            // Of the same size as the uniform ones; only the time is of interest.
            Init::Uniform(bound) => encode(float, noise[..n].iter().map(|x| bound * x)),
            Init::Constant(value) => encode(float, std::iter::repeat_n(value, n)),
        };
        let n_bytes = param.len() * float.bytes();
        let mut bytes = Vec::with_capacity(n_bytes);
        while bytes.len() < n_bytes {
            bytes.extend_from_slice(&block[..block.len().min(n_bytes - bytes.len())]);
        }
        exec.set_param_bytes(id, &bytes);
    }
}

/// Continues a prompt greedily: the time to the first new token, and that of each after it.
fn written(
    generator: &mut Generator,
    ids: &[u32],
    n_new: usize,
    clock: &dyn Clock,
) -> Result<Times> {
    let now = || (clock.elapsed(), clock.processor_time());
    let mut marks = vec![now()];
    let mut mark = |_: usize, _: u32| {
        marks.push(now());
        Flow::Continue
    };
    generator.generate(&[ids.to_vec()], &Sampling::greedy(n_new), &mut mark)?;
    let mut times = Times::default();
    for pair in marks.windows(2) {
        let [(wall, cpu), (wall_after, cpu_after)] = [pair[0], pair[1]];
        times.wall_ms.push(ms(wall_after.saturating_sub(wall)));
        let spent = cpu.zip(cpu_after);
        times
            .cpu_ms
            .extend(spent.map(|(a, b)| ms(b.saturating_sub(a))));
    }
    Ok(times)
}

/// The readings without the first `n`.
fn after(mut times: Times, n: usize) -> Times {
    for values in [&mut times.wall_ms, &mut times.cpu_ms] {
        values.drain(..n.min(values.len()));
    }
    times
}

/// Parameters that are multiplied with (of an embedding, one row is read), and what the caches hold
/// when `filled` of their positions are used.
fn bytes_per_token(graph: &Graph, case: &Case, filled: f64) -> f64 {
    let mut read = vec![false; graph.values.len()];
    for node in &graph.nodes {
        let op: &dyn Any = node.op.as_ref();
        if !op.is::<Embedding>() {
            node.ins.iter().for_each(|v| read[v.0 as usize] = true);
        }
    }
    let values = graph.values.iter().zip(read).filter(|(_, read)| *read);
    let bytes = values.map(|(value, _)| {
        let bytes = value.ty.bytes(case.float, ONE_TOKEN) as f64;
        match value.origin {
            Origin::Param(_) => bytes,
            Origin::State(_) => bytes * filled,
            _ => 0.0,
        }
    });
    bytes.sum()
}

/// The time of all products at the better of two rates, in GFLOP/s and in GB/s of weights.
fn prefill_floor_ms(
    graph: &Graph,
    float: DType,
    batch: Extent,
    (gflops, bandwidth): (f64, f64),
) -> f64 {
    let floors = graph.nodes.iter().filter_map(|node| {
        let op: &dyn Any = node.op.as_ref();
        op.downcast_ref::<Linear>()?;
        let compute = graph.node_cost(node, batch).flops / gflops;
        let read = graph.ty(node.ins[1]).bytes(float, batch) as f64 / bandwidth;
        Some(compute.max(read) / 1e6)
    });
    floors.sum()
}

/// A token that is written behind `past` others, watched call by call.
fn observed(exec: &mut Executor, past: usize, clock: &dyn Clock) -> Vec<OpTime> {
    let position = past as i32;
    feed(exec, &[0], &[position], &[0, 1]);
    for (name, value) in [("past", position), ("slots", 0), ("last_rows", 0)] {
        exec.set_input(name, &[value]);
    }
    let mut readings = Readings::default();
    for _ in 0..OBSERVED_TOKENS {
        readings.step(exec, clock);
    }
    readings.by_operator()
}

/// The rate in GB/s at which a row of numbers is multiplied with one large matrix: as fast as
/// weights can be read by the kernel that needs them.
fn read_rate(device: &mut dyn Kernels, clock: &dyn Clock) -> f64 {
    let [n, k] = MATRIX;
    let float = DType::F32;
    let work = (float, 1, device.gemm_work_len(float));
    let [x, w, y, work] = buffers(device, [(float, 1, k), (float, n, k), (float, 1, n), work]);
    // Its elements are all alike, so panels of it are already there.
    let w = Buf {
        panels: Some(Panels::Transposed),
        ..w
    };
    let times = Times::of(clock, 1, MATRIX_READINGS, || {
        let y = Target {
            buf: y,
            accumulate: false,
        };
        device.gemm(Operand::plain(x), Operand::transposed(w), y, None, work);
    });
    rate((n * k * size_of::<f32>()) as f64, &times)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::case::Named;
    use tenon_models::net::{CacheOptions, Outputs};

    #[test]
    fn a_token_reads_every_matrix_but_the_embeddings_and_what_is_cached() {
        let case = Named::Gpt26mSmallvocab.case();
        let cache = CacheOptions {
            slots: 1,
            capacity: 100,
        };
        let graph = case.spec.graph(&Outputs::generating(cache));
        let [d, vocab_size, positions, layers] = [512, 512, 512, 8];
        let matrices = graph.n_params() - (vocab_size + positions) * d;
        let cached = 2 * layers * 50 * d;
        let bytes = bytes_per_token(&graph, &case, 0.5);
        assert_eq!(bytes, 4.0 * (matrices + cached) as f64);
    }

    #[test]
    fn the_floor_of_a_prompt_takes_the_slower_of_both_rates_for_each_product() {
        let case = Named::Gpt26mSmallvocab.case();
        let cache = CacheOptions {
            slots: 1,
            capacity: 100,
        };
        let graph = case.spec.graph(&Outputs::generating(cache));
        let batch = Extent::new(100, 1);
        let square = (512 * 512) as f64;
        // Only the last row has logits, and so an output of the last block.
        let one = (9 + 1) as f64 * square;
        let all = (8 * 12 - 9) as f64 * square;
        let floor = |rates| prefill_floor_ms(&graph, DType::F32, batch, rates);
        let close = |a: f64, b: f64| assert!((a / b - 1.0).abs() < 1e-12, "{a} {b}");
        close(floor((1.0, 1e9)), 2.0 * (100.0 * all + one) / 1e6);
        close(floor((1e9, 1.0)), 4.0 * (all + one) / 1e6);
        close(floor((10.0, 1.0)), (20.0 * all + 4.0 * one) / 1e6);
    }
}
