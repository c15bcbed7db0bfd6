//! Wrong models that must be noticed: mistakes in the graph, the batch and the weights, each run
//! against the goldens, and wrong derivatives against differences of the loss.

pub(crate) mod page;
pub(crate) mod table;
pub(crate) mod traits;

use tenon_engine::{DType, Graph};
use tenon_models::gradcheck::{self, gradcheck_rewritten};
use tenon_models::predict::{Model, Options, run};
use tenon_models::spec::{self, Spec};
use tenon_testkit::rel_err;

use crate::common::{COMMITTED, Golden, committed, cpu};
use crate::gradcheck::{custom, gpt2, llama};
use crate::mistakes::Subject;
use crate::mistakes::graphs::{
    attention_to_itself, gate_and_up_swapped, in_place_residual, no_attention, no_causal_mask,
    other_gelu_derivative, other_rotary_pairs,
};
use crate::mistakes::norms::norms_on_the_other_side;
use crate::mistakes::weights::no_bias_of_the_logits;
use table::{CLASSES, Change, MUTANTS, Mutant};

const TOLERANCES: [(DType, f64); 2] = [(DType::F64, 1e-9), (DType::F32, 3e-6)];

/// The mutants that apply to a golden.
pub(crate) fn mutants_of(golden: &Golden) -> impl Iterator<Item = &'static Mutant> {
    let applies = |mutant: &&Mutant| mutant.change.act(&mut Subject::of(golden)) > 0;
    MUTANTS.iter().filter(applies)
}

/// The largest relative error of each class of outputs.
fn errors(golden: &Golden, subject: Subject, dtype: DType) -> [(&'static str, f64); 4] {
    let options = Options { dtype, grads: true };
    let Subject {
        spec,
        graph,
        weights,
        packed,
        ..
    } = subject;
    let prediction = run(Model::new(&spec, &weights), graph, &packed, options, cpu()).unwrap();
    let mut worst = CLASSES.map(|class| (class, 0.0f64));
    for tensor in golden.expected.tensors() {
        let class = match tensor.name.split('.').next() {
            Some("hidden_states") => "stream",
            Some("grad") => "grads",
            _ => tensor.name,
        };
        let (_, error) = worst
            .iter_mut()
            .find(|(name, _)| *name == class)
            .expect("a class");
        // What has no gradient in a wrong model counts as 0.
        let zeros = || vec![0.0; tensor.shape.iter().product()];
        let ours = prediction.values(tensor.name).unwrap_or_else(zeros);
        let (ours, theirs) = golden.pair(tensor, ours);
        let new = rel_err(&ours, &theirs);
        *error = if new.is_nan() {
            f64::INFINITY
        } else {
            error.max(new)
        };
    }
    worst
}

/// In f64 every named output misses; in f32, where a mean may hide a small change, at least one.
/// Returns what is otherwise.
fn judge(golden: &Golden, place: &str, mutant: &Mutant) -> Vec<String> {
    let mut wrong = Vec::new();
    for (dtype, tolerance) in TOLERANCES {
        let mut subject = Subject::of(golden);
        mutant.change.act(&mut subject);
        let errors = errors(golden, subject, dtype);
        let named = |(class, _): &&(&str, f64)| mutant.misses.contains(class);
        let (missing, right): (Vec<_>, Vec<_>) = errors.iter().partition(named);
        let mut noticed = missing.iter().map(|(_, error)| *error >= 10.0 * tolerance);
        let noticed = match dtype {
            DType::F64 => noticed.all(|yes| yes),
            _ => noticed.any(|yes| yes),
        };
        if !noticed || right.iter().any(|(_, error)| *error > tolerance) {
            wrong.push(format!(
                "{place}, {}, {}: {errors:?}",
                mutant.name,
                dtype.name()
            ));
        }
    }
    wrong
}

#[test]
fn every_mutant_is_noticed_where_it_acts() {
    let wrong: Vec<String> = COMMITTED
        .into_iter()
        .flat_map(|name| {
            let golden = Golden::open(&committed(name));
            let judged = mutants_of(&golden).flat_map(|mutant| judge(&golden, name, mutant));
            judged.collect::<Vec<String>>()
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn without_a_mutation_nothing_misses() {
    for name in COMMITTED {
        let golden = Golden::open(&committed(name));
        for (dtype, tolerance) in TOLERANCES {
            let errors = errors(&golden, Subject::of(&golden), dtype);
            assert!(
                errors.iter().all(|(_, error)| *error <= tolerance),
                "{name}: {errors:?}"
            );
        }
    }
}

/// The judge itself: nothing done, and done elsewhere than said, are both called out.
#[test]
fn a_mutant_that_lies_is_called_out() {
    let golden = Golden::open(&committed("esm2_small"));
    let lies: [(Change, &[&str]); 3] = [
        (Change::Graph(|_| 1), &CLASSES),
        (Change::Graph(no_attention), &["loss", "grads"]),
        (Change::Any(no_bias_of_the_logits), &CLASSES),
    ];
    for (change, misses) in lies {
        let name = "a lie";
        let mutant = Mutant {
            name,
            change,
            misses,
        };
        assert!(
            !judge(&golden, "esm2_small", &mutant).is_empty(),
            "{misses:?}"
        );
    }
}

/// Moving every norm twice gives the model back: what the mutant builds is what it says.
#[test]
fn norms_moved_there_and_back_change_nothing() {
    for name in COMMITTED {
        let golden = Golden::open(&committed(name));
        let mut subject = Subject::of(&golden);
        for _ in 0..2 {
            assert!(norms_on_the_other_side(&mut subject.graph) > 0);
        }
        let errors = errors(&golden, subject, DType::F64);
        assert!(
            errors.iter().all(|(_, error)| *error <= 1e-9),
            "{name}: {errors:?}"
        );
    }
}

/// The tensors whose derivative a proof refuses after a rewrite.
fn refused(spec: &Spec, change: fn(&mut Graph) -> usize) -> Vec<String> {
    let options = gradcheck::Options::plain(3);
    let spoil = |graph: &mut Graph| assert!(change(graph) > 0, "nothing to change");
    let report = gradcheck_rewritten(spec, None, spoil, options, cpu()).unwrap();
    let bad = report
        .tensors
        .iter()
        .filter(|t| t.verdict == gradcheck::Verdict::Differs);
    let names: Vec<String> = bad.map(|t| t.name.clone()).collect();
    names
}

#[test]
fn a_corrupted_cache_is_refused_without_a_reference() {
    let gpt2 = Spec::Gpt2(gpt2(spec::Activation::GeluNew));
    let specs = [custom(), gpt2, Spec::Decoder(llama(false, false))];
    for spec in specs {
        let names = refused(&spec, in_place_residual);
        assert!(names.len() >= 4, "{spec:?}: {names:?}");
    }
    let names = refused(&custom(), in_place_residual);
    for part in ["attn.q", "attn.k", "attn.v", "mlp.in"] {
        let name = format!("blocks.1.{part}.weight");
        assert!(names.contains(&name), "{name} is not in {names:?}");
    }
}

#[test]
fn a_derivative_of_another_gelu_is_refused_without_a_reference() {
    let erf = Spec::Gpt2(gpt2(spec::Activation::Gelu));
    let tanh = Spec::Gpt2(gpt2(spec::Activation::GeluNew));
    for spec in [custom(), erf, tanh] {
        let names = refused(&spec, other_gelu_derivative);
        assert!(
            names.contains(&"blocks.0.mlp.in.weight".to_owned()),
            "{names:?}"
        );
        assert!(
            !names.contains(&"blocks.1.mlp.out.weight".to_owned()),
            "{names:?}"
        );
    }
}

/// A rewrite that changes forward and derivative alike is another model, and its derivatives are
/// right.
#[test]
fn another_model_is_not_refused() {
    let spec = Spec::Decoder(llama(true, false));
    for change in [
        no_causal_mask,
        attention_to_itself,
        gate_and_up_swapped,
        other_rotary_pairs,
    ] {
        assert_eq!(refused(&spec, change), Vec::<String>::new());
    }
}
