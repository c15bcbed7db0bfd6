//! Why sequences end, and what is refused before any begins.

use tenon_base::Kind;

use super::*;

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
