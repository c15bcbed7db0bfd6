//! The keys of section `training`.

use tenon_base::config::{DefaultValue, Key, Range, Type};

/// Above 0, at most 1.
const PART: Type = Type::Float(Range {
    min: 0.0,
    max: 1.0,
    min_exclusive: true,
    max_exclusive: false,
});

const COUNT_32: Type = Type::int(1, u32::MAX as i64);
const COUNT_OR_NULL: Type = Type::AnyOf(&[Type::Null, Type::COUNT]);

pub(in crate::config) const KEYS: &[Key] = &[
    Key::new(
        "training.batch_size",
        Type::int(1, 1 << 24),
        DefaultValue::Int(16),
        "Sequences of a batch.",
    ),
    Key::new(
        "training.learning_rate",
        Type::POSITIVE,
        DefaultValue::Float(1e-3),
        "Greatest learning rate.",
    ),
    Key::new(
        "training.num_epochs",
        Type::COUNT,
        DefaultValue::Optional,
        "Passes over the training rows. This or `training.max_steps` must be given; of both, \
         whichever ends first.",
    ),
    Key::new(
        "training.max_steps",
        Type::COUNT,
        DefaultValue::Optional,
        "Steps, each one update of the weights.",
    ),
    Key::new(
        "training.optimizer",
        Type::Enum(&["sgd", "adamw"]),
        DefaultValue::Str("sgd"),
        "How gradients change weights.",
    ),
    Key::new(
        "training.momentum",
        Type::BELOW_ONE,
        DefaultValue::Float(0.0),
        "Part of the last update that SGD keeps.",
    ),
    Key::new(
        "training.beta1",
        Type::BELOW_ONE,
        DefaultValue::Float(0.9),
        "AdamW's decay of the mean of gradients.",
    ),
    Key::new(
        "training.beta2",
        Type::BELOW_ONE,
        DefaultValue::Float(0.999),
        "AdamW's decay of the mean of squared gradients.",
    ),
    Key::new(
        "training.eps",
        Type::POSITIVE,
        DefaultValue::Float(1e-8),
        "Added to the root of AdamW's mean of squares.",
    ),
    Key::new(
        "training.weight_decay",
        Type::NON_NEGATIVE,
        DefaultValue::Float(0.0),
        "Pull towards 0, applied to matrices only; AdamW's is decoupled, SGD adds it to gradients.",
    ),
    Key::new(
        "training.lr_schedule",
        Type::Enum(&["none", "constant", "linear", "cosine", "wsd"]),
        DefaultValue::Str("none"),
        "How the learning rate moves after the warm-up: not at all (`none`, `constant`), down in \
         a line or along a cosine, or constant and down at the end (`wsd`).",
    )
    .aliases(&["training.lr_decay"]),
    Key::new(
        "training.min_learning_rate",
        Type::NON_NEGATIVE,
        DefaultValue::Derived("0.1·learning_rate"),
        "Learning rate at the end of a schedule that goes down.",
    ),
    Key::new(
        "training.warmup_steps",
        Type::int(0, i64::MAX),
        DefaultValue::Derived("0"),
        "Steps in which the learning rate rises.",
    ),
    Key::new(
        "training.warmup_ratio",
        Type::FRACTION,
        DefaultValue::Optional,
        "Warm-up as part of all steps, instead of `training.warmup_steps`.",
    ),
    Key::new(
        "training.decay_fraction",
        PART,
        DefaultValue::Float(0.2),
        "Part of the steps after the warm-up in which `wsd` goes down.",
    ),
    Key::new(
        "training.max_grad_norm",
        Type::AnyOf(&[Type::Null, Type::POSITIVE]),
        DefaultValue::Float(1.0),
        "Norm of all gradients together that they are scaled down to; `null` switches it off.",
    ),
    Key::new(
        "training.gradient_accumulation_steps",
        COUNT_32,
        DefaultValue::Int(1),
        "Batches whose gradients are added up for one step.",
    ),
    Key::new(
        "training.label_smoothing",
        Type::BELOW_ONE,
        DefaultValue::Float(0.0),
        "Probability that is taken from the target and spread over the vocabulary.",
    ),
    Key::new(
        "training.z_loss",
        Type::NON_NEGATIVE,
        DefaultValue::Float(0.0),
        "Weight of the squared logarithm of the softmax's denominator in the loss.",
    ),
    Key::new(
        "training.max_nan_count",
        COUNT_32,
        DefaultValue::Int(10),
        "Steps whose loss or gradient is not finite are passed over; this many end training with \
         exit code 1.",
    ),
    Key::new(
        "training.seed",
        Type::int(0, i64::MAX),
        DefaultValue::Int(0),
        "Decides fresh weights, order of the data and dropout.",
    ),
    Key::new(
        "training.eval_every",
        Type::COUNT,
        DefaultValue::Optional,
        "Steps between validations; one more at the end in any case.",
    ),
    Key::new(
        "training.eval_batches",
        Type::COUNT,
        DefaultValue::Optional,
        "Batches of a validation; the whole split without it.",
    ),
    Key::new(
        "training.save_every",
        COUNT_OR_NULL,
        DefaultValue::Int(1),
        "Epochs between checkpoints; `null` for none by epochs. The end is saved in any case.",
    ),
    Key::new(
        "training.checkpoint_every",
        Type::COUNT,
        DefaultValue::Optional,
        "Steps between checkpoints.",
    ),
    Key::new(
        "training.keep_checkpoints",
        COUNT_OR_NULL,
        DefaultValue::Int(5),
        "Newest checkpoints that are kept; `null` keeps all.",
    ),
    Key::new(
        "training.log_every",
        Type::COUNT,
        DefaultValue::Int(10),
        "Steps between lines of the log.",
    ),
    Key::new(
        "training.early_stopping.patience",
        COUNT_32,
        DefaultValue::Optional,
        "Validations without progress after which training ends; without it, it never does.",
    ),
    Key::new(
        "training.early_stopping.min_delta",
        Type::NON_NEGATIVE,
        DefaultValue::Float(0.0),
        "Least decrease of the validation loss that counts as progress.",
    ),
    Key::new(
        "training.recompute",
        Type::Enum(&["auto", "none", "selective", "full"]),
        DefaultValue::Str("auto"),
        "What the backward pass computes again instead of keeping it; no choice changes a bit of \
         the result. `selective`: norms, activations and the like, about 1 % more time. `full`: \
         all of a block but its input. `auto`: `selective`, or the cheapest that \
         `training.memory_budget` leaves room for.",
    ),
    Key::new(
        "training.memory_budget",
        Type::Bytes,
        DefaultValue::Optional,
        "Most memory that the run may take, with everything the program holds. Decides what \
         `training.recompute: auto` computes again: nothing, norms and activations, or whole \
         blocks one after the other. A run that does not fit is refused before it starts.",
    ),
];
