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
    let epochs = set(&[
        ("training.warmup_steps", "10"),
        ("training.num_epochs", "3"),
    ]);
    let epochs = epochs.unwrap().config.training;
    assert_eq!(epochs.settings(4).unwrap().schedule.total_steps, 10);
    assert_eq!(epochs.settings(3).unwrap_err().kind(), Kind::Usage);
}

#[test]
fn a_learning_rate_does_not_go_up_at_the_end() {
    let schedule = |pairs: &[(&str, &str)]| set(pairs).map(|r| r.config.training.schedule);
    let cosine = ("training.lr_decay", "cosine");
    let default = schedule(&[cosine, ("training.learning_rate", "0.5")]).unwrap();
    assert_eq!(
        (default.curve, default.min_learning_rate),
        (Curve::Cosine, 0.05)
    );
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
        (training.checkpoint_every, training.keep_checkpoints),
        (CheckpointEvery::Never, None)
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
fn checkpoints_are_counted_in_epochs_or_steps() {
    let every = |pairs: &[(&str, &str)]| set(pairs).map(|r| r.config.training);
    let (epochs, steps) = (
        ("training.save_every", "3"),
        ("training.checkpoint_every", "7"),
    );
    let of = |training: TrainingConfig| training.settings(5).unwrap().checkpoint_every;
    assert_eq!(of(every(&[]).unwrap()), Some(5));
    assert_eq!(of(every(&[epochs]).unwrap()), Some(15));
    assert_eq!(of(every(&[steps]).unwrap()), Some(7));
    assert!(every(&[epochs, steps]).is_err());
    assert_eq!(of(every(&[("training.save_every", "null")]).unwrap()), None);
}

#[test]
fn only_adamw_decays_weights() {
    let decay = ("training.weight_decay", "0.1");
    assert!(set(&[decay]).is_err());
    let adamw = set(&[decay, ("training.optimizer", "adamw")])
        .unwrap()
        .config;
    let Optimizer::AdamW {
        weight_decay,
        beta2,
        ..
    } = adamw.training.optimizer
    else {
        panic!("{adamw:?}")
    };
    assert_eq!((weight_decay, beta2), (0.1, 0.999));
}
