use super::*;

#[test]
fn keys_without_effect_are_said() {
    let pairs = [
        ("training.beta1", "0.8"),
        ("training.min_learning_rate", "0.1"),
        ("data.document_boundaries", "false"),
        ("data.documents", "lines"),
    ];
    let notes = set(&pairs).unwrap().notes;
    assert_eq!(notes.len(), 4, "{notes:?}");
    for (key, _) in pairs {
        let said = notes
            .iter()
            .any(|note| note.contains(&format!("`{key}` has no effect")));
        assert!(said, "{key}: {notes:?}");
    }
    let file = "data: {path: a.txt, documents: lines}\ntraining: {max_steps: 1}";
    assert_eq!(config(file).data.documents, Documents::Lines);
}

#[test]
fn a_refused_value_is_one_problem() {
    // Each of these keys takes part in checks with others.
    for key in [
        "model.d_model",
        "model.n_heads",
        "data.max_length",
        "model.max_seq_len",
    ] {
        for bad in ["abc", "-1", "1.5"] {
            let error = set(&[("model.n_heads", "4"), (key, bad)]).expect_err(key);
            assert_eq!(error.all().count(), 1, "{key}={bad}: {error}");
        }
    }
    for key in [
        "max_steps",
        "warmup_steps",
        "learning_rate",
        "min_learning_rate",
    ] {
        let key = format!("training.{key}");
        let schedule = ("training.lr_schedule", "wsd");
        let error = set(&[schedule, (&key, "abc")]).expect_err(&key);
        assert_eq!(error.all().count(), 1, "{key}: {error}");
    }
}

#[test]
fn pairs_of_the_command_line_are_split_at_the_first_sign() {
    let pair = parse_set("a.b=c=d").unwrap();
    assert_eq!(pair, ("a.b".to_owned(), "c=d".to_owned()));
    assert_eq!(parse_set("a=").unwrap().1, "");
    for bad in ["", "a", "=a", " =a"] {
        assert_eq!(parse_set(bad).unwrap_err().kind(), Kind::Usage, "{bad}");
    }
}

#[test]
fn problems_of_each_kind_read_well() {
    let cases = [
        (
            "unknown key",
            "model: {n_head: 4}\ntraining:\n  learning_rte: 0.1\n  max_steps: 1\n",
        ),
        (
            "wrong type",
            "training:\n  max_steps: ten\n  learning_rate: \"1e-3\"\n",
        ),
        (
            "unknown word",
            "model:\n  family: gpt3\ntraining:\n  optimizer: lion\n  max_steps: 1\n",
        ),
        (
            "values that do not fit together",
            "model:\n  d_model: 100\n  n_heads: 3\n  max_seq_len: 64\ntraining:\n  max_steps: 5\n  \
             warmup_steps: 9\n",
        ),
        (
            "not here yet",
            "model:\n  dtype: bfloat16\n  device: cuda\ntraining: {max_steps: 1}\n",
        ),
    ];
    let mut shown = String::new();
    for (title, text) in cases {
        let data = "data:\n  dataset: corpus\n  max_length: 128\n";
        shown += &format!("# {title}\n{}\n", errors(&format!("{data}{text}")));
    }
    insta::assert_snapshot!("problems", shown);
}

#[test]
fn problems_of_the_command_line_read_well() {
    let cases = [
        ("trainig.max_steps", "3"),
        ("max_steps", "3"),
        ("training", "3"),
        ("training.max_steps", "3.0"),
        ("model.family", "gpt"),
        ("data.tokenizer", "chars"),
        ("model.n_heads", "5"),
    ];
    let mut shown = String::new();
    for pair in cases {
        let error = set(&[pair]).expect_err(pair.0);
        shown += &format!("error: {error}\n\n");
    }
    insta::assert_snapshot!("set_problems", shown);
}
