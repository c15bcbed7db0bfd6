//! The head's loss over batches of which not all rows count.

use std::sync::Arc;
use tenon_base::rng::{Key, Stream};
use tenon_engine::cpu::{Cpu, Isa};
use tenon_engine::exec::IGNORE;
use tenon_engine::graph::Part;
use tenon_engine::ops::{Add, LinearXent, WeightLayout};
use tenon_engine::table::XentSpec;
use tenon_engine::{
    Buf, DType, Dim, Executor, Extent, GraphBuilder, Init, Kernels, PlanOptions, Role, Shape, Ty,
};

const WIDTH: usize = 5;
const CLASSES: usize = 7;
/// More rows than one chunk of logits holds.
const COUNTED: usize = 1100;
/// Of so many rows one counts.
const EVERY: usize = 3;

/// How a batch is run.
#[derive(Clone, Copy)]
struct Way {
    training: bool,
    /// A gradient is there already when the loss adds its own.
    seeded: bool,
    layout: WeightLayout,
}

/// What a run gives, by row or by parameter.
struct Ran {
    loss: Vec<f64>,
    rank: Vec<f64>,
    dx: Option<Vec<f64>>,
    /// Of weight and bias.
    params: Vec<Option<Vec<f64>>>,
}

fn random(step: u64, n: usize) -> Vec<f64> {
    let mut rng = Key::new(7, Stream::Init).at(step, 0);
    (0..n).map(|_| rng.normal()).collect()
}

fn run(way: Way, x: &[f64], targets: &[i32], seed: &[f64]) -> Ran {
    let layout = way.layout;
    let role = Role {
        layer: None,
        part: Part::Head,
    };
    let weight = match layout {
        WeightLayout::OutIn => [CLASSES, WIDTH],
        WeightLayout::InOut => [WIDTH, CLASSES],
    };
    let mut b = GraphBuilder::new();
    let input = b.input("x", Ty::float(Shape::rows(WIDTH)));
    let w = b.param("w", &weight, role.clone(), Init::Constant(0.0));
    let bias = b.param("b", &[CLASSES], role, Init::Constant(0.0));
    let at = b.input("targets", Ty::index(Shape::new([Dim::Tokens])));
    let y = b.apply("twice", Add, &[input, input]);
    let op = LinearXent {
        layout,
        bias: true,
        spec: XentSpec {
            label_smoothing: 0.1,
            z_loss: 1e-3,
        },
        rank: true,
    };
    let outs = b.apply_all("loss", op, &[y, w, at, bias]);
    b.set_loss(outs[0]);
    b.output("losses", outs[0]);
    b.output("rank", outs[1]);
    if way.training {
        b.differentiate(input);
        if way.seeded {
            b.seed(y);
        }
    }
    let capacity = Extent::new(targets.len(), 1);
    let options = match way.training {
        true => PlanOptions::training(DType::F32, capacity, 0),
        false => PlanOptions::inference(DType::F32, capacity),
    };
    let device = Box::new(Cpu::new(2, Isa::detect()));
    let mut exec = Executor::new(Arc::new(b.finish()), options, device);
    let ids: Vec<_> = exec.graph().param_ids().collect();
    for &p in &ids {
        let n = exec.graph().param(p).len();
        exec.write_param(p, &random(u64::from(p.0), n));
    }
    exec.set_float_input("x", x);
    exec.set_input("targets", targets);
    exec.zero_grads();
    exec.forward();
    if way.training {
        if way.seeded {
            exec.set_seed(0, seed);
        }
        exec.backward();
    }
    Ran {
        loss: exec.read_output("losses").expect("an output"),
        rank: exec.read_output("rank").expect("an output"),
        dx: exec.read_value_grad(input),
        params: ids.into_iter().map(|p| exec.read_grad(p)).collect(),
    }
}

/// A batch whose rows all count, and the same rows among rows that do not, which hold NaN.
fn batches() -> [(Vec<f64>, Vec<i32>); 2] {
    let x = random(10, COUNTED * WIDTH);
    let targets: Vec<i32> = (0..COUNTED).map(|r| (r * 3 % CLASSES) as i32).collect();
    let n = COUNTED * EVERY;
    let (mut wide, mut among) = (vec![f64::NAN; n * WIDTH], vec![IGNORE; n]);
    for (r, (row, &t)) in x.chunks(WIDTH).zip(&targets).enumerate() {
        let place = place(r);
        wide[place * WIDTH..][..WIDTH].copy_from_slice(row);
        among[place] = t;
    }
    [(x, targets), (wide, among)]
}

/// Where row `r` of those that count lies among all.
fn place(r: usize) -> usize {
    r * EVERY + r % EVERY
}

fn bits(x: &[f64]) -> Vec<u64> {
    x.iter().map(|x| x.to_bits()).collect()
}

/// The rows that count; asserts that all others hold `rest`.
#[track_caller]
fn counted(all: &[f64], width: usize, rest: f64) -> Vec<u64> {
    let mut rows = all.to_vec();
    let mut counted = Vec::new();
    for r in 0..COUNTED {
        let row = place(r) * width..(place(r) + 1) * width;
        counted.extend(bits(&rows[row.clone()]));
        rows[row].fill(rest);
    }
    assert!(rows.iter().all(|&x| x == rest), "a row that does not count");
    counted
}

#[test]
fn rows_that_do_not_count_are_not_read_and_change_no_bit() {
    let [(x, targets), (wide, among)] = batches();
    for layout in [WeightLayout::OutIn, WeightLayout::InOut] {
        for training in [true, false] {
            let way = Way {
                training,
                seeded: false,
                layout,
            };
            let alone = run(way, &x, &targets, &[]);
            let mixed = run(way, &wide, &among, &[]);
            assert_eq!(counted(&mixed.loss, 1, 0.0), bits(&alone.loss));
            assert_eq!(counted(&mixed.rank, 1, -1.0), bits(&alone.rank));
            assert_eq!(mixed.params, alone.params, "{layout:?}");
            assert_eq!(alone.dx.is_some(), training);
            if let (Some(mixed), Some(alone)) = (&mixed.dx, &alone.dx) {
                assert_eq!(counted(mixed, WIDTH, 0.0), bits(alone));
            }
        }
    }
}

#[test]
fn the_gradient_of_counted_rows_is_added_to_one_that_is_there() {
    let [(x, targets), (wide, among)] = batches();
    let mut way = Way {
        training: true,
        seeded: false,
        layout: WeightLayout::OutIn,
    };
    let plain = run(way, &wide, &among, &[]).dx.expect("a gradient");
    way.seeded = true;
    // Halves, so that their sums with gradients below 1 lose few bits.
    let seed = vec![0.5; wide.len()];
    let added = run(way, &wide, &among, &seed).dx.expect("a gradient");
    for (have, g) in added.iter().zip(&plain) {
        assert!((have - (g + 1.0)).abs() < 1e-6, "{have} of {g}");
    }
    let alone = run(way, &x, &targets, &seed[..x.len()])
        .dx
        .expect("a gradient");
    assert_eq!(counted(&added, WIDTH, 1.0), bits(&alone));
}

#[test]
fn a_batch_that_does_not_count_has_no_gradient() {
    let n = 9;
    let way = Way {
        training: true,
        seeded: false,
        layout: WeightLayout::InOut,
    };
    let ran = run(way, &vec![f64::NAN; n * WIDTH], &vec![IGNORE; n], &[]);
    assert_eq!((ran.loss, ran.rank), (vec![0.0; n], vec![-1.0; n]));
    assert_eq!(ran.dx, Some(vec![0.0; n * WIDTH]));
    let params = [CLASSES * WIDTH, CLASSES].map(|n| Some(vec![0.0; n]));
    assert_eq!(ran.params, params);
}

/// Behind a chunk of one row there need be no gap, however far apart rows of more would lie.
#[test]
fn one_row_of_logits_may_end_the_memory() {
    let mut cpu = Cpu::new(1, Isa::Scalar);
    let loss = Buf::matrix(0, DType::F64, 1, 1);
    let targets = Buf::matrix(8, DType::I32, 1, 1);
    let row_stride = 16;
    let logits = Buf {
        row_stride,
        ..Buf::matrix(64, DType::F32, 1, CLASSES)
    };
    cpu.reserve(64 + 4 * CLASSES);
    let spec = XentSpec {
        label_smoothing: 0.0,
        z_loss: 0.0,
    };
    cpu.xent_rows(&spec, logits, targets, None, false, loss, None);
    let mut bytes = [0; 8];
    cpu.download(loss, &mut bytes);
    let error = f64::from_ne_bytes(bytes) - (CLASSES as f64).ln();
    assert!(error.abs() < 1e-6, "{error}");
}
