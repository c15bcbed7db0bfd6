//! EnCodon (CodonFM): pre-norm blocks over codons, rotary positions, an untied head; as published
//! first, with a second norm inside each branch.

use super::encoder::Parts;
use crate::net::Net;
use crate::spec::EncoderSpec;
use tenon_engine::table::{Activation, RopeStyle};
use tenon_engine::{Graph, Init};

pub(super) fn graph(mut net: Net<'_>, spec: &EncoderSpec, inner_norms: bool) -> Graph {
    let eps = spec.norm_eps;
    let parts = Parts {
        spec,
        init: Init::Normal(spec.initializer_range),
        bias: true,
        rotary: Some(RopeStyle::RotateHalf),
    };
    let (x, table) = parts.tokens(&mut net);
    let x = net.layer_norm(x, "embed.norm", eps);
    let mut x = net.dropout(x, "embed.dropout");
    net.rotary_tables(&super::frequencies(spec), spec.max_positions);
    for layer in 0..spec.n_layers {
        net.hidden_state(layer, x);
        net.enter_block(layer);
        let y = net.layer_norm(x, "attn.norm", eps);
        let y = parts.attend(&mut net, y);
        let y = match inner_norms {
            true => net.layer_norm(y, "attn.inner_norm", eps),
            false => y,
        };
        let y = parts.attention_out(&mut net, y);
        x = net.residual(x, y, "attn");
        let y = net.layer_norm(x, "mlp.norm", eps);
        let y = parts.widen(&mut net, y);
        let y = match inner_norms {
            true => net.layer_norm(y, "mlp.inner_norm", eps),
            false => y,
        };
        let y = parts.narrow(&mut net, y);
        x = net.residual(x, y, "mlp");
    }
    net.leave_blocks();
    net.hidden_state(spec.n_layers, x);
    let of_head = match parts.activation() {
        Activation::GeluTanh => Activation::GeluErf,
        other => other,
    };
    parts.head(net, x, table, of_head)
}
