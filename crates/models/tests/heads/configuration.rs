//! Which head a folder has, read and written back.

use serde_json::{Value, json};
use tenon_base::Kind;
use tenon_base::files::RealDisk;
use tenon_models::checkpoint::Dtype;
use tenon_models::folder::{self, Extra};
use tenon_models::hub::{CONFIG_FILE, HubConfig, Naming};
use tenon_models::spec::{Objective, Problem, Spec};

use crate::common::{NAMES, model, recorded};

fn text(name: &str) -> String {
    std::fs::read_to_string(recorded(name).join("model").join(CONFIG_FILE)).unwrap()
}

/// A recorded configuration with other values; null takes a key out.
fn changed(name: &str, keys: Value) -> tenon_base::Result<HubConfig> {
    let mut config: Value = serde_json::from_str(&text(name)).unwrap();
    let map = config.as_object_mut().unwrap();
    for (key, value) in keys.as_object().unwrap() {
        match value.is_null() {
            true => map.shift_remove(key),
            false => map.insert(key.clone(), value.clone()),
        };
    }
    HubConfig::parse(&config.to_string(), "config.json")
}

#[track_caller]
fn refused(name: &str, keys: Value, message: &str) {
    let error = changed(name, keys).expect_err("accepted");
    assert_eq!(error.kind(), Kind::Data);
    assert!(error.message().contains(message), "{error}");
}

fn of_sequences(n_classes: usize, problem: Problem) -> Objective {
    Objective::Sequence { n_classes, problem }
}

#[test]
fn architecture_and_names_of_classes_say_the_head() {
    let objectives = NAMES.map(|name| model(name).config.spec.objective());
    let [sequence, token] = [3, 2].map(|n_classes| {
        (
            of_sequences(n_classes, Problem::SingleLabel),
            Objective::Token { n_classes },
        )
    });
    let four = of_sequences(4, Problem::SingleLabel);
    assert_eq!(objectives, [sequence.0, sequence.1, four, token.1]);
    let of = |keys| changed("bert_sequence", keys).unwrap().spec.objective();
    let n = |n_classes| of_sequences(n_classes, Problem::SingleLabel);
    assert_eq!(of(json!({"id2label": null})), n(2));
    assert_eq!(of(json!({"id2label": null, "num_labels": 7})), n(7));
    assert_eq!(of(json!({"num_labels": 3})), n(3));
    let masked = json!({"architectures": ["BertForMaskedLM"]});
    assert_eq!(of(masked), Objective::Masked);
    assert_eq!(of(json!({"architectures": null})), Objective::Masked);
}

#[test]
fn what_makes_another_head_or_loss_is_refused() {
    let name = "bert_sequence";
    let other = json!({"problem_type": "ranking"});
    refused(name, other, "`problem_type` is \"ranking\"");
    for other in ["regression", "multi_label_classification"] {
        let token = json!({"problem_type": other});
        refused("bert_token", token, "a token has one class");
    }
    refused(
        name,
        json!({"num_labels": 4}),
        "`num_labels` is 4, `id2label` names 3 classes",
    );
    refused(
        name,
        json!({"id2label": {"0": "a", "2": "b"}}),
        "without a gap",
    );
    refused(name, json!({"id2label": ["a", "b"]}), "without a gap");
    let one = json!({"id2label": {"0": "a"}});
    let plain = json!({"id2label": {"0": "a"}, "problem_type": "single_label_classification"});
    refused(name, plain, "regression");
    assert!(changed("bert_token", one).is_ok());
    let zero = json!({"id2label": null, "num_labels": 0});
    refused("bert_token", zero, "`n_classes` is 0");
    let two = json!({"architectures": ["BertForSequenceClassification", "BertForMaskedLM"]});
    refused(name, two, "`architectures` is");
}

/// `problem_type` says what the outputs are; of a single one that nothing is said of, a number.
#[test]
fn problems_are_read_and_written() {
    let problems = [
        (
            json!({"problem_type": "regression"}),
            3,
            Problem::Regression,
        ),
        (
            json!({"problem_type": "multi_label_classification"}),
            3,
            Problem::MultiLabel,
        ),
        (json!({"problem_type": null}), 3, Problem::SingleLabel),
        (
            json!({"problem_type": null, "id2label": {"0": "a"}}),
            1,
            Problem::Regression,
        ),
    ];
    for (keys, n, problem) in problems {
        let config = changed("bert_sequence", keys).unwrap();
        assert_eq!(config.spec.objective(), of_sequences(n, problem));
        let written = config.to_json();
        assert_eq!(HubConfig::parse(&written, "written").unwrap(), config);
        if problem != Problem::SingleLabel {
            let written: Value = serde_json::from_str(&written).unwrap();
            assert_eq!(written["problem_type"], problem.name());
        }
        let fresh = HubConfig::new(config.spec.clone(), Dtype::F32).unwrap();
        assert_eq!(HubConfig::parse(&fresh.to_json(), "fresh").unwrap(), fresh);
    }
}

#[test]
fn configurations_and_names_of_classes_survive_writing() {
    for name in NAMES {
        let config = model(name).config;
        let written = config.to_json();
        assert_eq!(HubConfig::parse(&written, "written").unwrap(), config);
        let (before, after): (Value, Value) = (
            serde_json::from_str(&text(name)).unwrap(),
            serde_json::from_str(&written).unwrap(),
        );
        for key in ["architectures", "id2label", "label2id", "problem_type"] {
            assert_eq!(before.get(key), after.get(key), "{name} {key}");
        }
        let fresh = HubConfig::new(config.spec.clone(), Dtype::F32).unwrap();
        let back = HubConfig::parse(&fresh.to_json(), "fresh").unwrap();
        assert_eq!((&back.spec, &back), (&config.spec, &fresh));
    }
}

#[test]
fn families_without_such_a_head_say_so() {
    let Spec::Encoder(mut spec) = model("esm2_token").config.spec else {
        panic!("an encoder");
    };
    spec.family = tenon_models::spec::Encoder::Encodon { rope_theta: 1e4 };
    let error = Spec::Encoder(spec).validate().unwrap_err();
    assert!(
        error
            .message()
            .contains("`codonfm` has no head for classes")
    );
}

#[test]
fn there_are_no_fused_layers_with_classes() {
    for name in NAMES {
        let naming = Naming::Fused { padded_vocab: None };
        let error = model(name).config.spec.mapping_of(naming).unwrap_err();
        assert!(error.message().contains("head for classes has no layout"));
    }
}

/// A tensor that no head here has.
fn extra(name: &str) -> Extra {
    let other = model("esm2_token").dropped.remove(0);
    Extra {
        name: name.to_owned(),
        ..other
    }
}

/// Heads of other tasks are left out and named; what no head has is unknown.
#[test]
fn heads_of_other_tasks_are_left_out_and_given_back() {
    let dir = tempfile::tempdir().unwrap();
    let cases = [
        ("bert_sequence", "cls.predictions.bias"),
        ("bert_token", "cls.predictions.transform.LayerNorm.gamma"),
        ("bert_token", "bert.pooler.dense.bias"),
        ("esm2_sequence", "lm_head.layer_norm.weight"),
        ("esm2_token", "esm.pooler.dense.bias"),
    ];
    for (name, other) in cases {
        let mut folder = model(name);
        folder.dropped.push(extra(other));
        folder::save_back(&RealDisk, dir.path(), &folder).unwrap();
        let back = folder::load(&RealDisk, dir.path()).unwrap();
        assert!(back.left_out().contains(&other.to_owned()), "{name}");
        assert_eq!(back.weights, folder.weights);
        folder.dropped.push(extra("classifier.scale"));
        folder::save_back(&RealDisk, dir.path(), &folder).unwrap();
        let error = folder::load(&RealDisk, dir.path()).unwrap_err();
        assert!(error.message().contains("classifier.scale"), "{error}");
    }
}

/// A masked model's checkpoint has no head for classes: nothing stands in for it.
#[test]
fn a_missing_head_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut folder = model("bert_token");
    folder::save_back(&RealDisk, dir.path(), &folder).unwrap();
    let sequence = text("bert_sequence");
    std::fs::write(dir.path().join(CONFIG_FILE), sequence).unwrap();
    let error = folder::load(&RealDisk, dir.path()).unwrap_err();
    assert!(
        error.message().contains("bert.pooler.dense.weight"),
        "{error}"
    );
    folder = model("bert_sequence");
    folder::save_back(&RealDisk, dir.path(), &folder).unwrap();
    let masked = text("bert_sequence").replace("SequenceClassification", "MaskedLM");
    std::fs::write(dir.path().join(CONFIG_FILE), masked).unwrap();
    let error = folder::load(&RealDisk, dir.path()).unwrap_err();
    let message = error.message();
    assert!(message.contains("cls.predictions.bias"), "{error}");
    assert!(message.contains("classifier.weight"), "{error}");
}

/// The encoder stays, the pooler that was left out is found again, and the rest is fresh.
#[test]
fn a_head_can_be_changed() {
    let dir = tempfile::tempdir().unwrap();
    let mut token = model("bert_token");
    let pooler = model("bert_sequence").weights;
    let pooler = pooler.tensors.iter().find(|w| w.name == "head.pool.weight");
    let pooler = pooler.unwrap();
    let mut left_out = extra("bert.pooler.dense.weight");
    left_out.shape.clone_from(&pooler.shape);
    left_out.bytes = pooler.bytes.clone();
    token.dropped.push(left_out);
    let before = token.weights.clone();
    let spec = model("bert_sequence").config.spec;
    let fresh = token.change_head(spec.clone(), 3).unwrap();
    assert_eq!(
        fresh,
        [
            "head.pool.bias",
            "head.sequence.weight",
            "head.sequence.bias"
        ]
    );
    assert!(token.dropped.is_empty());
    for weight in &token.weights.tensors {
        match before
            .tensors
            .iter()
            .find(|other| other.name == weight.name)
        {
            Some(other) => assert_eq!(other, weight),
            None => assert!(weight.name.starts_with("head."), "{}", weight.name),
        }
        if weight.name == pooler.name {
            assert_eq!(weight, pooler);
        }
    }
    folder::save_back(&RealDisk, dir.path(), &token).unwrap();
    let back = folder::load(&RealDisk, dir.path()).unwrap();
    assert_eq!(back.config.spec, spec);
    assert_eq!(back.weights, token.weights);
}

/// As many outputs of another problem are fresh; the map before them stays.
#[test]
fn a_head_for_another_problem_starts_fresh() {
    let mut folder = model("bert_sequence");
    let before = folder.weights.clone();
    let keys = json!({"problem_type": "multi_label_classification"});
    let spec = changed("bert_sequence", keys).unwrap().spec;
    assert_ne!(spec, folder.config.spec);
    let fresh = folder.change_head(spec, 3).unwrap();
    assert_eq!(fresh, ["head.sequence.weight", "head.sequence.bias"]);
    for (old, new) in before.tensors.iter().zip(&folder.weights.tensors) {
        if new.name != "head.sequence.bias" {
            assert_eq!(old == new, !fresh.contains(&new.name), "{}", new.name);
        }
    }
}
