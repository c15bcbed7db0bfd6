//! The questions that every operator is asked, about each of its own cases.

use tenon_engine::check::{Single, adjoint_gap, values_gap};
use tenon_engine::cpu::Cpu;
use tenon_engine::ops::OPS;
use tenon_engine::{DType, Ty};
use tenon_kernels::Isa;

fn each(ask: impl Fn(&str, &Single)) {
    for entry in OPS {
        for case in (entry.cases)() {
            let label = format!("{}: {}", entry.name, case.name);
            ask(&label, &Single::new(case));
        }
    }
}

fn cpu(threads: usize) -> Cpu {
    Cpu::new(threads, Isa::detect())
}

fn bits(values: &[Vec<f64>]) -> Vec<Vec<u64>> {
    values
        .iter()
        .map(|v| v.iter().map(|x| x.to_bits()).collect())
        .collect()
}

fn grad_bits(values: &[Option<Vec<f64>>]) -> Vec<Vec<u64>> {
    bits(&values.iter().flatten().cloned().collect::<Vec<_>>())
}

#[test]
fn values_are_what_the_operator_means() {
    each(|label, single| {
        let meant = single.meant();
        for (float, limit) in [(DType::F64, 1e-13), (DType::F32, 2e-6)] {
            let ran = single.run(float, cpu(1), false);
            for (i, (have, want)) in ran.outs.iter().zip(&meant).enumerate() {
                let gap = values_gap(have, want);
                assert!(
                    gap <= limit,
                    "{label}: output {i} misses its meaning by {gap:e} in {float:?}"
                );
            }
        }
    });
}

#[test]
fn derivatives_are_adjoint_to_dual_numbers() {
    each(|label, single| {
        let ran = single.run(DType::F64, cpu(1), false);
        let pair = single.adjoint(&ran);
        assert!(adjoint_gap(pair) <= 1e-12, "{label}: {pair:?}");
    });
}

#[test]
fn single_precision_derivatives_follow_double() {
    each(|label, single| {
        let wide = single.run(DType::F64, cpu(1), false);
        let narrow = single.run(DType::F32, cpu(1), false);
        for (have, want) in narrow.grads.iter().zip(&wide.grads) {
            if let (Some(have), Some(want)) = (have, want) {
                let gap = values_gap(have, want);
                assert!(gap <= 5e-6, "{label}: f32 gradient misses f64 by {gap:e}");
            }
        }
    });
}

#[test]
fn derivatives_read_only_what_they_declare() {
    each(|label, single| {
        let calm = single.run(DType::F32, cpu(1), false);
        let poisoned = single.run(DType::F32, cpu(1), true);
        assert_eq!(
            grad_bits(&calm.grads),
            grad_bits(&poisoned.grads),
            "{label}"
        );
    });
}

#[test]
fn threads_change_no_bit() {
    each(|label, single| {
        for float in [DType::F32, DType::F64] {
            let one = single.run(float, cpu(1), false);
            for threads in [2, 3, 8] {
                let many = single.run(float, cpu(threads), false);
                assert_eq!(
                    bits(&one.outs),
                    bits(&many.outs),
                    "{label}: {threads} threads"
                );
                assert_eq!(
                    grad_bits(&one.grads),
                    grad_bits(&many.grads),
                    "{label}: {threads} threads"
                );
            }
        }
    });
}

#[test]
fn instruction_sets_change_no_bit() {
    let paths: Vec<Isa> = [Isa::Avx2, Isa::Avx512]
        .into_iter()
        .filter(|isa| isa.is_available())
        .collect();
    each(|label, single| {
        let scalar = single.run(DType::F32, Cpu::new(1, Isa::Scalar), false);
        for &isa in &paths {
            let fast = single.run(DType::F32, Cpu::new(1, isa), false);
            assert_eq!(bits(&scalar.outs), bits(&fast.outs), "{label}: {isa:?}");
            assert_eq!(
                grad_bits(&scalar.grads),
                grad_bits(&fast.grads),
                "{label}: {isa:?}"
            );
        }
    });
}

#[test]
fn constraints_reject_by_name() {
    for entry in OPS {
        let rejects = (entry.rejects)();
        assert!(!rejects.is_empty(), "{} has no constraint", entry.name);
        for r in rejects {
            let ins: Vec<&Ty> = r.ins.iter().collect();
            match r.op.outputs(&ins) {
                Ok(_) => panic!("{}: {} accepted", entry.name, r.label),
                Err(e) => assert_eq!(e.label, r.label, "{}: {e}", entry.name),
            }
        }
    }
}

#[test]
fn names_are_unique() {
    let mut names: Vec<&str> = OPS.iter().map(|e| e.name).collect();
    names.sort_unstable();
    let n = names.len();
    names.dedup();
    assert_eq!(names.len(), n);
}
