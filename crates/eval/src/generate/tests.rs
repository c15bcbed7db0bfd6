use std::sync::Arc;

use tenon_base::Kind;
use tenon_engine::PlanOptions;

use super::sampler::argmax;
use super::*;
use crate::fixture::{CONTEXT, device, models};

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

/// Greedy generation that runs the whole sequence again for each token, without a cache.
fn without_cache((spec, weights): &(Spec, Weights), prompt: &[u32], n: usize) -> Generated {
    let room = Extent {
        tokens: CONTEXT,
        seqs: 1,
    };
    let graph = Arc::new(spec.graph(&Outputs::inspecting(false)));
    let mut exec = Executor::new(graph, PlanOptions::inference(DType::F32, room), device(1));
    weights.write(&mut exec);
    let mut ids: Vec<i32> = prompt.iter().map(|&id| id as i32).collect();
    let (mut tokens, mut logprobs) = (Vec::new(), Vec::new());
    for _ in 0..n {
        exec.set_extent(Extent {
            tokens: ids.len(),
            seqs: 1,
        });
        exec.set_input("input_ids", &ids);
        exec.set_input("cu_seqlens", &[0, ids.len() as i32]);
        if exec.has_input("positions") {
            exec.set_input("positions", &(0..ids.len() as i32).collect::<Vec<_>>());
        }
        exec.forward();
        let logits = exec.read_output("logits").unwrap();
        let last = logits.chunks(spec.vocab_size()).next_back().unwrap();
        tokens.push(argmax(last));
        logprobs.push(log_prob(last, argmax(last)));
        ids.push(argmax(last) as i32);
    }
    Generated {
        tokens,
        reason: Reason::Length,
        logprobs: Some(logprobs),
    }
}

#[test]
fn the_cache_changes_no_bit() {
    for model in models(VOCAB) {
        let expected: Vec<Generated> = prompts()
            .iter()
            .map(|prompt| without_cache(&model, prompt, 12))
            .collect();
        let all = generator(&model, 5)
            .generate(&prompts(), &greedy(12), &mut go_on)
            .unwrap();
        assert_eq!(all, expected);
        let distinct: BTreeSet<&Vec<u32>> = all.iter().map(|g| &g.tokens).collect();
        assert!(
            distinct.len() > 1,
            "the model says the same whatever the prompt"
        );
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
fn an_end_of_text_id_is_the_last_token() {
    let model = models(VOCAB).remove(1);
    let mut generator = generator(&model, 5);
    let free = generator
        .generate(&prompts(), &greedy(15), &mut go_on)
        .unwrap();
    let eos = free[1].tokens[4];
    let settings = Sampling {
        eos_ids: vec![999, eos],
        ..greedy(15)
    };
    let ended = generator
        .generate(&prompts(), &settings, &mut go_on)
        .unwrap();
    for (ended, free) in ended.iter().zip(&free) {
        match free.tokens.iter().position(|&id| id == eos) {
            Some(at) => {
                assert_eq!(
                    (ended.reason, &ended.tokens[..]),
                    (Reason::Eos, &free.tokens[..=at])
                )
            }
            None => assert_eq!(ended, free),
        }
        assert_eq!(ended.logprobs.as_ref().unwrap().len(), ended.tokens.len());
    }
}

#[test]
fn a_stop_sequence_ends_at_its_last_token_and_ignores_the_prompt() {
    let model = models(VOCAB).remove(1);
    let mut generator = generator(&model, 1);
    let free = generator
        .generate(&prompts()[1..2], &greedy(15), &mut go_on)
        .unwrap();
    let last_of_prompt = *prompts()[1].last().unwrap();
    let settings = Sampling {
        stop: vec![
            vec![last_of_prompt, free[0].tokens[0]],
            free[0].tokens[2..4].to_vec(),
        ],
        ..greedy(15)
    };
    let ended = generator
        .generate(&prompts()[1..2], &settings, &mut go_on)
        .unwrap();
    let is_stop = |w: &[u32]| settings.stop.iter().any(|s| s == w);
    let at = free[0].tokens.windows(2).position(is_stop).unwrap() + 2;
    assert_eq!(ended[0].reason, Reason::Stopped);
    assert_eq!(ended[0].tokens, free[0].tokens[..at]);
}

#[test]
fn the_caller_sees_every_token_and_can_stop_one_or_all() {
    let model = models(VOCAB).remove(0);
    let mut generator = generator(&model, 2);
    let mut seen = vec![Vec::new(); 5];
    let mut watch = |i: usize, token: u32| {
        seen[i].push(token);
        match (i, seen[i].len()) {
            (1, 3) => Flow::Stop,
            (3, 2) => Flow::StopAll,
            _ => Flow::Continue,
        }
    };
    let all = generator
        .generate(&prompts(), &greedy(10), &mut watch)
        .unwrap();
    let tokens: Vec<&Vec<u32>> = all.iter().map(|g| &g.tokens).collect();
    assert_eq!(tokens, seen.iter().collect::<Vec<_>>());
    assert_eq!(
        tokens.iter().map(|t| t.len()).collect::<Vec<_>>()[..2],
        [10, 3]
    );
    let reasons: Vec<Reason> = all.iter().map(|g| g.reason).collect();
    assert_eq!(reasons[..2], [Reason::Length, Reason::Stopped]);
    assert_eq!(reasons[3..], [Reason::Stopped, Reason::Stopped]);
    assert_eq!((all[3].tokens.len(), all[4].tokens.len()), (2, 0));
}

#[test]
fn a_full_context_ends_a_sequence_and_says_so() {
    for (spec, weights) in models(VOCAB) {
        let mut generator = Generator::new(&spec, &weights, device(1), 2, 20).unwrap();
        let all = generator
            .generate(&prompts(), &greedy(15), &mut go_on)
            .unwrap();
        let ends: Vec<_> = all.iter().map(|g| (g.tokens.len(), g.reason)).collect();
        let length = (15, Reason::Length);
        let full = |n| (n, Reason::ContextFull);
        assert_eq!(ends, [length, full(11), length, full(0), length]);
        assert_eq!(generator.capacity(), 20);
    }
}

#[track_caller]
fn refuses(result: Result<impl Sized>, kind: Kind, message: &str) {
    let error = result.err().expect("accepted");
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.message().contains(message), "{error}");
}

#[test]
fn prompts_that_cannot_run_are_refused() {
    let model = models(VOCAB).remove(0);
    let mut generator = generator(&model, 2);
    let mut run = |prompt: Vec<u32>| generator.generate(&[vec![1], prompt], &greedy(3), &mut go_on);
    refuses(run(vec![]), Kind::Usage, "the prompt has no token");
    refuses(
        run(vec![1; 49]),
        Kind::Usage,
        "49 tokens, the context has room for 48",
    );
    refuses(run(vec![61]), Kind::Data, "token id 61 is outside");
    assert_eq!(run(vec![]).err().unwrap().place(), Some("prompt 1"));
    assert_eq!(generator.generate(&[], &greedy(3), &mut go_on).unwrap(), []);
}

#[test]
fn rooms_that_cannot_be_are_refused() {
    let (spec, weights) = models(VOCAB).remove(2);
    let room = |slots, capacity| Generator::new(&spec, &weights, device(1), slots, capacity);
    refuses(room(0, 5), Kind::Usage, "must be at least 1");
    refuses(room(5, 0), Kind::Usage, "must be at least 1");
    refuses(room(1, 49), Kind::Usage, "the model's context has 48");
    let other = models(VOCAB).remove(0).1;
    refuses(
        Generator::new(&spec, &other, device(1), 1, 4),
        Kind::Data,
        "tensor",
    );
}

#[test]
fn a_model_that_gives_nan_is_judged_bad() {
    let (spec, mut weights) = models(VOCAB).remove(0);
    let head = weights.tensors.last_mut().unwrap();
    head.bytes[..4].copy_from_slice(&f32::NAN.to_le_bytes());
    let mut generator = Generator::new(&spec, &weights, device(1), 2, 9).unwrap();
    for settings in [greedy(3), drawn(3)] {
        let result = generator.generate(&[vec![1, 2]], &settings, &mut go_on);
        refuses(result, Kind::Judged, "the logit of token 0 is NaN");
    }
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
