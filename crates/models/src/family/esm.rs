//! ESM-2 (Lin et al. 2023): pre-norm blocks, rotary positions, biases everywhere, token dropout.
//! ESM-1b (Rives et al. 2021) has learned positions, whose table begins with rows for padding.

use super::encoder::Parts;
use crate::net::{Net, Weight};
use crate::spec::EncoderSpec;
use tenon_engine::graph::Part;
use tenon_engine::table::{Activation, RopeStyle};
use tenon_engine::{Graph, Init};

pub(super) fn graph(
    mut net: Net<'_>,
    spec: &EncoderSpec,
    token_dropout: bool,
    embed_norm: bool,
) -> Graph {
    let eps = spec.norm_eps;
    let parts = Parts {
        spec,
        init: Init::Normal(spec.initializer_range),
        bias: true,
        rotary: spec.rope_theta().map(|_| RopeStyle::RotateHalf),
    };
    let (mut x, table) = parts.tokens(&mut net);
    if let (true, Some(mask_id)) = (token_dropout, spec.mask_id) {
        x = net.token_dropout(x, mask_id);
    }
    if parts.rotary.is_none() {
        let w = Weight {
            name: "position_embedding.weight",
            part: Part::PositionEmbedding,
            init: parts.init,
        };
        let first = spec.first_position();
        let positions = net.weight(w, &[first + spec.max_positions, spec.d_model]);
        x = net.add_positions(x, positions, first);
    }
    if embed_norm {
        x = net.layer_norm(x, "embed.norm", eps);
    }
    if parts.rotary.is_some() {
        net.rotary_tables(&super::frequencies(spec), spec.max_positions);
    }
    for layer in 0..spec.n_layers {
        net.hidden_state(layer, x);
        net.enter_block(layer);
        let y = net.layer_norm(x, "attn.norm", eps);
        let y = parts.attend(&mut net, y);
        let y = parts.attention_out(&mut net, y);
        x = net.residual(x, y, "attn");
        let y = net.layer_norm(x, "mlp.norm", eps);
        let y = parts.widen(&mut net, y);
        let y = parts.narrow(&mut net, y);
        x = net.residual(x, y, "mlp");
    }
    net.leave_blocks();
    let x = net.layer_norm(x, "final_norm", eps);
    net.hidden_state(spec.n_layers, x);
    parts.head(net, x, table, Activation::GeluErf)
}
