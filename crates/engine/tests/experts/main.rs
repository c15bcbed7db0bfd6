//! Models with experts as a whole: losses, gradients and bits.

mod mixtral;
mod toy;

use std::collections::BTreeMap;
use tenon_engine::check::{check_placement, values_gap};
use tenon_engine::{DType, LossSum, PlanOptions, Recompute};
use toy::{COEFFICIENT, Toy, run};

/// Counted rows of `targets`.
fn counted(toy: &Toy) -> f64 {
    toy.targets.iter().filter(|&&t| t >= 0).count() as f64
}

#[test]
fn gradients_are_the_slopes_of_the_loss() {
    let toy = Toy::new(6);
    let mut exec = toy.training(DType::F64, 1);
    let grads = run(&mut exec, &toy);
    let mut plain = toy.inference(DType::F64, 1);
    toy.feed(&mut plain);
    for id in toy.graph.param_ids() {
        let name = &toy.graph.param(id).name;
        let values = plain.read_param(id);
        for (i, grad) in grads[name].iter().enumerate() {
            let mut at = |h: f64| {
                let mut moved = values.clone();
                moved[i] += h;
                plain.write_param(id, &moved);
                plain.forward();
                plain.loss().total
            };
            let slope = (at(1e-5) - at(-1e-5)) / 2e-5;
            let gap = (slope - grad).abs();
            assert!(
                gap <= 1e-7 * (1.0 + slope.abs()),
                "{name}[{i}]: {grad}, not {slope}"
            );
        }
        plain.write_param(id, &values);
    }
}

#[test]
fn threads_change_no_bit() {
    let toy = Toy::new(150);
    for float in [DType::F32, DType::F64] {
        let results = |threads| {
            let mut exec = toy.training(float, threads);
            let grads = run(&mut exec, &toy);
            (exec.loss(), exec.read_output("y"), grads)
        };
        let one = results(1);
        for threads in [2, 3] {
            assert!(results(threads) == one, "{threads} threads, {float:?}");
        }
    }
}

#[test]
fn a_row_alone_has_the_bits_of_a_row_among_others() {
    let toy = Toy::new(40);
    let mut exec = toy.inference(DType::F32, 2);
    toy.feed(&mut exec);
    exec.forward();
    let all = exec.read_output("y").expect("y is kept");
    let width = all.len() / 40;
    for (i, row) in all.chunks(width).enumerate() {
        exec.set_extent(tenon_engine::Extent::new(1, 1));
        exec.set_input("ids", &toy.ids[i..=i]);
        exec.set_input("targets", &toy.targets[i..=i]);
        exec.forward();
        assert_eq!(exec.read_output("y").expect("y is kept"), row, "row {i}");
    }
}

#[test]
fn every_loss_is_read_alone_and_all_are_summed() {
    let toy = Toy::new(9);
    let mut exec = toy.training(DType::F64, 1);
    run(&mut exec, &toy);
    let both = [exec.loss_of(0), exec.loss_of(1)];
    let n = counted(&toy);
    let sum = exec.loss();
    assert_eq!(sum.tokens as f64, n);
    assert_eq!(sum.total, both[0].total + both[1].total);
    // At least 1, which a perfect balance has, times the experts of a token.
    let aux = both[1].mean().expect("rows count") / COEFFICIENT;
    assert!((1.0..4.0).contains(&aux), "{aux}");
    // The forward pass alone, and a graph without the balance, agree.
    let mut plain = toy.inference(DType::F64, 1);
    toy.feed(&mut plain);
    plain.forward();
    assert_eq!([plain.loss_of(0), plain.loss_of(1)], both);
    let mut task = Toy::without_balance(9).inference(DType::F64, 1);
    toy.feed(&mut task);
    task.forward();
    assert_eq!((task.loss(), task.loss_of(0)), (both[0], both[0]));
}

#[test]
fn without_counted_rows_no_loss_has_a_gradient() {
    let mut toy = Toy::new(5);
    toy.targets.fill(-100);
    let mut exec = toy.training(DType::F32, 1);
    let grads = run(&mut exec, &toy);
    assert_eq!(exec.loss(), LossSum::default());
    assert!(grads.values().flatten().all(|&g| g == 0.0));
}

#[test]
fn micro_batches_add_up() {
    let toy = Toy::new(12);
    let mut exec = toy.training(DType::F64, 1);
    let mut parts = BTreeMap::<String, Vec<f64>>::new();
    for half in toy.halves() {
        for (name, grad) in run(&mut exec, &half) {
            match parts.get_mut(&name) {
                Some(sum) => sum.iter_mut().zip(&grad).for_each(|(s, g)| *s += g),
                None => drop(parts.insert(name, grad)),
            }
        }
    }
    exec.zero_grads();
    for half in toy.halves() {
        half.step(&mut exec);
    }
    for (name, grad) in toy::gradients(&mut exec) {
        assert!(values_gap(&grad, &parts[&name]) < 1e-14, "{name}");
    }
}

#[test]
fn what_is_computed_again_changes_no_bit_and_memory_is_sound() {
    let toy = Toy::new(20);
    let mut kept = toy.training(DType::F32, 1);
    let grads = run(&mut kept, &toy);
    for recompute in Recompute::levels(&toy.graph) {
        let options = PlanOptions {
            recompute,
            ..toy.options(DType::F32)
        };
        let mut exec = toy.executor(options, 1);
        let sound = check_placement(exec.plan(), &toy.graph);
        assert!(sound.is_ok(), "{recompute:?}: {sound:?}");
        assert!(run(&mut exec, &toy) == grads, "{recompute:?}");
        assert_eq!(exec.loss(), kept.loss());
    }
}

#[test]
fn frozen_parameters_change_no_other_gradient_and_no_loss() {
    let toy = Toy::new(15);
    let mut exec = toy.training(DType::F32, 1);
    let grads = run(&mut exec, &toy);
    for trained in [
        "head", "router", "gate", "up", "down", "table", "blocks.1", "no",
    ] {
        let partly = toy.trained(|name| name.contains(trained));
        let mut exec2 = partly.training(DType::F32, 1);
        let sound = check_placement(exec2.plan(), &partly.graph);
        assert!(sound.is_ok(), "{trained}: {sound:?}");
        for (name, grad) in run(&mut exec2, &partly) {
            assert!(name.contains(trained));
            assert!(grad == grads[&name], "{name} where {trained} is trained");
        }
        assert_eq!(
            [exec2.loss_of(0), exec2.loss_of(1)],
            [exec.loss_of(0), exec.loss_of(1)]
        );
    }
}

#[test]
#[should_panic(expected = "a loss already")]
fn a_loss_counts_once() {
    let mut b = tenon_engine::GraphBuilder::new();
    let loss = toy::balance(&mut b);
    b.set_loss(loss);
    b.add_loss(loss);
}

#[test]
#[should_panic(expected = "a loss is set")]
fn a_further_loss_needs_a_first() {
    let mut b = tenon_engine::GraphBuilder::new();
    let loss = toy::balance(&mut b);
    b.add_loss(loss);
}

#[test]
fn a_row_that_is_not_finite_spoils_no_other() {
    let toy = Toy::new(7);
    let mut exec = toy.inference(DType::F32, 1);
    toy.feed(&mut exec);
    exec.forward();
    let calm = exec.read_output("y").expect("y is kept");
    let table = toy.graph.find_param("table").expect("a table");
    let mut values = exec.read_param(table);
    // Row 0 of the table is that of row 0 of the batch, and of no other.
    values[2] = f64::NAN;
    exec.write_param(table, &values);
    exec.forward();
    let spoilt = exec.read_output("y").expect("y is kept");
    let width = calm.len() / 7;
    assert!(spoilt[..width].iter().all(|y| y.is_nan()));
    assert_eq!(spoilt[width..], calm[width..]);
}
