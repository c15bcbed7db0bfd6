//! Tensors of encoders whose head has classes: those of the encoder, and the heads of other tasks,
//! which may be left out.

use super::encoder;
use crate::checkpoint::mapping::{Drop, Table};

/// BERT; its pooler belongs to the head for sequences.
pub(crate) const BERT: Table = Table {
    rules: encoder::BERT.rules,
    prefixes: encoder::BERT.prefixes,
    drops: &[
        Drop::always("{prefix}embeddings.position_ids"),
        Drop::always("{prefix}pooler.dense.weight"),
        Drop::always("{prefix}pooler.dense.bias"),
        Drop::always("cls.seq_relationship.weight"),
        Drop::always("cls.seq_relationship.bias"),
        Drop::always("cls.predictions.transform.dense.weight"),
        Drop::always("cls.predictions.transform.dense.bias"),
        Drop::always("cls.predictions.transform.LayerNorm.weight"),
        Drop::always("cls.predictions.transform.LayerNorm.bias"),
        Drop::always("cls.predictions.transform.LayerNorm.gamma"),
        Drop::always("cls.predictions.transform.LayerNorm.beta"),
        Drop::always("cls.predictions.decoder.weight"),
        Drop::always("cls.predictions.decoder.bias"),
        Drop::always("cls.predictions.bias"),
    ],
};

/// ESM-2.
pub(crate) const ESM: Table = Table {
    rules: encoder::ESM.rules,
    prefixes: encoder::ESM.prefixes,
    drops: &[
        Drop::always("{prefix}embeddings.position_ids"),
        Drop::always("{prefix}embeddings.position_embeddings.weight"),
        Drop::always("{prefix}encoder.layer.{layer}.attention.self.rotary_embeddings.inv_freq"),
        Drop::always("{prefix}encoder.layer.*.attention.self.rotary_embeddings.inv_freq"),
        Drop::always("{prefix}rotary_embeddings.inv_freq"),
        Drop::always("{prefix}contact_head.regression.weight"),
        Drop::always("{prefix}contact_head.regression.bias"),
        Drop::always("{prefix}pooler.dense.weight"),
        Drop::always("{prefix}pooler.dense.bias"),
        Drop::always("lm_head.dense.weight"),
        Drop::always("lm_head.dense.bias"),
        Drop::always("lm_head.layer_norm.weight"),
        Drop::always("lm_head.layer_norm.bias"),
        Drop::always("lm_head.decoder.weight"),
        Drop::always("lm_head.decoder.bias"),
        Drop::always("lm_head.bias"),
    ],
};
