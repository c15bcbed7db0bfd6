use super::*;

#[test]
fn training_ends_after_epochs_or_steps() {
    assert_eq!(config(LEAST).training.end, End::Steps(10));
    let both = set(&[("training.num_epochs", "3")]).unwrap();
    let end = both.config.training.end;
    assert_eq!(
        end,
        End::Earlier {
            epochs: 3,
            steps: 10
        }
    );
    assert_eq!((end.steps(2), end.steps(7)), (6, 10));
    assert!(
        both.notes[0].contains("whichever comes first"),
        "{:?}",
        both.notes
    );
    assert_eq!(End::Epochs(u64::MAX).steps(2), u64::MAX);
    let neither = errors("data: {dataset: corpus}");
    assert!(neither.contains("neither `training.max_steps` nor `training.num_epochs`"));
}

#[test]
fn warm_up_and_decay_fit_into_the_steps() {
    let warmup = |pairs: &[(&str, &str)]| set(pairs).map(|r| r.config.training.schedule);
    let steps = warmup(&[("training.warmup_steps", "10")]).unwrap();
    assert_eq!(steps.warmup.steps(1000), 10);
    let ratio = warmup(&[("training.warmup_ratio", "0.25")]).unwrap();
    assert_eq!(ratio.warmup.steps(1000), 250);
    assert!(warmup(&[("training.warmup_steps", "11")]).is_err());
    let both = [
        ("training.warmup_steps", "1"),
        ("training.warmup_ratio", "0.1"),
    ];
    assert!(warmup(&both).is_err());
}

#[test]
fn a_learning_rate_does_not_go_up_at_the_end() {
    let schedule = |pairs: &[(&str, &str)]| set(pairs).map(|r| r.config.training.schedule);
    let cosine = ("training.lr_decay", "cosine");
    let default = schedule(&[cosine, ("training.learning_rate", "0.5")]).unwrap();
    let min_learning_rate = 0.05;
    assert_eq!(default.shape, ScheduleShape::Cosine { min_learning_rate });
    assert!(schedule(&[cosine, ("training.min_learning_rate", "0.1")]).is_err());
    assert!(schedule(&[cosine, ("training.min_learning_rate", "0")]).is_ok());
}

#[test]
fn switching_off_is_null() {
    let pairs = [
        ("training.max_grad_norm", "null"),
        ("training.save_every", "null"),
        ("training.keep_checkpoints", "null"),
        ("training.eval_batches", "null"),
        ("evaluation.top_k", "null"),
    ];
    let config = set(&pairs).unwrap().config;
    let training = &config.training;
    assert_eq!(training.max_grad_norm, None);
    assert_eq!(
        (training.save_every, training.keep_checkpoints),
        (None, None)
    );
    assert_eq!(config.evaluation.top_k, None);
    assert_eq!(
        super::read(&Source::new("r", config.to_yaml()), &[])
            .unwrap()
            .config,
        config
    );
}

#[test]
fn a_memory_budget_is_bytes_or_a_size() {
    let budget = |text: &str| {
        let reading = set(&[("training.memory_budget", text)]);
        reading.map(|r| r.config.training.memory_budget)
    };
    assert_eq!(config(LEAST).training.memory_budget, None);
    assert_eq!(config(LEAST).training.recompute, Recompute::Auto);
    assert_eq!(budget("1.5GiB").unwrap(), Some(3 << 29));
    assert_eq!(budget("800 MB").unwrap(), Some(800_000_000));
    assert_eq!(budget("1048576").unwrap(), Some(1 << 20));
    assert_eq!(budget("null").unwrap(), None);
    let text = format!(
        "{}  memory_budget: 2 GiB\n",
        LEAST.replace("{max_steps: 10}", "\n  max_steps: 10")
    );
    let config = config(&text);
    assert_eq!(config.training.memory_budget, Some(2 << 30));
    assert_eq!(reading(&config.to_yaml()).config, config);
    for lie in ["1.5gb", "0", "-3MB", "much", "[1]", "1.5"] {
        let error = budget(lie).unwrap_err().to_string();
        assert!(error.contains("memory_budget"), "{lie}: {error}");
    }
    insta::assert_snapshot!(errors(&text.replace("2 GiB", "2 Gb")));
}

#[test]
fn early_stopping_needs_validations() {
    let patience = ("training.early_stopping.patience", "3");
    let error = set(&[patience]).unwrap_err();
    assert!(error.message().contains("counts validations"), "{error}");
    let config = set(&[patience, ("training.eval_every", "5")])
        .unwrap()
        .config;
    let stopping = config.training.early_stopping.unwrap();
    assert_eq!((stopping.patience, stopping.min_delta), (3, 0.0));
}

#[test]
fn an_optimizer_has_its_own_numbers() {
    let decay = ("training.weight_decay", "0.1");
    let sgd = set(&[decay, ("training.momentum", "0.9")]).unwrap();
    assert_eq!(sgd.config.training.weight_decay, 0.1);
    assert_eq!(
        sgd.config.training.optimizer,
        Optimizer::Sgd { momentum: 0.9 }
    );
    let adamw = set(&[("training.optimizer", "adamw"), ("training.beta1", "0.8")]).unwrap();
    let expected = Optimizer::AdamW {
        beta1: 0.8,
        beta2: 0.999,
        eps: 1e-8,
    };
    assert_eq!(adamw.config.training.optimizer, expected);
}
