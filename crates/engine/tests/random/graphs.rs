//! Random small graphs: shared inputs, several consumers, values kept as outputs, frozen
//! parameters, blocks.

use proptest::prelude::*;
use tenon_engine::graph::Part;
use tenon_engine::ops::{
    Activate, Add, Attention, AttentionLayout, Dropout, Embedding, Experts, LayerNorm, Linear,
    LinearXent, RmsNorm, Rotary, RouterBalance, SelectRows, SwiGlu, WeightLayout, rotary_tables,
};
use tenon_engine::table::{Activation, AttentionDims, RopeStyle, XentSpec};
use tenon_engine::{Dim, Extent, Graph, GraphBuilder, Init, Role, Shape, Ty, ValueId};

pub(crate) const VOCAB: usize = 7;
pub(crate) const POSITIONS: usize = 9;

/// One node to add: what, on which of the values so far, and choices of its own.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    kind: u8,
    ins: [usize; 3],
    choice: usize,
    is_output: bool,
}

/// The numbers that a graph is made of.
#[derive(Clone, Debug)]
pub(crate) struct Sketch {
    pub(crate) extent: Extent,
    steps: Vec<Step>,
    /// Bit `i` freezes parameter `i`.
    frozen: u64,
    /// Nodes of a block; 0 for no blocks.
    block_len: usize,
    has_loss: bool,
    n_seeds: usize,
}

pub(crate) fn sketches() -> impl Strategy<Value = Sketch> {
    let place = || prop_oneof![3 => 0..3usize, 1 => 0..40usize];
    let step = (
        0..16u8,
        [place(), place(), place()],
        0..64usize,
        prop::bool::weighted(0.1),
    );
    let step = step.prop_map(|(kind, ins, choice, is_output)| Step {
        kind,
        ins,
        choice,
        is_output,
    });
    let frozen = prop_oneof![Just(0), any::<u64>(), any::<u64>().prop_map(|m| !m | 3)];
    let all = (
        (1..6usize, 1..4usize),
        prop::collection::vec(step, 1..16),
        frozen,
        0..5usize,
        any::<bool>(),
        0..3usize,
    );
    all.prop_map(
        |((tokens, seqs), steps, frozen, block_len, has_loss, n_seeds)| Sketch {
            extent: Extent {
                counted: tokens.div_ceil(2),
                ..Extent::new(tokens, seqs)
            },
            steps,
            frozen,
            block_len,
            has_loss,
            // Derivatives start somewhere.
            n_seeds: if has_loss { n_seeds } else { n_seeds.max(1) },
        },
    )
}

/// A graph in the making.
struct Maker<'a> {
    b: GraphBuilder,
    sketch: &'a Sketch,
    values: Vec<ValueId>,
    params: Vec<(ValueId, Vec<usize>)>,
    n_nodes: usize,
}

impl Sketch {
    pub(crate) fn graph(&self) -> Graph {
        let mut maker = Maker {
            b: GraphBuilder::new(),
            sketch: self,
            values: Vec::new(),
            params: Vec::new(),
            n_nodes: 0,
        };
        maker.start();
        for (i, step) in self.steps.iter().enumerate() {
            if let Some(block) = i.checked_div(self.block_len) {
                maker.b.set_block(Some(block));
            }
            maker.add(step);
        }
        maker.b.set_block(None);
        maker.end()
    }
}

impl Maker<'_> {
    /// A given input whose gradient is wanted, and rows of a table.
    fn start(&mut self) {
        let x = self.b.input("x", Ty::float(Shape::rows(4)));
        self.b.differentiate(x);
        self.values.push(x);
        let table = self.param(&[VOCAB, 4], 0);
        let ids = self.index("ids", Dim::Tokens);
        self.apply(Embedding::default(), &[table, ids]);
    }

    fn index(&mut self, name: &str, dim: Dim) -> ValueId {
        self.b.input(name, Ty::index(Shape::new([dim])))
    }

    fn apply(&mut self, op: impl tenon_engine::Op + 'static, ins: &[ValueId]) {
        let path = format!("node{}", self.n_nodes);
        self.n_nodes += 1;
        let out = self.b.apply(&path, op, ins);
        self.values.push(out);
    }

    /// A new parameter, or one in four times a parameter of this shape that is there.
    fn param(&mut self, shape: &[usize], choice: usize) -> ValueId {
        let latest = self.params.iter().rev();
        let same = latest.filter(|(_, s)| s == shape).map(|&(v, _)| v).next();
        if let (Some(shared), 3) = (same, choice % 4) {
            return shared;
        }
        let role = Role {
            layer: None,
            part: Part::FeedForwardIn,
        };
        let name = format!("p{}", self.params.len());
        let v = self.b.param(&name, shape, role, Init::Normal(1.0));
        self.params.push((v, shape.to_vec()));
        v
    }

    fn width(&self, v: ValueId) -> usize {
        self.b.ty(v).shape.cols()
    }

    /// The `k`-th latest value, or the `k`-th latest of this width.
    fn pick(&self, k: usize, width: Option<usize>) -> ValueId {
        let fits = |v: &&ValueId| width.is_none_or(|w| self.width(**v) == w);
        let fitting: Vec<ValueId> = self.values.iter().rev().filter(fits).copied().collect();
        fitting[k % fitting.len()]
    }

    fn add(&mut self, step: &Step) {
        let (choice, [i, j, k]) = (step.choice, step.ins);
        let a = self.pick(i, None);
        let width = self.width(a);
        let (b, c) = (self.pick(j, Some(width)), self.pick(k, Some(width)));
        match step.kind {
            // Residual sums are what buffers of gradients are shared for: they come most often.
            0..=4 => self.apply(Add, &[a, b]),
            5 | 6 => self.linear(a, choice),
            7 => {
                let params = [choice, choice / 4].map(|choice| self.param(&[width], choice));
                let op = LayerNorm {
                    eps: 0.1,
                    bias: true,
                };
                self.apply(op, &[a, params[0], params[1]]);
            }
            8 => {
                let ins = [a, self.param(&[width], choice)];
                self.apply(RmsNorm { eps: 0.1 }, &ins);
            }
            9 => {
                use Activation::{GeluErf, GeluTanh, Relu, Sigmoid, Silu, Tanh};
                let function = [GeluErf, GeluTanh, Relu, Silu, Sigmoid, Tanh][choice % 6];
                self.apply(Activate { function }, &[a]);
            }
            10 => self.apply(SwiGlu, &[a, b]),
            11 => {
                let site = self.n_nodes as u32;
                self.apply(Dropout { p: 0.3, site }, &[a]);
            }
            12 => self.rotary(a, width),
            13 => self.attention([a, b, c], width),
            14 => self.choose(a, choice),
            _ => self.experts([a, b], choice),
        }
        if step.is_output {
            let v = self.pick(0, None);
            let name = format!("out{}", self.values.len());
            self.b.output(name, v);
        }
    }

    /// Some rows of a value, and a map of them; their gradient is given.
    fn choose(&mut self, x: ValueId, choice: usize) {
        let (name, dim) = match choice % 2 {
            0 => ("per_seq", Dim::Seqs),
            _ => ("counted", Dim::Counted),
        };
        let index = self.index(name, dim);
        let width = self.width(x);
        let w = self.param(&[3, width], choice / 2);
        let path = format!("choice{}", self.n_nodes);
        self.n_nodes += 1;
        let y = self.b.apply(&path, SelectRows, &[x, index]);
        let op = Linear {
            layout: WeightLayout::OutIn,
            bias: false,
        };
        let y = self.b.apply(&format!("{path}.map"), op, &[y, w]);
        self.b.output(path, y);
        self.b.seed(y);
    }

    fn linear(&mut self, x: ValueId, choice: usize) {
        let (i, o) = (self.width(x), [4, 6][choice / 4 % 2]);
        let (layout, bias) = match choice / 8 % 4 {
            0 => (WeightLayout::OutIn, false),
            1 => (WeightLayout::InOut, false),
            2 => (WeightLayout::OutIn, true),
            _ => (WeightLayout::InOut, true),
        };
        let shape = match layout {
            WeightLayout::OutIn => [o, i],
            WeightLayout::InOut => [i, o],
        };
        let mut ins = vec![x, self.param(&shape, choice)];
        if bias {
            ins.push(self.param(&[o], choice));
        }
        self.apply(Linear { layout, bias }, &ins);
    }

    fn rotary(&mut self, x: ValueId, width: usize) {
        let (cos, sin) = rotary_tables(&[1.0], POSITIONS);
        let cos = self.b.constant("cos", &[POSITIONS, 1], cos);
        let sin = self.b.constant("sin", &[POSITIONS, 1], sin);
        let positions = self.index("positions", Dim::Tokens);
        let style = RopeStyle::RotateHalf;
        debug_assert!(width.is_multiple_of(2));
        self.apply(Rotary { head_dim: 2, style }, &[x, cos, sin, positions]);
    }

    fn attention(&mut self, qkv: [ValueId; 3], width: usize) {
        let bounds = self.index("bounds", Dim::Bounds);
        let dims = AttentionDims {
            n_heads: width / 2,
            n_kv_heads: width / 2,
            head_dim: 2,
            scale: 0.7,
            causal: true,
            window: None,
        };
        let layout = AttentionLayout::Separate;
        let [q, k, v] = qkv;
        self.apply(
            Attention {
                dims,
                layout,
                key_mask: false,
            },
            &[q, k, v, bounds],
        );
    }

    /// Logits of experts. Their bias keeps them apart where rounding alone would make them differ,
    /// since then it would make the choice.
    fn router(&mut self, x: ValueId, choice: usize) -> ValueId {
        self.linear(x, choice | 16);
        self.pick(0, None)
    }

    /// Experts of the first value, chosen by the second.
    fn experts(&mut self, [x, chooser]: [ValueId; 2], choice: usize) {
        let logits = self.router(chooser, choice);
        let (d, e) = (self.width(x), self.width(logits));
        let ins = [
            x,
            logits,
            self.param(&[e, 3, d], choice),
            self.param(&[e, 3, d], choice / 4),
            self.param(&[e, d, 3], choice),
        ];
        let op = Experts {
            n_experts: e,
            per_token: 1 + choice % 3,
        };
        self.apply(op, &ins);
    }

    /// A further loss, of the logits of one layer or of two.
    fn balance(&mut self, targets: ValueId) {
        let k = self.n_nodes;
        let mut ins = vec![targets];
        for i in 0..1 + k % 2 {
            let x = self.pick(k + i, None);
            ins.push(self.router(x, k - k % 8));
        }
        let op = RouterBalance {
            n_experts: self.width(ins[1]),
            per_token: 2,
            coefficient: 0.7,
            n_layers: ins.len() - 1,
        };
        let loss = self.b.apply("balance", op, &ins);
        self.b.add_loss(loss);
    }

    /// Derivatives start from losses, from seeded values, or from both.
    fn end(mut self) -> Graph {
        let mut seeded: Vec<ValueId> = Vec::new();
        for i in 0..self.sketch.n_seeds {
            let v = self.pick(5 * i, None);
            if !seeded.contains(&v) && v != self.values[0] {
                seeded.push(v);
                self.b.seed(v);
            }
        }
        if self.sketch.has_loss {
            let x = self.pick(0, None);
            let weight = self.param(&[VOCAB, self.width(x)], 0);
            let targets = self.index("targets", Dim::Tokens);
            let op = LinearXent {
                layout: WeightLayout::OutIn,
                bias: false,
                spec: XentSpec {
                    label_smoothing: 0.1,
                    z_loss: 0.01,
                },
                rank: false,
            };
            let loss = self.b.apply("loss", op, &[x, weight, targets]);
            self.b.set_loss(loss);
            if !self.n_nodes.is_multiple_of(3) {
                self.balance(targets);
            }
        }
        let mut graph = self.b.finish();
        for (i, param) in graph.params.iter_mut().enumerate() {
            param.trainable = self.sketch.frozen >> (i % 64) & 1 == 0;
        }
        graph
    }
}
