//! Rows are chosen as early as may be: what is not read is not computed, and what is read does not
//! change a bit.

use std::sync::Arc;
use tenon_base::rng::{Key, Stream};
use tenon_engine::check::Case;
use tenon_engine::cpu::{Cpu, Isa};
use tenon_engine::graph::Part;
use tenon_engine::op::Rows;
use tenon_engine::ops::{
    Activate, Add, Attention, AttentionLayout, LayerNorm, Linear, LinearXent, OPS, RmsNorm,
    SelectRows, SwiGlu, WeightLayout,
};
use tenon_engine::table::{Activation, AttentionDims, XentSpec};
use tenon_engine::{
    DType, Dim, Executor, Extent, Graph, GraphBuilder, Init, PlanOptions, Role, Shape, Ty, ValueId,
};

const WIDTH: usize = 6;
const CLASSES: usize = 5;
const TOKENS: usize = 7;

/// A graph in the making.
struct Maker {
    b: GraphBuilder,
    n_params: usize,
}

impl Maker {
    fn new() -> Maker {
        Maker {
            b: GraphBuilder::new(),
            n_params: 0,
        }
    }

    fn param(&mut self, shape: &[usize]) -> ValueId {
        let role = Role {
            layer: None,
            part: Part::Head,
        };
        self.n_params += 1;
        let name = format!("p{}", self.n_params);
        self.b.param(&name, shape, role, Init::Constant(0.0))
    }

    fn index(&mut self, name: &str, dim: Dim) -> ValueId {
        self.b.input(name, Ty::index(Shape::new([dim])))
    }

    fn linear(&mut self, path: &str, x: ValueId, [i, o]: [usize; 2]) -> ValueId {
        let w = self.param(&[o, i]);
        let bias = self.param(&[o]);
        let op = Linear {
            layout: WeightLayout::OutIn,
            bias: true,
        };
        self.b.apply(path, op, &[x, w, bias])
    }

    /// Attention and its output.
    fn attend(&mut self, x: ValueId) -> ValueId {
        let qkv = ["q", "k", "v"].map(|path| self.linear(path, x, [WIDTH; 2]));
        let bounds = self.index("bounds", Dim::Bounds);
        let op = Attention {
            dims: AttentionDims {
                n_heads: 2,
                n_kv_heads: 2,
                head_dim: 3,
                scale: 0.5,
                causal: false,
                window: None,
            },
            layout: AttentionLayout::Separate,
            key_mask: false,
        };
        let y = self
            .b
            .apply("attend", op, &[qkv[0], qkv[1], qkv[2], bounds]);
        self.linear("out", y, [WIDTH; 2])
    }

    /// A block with both norms, an activation and a gated part.
    fn block(&mut self, x: ValueId) -> ValueId {
        let gains = [0; 3].map(|_| self.param(&[WIDTH]));
        let norm = LayerNorm {
            eps: 1e-5,
            bias: true,
        };
        let y = self.b.apply("norm", norm, &[x, gains[0], gains[1]]);
        let y = self.attend(y);
        let x = self.b.apply("add", Add, &[x, y]);
        let y = self.b.apply("rms", RmsNorm { eps: 1e-5 }, &[x, gains[2]]);
        let [gate, up] = ["gate", "up"].map(|path| self.linear(path, y, [WIDTH, 9]));
        let y = self.b.apply("swiglu", SwiGlu, &[gate, up]);
        let function = Activation::GeluErf;
        let y = self.b.apply("gelu", Activate { function }, &[y]);
        let y = self.linear("down", y, [9, WIDTH]);
        self.b.apply("add.again", Add, &[x, y])
    }

    fn loss(&mut self, x: ValueId, dim: Dim) {
        let w = self.param(&[CLASSES, WIDTH]);
        let targets = self.index("targets", dim);
        let spec = XentSpec {
            label_smoothing: 0.0,
            z_loss: 0.0,
        };
        let op = LinearXent {
            layout: WeightLayout::OutIn,
            bias: false,
            spec,
            rank: false,
        };
        let loss = self.b.apply("loss", op, &[x, w, targets]);
        self.b.set_loss(loss);
        self.b.output("losses", loss);
    }
}

/// Two blocks, of whose stream rows are told; all rows of the stream when it is `kept`.
fn graph(dim: Dim, is_kept: bool) -> Graph {
    let mut maker = Maker::new();
    let x = maker.b.input("x", Ty::float(Shape::rows(WIDTH)));
    maker.b.differentiate(x);
    let x = maker.block(x);
    let x = maker.block(x);
    if is_kept {
        maker.b.output("stream", x);
    }
    let index = maker.index("index", dim);
    let x = maker.b.apply("choose", SelectRows, &[x, index]);
    maker.loss(x, dim);
    maker.b.finish()
}

/// Losses, then the gradients of the input and of all parameters.
fn run(graph: Graph, extent: Extent, index: &[i32], float: DType) -> (Vec<f64>, Vec<Vec<f64>>) {
    let input = graph.differentiated[0];
    let options = PlanOptions::training(float, extent, 0);
    let device = Box::new(Cpu::new(2, Isa::detect()));
    let mut exec = Executor::new(Arc::new(graph), options, device);
    let mut rng = Key::new(7, Stream::Init).at(0, 0);
    let mut random = |n: usize| -> Vec<f64> { (0..n).map(|_| rng.normal()).collect() };
    let params: Vec<_> = exec.graph().param_ids().collect();
    for &p in &params {
        let n = exec.graph().param(p).len();
        exec.write_param(p, &random(n));
    }
    exec.set_float_input("x", &random(TOKENS * WIDTH));
    exec.set_input("bounds", &[0, 3, TOKENS as i32]);
    exec.set_input("index", index);
    let targets: Vec<i32> = index.iter().map(|r| r % CLASSES as i32).collect();
    exec.set_input("targets", &targets);
    exec.zero_grads();
    exec.forward();
    exec.backward();
    let losses = exec.read_output("losses").expect("an output");
    let mut grads = vec![exec.read_value_grad(input).expect("is wanted")];
    grads.extend(params.into_iter().filter_map(|p| exec.read_grad(p)));
    (losses, grads)
}

/// Two sequences, and so many tokens that count.
fn extent(counted: usize) -> Extent {
    Extent {
        counted,
        ..Extent::new(TOKENS, 2)
    }
}

#[test]
fn rows_are_chosen_right_behind_attention_and_losses_keep_their_bits() {
    let choices: [(Dim, &[i32]); 5] = [
        (Dim::Seqs, &[2, 6]),
        (Dim::Counted, &[4]),
        (Dim::Counted, &[0, 1, 2, 3, 4, 5, 6]),
        (Dim::Counted, &[6, 1, 3]),
        (Dim::Counted, &[]),
    ];
    for (dim, index) in choices {
        let extent = extent(index.len());
        let [few, all] = [false, true].map(|is_kept| graph(dim, is_kept));
        for float in [DType::F64, DType::F32] {
            let (losses, grads) = run(few.clone(), extent, index, float);
            let (wanted, wanted_grads) = run(all.clone(), extent, index, float);
            assert_eq!(losses, wanted, "{dim} {index:?}");
            assert_eq!(grads.len(), 36);
            let most = if float == DType::F64 { 1e-13 } else { 1e-5 };
            for (i, (grad, wanted)) in grads.iter().zip(&wanted_grads).enumerate() {
                let norm = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>().sqrt();
                let gap: Vec<f64> = grad.iter().zip(wanted).map(|(a, b)| a - b).collect();
                let bound = most * norm(wanted).max(1e-3);
                assert!(norm(&gap) <= bound, "{dim} {index:?} {float:?} {i}");
                assert_eq!(index.is_empty(), norm(wanted) == 0.0, "{i}");
            }
        }
    }
}

/// The chosen rows of what a case's operator computes, and the kinds of rows that it computed: of
/// those rows alone, or of all where `is_kept`.
fn rows_of(case: &Case, index: &[i32], is_kept: bool) -> (Vec<f64>, Dim) {
    let mut b = GraphBuilder::new();
    let mut ins = Vec::new();
    for (i, input) in case.ins.iter().enumerate() {
        ins.push(b.input(&format!("in{i}"), input.ty.clone()));
    }
    let outs = b
        .try_apply("op", case.op.clone(), &ins)
        .expect("a valid case");
    let at = b.input("index", Ty::index(Shape::new([Dim::Counted])));
    let rows = b.apply("choose", SelectRows, &[outs[0], at]);
    b.output("rows", rows);
    if is_kept {
        b.output("all", outs[0]);
    }
    let graph = Arc::new(b.finish());
    let node = graph
        .nodes
        .iter()
        .find(|n| n.path == "op")
        .expect("the node");
    let dim = graph.ty(node.outs[0]).shape.lead();
    let extent = case.clone().counted(index.len()).extent;
    let options = PlanOptions::inference(DType::F32, extent);
    let mut exec = Executor::new(graph, options, Box::new(Cpu::new(1, Isa::detect())));
    for (i, input) in case.ins.iter().enumerate() {
        let n = input.ty.shape.len(case.extent);
        let mut rng = Key::new(3, Stream::Init).at(0, i as u64);
        let random = || (0..n).map(|_| rng.normal()).collect();
        let values = input.values.clone().unwrap_or_else(random);
        exec.set_float_input(&format!("in{i}"), &values);
    }
    exec.set_input("index", index);
    exec.forward();
    (exec.read_output("rows").expect("an output"), dim)
}

/// Every operator that says so computes each row by itself: in whatever batch it lies.
#[test]
fn operators_compute_the_rows_that_they_are_given() {
    let mut names = Vec::new();
    for entry in OPS {
        for case in (entry.cases)() {
            let has_rows = case.ins[0].ty.shape.lead() == Dim::Tokens;
            if case.op.rows() != Rows::Same || !has_rows {
                continue;
            }
            let tokens = case.extent.tokens as i32;
            for index in [
                vec![],
                vec![tokens - 1],
                (0..tokens).rev().step_by(2).collect(),
            ] {
                let (rows, dim) = rows_of(&case, &index, false);
                let (wanted, all) = rows_of(&case, &index, true);
                assert_eq!((dim, all), (Dim::Counted, Dim::Tokens), "{}", case.name);
                // Its masks are of the rows that it is given.
                if entry.name != "dropout" {
                    assert_eq!(rows, wanted, "{} {}", entry.name, case.name);
                }
            }
            names.push(entry.name);
        }
    }
    names.dedup();
    let same = [
        "activation",
        "add",
        "dropout",
        "experts",
        "layer_norm",
        "linear",
        "rms_norm",
        "swiglu",
    ];
    assert_eq!(names, same);
}

/// Paths of the nodes whose first output has rows of this kind.
fn with_rows(graph: &Graph, dim: Dim) -> Vec<&str> {
    let has = |n: &&tenon_engine::graph::Node| graph.ty(n.outs[0]).shape.lead() == dim;
    graph
        .nodes
        .iter()
        .filter(has)
        .map(|n| n.path.as_str())
        .collect()
}

#[test]
fn what_other_rows_alone_would_need_is_not_computed() {
    let few = graph(Dim::Counted, false);
    let block = ["rms", "gate", "up", "swiglu", "gelu", "down", "add.again"];
    let begin = ["attend.rows", "out", "add.again.rows", "add"];
    let chosen = [&begin[..], &block, &["loss"]].concat();
    assert_eq!(with_rows(&few, Dim::Counted), chosen);
    let first = ["norm", "q", "k", "v", "attend"];
    let all = [&first[..], &["out", "add"], &block, &first].concat();
    assert_eq!(with_rows(&few, Dim::Tokens), all);

    // Kept to the end, the stream has all its rows.
    let all = graph(Dim::Counted, true);
    assert_eq!(with_rows(&all, Dim::Counted), ["choose", "loss"]);

    let flops = |graph: &Graph, n| graph.forward_flops(extent(n));
    let row = flops(&few, 1) - flops(&few, 0);
    // Products of the output, of the gated part and of the head.
    let products = 2 * (WIDTH * WIDTH + 3 * WIDTH * 9 + WIDTH * CLASSES);
    assert!(row > products as f64, "{row}");
    assert_eq!(flops(&few, TOKENS), flops(&all, TOKENS));
}

/// Rows that one reader chooses and other rows, or all, that another reads.
#[test]
fn who_reads_other_rows_gets_them() {
    let build = |also: fn(&mut Maker, ValueId)| {
        let mut maker = Maker::new();
        let x = maker.b.input("x", Ty::float(Shape::rows(WIDTH)));
        let y = maker.linear("shared", x, [WIDTH; 2]);
        also(&mut maker, y);
        let index = maker.index("index", Dim::Seqs);
        let y = maker.b.apply("choose", SelectRows, &[y, index]);
        maker.b.output("chosen", y);
        let graph = maker.b.finish();
        let full = with_rows(&graph, Dim::Tokens).contains(&"shared");
        (full, graph.nodes.len())
    };
    assert_eq!(build(|_, _| ()), (false, 2), "alone");
    let same = build(|maker, y| {
        let index = maker.index("index", Dim::Seqs);
        let y = maker.b.apply("same", SelectRows, &[y, index]);
        maker.b.output("same", y);
    });
    assert_eq!(same, (false, 2), "the same rows twice");
    let other = build(|maker, y| {
        let index = maker.index("other", Dim::Seqs);
        let y = maker.b.apply("other", SelectRows, &[y, index]);
        maker.b.output("other", y);
    });
    assert_eq!(other, (true, 3), "other rows");
    let all = build(|maker, y| {
        let y = maker.attend(y);
        maker.b.output("attended", y);
    });
    assert!(all.0, "attention reads all rows");
    let seeded = build(|maker, y| maker.b.seed(y));
    assert_eq!(seeded, (true, 2), "the gradient of all rows is given");
}
