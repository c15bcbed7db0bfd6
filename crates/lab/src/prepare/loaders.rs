//! Batches of a run: their layout, and what is to be told of them.

use std::sync::Arc;

use tenon_base::Result;
use tenon_data::batch::{LoaderSpec, Masker, Masking, Objective, Order, Partial, Redraw};
use tenon_data::{Loader, Tokenizer, Tokens};
use tenon_models::spec::{Objective as Learned, Spec};

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
