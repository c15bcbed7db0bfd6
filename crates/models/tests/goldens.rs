//! The goldens beside this file are whole, hold what `scripts/make_goldens.py` says, and have
//! configurations that are read and written without loss.

use std::path::{Path, PathBuf};

use tenon_base::files::RealDisk;
use tenon_models::checkpoint::{Checkpoint, Dtype};
use tenon_models::hub::HubConfig;
use tenon_models::spec::Spec;

const IGNORED: i64 = -100;

fn folders() -> [PathBuf; 3] {
    let goldens = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens");
    ["gpt2_small", "llama_small", "custom_small"].map(|name| goldens.join(name))
}

fn open(path: PathBuf) -> Checkpoint {
    Checkpoint::open(&RealDisk, &path).unwrap()
}

fn n_blocks(spec: &Spec) -> usize {
    match spec {
        Spec::Custom(spec) => spec.n_blocks,
        Spec::Gpt2(spec) => spec.n_layers,
        Spec::Llama(spec) => spec.n_layers,
    }
}

#[test]
fn every_parameter_has_a_gradient_of_its_shape() {
    for folder in folders() {
        let weights = open(folder.join("model"));
        let expected = open(folder.join("expected.safetensors"));
        for weight in weights.tensors() {
            let grad = expected.tensor(&format!("grad.{}", weight.name)).unwrap();
            assert_eq!(
                (grad.shape, grad.dtype),
                (weight.shape, Dtype::F64),
                "{}",
                weight.name
            );
            assert!(
                grad.to_f64().unwrap().iter().any(|&g| g != 0.0),
                "{}",
                weight.name
            );
        }
        let n_grads = expected
            .names()
            .filter(|name| name.starts_with("grad."))
            .count();
        assert_eq!(n_grads, weights.names().len());
    }
}

#[test]
fn streams_and_logits_have_their_shapes() {
    for folder in folders() {
        let spec = HubConfig::read(&RealDisk, &folder.join("model"))
            .unwrap()
            .spec;
        let inputs = open(folder.join("inputs.safetensors"));
        let expected = open(folder.join("expected.safetensors"));
        let &[b, t] = inputs.tensor("input_ids").unwrap().shape else {
            panic!("ids [B, T]")
        };
        assert_eq!(t, spec.context_len(), "one row fills the context");
        assert_eq!(
            expected.tensor("logits").unwrap().shape,
            [b, t, spec.vocab_size()]
        );
        for i in 0..=n_blocks(&spec) {
            assert_eq!(
                expected
                    .tensor(&format!("hidden_states.{i}"))
                    .unwrap()
                    .shape[..2],
                [b, t]
            );
        }
        assert!(
            expected
                .get(&format!("hidden_states.{}", n_blocks(&spec) + 1))
                .is_none()
        );
    }
}

/// The stored loss is the shifted mean of −log softmax over labels ≠ −100.
#[test]
fn loss_follows_from_the_logits() {
    for folder in folders() {
        let inputs = open(folder.join("inputs.safetensors"));
        let expected = open(folder.join("expected.safetensors"));
        let logits = expected.tensor("logits").unwrap();
        let &[b, t, v] = logits.shape else {
            panic!("logits [B, T, V]")
        };
        let values = logits.to_f64().unwrap();
        let labels = inputs.tensor("labels").unwrap().to_i64().unwrap();
        let (mut total, mut n) = (0.0, 0);
        for (row, column) in (0..b).flat_map(|row| (1..t).map(move |column| (row, column))) {
            let label = labels[row * t + column];
            if label == IGNORED {
                continue;
            }
            let scores = &values[(row * t + column - 1) * v..][..v];
            let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let log_sum = max + scores.iter().map(|x| (x - max).exp()).sum::<f64>().ln();
            total += log_sum - scores[usize::try_from(label).unwrap()];
            n += 1;
        }
        let loss = expected.tensor("loss").unwrap().to_f64().unwrap()[0];
        assert!(
            (total / f64::from(n) - loss).abs() < 1e-13 * loss,
            "{}",
            folder.display()
        );
    }
}

#[test]
fn masks_are_full_right_padded_left_padded_and_one_token() {
    for folder in folders() {
        let inputs = open(folder.join("inputs.safetensors"));
        let t = inputs.tensor("attention_mask").unwrap().shape[1];
        let mask = inputs.tensor("attention_mask").unwrap().to_i64().unwrap();
        let rows: Vec<&[i64]> = mask.chunks(t).collect();
        assert!(rows[0].iter().all(|&m| m == 1));
        assert!(rows[1][0] == 1 && rows[1][t - 1] == 0);
        assert!(rows[2][0] == 0 && rows[2][t - 1] == 1);
        assert_eq!(rows[3].iter().sum::<i64>(), rows[3][0]);
        let labels = inputs.tensor("labels").unwrap().to_i64().unwrap();
        assert!(
            labels
                .iter()
                .zip(&mask)
                .all(|(&label, &m)| m == 1 || label == IGNORED)
        );
    }
}

#[test]
fn configurations_survive_reading_and_writing() {
    for folder in folders() {
        let config = HubConfig::read(&RealDisk, &folder.join("model")).unwrap();
        let back = HubConfig::parse(&config.to_json(), "written").unwrap();
        assert_eq!(back, config);
        let weights = open(folder.join("model"));
        assert!(
            weights
                .tensors()
                .all(|tensor| Some(tensor.dtype) == config.dtype)
        );
    }
}
