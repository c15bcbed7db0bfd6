//! `config.json` as a whole: which family, which dtype, and what is kept for writing it again.

use std::path::Path;

use safetensors::Dtype;
use serde_json::{Map, Value, json};
use tenon_base::files::Disk;
use tenon_base::{Error, Result};

use super::fields::Fields;
use super::{custom, decoder, encoder, gpt2};
use crate::json;
use crate::spec::Spec;

/// The name of the configuration in a hub folder.
pub const CONFIG_FILE: &str = "config.json";

/// Names and layouts of a checkpoint's tensors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Naming {
    /// Those of the family's reference.
    #[default]
    Hub,
    /// Those of fused layers.
    Fused {
        /// Rows of tensors over the vocabulary, where they are more than its tokens.
        padded_vocab: Option<usize>,
    },
}

/// A `config.json` that was understood.
#[derive(Clone, Debug, PartialEq)]
pub struct HubConfig {
    /// The model; validated.
    pub spec: Spec,
    /// The type that the weights are meant to have, when said: `F32`, `F16`, `BF16` or `F64`.
    pub dtype: Option<Dtype>,
    /// How tensors are named and laid out.
    pub naming: Naming,
    /// Keys that change nothing in an evaluation (names, generation settings, dropout rates), kept
    /// so that writing gives them back.
    pub extra: Map<String, Value>,
}

/// Keys of any family that change nothing in an evaluation.
const TOLERATED: &[&str] = &[
    "_attn_implementation",
    "_attn_implementation_autoset",
    "_commit_hash",
    "_flash_attn_2_enabled",
    "_name_or_path",
    "_num_labels",
    "architectures",
    "attn_implementation",
    "bad_words_ids",
    "begin_suppress_tokens",
    "chunk_size_feed_forward",
    "cls_token_id",
    "decoder_start_token_id",
    "diversity_penalty",
    "do_sample",
    "early_stopping",
    "encoder_no_repeat_ngram_size",
    "exponential_decay_length_penalty",
    "finetuning_task",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "gradient_checkpointing",
    "id2label",
    "is_decoder",
    "label2id",
    "length_penalty",
    "license",
    "max_length",
    "min_length",
    "no_repeat_ngram_size",
    "num_beam_groups",
    "num_beams",
    "num_labels",
    "num_return_sequences",
    "output_attentions",
    "output_hidden_states",
    "output_past",
    "output_scores",
    "pad_token_id",
    "prefix",
    "problem_type",
    "remove_invalid_values",
    "repetition_penalty",
    "return_dict",
    "return_dict_in_generate",
    "sep_token_id",
    "suppress_tokens",
    "task_specific_params",
    "temperature",
    "tf_legacy_loss",
    "tokenizer_class",
    "top_k",
    "top_p",
    "torchscript",
    "transformers.js_config",
    "transformers_version",
    "typical_p",
    "unsloth_fixed",
    "unsloth_version",
    "use_bfloat16",
    "use_cache",
    "xla_device",
];

const DTYPES: &[(&str, Option<Dtype>)] = &[
    ("float32", Some(Dtype::F32)),
    ("float16", Some(Dtype::F16)),
    ("bfloat16", Some(Dtype::BF16)),
    ("float64", Some(Dtype::F64)),
    ("torch.float32", Some(Dtype::F32)),
    ("torch.float16", Some(Dtype::F16)),
    ("torch.bfloat16", Some(Dtype::BF16)),
    ("torch.float64", Some(Dtype::F64)),
];

impl HubConfig {
    /// The configuration of a fresh model: validated, without dropout.
    pub fn new(spec: Spec, dtype: Dtype) -> Result<Self> {
        spec.validate()?;
        let extra = match &spec {
            Spec::Custom(_) => Map::new(),
            Spec::Gpt2(_) => gpt2::fresh_extra(),
            Spec::Decoder(spec) => decoder::fresh_extra(spec.family),
            Spec::Encoder(spec) => encoder::fresh_extra(spec),
        };
        Ok(HubConfig {
            spec,
            dtype: Some(dtype),
            naming: Naming::Hub,
            extra,
        })
    }

    /// Reads [`CONFIG_FILE`] in `folder`.
    pub fn read(disk: &dyn Disk, folder: &Path) -> Result<Self> {
        let path = folder.join(CONFIG_FILE);
        let place = path.display().to_string();
        let text = String::from_utf8(disk.read(&path)?)
            .map_err(|_| Error::data("the file is not UTF-8").at(&place))?;
        Self::parse(&text, &place)
    }

    /// Reads a `config.json`. `place` is the path shown in errors.
    ///
    /// Fails, naming every problem, on an unknown family, on a value that Tenon would compute
    /// differently, on an unknown key and on an impossible model.
    pub fn parse(text: &str, place: &str) -> Result<Self> {
        let Value::Object(map) = json::parse(text, place)? else {
            return Err(Error::data("the configuration is not a JSON object").at(place));
        };
        Self::from_map(map).map_err(|error| error.at(place))
    }

    fn from_map(mut map: Map<String, Value>) -> Result<Self> {
        let family = map.shift_remove("model_type");
        // Null says nothing of the type.
        map.retain(|key, value| !(value.is_null() && ["dtype", "torch_dtype"].contains(&&**key)));
        let mut fields = Fields::new(map);
        let dtype = dtype(&mut fields);
        let naming = naming(&mut fields, family.as_ref());
        fields.only("is_encoder_decoder", &[json!(false)]);
        fields.only("add_cross_attention", &[json!(false)]);
        fields.only("cross_attention_hidden_size", &[Value::Null]);
        fields.only("tie_encoder_decoder", &[json!(false)]);
        fields.only("pruned_heads", &[json!({}), Value::Null]);
        let (spec, tolerated) = match family.as_ref().and_then(Value::as_str) {
            Some(custom::MODEL_TYPE) => (custom::read(&mut fields), custom::TOLERATED),
            Some(gpt2::MODEL_TYPE) => (gpt2::read(&mut fields), gpt2::TOLERATED),
            Some(name) if let Some(family) = decoder::family(name) => {
                (decoder::read(&mut fields, family), decoder::TOLERATED)
            }
            Some(name) if let Some(read) = encoder::reader(plain_name(name)) => {
                (read(&mut fields), encoder::TOLERATED)
            }
            _ => return Err(unknown_family(family)),
        };
        let name = family.as_ref().and_then(Value::as_str).unwrap_or_default();
        let own = encoder::tolerated(plain_name(name));
        let extra = fields.finish(&[TOLERATED, FUSED, tolerated, own])?;
        spec.validate()?;
        Ok(HubConfig {
            spec,
            dtype,
            naming,
            extra,
        })
    }

    /// The text of a `config.json` that `transformers` 4 and 5 read to the same model, with both
    /// spellings where they differ. The same value gives the same text.
    pub fn to_json(&self) -> String {
        let mut map = match &self.spec {
            Spec::Custom(spec) => custom::write(spec),
            Spec::Gpt2(spec) => gpt2::write(spec),
            Spec::Decoder(spec) => decoder::write(spec),
            Spec::Encoder(spec) => encoder::write(spec),
        };
        if let Some(name) = self.dtype.and_then(dtype_name) {
            map.insert("dtype".to_owned(), json!(name));
            map.insert("torch_dtype".to_owned(), json!(name));
        }
        if let Naming::Fused { padded_vocab } = self.naming {
            map.insert("fuse_qkv_params".to_owned(), json!(true));
            map.insert("qkv_weight_interleaved".to_owned(), json!(true));
            map.insert("padded_vocab_size".to_owned(), json!(padded_vocab));
            if map.get("model_type") == Some(&json!("esm")) {
                map.insert("model_type".to_owned(), json!(FUSED_ESM));
            }
        }
        for (key, value) in &self.extra {
            let of_layout = key == CLASSES || !self.spec.is_published_fused();
            if self.naming == Naming::Hub && of_layout && FUSED.contains(&key.as_str()) {
                continue;
            }
            // What the spec says wins: an extra key is no second way to state a size.
            map.entry(key.as_str()).or_insert_with(|| value.clone());
        }
        map.sort_keys();
        format!("{:#}\n", Value::Object(map))
    }
}

/// Keys of configurations of fused layers: how batches are laid out and computed, not what.
const FUSED: &[&str] = &[
    "add_pooling_layer",
    "attn_input_format",
    "attn_mask_type",
    CLASSES,
    "dtype_params",
    "encoder_activation",
    "fuse_qkv_params",
    "layer_precision",
    "max_seq_length",
    "micro_batch_size",
    "qkv_weight_interleaved",
    "self_attn_mask_type",
    "use_quantized_model_init",
    "use_te_layers",
];

/// The key that names classes in files beside the configuration.
const CLASSES: &str = "auto_map";

/// The `model_type` of ESM-2 with fused layers.
const FUSED_ESM: &str = "nv_esm";

fn plain_name(model_type: &str) -> &str {
    match model_type {
        FUSED_ESM => "esm",
        other => other,
    }
}

/// What the configuration says of the layout; the tensors have the last word.
fn naming(fields: &mut Fields, model_type: Option<&Value>) -> Naming {
    fields.only("qkv_weight_interleaved", &[json!(true)]);
    if model_type.and_then(Value::as_str) == Some(encoder::PLAIN_ENCODON) {
        // Fused layers are the only ones that it has.
        return Naming::Hub;
    }
    let padded_vocab = fields.size_opt("padded_vocab_size");
    let fused = fields.flag_or("fuse_qkv_params", false)
        || padded_vocab.is_some()
        || model_type.and_then(Value::as_str) == Some(FUSED_ESM);
    match fused {
        true => Naming::Fused { padded_vocab },
        false => Naming::Hub,
    }
}

fn dtype(fields: &mut Fields) -> Option<Dtype> {
    let new = fields.choice_or("dtype", DTYPES, None);
    let old = fields.choice_or("torch_dtype", DTYPES, None);
    if let (Some(new), Some(old)) = (new, old)
        && new != old
    {
        fields.problem(format!("`dtype` says {new}, `torch_dtype` says {old}"));
    }
    new.or(old)
}

fn dtype_name(dtype: Dtype) -> Option<&'static str> {
    DTYPES
        .iter()
        .find(|(_, other)| *other == Some(dtype))
        .map(|&(name, _)| name)
}

fn unknown_family(family: Option<Value>) -> Error {
    let known = [custom::MODEL_TYPE, gpt2::MODEL_TYPE].into_iter();
    let known = known.chain(decoder::model_types());
    let known = known.chain(encoder::model_types());
    let supported: Vec<String> = known.map(|name| format!("`{name}`")).collect();
    let supported = supported.join(", ");
    match family {
        None => Error::data(format!(
            "key `model_type` is missing, supported: {supported}"
        )),
        Some(value) => Error::data(format!("`model_type` is `{value}`, supported: {supported}")),
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
