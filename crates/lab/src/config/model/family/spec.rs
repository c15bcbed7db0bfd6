//! From the sizes of a configuration to the spec of a graph.

use tenon_base::{Error, Result};
use tenon_data::Tokenizer;
use tenon_data::vocab::Specials;
use tenon_models::spec::{
    AttentionBias, CustomSpec, Decoder, DecoderSpec, Encoder, EncoderSpec, Experts, Gpt2Spec, Head,
    Rope, Spec, Window,
};

use super::{Architecture, DecoderShape, EncoderShape, Family};

impl Architecture {
    /// The spec of the model for a tokenizer; validated.
    ///
    /// # Errors
    /// `Usage` when `vocab_size` is less than the tokenizer's, or when the tokenizer has no mask or
    /// padding and the model needs one.
    pub fn spec(&self, tokenizer: &dyn Tokenizer) -> Result<Spec> {
        let n_ids = tokenizer.vocab_size();
        let vocab_size = self.vocab_size.unwrap_or(n_ids);
        if vocab_size < n_ids {
            let message =
                format!("`model.vocab_size` {vocab_size} is less than the tokenizer's {n_ids} ids");
            return Err(Error::usage(message).hint("leave `model.vocab_size` out"));
        }
        let specials = tokenizer.specials();
        if matches!(self.family, Family::Encoder(_)) && specials.mask.is_none() {
            let name = tokenizer.spec_name();
            let message = format!("the tokenizer `{name}` has no token that hides another");
            let error = Error::usage(message).at("data.tokenizer");
            return Err(error.hint("choose one with a mask: `esm`, `amplify`, `codon` or a folder"));
        }
        if self.needs_padding() && specials.pad.is_none() {
            let error = Error::usage("the tokenizer has no padding token").at("data.tokenizer");
            let hint = "learned positions begin behind its id; choose `esm`, or a folder with one";
            return Err(error.hint(hint));
        }
        let (bos_id, eos_ids) = (specials.bos, specials.eos.into_iter().collect());
        let spec = match &self.family {
            Family::Custom => Spec::Custom(CustomSpec {
                vocab_size,
                max_seq_len: self.max_seq_len,
                n_blocks: self.n_blocks,
                n_heads: self.n_heads,
                d_model: self.d_model,
                d_ffn: self.d_ffn,
            }),
            Family::Gpt2(shape) => Spec::Gpt2(Gpt2Spec {
                vocab_size,
                n_positions: self.max_seq_len,
                d_model: self.d_model,
                n_layers: self.n_blocks,
                n_heads: self.n_heads,
                d_ffn: self.d_ffn,
                activation: shape.activation,
                norm_eps: shape.norm_eps,
                scale_by_width: true,
                scale_by_layer: false,
                tie_embeddings: shape.tie_embeddings,
                bos_id,
                eos_ids,
                initializer_range: shape.init_std,
            }),
            Family::Decoder(shape) => {
                Spec::Decoder(self.decoder(shape, vocab_size, (bos_id, eos_ids)))
            }
            Family::Encoder(shape) => {
                let ids = (bos_id, eos_ids);
                Spec::Encoder(self.encoder(shape, vocab_size, ids, &specials))
            }
        };
        spec.validate()?;
        Ok(spec)
    }

    /// Whether positions begin behind the id of padding, as in ESM-1b.
    fn needs_padding(&self) -> bool {
        let Family::Encoder(shape) = &self.family else {
            return false;
        };
        matches!(
            shape.family,
            Encoder::Esm {
                rope_theta: None,
                ..
            }
        )
    }

    fn decoder(
        &self,
        shape: &DecoderShape,
        vocab_size: usize,
        (bos_id, eos_ids): (Option<u32>, Vec<u32>),
    ) -> DecoderSpec {
        DecoderSpec {
            family: shape.family,
            vocab_size,
            max_positions: self.max_seq_len,
            d_model: self.d_model,
            n_layers: self.n_blocks,
            n_heads: self.n_heads,
            n_kv_heads: shape.n_kv_heads,
            head_dim: shape.head_dim,
            d_ffn: self.d_ffn,
            norm_eps: shape.norm_eps,
            rope: Rope::plain(shape.rope_theta),
            tie_embeddings: shape.tie_embeddings,
            attention_bias: match shape.family {
                Decoder::Qwen2 => AttentionBias::QueryKeyValue,
                _ => AttentionBias::None,
            },
            mlp_bias: false,
            head_norms: shape.family == Decoder::Qwen3,
            window: shape.window.map(|len| Window {
                len,
                first_layer: 0,
            }),
            experts: shape.experts.map(|[count, per_token]| Experts {
                count,
                per_token,
                balance: 0.001,
                balanced: true,
            }),
            bos_id,
            eos_ids,
            initializer_range: shape.init_std,
        }
    }

    fn encoder(
        &self,
        shape: &EncoderShape,
        vocab_size: usize,
        (bos_id, eos_ids): (Option<u32>, Vec<u32>),
        specials: &Specials,
    ) -> EncoderSpec {
        let mut family = shape.family;
        if let Encoder::Amplify {
            intermediate_size, ..
        } = &mut family
        {
            // The configuration of the reference names three halves of the width.
            *intermediate_size = self.d_ffn.saturating_mul(3) / 2;
        }
        EncoderSpec {
            family,
            vocab_size,
            max_positions: self.max_seq_len,
            d_model: self.d_model,
            n_layers: self.n_blocks,
            n_heads: self.n_heads,
            d_ffn: self.d_ffn,
            activation: shape.activation,
            norm_eps: shape.norm_eps,
            tie_embeddings: shape.tie_embeddings,
            pad_id: specials.pad,
            mask_id: specials.mask,
            bos_id,
            eos_ids,
            initializer_range: shape.init_std,
            head: Head::Masked,
        }
    }
}
