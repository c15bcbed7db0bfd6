//! AMPLIFY (Fournier et al. 2024): pre-norm blocks with RMS norms, interleaved rotary positions,
//! SwiGLU, an untied head.

use super::encoder::{Parts, head_bias};
use crate::net::Net;
use crate::spec::{Encoder, EncoderSpec};
use tenon_engine::graph::Part;
use tenon_engine::ops::{SwiGlu, WeightLayout};
use tenon_engine::table::RopeStyle;
use tenon_engine::{Graph, Init};

pub(super) fn graph(mut net: Net<'_>, spec: &EncoderSpec) -> Graph {
    let Encoder::Amplify {
        attention_bias,
        mlp_bias,
        embed_norm,
        final_norm,
        ..
    } = spec.family
    else {
        unreachable!("the family was matched")
    };
    let (d, d_ffn, eps) = (spec.d_model, spec.d_ffn, spec.norm_eps);
    let parts = |bias| Parts {
        spec,
        init: Init::Uniform(spec.initializer_range),
        bias,
        rotary: Some(RopeStyle::Interleaved),
    };
    let (attention, mlp) = (parts(attention_bias), parts(mlp_bias));
    let (mut x, table) = attention.tokens(&mut net);
    if embed_norm {
        x = net.rms_norm(x, "embed.norm", eps);
    }
    net.rotary_tables(&super::frequencies(spec), spec.max_positions);
    for layer in 0..spec.n_layers {
        net.hidden_state(layer, x);
        net.enter_block(layer);
        let y = net.rms_norm(x, "attn.norm", eps);
        let y = attention.attend(&mut net, y);
        let y = attention.attention_out(&mut net, y);
        x = net.residual(x, y, "attn");
        let y = net.rms_norm(x, "mlp.norm", eps);
        let gate = mlp.linear(&mut net, y, ("mlp.gate", Part::Gate), [d, d_ffn]);
        let up = mlp.linear(&mut net, y, ("mlp.up", Part::Up), [d, d_ffn]);
        let y = net.apply_op("mlp.swiglu", SwiGlu, &[gate, up]);
        let y = mlp.narrow(&mut net, y);
        x = net.residual(x, y, "mlp");
    }
    net.leave_blocks();
    if final_norm {
        x = net.rms_norm(x, "final_norm", eps);
    }
    net.hidden_state(spec.n_layers, x);
    let weight = match spec.tie_embeddings {
        true => table,
        false => attention.head_weight(&mut net, [spec.vocab_size, d]),
    };
    let bias = head_bias(&mut net, spec.vocab_size);
    net.counted_head(x, weight, WeightLayout::OutIn, bias)
}
