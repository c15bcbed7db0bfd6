//! Generation: how long a prompt takes to read and a token to write, and how fast the weights can
//! be read at most.

use std::num::NonZeroUsize;
use std::sync::Arc;

use tenon_base::memory::peak_resident_bytes;
use tenon_base::{Error, Result};
use tenon_engine::cpu::Cpu;
use tenon_engine::graph::Origin;
use tenon_engine::ops::Embedding;
use tenon_engine::{Executor, Extent, Graph, PlanOptions};
use tenon_eval::{Flow, Generator, Sampling};
use tenon_models::net::{CacheOptions, Outputs, feed};
use tenon_models::weights::Weights;

use super::case::{Case, random_ids};
use super::machine::bandwidth;
use super::ops::{OpTime, Readings};
use super::{Times, ms};
use crate::context::Context;

/// Tokens written before the first that is watched.
const WARM_TOKENS: usize = 2;
/// Tokens that are watched call by call.
const OBSERVED_TOKENS: usize = 5;

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
    /// One reading: the prompt up to its first new token.
    pub prefill: Times,
    /// Each token after that.
    pub token: Times,
    /// The arena's size as planned.
    pub planned_peak_bytes: usize,
    /// Most memory that the program has had; `None` where the system does not tell.
    pub peak_rss_bytes: Option<u64>,
    /// Elements of all parameters.
    pub n_params: usize,
    /// Floating-point operations of a token, without those of attention.
    pub flops: f64,
    /// Bytes that a token in the middle of the written ones must read: weights, keys and values.
    pub bytes_per_token: f64,
    /// The best rate to and from main memory, in GB/s.
    pub bandwidth: f64,
    /// Operators of one token, the dearest first.
    pub ops: Vec<OpTime>,
}

impl DecodeReport {
    /// Least time in which main memory could hand out what a token reads.
    pub fn floor_ms(&self) -> f64 {
        self.bytes_per_token / self.bandwidth / 1e6
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
    let total = prompt.get().saturating_add(new.get()) + WARM_TOKENS;
    if total > case.spec.context_len() {
        let message = format!(
            "{prompt} tokens of prompt, {new} new ones and {WARM_TOKENS} to warm up make {total}, \
             the context of `{}` has {}",
            case.name,
            case.spec.context_len()
        );
        return Err(Error::usage(message).hint("lower `--prompt-tokens` or `--steps`"));
    }
    let spec = case.spec.with_rotary_positions(total);
    let cache = CacheOptions {
        slots: 1,
        capacity: total,
    };
    let graph = Arc::new(spec.graph(&Outputs::generating(cache)));
    let weights = Weights::init(&graph, case.float, 0);
    let device = || Box::new(Cpu::new(threads.get(), context.isa));
    let mut generator = Generator::new(&spec, &weights, device(), 1, total)?;
    let ids = random_ids(&spec, prompt.get(), 0);
    let ids: Vec<u32> = ids.into_iter().map(i32::cast_unsigned).collect();
    let sampling = Sampling::greedy(WARM_TOKENS + new.get());
    let now = || (clock.elapsed(), clock.processor_time());
    let mut marks = vec![now()];
    generator.generate(&[ids], &sampling, &mut |_, _| {
        marks.push(now());
        Flow::Continue
    })?;
    let mut all = Times::default();
    for pair in marks.windows(2) {
        let [(wall, cpu), (wall_after, cpu_after)] = [pair[0], pair[1]];
        all.wall_ms.push(ms(wall_after.saturating_sub(wall)));
        let spent = cpu.zip(cpu_after);
        all.cpu_ms
            .extend(spent.map(|(a, b)| ms(b.saturating_sub(a))));
    }
    let planned_peak_bytes = generator.peak_bytes();
    drop(generator);
    let peak_rss_bytes = peak_resident_bytes(context.disk.as_ref());
    let middle = prompt.get() + WARM_TOKENS + new.get() / 2;
    let observed = Observed {
        graph: &graph,
        weights: &weights,
        past: middle,
    };
    Ok(DecodeReport {
        prefill: part(&all, 0..1),
        token: part(&all, WARM_TOKENS..all.wall_ms.len()),
        planned_peak_bytes,
        peak_rss_bytes,
        n_params: graph.n_params(),
        flops: graph.forward_flops(ONE_TOKEN),
        bytes_per_token: bytes_per_token(&graph, case, middle as f64 / total as f64),
        ops: observed.times(case, device(), clock),
        bandwidth: bandwidth(device().as_mut(), clock),
    })
}

const ONE_TOKEN: Extent = Extent { tokens: 1, seqs: 1 };

fn part(times: &Times, range: std::ops::Range<usize>) -> Times {
    let of = |values: &[f64]| values.get(range.clone()).unwrap_or_default().to_vec();
    Times {
        wall_ms: of(&times.wall_ms),
        cpu_ms: of(&times.cpu_ms),
    }
}

/// Parameters that are multiplied with (of an embedding, one row is read), and what the caches hold
/// when `filled` of their positions are used.
fn bytes_per_token(graph: &Graph, case: &Case, filled: f64) -> f64 {
    let mut read = vec![false; graph.values.len()];
    for node in &graph.nodes {
        let op: &dyn std::any::Any = node.op.as_ref();
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

/// A token that is written behind `past` others, watched call by call.
struct Observed<'a> {
    graph: &'a Arc<Graph>,
    weights: &'a Weights,
    past: usize,
}

impl Observed<'_> {
    fn times(
        &self,
        case: &Case,
        device: Box<Cpu>,
        clock: &dyn tenon_base::clock::Clock,
    ) -> Vec<OpTime> {
        let options = PlanOptions::inference(case.float, ONE_TOKEN);
        let mut exec = Executor::new(self.graph.clone(), options, device);
        self.weights.write(&mut exec);
        let position = self.past as i32;
        feed(&mut exec, &[0], &[position], &[0, 1]);
        for (name, value) in [("past", position), ("slots", 0), ("last_rows", 0)] {
            exec.set_input(name, &[value]);
        }
        let mut readings = Readings::default();
        for _ in 0..OBSERVED_TOKENS {
            readings.step(&mut exec, clock);
        }
        readings.by_operator()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::case::Named;

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
}
