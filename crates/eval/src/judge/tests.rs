use std::sync::Arc;

use proptest::prelude::*;
use tenon_data::batch::{Borders, LoaderSpec, Tokens};
use tenon_data::vocab::ByteTokenizer;
use tenon_engine::{DType, PlanOptions};

use super::*;
use crate::fixture::{CONTEXT, device, models};
use crate::generate::sampler::{argmax, log_prob};

const VOCAB: usize = 257;
const TEXT: &str = "the quick brown fox jumps over the lazy dog, twice";

fn tokens(documents: &[Vec<u32>]) -> Arc<Tokens> {
    let mut tokens = Tokens::new(&ByteTokenizer);
    for document in documents {
        tokens.push(document, 0, document.len() as u64).unwrap();
    }
    Arc::new(tokens)
}

fn documents() -> Vec<Vec<u32>> {
    let texts = [TEXT, "short", "äöü ß", "ab", &TEXT[10..30], &TEXT[5..20]];
    let ids = |text: &str| text.bytes().map(u32::from).chain([256]).collect();
    texts.map(ids).into()
}

fn one_per_row(batch_size: usize) -> LoaderSpec {
    LoaderSpec {
        layout: Layout::OnePerRow,
        length_max: 20,
        batch_size,
        order: Order::InOrder,
        partial: Partial::Keep,
    }
}

fn packed(sight: Sight, batch_size: usize) -> LoaderSpec {
    let borders = Borders::Fixed;
    LoaderSpec {
        layout: Layout::Packed { sight, borders },
        length_max: 13,
        ..one_per_row(batch_size)
    }
}

fn loader(spec: LoaderSpec) -> Loader {
    Loader::new(tokens(&documents()), spec).unwrap()
}

fn go_on(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn judged(spec: &Spec, weights: &Weights, mut loader: Loader, threads: usize) -> Judged {
    let mut exec = executor(spec, weights, &loader, device(threads)).unwrap();
    judge(&mut exec, &mut loader, None, &mut go_on).unwrap()
}

/// The logits of each row of a batch, from a graph that shows everything.
fn logits(spec: &Spec, weights: &Weights, batch: &Batch) -> Vec<Vec<f64>> {
    let extent = Extent::new(batch.ids.len(), batch.n_seqs());
    let outputs = Outputs::inspecting(false);
    let mut exec = subject::executor(spec, &outputs, weights, extent, device(1)).unwrap();
    feed(&mut exec, &batch.ids, &batch.positions, &batch.cu_seqlens);
    exec.forward();
    let logits = exec.read_output("logits").unwrap();
    logits
        .chunks(spec.vocab_size())
        .map(<[f64]>::to_vec)
        .collect()
}

/// Rows of every batch of one epoch.
fn epoch(mut loader: Loader) -> Vec<Batch> {
    let mut batches = vec![Batch::default(); loader.n_batches()];
    batches.iter_mut().for_each(|batch| loader.next(batch));
    batches
}

#[test]
fn sums_are_those_of_the_logits() {
    for (spec, weights) in models(VOCAB) {
        for how in [
            one_per_row(4),
            packed(Sight::Block, 3),
            packed(Sight::Document, 3),
        ] {
            let (mut nats, mut n, mut top1, mut top5, mut n_bytes) = (0.0, 0, 0, 0, 0);
            for batch in epoch(loader(how)) {
                for (row, &target) in logits(&spec, &weights, &batch).iter().zip(&batch.targets) {
                    let Ok(target) = u32::try_from(target) else {
                        continue;
                    };
                    nats -= log_prob(row, target);
                    n += 1;
                    top1 += usize::from(argmax(row) == target);
                    let mine = (row[target as usize], std::cmp::Reverse(target));
                    let others = (0..).zip(row).map(|(id, x)| (*x, std::cmp::Reverse(id)));
                    top5 += usize::from(others.filter(|other| *other > mine).count() < 5);
                    n_bytes += u64::from(target < 256);
                }
            }
            let judged = judged(&spec, &weights, loader(how), 2);
            assert_eq!(judged.n_tokens(), n);
            assert!((judged.total_nats() / nats - 1.0).abs() < 1e-5, "{how:?}");
            assert_eq!(judged.loss(), judged.total_nats() / n as f64);
            assert_eq!(judged.top1_accuracy(), top1 as f64 / n as f64);
            assert_eq!(judged.top5_accuracy(), top5 as f64 / n as f64);
            assert_eq!(judged.n_bytes(), n_bytes);
            let bits = judged.bits_per_byte().unwrap();
            assert!((bits * n_bytes as f64 * 2f64.ln() / nats - 1.0).abs() < 1e-5);
            assert!((judged.perplexity().ln() - judged.loss()).abs() < 1e-12);
        }
    }
}

/// Losses of single tokens: of a batch in which one target counts, the sum is that target's loss.
fn token_losses(exec: &mut Executor, batches: &[Batch]) -> Vec<u64> {
    let mut losses = Vec::new();
    for batch in batches {
        for row in (0..batch.ids.len()).filter(|&row| batch.targets[row] >= 0) {
            let mut one = batch.clone();
            one.targets.fill(tenon_data::batch::NOT_COUNTED);
            one.targets[row] = batch.targets[row];
            set_batch(exec, &one);
            exec.forward();
            assert_eq!(exec.loss().tokens, 1);
            losses.push(exec.loss().total.to_bits());
        }
    }
    losses
}

#[test]
fn batch_size_and_threads_change_no_bit_of_a_tokens_loss() {
    for (spec, weights) in models(VOCAB) {
        for how in [one_per_row, |n| packed(Sight::Document, n)] {
            let of = |batch_size: usize, threads: usize| {
                let loader = loader(how(batch_size));
                let mut exec = executor(&spec, &weights, &loader, device(threads)).unwrap();
                token_losses(&mut exec, &epoch(loader))
            };
            let alone = of(1, 1);
            assert!(alone.len() > 60);
            for (batch_size, threads) in [(2, 1), (6, 1), (6, 2), (3, 3)] {
                assert_eq!(of(batch_size, threads), alone, "{batch_size}, {threads}");
            }
        }
    }
}

#[test]
fn judging_again_gives_the_same_verdict_wherever_the_loader_stood() {
    let (spec, weights) = models(VOCAB).remove(1);
    let mut loader = loader(one_per_row(2));
    let mut exec = executor(&spec, &weights, &loader, device(2)).unwrap();
    let first = judge(&mut exec, &mut loader, None, &mut go_on).unwrap();
    loader.next(&mut Batch::default());
    assert_eq!(
        judge(&mut exec, &mut loader, None, &mut go_on).unwrap(),
        first
    );
    let part = judge(&mut exec, &mut loader, Some(1), &mut go_on).unwrap();
    assert!(part.n_tokens() < first.n_tokens());
    let more = judge(&mut exec, &mut loader, Some(99), &mut go_on).unwrap();
    assert_eq!(more, first);
}

#[test]
fn an_executor_that_trains_judges_with_its_second_graph() {
    let (spec, weights) = models(VOCAB).remove(0);
    let mut loader = loader(one_per_row(2));
    let room = capacity(&loader);
    let graph = |outputs: Outputs| Arc::new(spec.graph(&outputs));
    let training = Outputs::training(tenon_models::net::LossOptions::PLAIN, 0.1);
    let graphs = vec![
        (graph(training), PlanOptions::training(DType::F32, room, 2)),
        (
            graph(Outputs::judging()),
            PlanOptions::inference(DType::F32, room),
        ),
    ];
    let mut exec = Executor::with_programs(graphs, device(1));
    weights.write(&mut exec);
    exec.activate(1);
    let judged = judge(&mut exec, &mut loader, None, &mut go_on).unwrap();
    assert_eq!(judged, self::judged(&spec, &weights, loader, 1));
}

#[test]
fn progress_counts_up_to_the_verdict_and_can_end_it() {
    let (spec, weights) = models(VOCAB).remove(2);
    let mut loader = loader(one_per_row(2));
    let mut exec = executor(&spec, &weights, &loader, device(1)).unwrap();
    let mut seen = Vec::new();
    let mut watch = |progress: Progress| {
        seen.push(progress);
        ControlFlow::Continue(())
    };
    let judged = judge(&mut exec, &mut loader, None, &mut watch).unwrap();
    assert_eq!(seen.iter().map(|p| p.n_done).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(seen.iter().all(|p| p.n_batches == 3));
    assert_eq!(seen[2].loss.total, judged.total_nats());
    let mut stop = |_| ControlFlow::Break(());
    let error = judge(&mut exec, &mut loader, None, &mut stop).unwrap_err();
    assert_eq!(error.kind(), Kind::Interrupted);
}

#[track_caller]
fn refuses(result: Result<impl Sized>, kind: Kind, message: &str) {
    let error = result.err().expect("accepted");
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.message().contains(message), "{error}");
}

#[test]
fn a_split_without_a_counted_token_has_no_verdict() {
    let (spec, weights) = models(VOCAB).remove(0);
    let mut documents = Tokens::new(&ByteTokenizer);
    documents.push(&[1, 2, 3, 4, 5, 6], 5, 6).unwrap();
    let how = LoaderSpec {
        length_max: 2,
        ..packed(Sight::Block, 1)
    };
    let mut loader = Loader::new(Arc::new(documents), how).unwrap();
    let mut exec = executor(&spec, &weights, &loader, device(1)).unwrap();
    let verdict = judge(&mut exec, &mut loader, Some(2), &mut go_on);
    refuses(verdict, Kind::Data, "no token counts in 2 batches");
    let verdict = judge(&mut exec, &mut loader, Some(0), &mut go_on);
    refuses(verdict, Kind::Data, "no token counts in 0 batches");
    assert_eq!(
        judge(&mut exec, &mut loader, None, &mut go_on)
            .unwrap()
            .n_tokens(),
        1
    );
}

#[test]
fn eos_alone_stands_for_no_text() {
    let (spec, weights) = models(VOCAB).remove(0);
    let loader = Loader::new(tokens(&[vec![65, 256]]), one_per_row(1)).unwrap();
    let judged = judged(&spec, &weights, loader, 1);
    assert_eq!((judged.n_tokens(), judged.bits_per_byte()), (1, None));
}

#[test]
fn shuffled_or_partial_loaders_are_refused() {
    let (spec, weights) = models(VOCAB).remove(0);
    let mut exec = executor(&spec, &weights, &loader(one_per_row(2)), device(1)).unwrap();
    let mut verdict = |how| judge(&mut exec, &mut loader(how), None, &mut go_on);
    let shuffled = LoaderSpec {
        order: Order::Shuffled { seed: 1 },
        ..one_per_row(2)
    };
    refuses(verdict(shuffled), Kind::Usage, "every token once");
    let partial = LoaderSpec {
        partial: Partial::Drop,
        ..one_per_row(2)
    };
    refuses(verdict(partial), Kind::Usage, "every token once");
    refuses(verdict(one_per_row(3)), Kind::Usage, "room for 40 in 2");
}

#[test]
fn ids_outside_the_vocabulary_are_refused() {
    let (spec, weights) = models(100).remove(0);
    let mut loader = loader(one_per_row(2));
    let mut exec = executor(&spec, &weights, &loader, device(1)).unwrap();
    let verdict = judge(&mut exec, &mut loader, None, &mut go_on);
    refuses(
        verdict,
        Kind::Data,
        "token id 256 is outside a vocabulary of 100",
    );
}

#[test]
fn sequences_beyond_the_context_are_refused() {
    let (spec, weights) = models(VOCAB).remove(2);
    let long = LoaderSpec {
        length_max: CONTEXT + 1,
        ..one_per_row(2)
    };
    let result = executor(&spec, &weights, &loader(long), device(1));
    refuses(
        result,
        Kind::Usage,
        "sequences of 49 tokens, the model's context has 48",
    );
}

#[test]
fn weights_of_another_model_are_refused() {
    let all = models(VOCAB);
    let loader = loader(one_per_row(2));
    let other = |weights| executor(&all[0].0, weights, &loader, device(1));
    refuses(other(&all[1].1), Kind::Data, "tensors of weights");
    let mut renamed = all[0].1.clone();
    renamed.tensors[3].name = "x".into();
    refuses(other(&renamed), Kind::Data, "tensor `x`");
    let mut short = all[0].1.clone();
    short.tensors[3].bytes.to_mut().pop();
    refuses(other(&short), Kind::Data, "bytes");
}

#[test]
fn a_model_that_gives_nan_is_judged_bad_and_not_praised() {
    let (spec, mut weights) = models(VOCAB).remove(0);
    let head = weights.tensors.last_mut().unwrap();
    head.bytes[..4].copy_from_slice(&f32::NAN.to_le_bytes());
    let mut loader = loader(one_per_row(2));
    let mut exec = executor(&spec, &weights, &loader, device(1)).unwrap();
    let verdict = judge(&mut exec, &mut loader, None, &mut go_on);
    refuses(verdict, Kind::Judged, "the loss is NaN");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn shares_are_shares(
        documents in prop::collection::vec(prop::collection::vec(0u32..257, 2..30), 1..8),
        batch_size in 1usize..5,
        family in 0usize..3,
    ) {
        let (spec, weights) = models(VOCAB).remove(family);
        let loader = Loader::new(tokens(&documents), one_per_row(batch_size)).unwrap();
        let judged = judged(&spec, &weights, loader, 1);
        let n: usize = documents.iter().map(|d| d.len().min(20) - 1).sum();
        prop_assert_eq!(judged.n_tokens(), n);
        let (top1, top5) = (judged.top1_accuracy(), judged.top5_accuracy());
        prop_assert!(0.0 <= top1 && top1 <= top5 && top5 <= 1.0);
        prop_assert!(judged.loss() > 0.0 && judged.perplexity() > 1.0);
        prop_assert!(judged.bits_per_byte().is_none_or(|bits| bits > 0.0));
    }
}
