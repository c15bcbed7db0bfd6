//! A row's bits depend on its own sequence alone: not on batch neighbours, and not on whether its
//! past was computed in the same run or lies in a cache.

use crate::small::{Batch, executor, families, sequence};
use std::ops::Range;
use tenon_engine::cpu::Isa;
use tenon_engine::{DType, Executor, Extent, PlanOptions};
use tenon_models::net::{CacheOptions, Outputs};
use tenon_models::spec::{AttentionBias, Decoder, DecoderSpec, Experts, Gpt2Spec, Spec, Window};

/// The small models, and one whose products are long enough to be summed in several stretches.
fn models() -> Vec<Spec> {
    let [Spec::Gpt2(small), llama, custom] = families() else {
        panic!("the order of the families")
    };
    let wide = Gpt2Spec {
        d_model: 268,
        n_heads: 4,
        d_ffn: 540,
        n_layers: 1,
        ..small.clone()
    };
    let mut models = vec![Spec::Gpt2(small), Spec::Gpt2(wide), llama.clone(), custom];
    models.extend(relatives(llama));
    models
}

/// Decoders with a window, with biases and head norms, and with experts.
fn relatives(llama: Spec) -> [Spec; 3] {
    let Spec::Decoder(llama) = llama else {
        panic!("Llama is a decoder")
    };
    let windowed = DecoderSpec {
        family: Decoder::Mistral,
        window: Some(Window {
            len: 7,
            first_layer: 1,
        }),
        ..llama.clone()
    };
    let normed = DecoderSpec {
        family: Decoder::Qwen3,
        head_norms: true,
        attention_bias: AttentionBias::QueryKeyValue,
        ..llama.clone()
    };
    let expert = DecoderSpec {
        family: Decoder::Mixtral,
        experts: Some(Experts {
            count: 5,
            per_token: 2,
            balance: 0.02,
            balanced: true,
        }),
        ..llama
    };
    [windowed, normed, expert].map(Spec::Decoder)
}

fn inspecting(spec: &Spec, threads: usize) -> Executor {
    let graph = spec.graph(&Outputs::inspecting(false));
    let capacity = Extent::new(120, 5);
    executor(
        graph,
        PlanOptions::inference(DType::F32, capacity),
        threads,
        Isa::detect(),
    )
}

/// Bits of all hidden states and of the logits, row by row.
fn rows(exec: &mut Executor, batch: &Batch) -> Vec<Vec<u64>> {
    batch.feed(exec);
    exec.forward();
    let n = batch.extent().tokens;
    let mut rows = vec![Vec::new(); n];
    let graph = exec.graph().clone();
    for (name, _) in &graph.outputs {
        let values = exec.read_output(name).expect("the output is kept");
        for (row, values) in rows.iter_mut().zip(values.chunks(values.len() / n)) {
            row.extend(values.iter().map(|x| x.to_bits()));
        }
    }
    rows
}

#[test]
fn packed_sequences_have_the_bits_that_they_have_alone() {
    let lengths = [17, 1, 40, 13, 33];
    for spec in models() {
        let mut exec = inspecting(&spec, 2);
        let packed = rows(&mut exec, &Batch::of_lengths(&lengths, 0));
        let mut alone = Vec::new();
        for (s, &len) in lengths.iter().enumerate() {
            alone.extend(rows(&mut exec, &Batch::of_lengths(&[len], s)));
        }
        assert!(packed == alone, "{}", spec.family());
    }
}

#[test]
fn neighbours_change_no_bit() {
    for spec in models() {
        let mut exec = inspecting(&spec, 2);
        let alone = rows(&mut exec, &Batch::of_lengths(&[21], 3));
        for (lengths, place) in [
            ([21, 9, 40, 2], 0),
            ([5, 21, 1, 1], 1),
            ([40, 20, 7, 21], 3),
        ] {
            let packed = rows(&mut exec, &Batch::of_lengths(&lengths, 3 - place));
            let start: usize = lengths[..place].iter().sum();
            assert!(
                packed[start..start + 21] == alone,
                "{}: {lengths:?}",
                spec.family()
            );
        }
    }
}

/// A prefix of a sequence has the bits that it has within the whole.
#[test]
fn the_future_changes_no_bit() {
    for spec in models() {
        let mut exec = inspecting(&spec, 1);
        let whole = rows(&mut exec, &Batch::of_lengths(&[39], 7));
        for len in [1, 2, 16, 31, 38] {
            let prefix = rows(&mut exec, &Batch::of_lengths(&[len], 7));
            assert!(whole[..len] == prefix, "{}: {len}", spec.family());
        }
    }
}

/// A run of the generating graph: for each sequence its number, slot and the range of its tokens.
type Run = Vec<(usize, usize, Range<usize>)>;

fn generate(exec: &mut Executor, run: &Run) -> Vec<Vec<u64>> {
    let (mut ids, mut positions, mut bounds) = (vec![], vec![], vec![0]);
    for (s, _, range) in run {
        ids.extend(&sequence(*s, range.end)[range.clone()]);
        positions.extend(range.clone().map(|t| t as i32));
        bounds.push(ids.len() as i32);
    }
    let past: Vec<i32> = run.iter().map(|(_, _, range)| range.start as i32).collect();
    let slots: Vec<i32> = run.iter().map(|&(_, slot, _)| slot as i32).collect();
    let last: Vec<i32> = bounds[1..].iter().map(|b| b - 1).collect();
    exec.set_extent(Extent::new(ids.len(), run.len()));
    let all = [
        ("input_ids", ids),
        ("positions", positions),
        ("cu_seqlens", bounds),
        ("past", past),
        ("slots", slots),
        ("last_rows", last),
    ];
    for (name, values) in all {
        if exec.has_input(name) {
            exec.set_input(name, &values);
        }
    }
    exec.forward();
    let logits = exec.read_output("logits").expect("logits are an output");
    let bits: Vec<u64> = logits.iter().map(|x| x.to_bits()).collect();
    bits.chunks(bits.len() / run.len())
        .map(<[u64]>::to_vec)
        .collect()
}

/// Ways to run sequences 0 (38 tokens) and 1 (20) through slots of a cache.
fn schedules() -> Vec<Vec<Run>> {
    let token_by_token = (0..38).map(|t| vec![(0, 2, t..t + 1)]).collect();
    let chunks = [0, 7, 8, 24, 38]
        .windows(2)
        .map(|w| vec![(0, 0, w[0]..w[1])])
        .collect();
    let after_prompt = std::iter::once(vec![(0, 1, 0..30)])
        .chain((30..38).map(|t| vec![(0, 1, t..t + 1)]))
        .collect();
    let mut together: Vec<Vec<_>> = vec![vec![(1, 2, 0..5), (0, 0, 0..17)]];
    together.extend((0..15).map(|t| vec![(0, 0, 17 + t..18 + t), (1, 2, 5 + t..6 + t)]));
    let reused_slot = vec![vec![(1, 1, 0..20)], vec![(0, 1, 0..3)], vec![(0, 1, 3..21)]];
    vec![
        vec![vec![(0, 0, 0..38)]],
        token_by_token,
        chunks,
        after_prompt,
        together,
        reused_slot,
    ]
}

#[test]
fn generation_has_the_bits_of_the_full_run() {
    for spec in models() {
        let mut full = inspecting(&spec, 1);
        let width = spec.vocab_size();
        let mut reference = Vec::new();
        for (s, len) in [(0, 38), (1, 20)] {
            let mut all = rows(&mut full, &Batch::of_lengths(&[len], s));
            all.iter_mut()
                .for_each(|row| *row = row.split_off(row.len() - width));
            reference.push(all);
        }
        let cache = CacheOptions {
            slots: 3,
            capacity: 40,
        };
        let graph = spec.graph(&Outputs::generating(cache));
        for (i, schedule) in schedules().iter().enumerate() {
            let capacity = Extent::new(40, 3);
            let options = PlanOptions::inference(DType::F32, capacity);
            let mut exec = executor(graph.clone(), options, 1 + i % 3, Isa::detect());
            for run in schedule {
                for (logits, (s, _, range)) in generate(&mut exec, run).iter().zip(run) {
                    let same = *logits == reference[*s][range.end - 1];
                    assert!(
                        same,
                        "{}: schedule {i}, sequence {s} {range:?}",
                        spec.family()
                    );
                }
            }
        }
    }
}
