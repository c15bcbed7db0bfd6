//! The block library: what families are assembled from.
//!
//! A `Net` wraps the engine's builder with the values that every part needs (positions, bounds)
//! and with the choices that differ between training, judging and generating.

mod head;
mod outputs;

pub use outputs::{CacheOptions, Logits, LossOptions, Outputs, feed, feed_targets};

use crate::spec::Experts;
use tenon_engine::graph::Part;
use tenon_engine::ops::{
    Activate, Add, Attention, AttentionLayout, CachedAttention, Dropout, Embedding,
    Experts as ExpertsOp, LayerNorm, Linear, RmsNorm, Rotary, SelectRows, TokenDropout,
    WeightLayout, rotary_tables,
};
use tenon_engine::table::{Activation, AttentionDims, RopeStyle};
use tenon_engine::{Dim, GraphBuilder, Init, Op, Role, Shape, Ty, ValueId};

/// A graph of a model under construction.
pub(crate) struct Net<'a> {
    b: GraphBuilder,
    outputs: &'a Outputs,
    layer: Option<usize>,
    n_dropouts: u32,
    rotary: Option<[ValueId; 2]>,
    /// Logits of the routers, one value a layer, and the balance that they are to keep.
    routers: Vec<ValueId>,
}

/// A weight to declare: name without the block's prefix, part and start.
#[derive(Clone, Copy)]
pub(crate) struct Weight<'a> {
    pub(crate) name: &'a str,
    pub(crate) part: Part,
    pub(crate) init: Init,
}

impl<'a> Net<'a> {
    pub(crate) fn new(outputs: &'a Outputs) -> Self {
        Net {
            b: GraphBuilder::new(),
            outputs,
            layer: None,
            n_dropouts: 0,
            rotary: None,
            routers: Vec::new(),
        }
    }

    pub(crate) fn enter_block(&mut self, layer: usize) {
        self.layer = Some(layer);
        self.b.set_block(self.layer);
    }

    pub(crate) fn leave_blocks(&mut self) {
        self.layer = None;
        self.b.set_block(None);
    }

    fn path(&self, name: &str) -> String {
        match self.layer {
            Some(layer) => format!("blocks.{layer}.{name}"),
            None => name.to_string(),
        }
    }

    fn apply(&mut self, name: &str, op: impl Op + 'static, ins: &[ValueId]) -> ValueId {
        self.b.apply(&self.path(name), op, ins)
    }

    pub(crate) fn weight(&mut self, w: Weight<'_>, shape: &[usize]) -> ValueId {
        let role = Role {
            layer: self.layer,
            part: w.part,
        };
        self.b.param(&self.path(w.name), shape, role, w.init)
    }

    fn index_input(&mut self, name: &str, dim: Dim) -> ValueId {
        self.b.input(name, Ty::index(Shape::new([dim])))
    }

    /// Rows of the token table.
    pub(crate) fn tokens(&mut self, table: ValueId) -> ValueId {
        let ids = self.index_input("input_ids", Dim::Tokens);
        self.apply("embed", Embedding::default(), &[table, ids])
    }

    /// Adds rows of a learned position table, from row `first` on.
    pub(crate) fn add_positions(&mut self, x: ValueId, table: ValueId, first: usize) -> ValueId {
        let positions = self.index_input("positions", Dim::Tokens);
        let p = self.apply("embed_positions", Embedding { first }, &[table, positions]);
        self.apply("add_positions", Add, &[x, p])
    }

    /// Adds rows of a table of token types.
    pub(crate) fn add_token_types(&mut self, x: ValueId, table: ValueId) -> ValueId {
        let types = self.index_input("token_types", Dim::Tokens);
        let t = self.apply("embed_token_types", Embedding::default(), &[table, types]);
        self.apply("add_token_types", Add, &[x, t])
    }

    /// Zeroes masked tokens and scales the others for them, as ESM-2 does.
    pub(crate) fn token_dropout(&mut self, x: ValueId, mask_id: u32) -> ValueId {
        let ids = self.index_input("input_ids", Dim::Tokens);
        let bounds = self.index_input("cu_seqlens", Dim::Bounds);
        let op = TokenDropout { mask_id };
        self.apply("embed.token_dropout", op, &[x, ids, bounds])
    }

    /// `x·W (+ b)`; the bias is named after the weight.
    pub(crate) fn linear(
        &mut self,
        x: ValueId,
        w: Weight<'_>,
        [inputs, outputs]: [usize; 2],
        layout: WeightLayout,
        bias: bool,
    ) -> ValueId {
        let shape = match layout {
            WeightLayout::OutIn => [outputs, inputs],
            WeightLayout::InOut => [inputs, outputs],
        };
        let name = w.name;
        let weight = Weight {
            name: &format!("{name}.weight"),
            ..w
        };
        let mut ins = vec![x, self.weight(weight, &shape)];
        if bias {
            let b = Weight {
                name: &format!("{name}.bias"),
                init: Init::Constant(0.0),
                ..w
            };
            ins.push(self.weight(b, &[outputs]));
        }
        self.apply(name, Linear { layout, bias }, &ins)
    }

    fn width(&self, x: ValueId) -> usize {
        self.b.ty(x).shape.cols()
    }

    fn norm_weight(&mut self, name: &str, init: f64, width: usize) -> ValueId {
        let init = Init::Constant(init);
        self.weight(
            Weight {
                name,
                part: Part::Norm,
                init,
            },
            &[width],
        )
    }

    pub(crate) fn layer_norm(&mut self, x: ValueId, name: &str, eps: f64) -> ValueId {
        let width = self.width(x);
        let gain = self.norm_weight(&format!("{name}.weight"), 1.0, width);
        let bias = self.norm_weight(&format!("{name}.bias"), 0.0, width);
        self.apply(name, LayerNorm { eps, bias: true }, &[x, gain, bias])
    }

    pub(crate) fn rms_norm(&mut self, x: ValueId, name: &str, eps: f64) -> ValueId {
        let width = self.width(x);
        self.head_norm(x, name, eps, width)
    }

    /// RMS norm of each head of this width.
    pub(crate) fn head_norm(&mut self, x: ValueId, name: &str, eps: f64, width: usize) -> ValueId {
        let gain = self.norm_weight(&format!("{name}.weight"), 1.0, width);
        self.apply(name, RmsNorm { eps }, &[x, gain])
    }

    pub(crate) fn activate(&mut self, x: ValueId, function: Activation) -> ValueId {
        self.activate_at(x, "mlp.act", function)
    }

    /// An activation under another name than that of the feed-forward part.
    pub(crate) fn activate_at(&mut self, x: ValueId, name: &str, function: Activation) -> ValueId {
        self.apply(name, Activate { function }, &[x])
    }

    /// Experts of SwiGLU: a router, and three matrices an expert.
    pub(crate) fn experts(
        &mut self,
        x: ValueId,
        experts: Experts,
        [d, d_ffn]: [usize; 2],
        init: Init,
    ) -> ValueId {
        let router = Weight {
            name: "mlp.router",
            part: Part::Router,
            init,
        };
        let n = experts.count;
        let logits = self.linear(x, router, [d, n], WeightLayout::OutIn, false);
        self.routers.push(logits);
        let parts = [
            ("mlp.experts.gate", Part::Gate, [n, d_ffn, d]),
            ("mlp.experts.up", Part::Up, [n, d_ffn, d]),
            ("mlp.experts.out", Part::FeedForwardOut, [n, d, d_ffn]),
        ];
        let stacks = parts.map(|(name, part, shape)| {
            let w = Weight { name, part, init };
            self.weight(w, &shape)
        });
        let op = ExpertsOp {
            n_experts: n,
            per_token: experts.per_token,
        };
        let [gate, up, down] = stacks;
        self.apply("mlp.experts", op, &[x, logits, gate, up, down])
    }

    pub(crate) fn apply_op(
        &mut self,
        name: &str,
        op: impl Op + 'static,
        ins: &[ValueId],
    ) -> ValueId {
        self.apply(name, op, ins)
    }

    /// Declares the tables of rotary angles for positions below `positions`.
    pub(crate) fn rotary_tables(&mut self, frequencies: &[f64], positions: usize) {
        let (cos, sin) = rotary_tables(frequencies, positions);
        let shape = [positions, frequencies.len()];
        let cos = self.b.constant("rotary.cos", &shape, cos);
        self.rotary = Some([cos, self.b.constant("rotary.sin", &shape, sin)]);
    }

    /// Rotates queries or keys by their positions.
    pub(crate) fn rotate(
        &mut self,
        x: ValueId,
        name: &str,
        head_dim: usize,
        style: RopeStyle,
    ) -> ValueId {
        let [cos, sin] = self.rotary.expect("the family declared its rotary tables");
        let positions = self.index_input("positions", Dim::Tokens);
        self.apply(name, Rotary { head_dim, style }, &[x, cos, sin, positions])
    }

    /// Attention over queries, keys and values that come packed in one value or as three.
    pub(crate) fn attention(&mut self, qkv: &[ValueId], dims: AttentionDims) -> ValueId {
        let bounds = self.index_input("cu_seqlens", Dim::Bounds);
        if let Some(cache) = self.outputs.cache {
            return self.cached_attention(qkv, dims, bounds, cache);
        }
        if let (true, &[q, k, _], Some(layer)) = (self.outputs.attention, qkv, self.layer) {
            self.b.output(format!("queries.{layer}"), q);
            self.b.output(format!("keys.{layer}"), k);
        }
        let layout = match qkv.len() {
            1 => AttentionLayout::Packed,
            _ => AttentionLayout::Separate,
        };
        let mut ins = qkv.to_vec();
        ins.push(bounds);
        self.apply(
            "attn.attend",
            Attention {
                dims,
                layout,
                key_mask: false,
            },
            &ins,
        )
    }

    fn cached_attention(
        &mut self,
        qkv: &[ValueId],
        dims: AttentionDims,
        bounds: ValueId,
        cache: CacheOptions,
    ) -> ValueId {
        let kv = dims.n_kv_heads * dims.head_dim;
        let layout = match qkv.len() {
            1 => AttentionLayout::Packed,
            _ => AttentionLayout::Separate,
        };
        let past = self.index_input("past", Dim::Seqs);
        let slots = self.index_input("slots", Dim::Seqs);
        let shape = [cache.slots, cache.capacity, kv];
        let k = self.b.state(&self.path("attn.k_cache"), &shape);
        let v = self.b.state(&self.path("attn.v_cache"), &shape);
        let mut ins = qkv.to_vec();
        ins.extend([bounds, past, slots, k, v]);
        self.apply(
            "attn.attend",
            CachedAttention {
                dims,
                layout,
                capacity: cache.capacity,
            },
            &ins,
        )
    }

    pub(crate) fn dropout(&mut self, x: ValueId, name: &str) -> ValueId {
        if self.outputs.dropout == 0.0 {
            return x;
        }
        self.n_dropouts += 1;
        let op = Dropout {
            p: self.outputs.dropout,
            site: self.n_dropouts,
        };
        self.apply(name, op, &[x])
    }

    /// Adds a branch to the residual stream.
    pub(crate) fn residual(&mut self, x: ValueId, branch: ValueId, name: &str) -> ValueId {
        let branch = self.dropout(branch, &format!("{name}.dropout"));
        self.apply(&format!("{name}.add"), Add, &[x, branch])
    }

    /// Names the stream at the entrance of block `i`, or at the end.
    pub(crate) fn hidden_state(&mut self, i: usize, x: ValueId) {
        if self.outputs.hidden_states {
            self.b.output(format!("hidden_states.{i}"), x);
        }
    }

    /// The first row of each sequence, `[S, D]`.
    pub(crate) fn first_rows(&mut self, x: ValueId) -> ValueId {
        let index = self.index_input("first_rows", Dim::Seqs);
        self.apply("head.rows", SelectRows, &[x, index])
    }
}
