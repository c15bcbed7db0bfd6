//! What users of `custom_transformer` relied on: shapes, losses, training steps, generation, and
//! checkpoints of a small f32 model (vocabulary 100, context 32, 2 blocks, 2 heads, width 32,
//! feed-forward width 64).

use std::path::Path;

use tenon::{CustomSpec, Model, Sampling, Spec, StepReport};
use tenon_base::files::RealDisk;
use tenon_base::rng::{Key, Stream};
use tenon_eval::Reason;
use tenon_models::checkpoint::Checkpoint;

const VOCAB: usize = 100;
const CONTEXT: usize = 32;
const WIDTH: usize = 32;
const BATCH: usize = 4;
const LENGTH: usize = 16;
/// The last position of each row predicts nothing.
const N_COUNTED: usize = BATCH * (LENGTH - 1);

fn spec() -> Spec {
    Spec::Custom(CustomSpec {
        vocab_size: VOCAB,
        max_seq_len: CONTEXT,
        n_blocks: 2,
        n_heads: 2,
        d_model: WIDTH,
        d_ffn: 64,
    })
}

fn fresh() -> Model {
    Model::new(spec(), 1).unwrap()
}

/// 4 rows of 16 random ids.
fn ids() -> Vec<Vec<u32>> {
    let mut rng = Key::new(5, Stream::Corpus).at(0, 0);
    let mut row = || {
        (0..LENGTH)
            .map(|_| rng.below(VOCAB as u64) as u32)
            .collect()
    };
    (0..BATCH).map(|_| row()).collect()
}

/// Labels equal to the ids; the model shifts them.
fn labels() -> Vec<Vec<i32>> {
    let rows = ids().into_iter();
    rows.map(|row| row.into_iter().map(|id| id as i32).collect())
        .collect()
}

fn loss(model: &mut Model) -> f64 {
    let shown = model.forward_with_labels(&ids(), &labels()).unwrap();
    shown.loss.unwrap()
}

fn step(model: &mut Model, learning_rate: f64) -> StepReport {
    model.train_step(&ids(), &labels(), learning_rate).unwrap()
}

fn logits(model: &mut Model) -> Vec<f64> {
    model.forward(&ids()).unwrap().logits
}

#[test]
fn test_forward_pass() {
    let shown = fresh().forward(&ids()).unwrap();
    assert_eq!(shown.logits.len(), BATCH * LENGTH * VOCAB);
    assert_eq!((shown.vocab_size, shown.loss), (VOCAB, None));
    assert!(shown.logits.iter().all(|x| x.is_finite()));
    let least = shown.logits.iter().copied().fold(f64::INFINITY, f64::min);
    let most = shown.logits.iter().copied().fold(-f64::INFINITY, f64::max);
    assert!(least < -0.5 && most > 0.5, "{least} to {most}");
}

#[test]
fn test_forward_with_labels() {
    let shown = fresh().forward_with_labels(&ids(), &labels()).unwrap();
    let mut total = 0.0;
    for (row, labels) in shown.logits.chunks(LENGTH * VOCAB).zip(labels()) {
        for (logits, &label) in row.chunks(VOCAB).zip(&labels[1..]) {
            total += logits.iter().map(|x| x.exp()).sum::<f64>().ln() - logits[label as usize];
        }
    }
    let expected = total / N_COUNTED as f64;
    let loss = shown.loss.unwrap();
    assert!(loss > 0.0);
    assert!((loss / expected - 1.0).abs() < 1e-6, "{loss}, {expected}");
}

#[test]
fn test_train_step() {
    let mut model = fresh();
    let before = logits(&mut model);
    let first = loss(&mut model);
    let report = step(&mut model, 0.001);
    assert_eq!((report.loss, report.tokens), (first, N_COUNTED));
    assert!(report.grad_norm_before_clip > 0.0);
    assert!(report.grad_norm <= 1.0 + 1e-9);
    assert!(report.grad_norm <= report.grad_norm_before_clip);
    let after = logits(&mut model);
    assert!(before.iter().zip(&after).any(|(a, b)| (a - b).abs() > 1e-6));
    assert!(loss(&mut model) < first);
}

#[test]
fn test_no_nan_gradients() {
    let gradients = fresh().gradients(&ids(), &labels()).unwrap();
    let all = fresh().weights();
    assert_eq!(gradients.len(), all.tensors.len());
    for ((name, gradient), weight) in gradients.iter().zip(&all.tensors) {
        assert_eq!(name, &weight.name);
        let fine = |g: &f64| g.is_finite() && g.abs() < 1e6;
        assert!(gradient.iter().all(fine), "{name}");
        assert!(gradient.iter().any(|g| *g != 0.0), "{name} is zero");
    }
}

/// The rows of a table that have a gradient.
fn reached_rows(gradients: &[(String, Vec<f64>)], rows: usize) -> Vec<bool> {
    let mut tables = gradients.iter().filter(|(name, _)| name.contains("embed"));
    let table = tables.find(|(_, gradient)| gradient.len() == rows * WIDTH);
    let (_, gradient) = table.expect("a table of embeddings");
    let reached = |row: &[f64]| row.iter().any(|g| *g != 0.0);
    gradient.chunks(WIDTH).map(reached).collect()
}

/// Nothing follows the last token of a row, so only positions 0 to 14 reach the loss.
#[test]
fn test_embedding_gradients_reach_exactly_the_tokens_that_predict() {
    let gradients = fresh().gradients(&ids(), &labels()).unwrap();
    let ids = ids();
    let predicts = |id: u32| ids.iter().any(|row| row[..LENGTH - 1].contains(&id));
    let expected: Vec<bool> = (0..VOCAB as u32).map(predicts).collect();
    assert_eq!(reached_rows(&gradients, VOCAB), expected);
    let expected: Vec<bool> = (0..CONTEXT).map(|position| position < LENGTH - 1).collect();
    assert_eq!(reached_rows(&gradients, CONTEXT), expected);
}

/// 50 steps of SGD with the gradient clipped to norm 1 halve the loss at learning rate 0.1.
///
/// At 0.01 they cannot: a clipped step moves the parameters by at most 0.01, along which the loss
/// falls by about 0.01 times the norm of the gradient. That norm is below 2, which makes less than
/// 1 nat in 50 steps, while half of the first loss is more than 2.
#[test]
fn test_loss_decreases_on_fixed_batch() {
    let run = |learning_rate: f64| {
        let mut model = fresh();
        let steps: Vec<StepReport> = (0..50).map(|_| step(&mut model, learning_rate)).collect();
        (steps, loss(&mut model))
    };
    let (steps, last) = run(0.1);
    assert!(last < 0.5 * steps[0].loss, "{} to {last}", steps[0].loss);
    let (steps, last) = run(0.01);
    let first = steps[0].loss;
    let reachable: f64 = steps.iter().map(|s| 0.01 * s.grad_norm_before_clip).sum();
    assert!(reachable < 0.5 * first, "{reachable} of {first}");
    assert!(last < first && last > 0.5 * first, "{first} to {last}");
}

#[test]
fn test_generate() {
    let sampling = Sampling {
        top_k: 50,
        ..Sampling::drawn(15, 0)
    };
    let mut model = fresh();
    let generated = model.generate(&[1, 2, 3, 4, 5], &sampling).unwrap();
    let length = 5 + generated.tokens.len();
    assert!(length > 5 && length <= 20, "{length} tokens");
    assert_eq!(generated.reason, Reason::Length);
    assert!(generated.tokens.iter().all(|id| (*id as usize) < VOCAB));
    let again = model.generate(&[1, 2, 3, 4, 5], &sampling).unwrap();
    assert_eq!(again, generated);
    let full = model.generate(&[1, 2], &Sampling::greedy(1000)).unwrap();
    assert_eq!(full.reason, Reason::ContextFull);
    assert_eq!(full.tokens.len(), CONTEXT - 2);
}

#[test]
fn test_model_info() {
    let info = fresh().info();
    let (v, s, l, d, f) = (VOCAB, CONTEXT, 2, WIDTH, 64);
    let n_params = v * d + s * d + l * (4 * d * d + 2 * d * f + 4 * d) + d * v;
    assert_eq!(info.n_params, n_params);
    assert_eq!(
        (info.family, info.vocab_size, info.context_len),
        ("custom", v, s)
    );
    assert_eq!(info.spec, spec());
}

#[test]
fn test_checkpoint_round_trip() {
    let mut model = fresh();
    step(&mut model, 0.1);
    let folder = tempfile::tempdir().unwrap();
    model.save(folder.path()).unwrap();
    let checkpoint = Checkpoint::open(&RealDisk, folder.path()).unwrap();
    let names: Vec<&str> = checkpoint.names().collect();
    let expected = "K Q V W1 W2 W_o attention_beta attention_gamma ffn_beta ffn_gamma \
                    output_projection pos_embedding vocab_embedding";
    assert_eq!(names.join(" "), expected);
    let mut loaded = Model::load(folder.path()).unwrap();
    assert_eq!(loaded.weights(), model.weights());
    assert_eq!(logits(&mut loaded), logits(&mut model));
    assert_ne!(logits(&mut loaded), logits(&mut fresh()));
    // Training goes on to the same bits.
    assert_eq!(step(&mut loaded, 0.1), step(&mut model, 0.1));
    assert_eq!(loaded.weights(), model.weights());
}

#[test]
fn test_from_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    fresh().save(folder.path()).unwrap();
    let mut read = Model::load(folder.path()).unwrap();
    assert_eq!(read.info(), fresh().info());
    assert!(read.tokenizer().is_none());
    let greedy = Sampling::greedy(10);
    assert_eq!(
        read.generate(&[1, 2, 3], &greedy).unwrap(),
        fresh().generate(&[1, 2, 3], &greedy).unwrap()
    );
}

#[test]
fn rows_do_not_see_their_neighbours_nor_how_large_the_batch_was_before() {
    let mut model = fresh();
    let alone: Vec<f64> = ids()
        .into_iter()
        .flat_map(|row| model.forward(&[row]).unwrap().logits)
        .collect();
    assert_eq!(alone, logits(&mut model));
    let short = vec![vec![7], vec![8, 9]];
    let shown = model.forward(&short).unwrap().logits;
    assert_eq!(shown, fresh().forward(&short).unwrap().logits);
}

#[test]
fn batches_that_make_no_sense_are_refused_and_change_nothing() {
    let mut model = fresh();
    let before = model.weights();
    let mut refused = |ids: Vec<Vec<u32>>, labels: Vec<Vec<i32>>, words: &str| {
        let error = model.train_step(&ids, &labels, 0.1).expect_err(words);
        assert!(error.to_string().contains(words), "{error}");
    };
    refused(vec![], vec![], "the batch has no sequence");
    refused(vec![vec![]], vec![vec![]], "a sequence of 0 tokens");
    let long = vec![vec![0; CONTEXT + 1]];
    refused(long, vec![vec![0; CONTEXT + 1]], "the model takes 1 to 32");
    refused(vec![vec![1, 100]], vec![vec![1, 2]], "100");
    refused(vec![vec![1, 2]], vec![vec![1, 100]], "label 100");
    refused(vec![vec![1, 2]], vec![vec![1, -1]], "label -1");
    refused(vec![vec![1, 2]], vec![vec![1]], "1 labels for 2 tokens");
    refused(vec![vec![1, 2]], vec![], "labels of 0 rows");
    refused(vec![vec![1, 2]], vec![vec![1, -100]], "no label counts");
    for rate in [-1.0, f64::NAN, f64::INFINITY] {
        let error = model.train_step(&ids(), &labels(), rate).unwrap_err();
        assert!(error.to_string().contains("learning rate"), "{error}");
    }
    assert_eq!(model.weights(), before);
    assert!(model.generate(&[], &Sampling::greedy(1)).is_err());
    assert!(model.generate(&[100], &Sampling::greedy(1)).is_err());
    let impossible = CustomSpec {
        vocab_size: 0,
        max_seq_len: 1,
        n_blocks: 1,
        n_heads: 1,
        d_model: 1,
        d_ffn: 1,
    };
    assert!(Model::new(Spec::Custom(impossible), 0).is_err());
}

/// The loss of a masked model is that of each counted label at its own place.
#[test]
fn a_masked_model_is_judged_at_the_masks() {
    let golden =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tests/goldens/esm2_small/model");
    let mut model = Model::load(&golden).unwrap();
    let (ids, v) = (vec![vec![0u32, 5, 6, 7, 2]], model.info().vocab_size);
    let labels = vec![vec![-100, 5, -100, 9, -100]];
    let shown = model.forward_with_labels(&ids, &labels).unwrap();
    let nll = |place: usize, label: usize| {
        let row = &shown.logits[place * v..][..v];
        let top = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        top + row.iter().map(|x| (x - top).exp()).sum::<f64>().ln() - row[label]
    };
    let expected = (nll(1, 5) + nll(3, 9)) / 2.0;
    assert!((shown.loss.unwrap() - expected).abs() < 1e-5 * expected);
}
