//! Batches of a run: their layout, and what is to be told of them.

use std::sync::Arc;

use tenon_base::{Result, hash};
use tenon_data::batch::{LoaderSpec, Masker, Masking, Objective, Order, Partial, Redraw};
use tenon_data::split::TrainValidation;
use tenon_data::{Loader, Tokenizer, Tokens};
use tenon_models::spec::{Objective as Learned, Spec};

use super::classes::Classified;
use crate::config::Config;

/// What a model of this kind learns from a batch: in training masks are drawn anew each epoch, in
/// judging they never change.
pub(crate) fn objective(
    spec: &Spec,
    tokenizer: &dyn Tokenizer,
    config: Option<&Config>,
    redraw: Redraw,
) -> Result<Objective> {
    spec.expect_tokens("a batch of text")?;
    if spec.objective() == Learned::Causal {
        return Ok(Objective::Causal);
    }
    let standard = Masking::STANDARD;
    let masking = Masking {
        rate: config.map_or(standard.rate, |config| config.data.mask_rate),
        ..standard
    };
    Ok(Objective::Masked {
        masker: Masker::new(tokenizer, masking)?,
        seed: config.map_or(0, |config| config.training.seed),
        redraw,
    })
}

/// What is to be told of training and of validation.
pub(super) fn objectives(
    config: &Config,
    spec: &Spec,
    rows: &TrainValidation,
    classified: Option<&Classified>,
    tokens: [&Tokens; 2],
    tokenizer: &dyn Tokenizer,
) -> Result<[Objective; 2]> {
    if let Some(classified) = classified {
        return classified.objectives(rows, tokens, tokenizer);
    }
    let of = |redraw| objective(spec, tokenizer, Some(config), redraw);
    Ok([of(Redraw::EachEpoch)?, of(Redraw::Never)?])
}

pub(super) fn loaders(
    config: &Config,
    spec: &Spec,
    [learned, judged]: [Objective; 2],
    (train, validation): (Arc<Tokens>, Arc<Tokens>),
) -> Result<(Loader, Loader)> {
    let data = &config.data;
    let length_max = data.max_length.unwrap_or(spec.context_len());
    let order = match data.shuffle {
        true => Order::Shuffled {
            seed: config.training.seed,
        },
        false => Order::InOrder,
    };
    let training = LoaderSpec {
        layout: data.training_layout(),
        length_max,
        batch_size: config.training.batch_size,
        order,
        partial: Partial::Keep,
    };
    let judging = LoaderSpec {
        layout: data.validation_layout(),
        order: Order::InOrder,
        ..training
    };
    Ok((
        Loader::with_objective(train, training, learned)?,
        Loader::with_objective(validation, judging, judged)?,
    ))
}

/// SHA-256 of the texts of both splits.
pub(super) fn texts_hash(rows: &TrainValidation, classified: Option<&Classified>) -> String {
    let train = rows.train.texts().map(|text| ("train", text.as_bytes()));
    let validation = rows.validation.texts();
    let validation = validation.map(|text| ("validation", text.as_bytes()));
    let labels = classified.map(Classified::cells).unwrap_or_default();
    let labels = labels.iter().map(|label| ("label", label.as_bytes()));
    hash::sha256_parts(train.chain(validation).chain(labels))
}
