//! `config.json` as a whole: which family, which dtype, and what is kept for writing it again.

use std::path::Path;

use safetensors::Dtype;
use serde_json::{Map, Value, json};
use tenon_base::files::Disk;
use tenon_base::{Error, Result};

use super::fields::Fields;
use super::{custom, gpt2, llama};
use crate::json;
use crate::spec::Spec;

/// The name of the configuration in a hub folder.
pub const CONFIG_FILE: &str = "config.json";

/// A `config.json` that was understood.
#[derive(Clone, Debug, PartialEq)]
pub struct HubConfig {
    /// The model; validated.
    pub spec: Spec,
    /// The type that the weights are meant to have, when said: `F32`, `F16`, `BF16` or `F64`.
    pub dtype: Option<Dtype>,
    /// Keys that change nothing in an evaluation (names, generation settings, dropout rates), kept
    /// so that writing gives them back.
    pub extra: Map<String, Value>,
}

/// Keys of any family that change nothing in an evaluation.
const TOLERATED: &[&str] = &[
    "_attn_implementation",
    "_attn_implementation_autoset",
    "_commit_hash",
    "_name_or_path",
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
    "num_return_sequences",
    "output_attentions",
    "output_hidden_states",
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
    "transformers_version",
    "typical_p",
    "use_bfloat16",
    "use_cache",
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
            Spec::Llama(_) => llama::fresh_extra(),
        };
        Ok(HubConfig {
            spec,
            dtype: Some(dtype),
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
        let mut fields = Fields::new(map);
        let dtype = dtype(&mut fields);
        fields.only("is_encoder_decoder", &[json!(false)]);
        fields.only("add_cross_attention", &[json!(false)]);
        fields.only("cross_attention_hidden_size", &[Value::Null]);
        fields.only("tie_encoder_decoder", &[json!(false)]);
        fields.only("pruned_heads", &[json!({}), Value::Null]);
        let (spec, tolerated) = match family.as_ref().and_then(Value::as_str) {
            Some(custom::MODEL_TYPE) => (custom::read(&mut fields), custom::TOLERATED),
            Some(gpt2::MODEL_TYPE) => (gpt2::read(&mut fields), gpt2::TOLERATED),
            Some(llama::MODEL_TYPE) => (llama::read(&mut fields), llama::TOLERATED),
            _ => return Err(unknown_family(family)),
        };
        let extra = fields.finish(&[TOLERATED, tolerated])?;
        spec.validate()?;
        Ok(HubConfig { spec, dtype, extra })
    }

    /// The text of a `config.json` that `transformers` 4 and 5 read to the same model, with both
    /// spellings where they differ. The same value gives the same text.
    pub fn to_json(&self) -> String {
        let mut map = match &self.spec {
            Spec::Custom(spec) => custom::write(spec),
            Spec::Gpt2(spec) => gpt2::write(spec),
            Spec::Llama(spec) => llama::write(spec),
        };
        if let Some(name) = self.dtype.and_then(dtype_name) {
            map.insert("dtype".to_owned(), json!(name));
            map.insert("torch_dtype".to_owned(), json!(name));
        }
        for (key, value) in &self.extra {
            // What the spec says wins: an extra key is no second way to state a size.
            map.entry(key.as_str()).or_insert_with(|| value.clone());
        }
        map.sort_keys();
        format!("{:#}\n", Value::Object(map))
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
    let known = [custom::MODEL_TYPE, gpt2::MODEL_TYPE, llama::MODEL_TYPE];
    let supported = known.map(|name| format!("`{name}`")).join(", ");
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
