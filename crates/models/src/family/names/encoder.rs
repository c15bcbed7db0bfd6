//! Tensors of encoders.

mod amplify;
mod bert;
mod encodon;
mod esm;
mod plain_encodon;

pub(crate) use amplify::AMPLIFY;
pub(crate) use bert::{BERT, BERT_UNTIED};
pub(crate) use encodon::ENCODON;
pub(crate) use esm::ESM;
pub(crate) use plain_encodon::PLAIN_ENCODON;

use crate::checkpoint::mapping::Rule;

/// Dense layers of blocks, as BERT called them first.
const DENSE: &[Rule] = &[
    Rule::same(
        &["{prefix}encoder.layer.{layer}.attention.self.query.weight"],
        &["blocks.{layer}.attn.q.weight"],
    ),
    Rule::same(
        &["{prefix}encoder.layer.{layer}.attention.self.query.bias"],
        &["blocks.{layer}.attn.q.bias"],
    ),
    Rule::same(
        &["{prefix}encoder.layer.{layer}.attention.self.key.weight"],
        &["blocks.{layer}.attn.k.weight"],
    ),
    Rule::same(
        &["{prefix}encoder.layer.{layer}.attention.self.key.bias"],
        &["blocks.{layer}.attn.k.bias"],
    ),
    Rule::same(
        &["{prefix}encoder.layer.{layer}.attention.self.value.weight"],
        &["blocks.{layer}.attn.v.weight"],
    ),
    Rule::same(
        &["{prefix}encoder.layer.{layer}.attention.self.value.bias"],
        &["blocks.{layer}.attn.v.bias"],
    ),
    Rule::same(
        &["{prefix}encoder.layer.{layer}.attention.output.dense.weight"],
        &["blocks.{layer}.attn.out.weight"],
    ),
    Rule::same(
        &["{prefix}encoder.layer.{layer}.attention.output.dense.bias"],
        &["blocks.{layer}.attn.out.bias"],
    ),
    Rule::same(
        &["{prefix}encoder.layer.{layer}.intermediate.dense.weight"],
        &["blocks.{layer}.mlp.in.weight"],
    ),
    Rule::same(
        &["{prefix}encoder.layer.{layer}.intermediate.dense.bias"],
        &["blocks.{layer}.mlp.in.bias"],
    ),
    Rule::same(
        &["{prefix}encoder.layer.{layer}.output.dense.weight"],
        &["blocks.{layer}.mlp.out.weight"],
    ),
    Rule::same(
        &["{prefix}encoder.layer.{layer}.output.dense.bias"],
        &["blocks.{layer}.mlp.out.bias"],
    ),
];
