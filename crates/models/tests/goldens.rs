//! The goldens beside this file are whole, hold what `scripts/make_goldens.py` says, and have
//! configurations that are read and written without loss.

use std::path::{Path, PathBuf};

use tenon_base::files::RealDisk;
use tenon_models::checkpoint::{Checkpoint, Dtype};
use tenon_models::hub::HubConfig;
use tenon_models::net::Outputs;
use tenon_models::spec::{DecoderSpec, Objective, Spec};

const IGNORED: i64 = -100;

/// All of them, by name.
fn folders() -> Vec<PathBuf> {
    let goldens = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens");
    let entries = std::fs::read_dir(goldens).unwrap();
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    assert!(folders.len() >= 16, "{folders:?}");
    folders
}

fn spec(folder: &Path) -> Spec {
    let config = HubConfig::read(&RealDisk, &folder.join("model"));
    config.unwrap().spec
}

/// Without rotation all scores of a query move alike with a key's bias, and the softmax does not
/// see it.
fn is_zero_by_symmetry(spec: &Spec, name: &str) -> bool {
    let graph = spec.graph(&Outputs::judging());
    let rotary = graph.nodes.iter().any(|node| node.op.name() == "rotary");
    !rotary && name.ends_with("key.bias")
}

fn open(path: PathBuf) -> Checkpoint {
    Checkpoint::open(&RealDisk, &path).unwrap()
}

#[test]
fn every_parameter_has_a_gradient_of_its_shape() {
    for folder in folders() {
        let (weights, spec) = (open(folder.join("model")), spec(&folder));
        let expected = open(folder.join("expected.safetensors"));
        let mut n_without = 0;
        for weight in weights.tensors() {
            let place = format!("{}: {}", folder.display(), weight.name);
            // The head for contacts is no part of the loss.
            if weight.name.contains("contact_head.") {
                n_without += 1;
                continue;
            }
            let grad = expected.tensor(&format!("grad.{}", weight.name)).unwrap();
            assert_eq!(
                (grad.shape, grad.dtype),
                (weight.shape, Dtype::F64),
                "{place}"
            );
            let largest = grad
                .to_f64()
                .unwrap()
                .into_iter()
                .map(f64::abs)
                .fold(0.0, f64::max);
            match is_zero_by_symmetry(&spec, weight.name) {
                true => assert!(largest < 1e-15, "{place}"),
                false => assert!(largest > 1e-6, "{place}"),
            }
        }
        let n_grads = expected.names().filter(|name| name.starts_with("grad."));
        assert_eq!(n_grads.count(), weights.names().len() - n_without);
    }
}

#[test]
fn streams_and_logits_have_their_shapes() {
    for folder in folders() {
        let spec = spec(&folder);
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
        for i in 0..=spec.n_layers() {
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
                .get(&format!("hidden_states.{}", spec.n_layers() + 1))
                .is_none()
        );
    }
}

/// The stored loss is the mean of −log softmax over labels ≠ −100: of decoders at the token before,
/// and where experts are balanced something is added.
#[test]
fn loss_follows_from_the_logits() {
    for folder in folders() {
        let inputs = open(folder.join("inputs.safetensors"));
        let expected = open(folder.join("expected.safetensors"));
        let spec = spec(&folder);
        let logits = expected.tensor("logits").unwrap();
        let &[b, t, v] = logits.shape else {
            panic!("logits [B, T, V]")
        };
        let values = logits.to_f64().unwrap();
        let labels = inputs.tensor("labels").unwrap().to_i64().unwrap();
        let behind = usize::from(spec.objective() == Objective::Causal);
        let (mut total, mut n) = (0.0, 0);
        for (row, column) in (0..b).flat_map(|row| (behind..t).map(move |column| (row, column))) {
            let label = labels[row * t + column];
            if label == IGNORED {
                continue;
            }
            let scores = &values[(row * t + column - behind) * v..][..v];
            let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let log_sum = max + scores.iter().map(|x| (x - max).exp()).sum::<f64>().ln();
            total += log_sum - scores[usize::try_from(label).unwrap()];
            n += 1;
        }
        let loss = expected.tensor("loss").unwrap().to_f64().unwrap()[0];
        let added = loss - total / f64::from(n);
        let place = folder.display();
        match spec {
            // Perfectly balanced, the term is the number of chosen experts.
            Spec::Decoder(DecoderSpec {
                experts: Some(experts),
                ..
            }) if experts.balanced => {
                assert!(
                    added > 0.9 * experts.balance * experts.per_token as f64,
                    "{place}"
                );
            }
            _ => assert!(added.abs() < 1e-13 * loss, "{place}"),
        }
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
        assert_eq!((rows[3].iter().sum::<i64>(), rows[3][0]), (1, 1));
        if let Some(row) = rows.get(4) {
            assert_eq!((row.iter().sum::<i64>(), row[0], row[t - 1]), (1, 0, 0));
        }
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

#[test]
fn goldens_are_small() {
    let mut total = 0;
    for folder in folders() {
        let mut bytes = 0;
        for file in [
            "inputs.safetensors",
            "expected.safetensors",
            "model/model.safetensors",
        ] {
            bytes += std::fs::metadata(folder.join(file)).unwrap().len();
        }
        // The three with a context of 14 are wider.
        let limit = if spec(&folder).context_len() == 8 {
            60_000
        } else {
            160_000
        };
        assert!(bytes < limit, "{}: {bytes} bytes", folder.display());
        total += bytes;
    }
    assert!(total < 1_200_000, "{total} bytes");
}
