//! The block library: what families are assembled from.
//!
//! A `Net` wraps the engine's builder with the values that every part needs (positions, bounds)
//! and with the choices that differ between training, judging and generating.

use tenon_engine::graph::Part;
use tenon_engine::ops::{
    Activate, Add, Attention, AttentionLayout, CachedAttention, Dropout, Embedding, LayerNorm,
    Linear, LinearXent, RmsNorm, Rotary, SelectRows, WeightLayout, rotary_tables,
};
use tenon_engine::table::{Activation, AttentionDims, RopeStyle, XentSpec};
use tenon_engine::{
    Dim, Executor, Extent, Graph, GraphBuilder, Init, Op, Role, Shape, Ty, ValueId,
};

/// What a graph is for.
#[derive(Clone, Debug, PartialEq)]
pub struct Outputs {
    /// Keep `hidden_states.i` as outputs.
    pub hidden_states: bool,
    /// Compute `logits`.
    pub logits: Option<Logits>,
    /// Compute the loss against `targets`.
    pub loss: Option<LossOptions>,
    /// Keys and values are cached between runs: generation.
    pub cache: Option<CacheOptions>,
    /// Dropout on embeddings and on what enters the residual stream.
    pub dropout: f64,
}

/// Gives an executor the tokens of a packed batch: `ids [N]`, `positions [N]` and `cu_seqlens
/// [S+1]`, and so its extent. Graphs without learned or rotary positions take none.
pub fn feed(exec: &mut Executor, ids: &[i32], positions: &[i32], cu_seqlens: &[i32]) {
    exec.set_extent(Extent {
        tokens: ids.len(),
        seqs: cu_seqlens.len() - 1,
    });
    exec.set_input("input_ids", ids);
    exec.set_input("cu_seqlens", cu_seqlens);
    if exec.has_input("positions") {
        exec.set_input("positions", positions);
    }
}

/// Which rows get logits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Logits {
    /// `[N, V]`.
    All,
    /// `[S, V]`: the rows named by the input `last_rows`.
    LastRows,
}

/// The loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LossOptions {
    /// Mass given to the uniform distribution.
    pub label_smoothing: f64,
    /// Weight of the squared log-partition.
    pub z_loss: f64,
    /// Also compute the rank of each target, as the output `rank`.
    pub rank: bool,
}

impl LossOptions {
    /// Plain cross-entropy.
    pub const PLAIN: LossOptions = LossOptions {
        label_smoothing: 0.0,
        z_loss: 0.0,
        rank: false,
    };
}

/// Room for cached keys and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheOptions {
    /// Sequences.
    pub slots: usize,
    /// Positions of a sequence.
    pub capacity: usize,
}

impl Outputs {
    /// A training graph.
    pub fn training(loss: LossOptions, dropout: f64) -> Self {
        Outputs {
            hidden_states: false,
            logits: None,
            loss: Some(loss),
            cache: None,
            dropout,
        }
    }

    /// A graph that judges: loss and rank of each row.
    pub fn judging() -> Self {
        Self::training(
            LossOptions {
                rank: true,
                ..LossOptions::PLAIN
            },
            0.0,
        )
    }

    /// A graph that shows everything: hidden states, logits and, when wanted, the loss.
    pub fn inspecting(loss: bool) -> Self {
        let loss = loss.then_some(LossOptions::PLAIN);
        Outputs {
            hidden_states: true,
            logits: Some(Logits::All),
            loss,
            cache: None,
            dropout: 0.0,
        }
    }

    /// A graph that generates.
    pub fn generating(cache: CacheOptions) -> Self {
        let logits = Some(Logits::LastRows);
        Outputs {
            hidden_states: false,
            logits,
            loss: None,
            cache: Some(cache),
            dropout: 0.0,
        }
    }
}

/// A graph of a model under construction.
pub(crate) struct Net<'a> {
    b: GraphBuilder,
    outputs: &'a Outputs,
    layer: Option<usize>,
    n_dropouts: u32,
    rotary: Option<[ValueId; 2]>,
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
        self.apply("embed", Embedding, &[table, ids])
    }

    /// Adds rows of a learned position table.
    pub(crate) fn add_positions(&mut self, x: ValueId, table: ValueId) -> ValueId {
        let positions = self.index_input("positions", Dim::Tokens);
        let p = self.apply("embed_positions", Embedding, &[table, positions]);
        self.apply("add_positions", Add, &[x, p])
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
        let gain = self.norm_weight(&format!("{name}.weight"), 1.0, width);
        self.apply(name, RmsNorm { eps }, &[x, gain])
    }

    pub(crate) fn activate(&mut self, x: ValueId, function: Activation) -> ValueId {
        self.apply("mlp.act", Activate { function }, &[x])
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
    pub(crate) fn rotary_tables(&mut self, head_dim: usize, theta: f64, positions: usize) {
        let (cos, sin) = rotary_tables(head_dim, theta, positions);
        let shape = [positions, head_dim / 2];
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

    /// Logits and loss of the final stream, as asked for.
    pub(crate) fn head(mut self, x: ValueId, weight: ValueId, layout: WeightLayout) -> Graph {
        if let Some(rows) = self.outputs.logits {
            let x = match rows {
                Logits::All => x,
                Logits::LastRows => {
                    let index = self.index_input("last_rows", Dim::Seqs);
                    self.apply("head.rows", SelectRows, &[x, index])
                }
            };
            let logits = self.apply(
                "head",
                Linear {
                    layout,
                    bias: false,
                },
                &[x, weight],
            );
            self.b.output("logits", logits);
        }
        if let Some(LossOptions {
            label_smoothing,
            z_loss,
            rank,
        }) = self.outputs.loss
        {
            let targets = self.index_input("targets", Dim::Tokens);
            let op = LinearXent {
                layout,
                spec: XentSpec {
                    label_smoothing,
                    z_loss,
                },
                rank,
            };
            let outs = self.b.apply_all("loss", op, &[x, weight, targets]);
            self.b.set_loss(outs[0]);
            if rank {
                self.b.output("rank", outs[1]);
            }
        }
        self.b.finish()
    }
}
