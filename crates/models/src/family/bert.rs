//! BERT (Devlin et al. 2019): post-norm blocks, learned positions, token types. Geneformer
//! (Theodoris et al. 2023) is BERT with ReLU over ranked genes.

use super::encoder::Parts;
use crate::net::{Net, Weight};
use crate::spec::EncoderSpec;
use tenon_engine::graph::Part;
use tenon_engine::{Graph, Init};

pub(super) fn graph(mut net: Net<'_>, spec: &EncoderSpec, token_types: usize) -> Graph {
    let (d, eps) = (spec.d_model, spec.norm_eps);
    let parts = Parts {
        spec,
        init: Init::Normal(spec.initializer_range),
        bias: true,
        rotary: None,
    };
    let (x, table) = parts.tokens(&mut net);
    let types = Weight {
        name: "token_type_embedding.weight",
        part: Part::TokenTypeEmbedding,
        init: parts.init,
    };
    let types = net.weight(types, &[token_types, d]);
    let positions = Weight {
        name: "position_embedding.weight",
        part: Part::PositionEmbedding,
        init: parts.init,
    };
    let positions = net.weight(positions, &[spec.max_positions, d]);
    // The reference adds types before positions.
    let x = net.add_token_types(x, types);
    let x = net.add_positions(x, positions, 0);
    let x = net.layer_norm(x, "embed.norm", eps);
    let mut x = net.dropout(x, "embed.dropout");
    for layer in 0..spec.n_layers {
        net.hidden_state(layer, x);
        net.enter_block(layer);
        let y = parts.attend(&mut net, x);
        let y = parts.attention_out(&mut net, y);
        let y = net.residual(x, y, "attn");
        let y = net.layer_norm(y, "attn.norm", eps);
        let z = parts.widen(&mut net, y);
        let z = parts.narrow(&mut net, z);
        let z = net.residual(y, z, "mlp");
        x = net.layer_norm(z, "mlp.norm", eps);
    }
    net.leave_blocks();
    net.hidden_state(spec.n_layers, x);
    parts.head(net, x, table, parts.activation())
}
