use std::collections::BTreeSet;
use std::sync::Arc;

use tenon_engine::PlanOptions;

use super::sampler::argmax;
use super::*;
use crate::fixture::{CONTEXT, device, models};

mod ends;

const VOCAB: usize = 61;

fn prompts() -> Vec<Vec<u32>> {
    let prompt = |n: u32, step: u32| (0..n).map(|i| (i * step + n) % VOCAB as u32).collect();
    vec![
        prompt(1, 1),
        prompt(9, 7),
        prompt(3, 5),
        prompt(20, 11),
        prompt(2, 3),
    ]
}

fn go_on(_: usize, _: u32) -> Flow {
    Flow::Continue
}

fn greedy(n: usize) -> Sampling {
    Sampling {
        logprobs: true,
        ..Sampling::greedy(n)
    }
}

fn drawn(n: usize) -> Sampling {
    Sampling {
        temperature: 0.9,
        top_k: 20,
        top_p: 0.95,
        repetition_penalty: 1.2,
        logprobs: true,
        ..Sampling::drawn(n, 42)
    }
}

fn generator(model: &(Spec, Weights), slots: usize) -> Generator {
    Generator::new(&model.0, &model.1, device(1), slots, CONTEXT).unwrap()
}

/// Logits after each sequence, each run as a whole, without a cache.
fn logits_after((spec, weights): &(Spec, Weights), sequences: &[Vec<u32>]) -> Vec<Vec<f64>> {
    let room = Extent::new(CONTEXT, 1);
    let graph = Arc::new(spec.graph(&Outputs::inspecting(false)));
    let mut exec = Executor::new(graph, PlanOptions::inference(DType::F32, room), device(1));
    weights.write(&mut exec);
    let mut run = |sequence: &Vec<u32>| {
        let ids: Vec<i32> = sequence.iter().map(|&id| id as i32).collect();
        let positions: Vec<i32> = (0..ids.len() as i32).collect();
        feed(&mut exec, &ids, &positions, &[0, ids.len() as i32]);
        exec.forward();
        let logits = exec.read_output("logits").unwrap();
        logits
            .chunks(spec.vocab_size())
            .next_back()
            .unwrap()
            .to_vec()
    };
    sequences.iter().map(&mut run).collect()
}

/// The beginnings of prompt and new tokens after which each new token came.
fn beginnings(prompt: &[u32], generated: &Generated) -> Vec<Vec<u32>> {
    let beginning = |n: usize| [prompt, &generated.tokens[..n]].concat();
    (0..generated.tokens.len()).map(beginning).collect()
}

#[test]
fn the_cache_changes_no_bit() {
    for model in models(VOCAB) {
        let all = generator(&model, 5)
            .generate(&prompts(), &greedy(12), &mut go_on)
            .unwrap();
        for (prompt, generated) in prompts().iter().zip(&all) {
            let logits = logits_after(&model, &beginnings(prompt, generated));
            let tokens: Vec<u32> = logits.iter().map(|row| argmax(row)).collect();
            assert_eq!(generated.tokens, tokens);
            let pairs = logits.iter().zip(&tokens);
            let logprobs: Vec<f64> = pairs.map(|(row, id)| log_prob(row, *id)).collect();
            assert_eq!(generated.logprobs.as_ref(), Some(&logprobs));
            assert_eq!(
                (generated.tokens.len(), generated.reason),
                (12, Reason::Length)
            );
        }
        let distinct: BTreeSet<&Vec<u32>> = all.iter().map(|g| &g.tokens).collect();
        assert!(
            distinct.len() > 1,
            "the model says the same whatever the prompt"
        );
    }
}

#[test]
fn penalty_and_filters_do_not_touch_log_probabilities() {
    let model = models(VOCAB).remove(1);
    let settings = Sampling {
        repetition_penalty: 3.0,
        ..drawn(12)
    };
    let all = generator(&model, 5)
        .generate(&prompts(), &settings, &mut go_on)
        .unwrap();
    for (prompt, generated) in prompts().iter().zip(&all) {
        let logits = logits_after(&model, &beginnings(prompt, generated));
        let pairs = logits.iter().zip(&generated.tokens);
        let logprobs: Vec<f64> = pairs.map(|(row, id)| log_prob(row, *id)).collect();
        assert_eq!(generated.logprobs.as_ref(), Some(&logprobs));
    }
    let free = drawn(12);
    assert_ne!(
        generator(&model, 5)
            .generate(&prompts(), &free, &mut go_on)
            .unwrap(),
        all
    );
}

/// A penalty that no logit outweighs: no token of the prompt or of the new ones comes again while
/// others are left.
#[test]
fn a_huge_penalty_forbids_what_the_sequence_holds() {
    for model in models(VOCAB) {
        let settings = Sampling {
            repetition_penalty: 1e30,
            ..Sampling::greedy(15)
        };
        let all = generator(&model, 2)
            .generate(&prompts(), &settings, &mut go_on)
            .unwrap();
        for (prompt, generated) in prompts().iter().zip(&all) {
            let mut held: BTreeSet<u32> = prompt.iter().copied().collect();
            let n_new = generated
                .tokens
                .iter()
                .filter(|id| held.insert(**id))
                .count();
            assert_eq!(n_new, 15);
        }
    }
}

#[test]
fn prompts_together_write_what_each_writes_alone() {
    for model in models(VOCAB) {
        let mut single = generator(&model, 1);
        let mut alone = Vec::new();
        for prompt in prompts() {
            alone.extend(single.generate(&[prompt], &greedy(15), &mut go_on).unwrap());
        }
        // Fewer slots than prompts, chunks of one token and more, and more threads than rows.
        for (slots, rows, threads) in [(1, 512, 1), (2, 3, 1), (3, 3, 2), (5, 5, 3), (5, 512, 2)] {
            let (spec, weights) = &model;
            let device = device(threads);
            let mut generator =
                Generator::with_rows(spec, weights, device, slots, CONTEXT, rows).unwrap();
            let together = generator
                .generate(&prompts(), &greedy(15), &mut go_on)
                .unwrap();
            assert_eq!(
                together, alone,
                "{slots} slots, {rows} rows, {threads} threads"
            );
        }
    }
}

#[test]
fn what_is_drawn_does_not_depend_on_neighbours() {
    for model in models(VOCAB) {
        let mut all = prompts();
        let together = generator(&model, 3)
            .generate(&all, &drawn(15), &mut go_on)
            .unwrap();
        for i in [0, 1, 2, 4] {
            all[i] = vec![i as u32; 2 * i + 1];
        }
        let others = generator(&model, 5)
            .generate(&all, &drawn(15), &mut go_on)
            .unwrap();
        assert_eq!(together[3], others[3]);
        assert_ne!(together[1], others[1]);
    }
}

#[test]
fn equal_prompts_are_drawn_independently_and_equal_seeds_repeat() {
    let model = models(VOCAB).remove(0);
    let mut generator = generator(&model, 4);
    let prompts = vec![vec![1, 2, 3]; 4];
    let first = generator
        .generate(&prompts, &drawn(15), &mut go_on)
        .unwrap();
    let texts: BTreeSet<&Vec<u32>> = first.iter().map(|g| &g.tokens).collect();
    assert_eq!(texts.len(), 4);
    let again = generator
        .generate(&prompts, &drawn(15), &mut go_on)
        .unwrap();
    assert_eq!(first, again);
    let seed = Sampling {
        seed: 43,
        ..drawn(15)
    };
    assert_ne!(
        generator.generate(&prompts, &seed, &mut go_on).unwrap(),
        first
    );
}

#[test]
fn temperature_0_and_top_k_1_are_greedy() {
    let model = models(VOCAB).remove(2);
    let mut generator = generator(&model, 5);
    let mut tokens = |settings| {
        let all = generator
            .generate(&prompts(), &settings, &mut go_on)
            .unwrap();
        all.into_iter().map(|g| g.tokens).collect::<Vec<_>>()
    };
    let expected = tokens(Sampling::greedy(9));
    let drawn = Sampling::drawn(9, 5);
    assert_ne!(tokens(drawn.clone()), expected);
    let cold = Sampling {
        temperature: 0.0,
        ..drawn.clone()
    };
    assert_eq!(tokens(cold), expected);
    let one = Sampling {
        top_k: 1,
        ..drawn.clone()
    };
    assert_eq!(tokens(one), expected);
    let none = Sampling {
        top_p: 0.0,
        ..drawn
    };
    assert_eq!(tokens(none), expected);
}

#[test]
fn f64_models_generate_too() {
    let (spec, _) = models(VOCAB).remove(2);
    let graph = spec.graph(&Outputs::inspecting(false));
    let of = |dtype| {
        let weights = Weights::init(&graph, dtype, 7);
        let mut generator = Generator::new(&spec, &weights, device(1), 3, CONTEXT).unwrap();
        generator
            .generate(&prompts(), &greedy(6), &mut go_on)
            .unwrap()
    };
    let (wide, narrow) = (of(DType::F64), of(DType::F32));
    for (wide, narrow) in wide.iter().zip(&narrow) {
        assert_eq!(wide.tokens, narrow.tokens);
        let pairs = wide
            .logprobs
            .iter()
            .flatten()
            .zip(narrow.logprobs.iter().flatten());
        assert!(pairs.into_iter().all(|(a, b)| (a - b).abs() < 1e-4));
    }
}
