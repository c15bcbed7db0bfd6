//! Parameters in panels: chosen where all readers can read them, and without effect on any bit.

use std::sync::Arc;
use tenon_base::rng::{Key, Stream};
use tenon_engine::cpu::{Cpu, Isa};
use tenon_engine::graph::Part;
use tenon_engine::ops::{Add, Embedding, Linear, WeightLayout};
use tenon_engine::plan::Content;
use tenon_engine::table::{Operand, Panels, Target};
use tenon_engine::{
    Buf, DType, Dim, Executor, Extent, Graph, GraphBuilder, Init, Kernels, PlanOptions, Role,
    Shape, Ty,
};

const VOCAB: usize = 37;
const WIDTH: usize = 21;
const ROOM: Extent = Extent::new(19, 1);

/// A table that is the head too, one that is not, a layer of each layout, one of them with a bias,
/// and a square matrix that is read both ways.
fn graph() -> Arc<Graph> {
    let mut b = GraphBuilder::new();
    let role = Role {
        layer: None,
        part: Part::Head,
    };
    let param = |b: &mut GraphBuilder, name: &str, shape: &[usize]| {
        b.param(name, shape, role.clone(), Init::Normal(0.5))
    };
    let tokens = param(&mut b, "tokens", &[VOCAB, WIDTH]);
    let positions = param(&mut b, "positions", &[ROOM.tokens, WIDTH]);
    let out_in = param(&mut b, "out_in", &[300, WIDTH]);
    let bias = param(&mut b, "bias", &[300]);
    let in_out = param(&mut b, "in_out", &[300, WIDTH]);
    let both = param(&mut b, "both", &[WIDTH, WIDTH]);
    let ids = b.input("ids", Ty::index(Shape::new([Dim::Tokens])));
    let places = b.input("places", Ty::index(Shape::new([Dim::Tokens])));
    let linear = |layout, bias| Linear { layout, bias };
    let (left, right) = (WeightLayout::OutIn, WeightLayout::InOut);
    let x = b.apply("embed", Embedding::default(), &[tokens, ids]);
    let p = b.apply("embed.places", Embedding::default(), &[positions, places]);
    let x = b.apply("add", Add, &[x, p]);
    let y = b.apply("up", linear(left, true), &[x, out_in, bias]);
    let y = b.apply("down", linear(right, false), &[y, in_out]);
    let y = b.apply("there", linear(left, false), &[y, both]);
    let y = b.apply("back", linear(right, false), &[y, both]);
    let logits = b.apply("head", linear(left, false), &[y, tokens]);
    b.output("logits", logits);
    Arc::new(b.finish())
}

fn executor(options: PlanOptions, threads: usize, isa: Isa) -> Executor {
    let mut exec = Executor::new(graph(), options, Box::new(Cpu::new(threads, isa)));
    let graph = exec.graph().clone();
    for p in graph.param_ids() {
        let mut rng = Key::new(3, Stream::Init).at(0, u64::from(p.0));
        let values: Vec<f64> = (0..graph.param(p).len()).map(|_| rng.normal()).collect();
        exec.write_param(p, &values);
    }
    exec
}

fn logits(exec: &mut Executor, n: usize) -> Vec<f64> {
    exec.set_extent(Extent::new(n, 1));
    let ids: Vec<i32> = (0..n as i32).map(|i| i * 11 % VOCAB as i32).collect();
    let places: Vec<i32> = (0..n as i32).collect();
    exec.set_input("ids", &ids);
    exec.set_input("places", &places);
    exec.forward();
    exec.read_output("logits").unwrap()
}

#[test]
fn what_only_products_and_embeddings_read_lies_in_panels() {
    let exec = executor(PlanOptions::generating(DType::F32, ROOM), 1, Isa::Scalar);
    let graph = exec.graph();
    let params = exec
        .plan()
        .slots
        .iter()
        .filter_map(|slot| match slot.content {
            Content::Param(p) => Some((graph.param(p).name.as_str(), slot.panels)),
            _ => None,
        });
    assert_eq!(
        params.collect::<Vec<_>>(),
        [
            ("tokens", Some(Panels::Transposed)),
            ("positions", None),
            ("out_in", Some(Panels::Transposed)),
            ("bias", None),
            ("in_out", Some(Panels::Plain)),
            ("both", None),
        ]
    );
}

#[test]
fn panels_take_no_more_memory() {
    let plain = executor(PlanOptions::inference(DType::F32, ROOM), 1, Isa::Scalar);
    let packed = executor(PlanOptions::generating(DType::F32, ROOM), 1, Isa::Scalar);
    assert_eq!(packed.peak_bytes(), plain.peak_bytes());
}

#[test]
fn panels_change_no_bit_on_any_path() {
    for float in [DType::F32, DType::F64] {
        let mut plain = executor(PlanOptions::inference(float, ROOM), 1, Isa::detect());
        for isa in [Isa::Scalar, Isa::Avx2, Isa::Avx512] {
            if !isa.is_available() {
                continue;
            }
            for threads in [1, 3] {
                let mut packed = executor(PlanOptions::generating(float, ROOM), threads, isa);
                for n in [1, 2, 3, 4, 5, 17, 19] {
                    let (have, want) = (logits(&mut packed, n), logits(&mut plain, n));
                    assert!(
                        have.iter().any(|x| *x != 0.0) && have == want,
                        "{n} {isa:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn parameters_are_read_as_they_were_written() {
    let mut plain = executor(PlanOptions::inference(DType::F32, ROOM), 1, Isa::detect());
    let mut packed = executor(PlanOptions::generating(DType::F32, ROOM), 2, Isa::detect());
    for p in plain.graph().clone().param_ids() {
        assert_eq!(packed.read_param(p), plain.read_param(p));
        assert_eq!(packed.param_bytes(p), plain.param_bytes(p));
    }
}

#[test]
#[should_panic(expected = "lies in panels")]
fn nothing_else_reads_panels() {
    let mut device = Cpu::new(1, Isa::Scalar);
    device.reserve(64);
    let panels = Some(Panels::Plain);
    let w = Buf {
        panels,
        ..Buf::matrix(0, DType::F32, 2, 2)
    };
    device.sum(w);
}

#[test]
#[should_panic(expected = "product with")]
fn a_product_takes_its_own_panels_only() {
    let mut device = Cpu::new(1, Isa::Scalar);
    device.reserve(1 << 20);
    let at = |i: usize| Buf::matrix(64 * i, DType::F32, 2, 2);
    let panels = Some(Panels::Plain);
    let w = Buf { panels, ..at(1) };
    let work = Buf::matrix(256, DType::F32, 1, device.gemm_work_len(DType::F32));
    device.reserve(work.offset + work.span_bytes());
    let c = Target {
        buf: at(2),
        accumulate: false,
    };
    device.gemm(Operand::plain(at(0)), Operand::transposed(w), c, None, work);
}

#[test]
#[should_panic(expected = "panels are read by forward passes")]
fn training_has_no_panels() {
    let options = PlanOptions {
        panels: true,
        ..PlanOptions::training(DType::F32, ROOM, 0)
    };
    executor(options, 1, Isa::Scalar);
}
