//! Tensors of encoders whose head has classes: those of the encoder, and the heads of other tasks,
//! which may be left out.

use super::encoder;
use crate::checkpoint::mapping::{Drop, Table, When};

/// BERT; its pooler belongs to the head for sequences.
pub(crate) const BERT: Table = Table {
    rules: encoder::BERT.rules,
    prefixes: encoder::BERT.prefixes,
    drops: &[
        always("{prefix}embeddings.position_ids"),
        always("{prefix}pooler.dense.weight"),
        always("{prefix}pooler.dense.bias"),
        always("cls.seq_relationship.weight"),
        always("cls.seq_relationship.bias"),
        always("cls.predictions.transform.dense.weight"),
        always("cls.predictions.transform.dense.bias"),
        always("cls.predictions.transform.LayerNorm.weight"),
        always("cls.predictions.transform.LayerNorm.bias"),
        always("cls.predictions.transform.LayerNorm.gamma"),
        always("cls.predictions.transform.LayerNorm.beta"),
        always("cls.predictions.decoder.weight"),
        always("cls.predictions.decoder.bias"),
        always("cls.predictions.bias"),
    ],
};

/// ESM-2.
pub(crate) const ESM: Table = Table {
    rules: encoder::ESM.rules,
    prefixes: encoder::ESM.prefixes,
    drops: &[
        always("{prefix}embeddings.position_ids"),
        always("{prefix}embeddings.position_embeddings.weight"),
        always("{prefix}encoder.layer.{layer}.attention.self.rotary_embeddings.inv_freq"),
        always("{prefix}encoder.layer.*.attention.self.rotary_embeddings.inv_freq"),
        always("{prefix}rotary_embeddings.inv_freq"),
        always("{prefix}contact_head.regression.weight"),
        always("{prefix}contact_head.regression.bias"),
        always("{prefix}pooler.dense.weight"),
        always("{prefix}pooler.dense.bias"),
        always("lm_head.dense.weight"),
        always("lm_head.dense.bias"),
        always("lm_head.layer_norm.weight"),
        always("lm_head.layer_norm.bias"),
        always("lm_head.decoder.weight"),
        always("lm_head.decoder.bias"),
        always("lm_head.bias"),
    ],
};

const fn always(hub: &'static str) -> Drop {
    Drop {
        hub,
        when: When::Always,
    }
}
