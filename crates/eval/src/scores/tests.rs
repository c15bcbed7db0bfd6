//! Numbers that were worked out by hand from the definitions.

use super::*;

fn close(value: Option<f64>, expected: f64) {
    let value = value.expect("a value");
    assert!((value - expected).abs() < 1e-12, "{value}, not {expected}");
}

fn batch(targets: &[i32], given: &[f64]) -> Batch {
    Batch {
        targets: targets.to_vec(),
        given: given.to_vec(),
        ..Batch::default()
    }
}

/// Right 0 0 0 1 1 2 where 0 0 1 1 2 2 is told; a fourth class is nowhere.
fn six() -> Confusion {
    let mut confusion = Confusion::new(4);
    for (right, told) in [(0, 0), (0, 0), (0, 1), (1, 1), (1, 2), (2, 2)] {
        confusion.count(right, told);
    }
    confusion
}

/// F1 is 4/5, 1/2 and 2/3; the correlation (4·6 − 12) / √((36 − 12)·(36 − 14)).
#[test]
fn classes() {
    let six = six();
    close(six.accuracy(), 4.0 / 6.0);
    close(six.f1(0), 0.8);
    close(six.f1(1), 0.5);
    close(six.f1(2), 2.0 / 3.0);
    assert_eq!(six.f1(3), None);
    close(six.f1_macro(), (0.8 + 0.5 + 2.0 / 3.0) / 3.0);
    close(six.matthews_corrcoef(), 12.0 / 528f64.sqrt());
    assert_eq!((six.support(), six.n()), (vec![3, 2, 1, 0], 6));
}

#[test]
fn a_majority_class_alone_is_worth_nothing() {
    let mut always = Confusion::new(2);
    [0, 0, 0, 1]
        .into_iter()
        .for_each(|right| always.count(right, 0));
    close(always.accuracy(), 0.75);
    close(always.f1(1), 0.0);
    close(always.f1_macro(), 3.0 / 7.0);
    close(always.matthews_corrcoef(), 0.0);
    let none = Confusion::new(2);
    assert_eq!(
        none.accuracy()
            .or(none.f1_macro())
            .or(none.matthews_corrcoef()),
        None
    );
}

/// The largest logit tells, of equal ones the first; what does not count is left out.
#[test]
fn logits_tell_classes() {
    let mut scores = Scores::Classes(Confusion::new(3));
    let logits = [
        0.0, 2.0, 1.0, 3.0, 3.0, 3.0, 9.0, 0.0, 0.0, -3.0, -2.0, -1.0,
    ];
    scores.add(&logits, &batch(&[1, 1, -100, 2], &[]));
    let mut expected = Confusion::new(3);
    [(1, 1), (1, 0), (2, 2)]
        .into_iter()
        .for_each(|(right, told)| expected.count(right, told));
    assert_eq!(scores, Scores::Classes(expected));
}

/// Label 0 is once right and once wrong, label 1 nowhere, label 2 once right and once missed.
#[test]
fn labels() {
    let mut scores = Scores::Labels(Labels::new(3));
    scores.add(
        &[2.0, -1.0, -1.0, 1.0, -3.0, 3.0],
        &batch(&[0, 0], &[1.0, 0.0, 1.0, 0.0, 0.0, 1.0]),
    );
    let metrics = scores.metrics();
    assert_eq!(metrics[0].0, "f1_micro");
    close(metrics[0].1, 2.0 / 3.0);
    close(metrics[1].1, 4.0 / 9.0);
    assert_eq!(scores.support(), [1, 0, 2]);
}

#[test]
fn numbers() {
    let mut scores = Scores::Numbers(Numbers::new(1));
    scores.add(&[1.0, 2.0], &batch(&[0, 0], &[1.0, 3.0]));
    scores.add(&[3.0], &batch(&[0], &[2.0]));
    let values: Vec<Option<f64>> = scores
        .metrics()
        .into_iter()
        .map(|metric| metric.1)
        .collect();
    close(values[0], 2.0 / 3.0);
    close(values[1], 0.5);
    close(values[2], 0.5);
}

/// Ranks 1½ 1½ 3 against 1 2 3: 3/2 over √(3/2 · 2). A constant column has no correlation.
#[test]
fn equal_numbers_share_ranks_and_columns_are_averaged() {
    let mut two = Numbers::new(2);
    let told = [1.0, 0.0, 1.0, 1.0, 4.0, 2.0];
    let right = [0.0, 0.0, 5.0, 2.0, 9.0, 4.0];
    two.add(&told, &right);
    close(two.column(0)[2].1, 1.5 / 3f64.sqrt());
    close(two.column(1)[1].1, 1.0);
    close(two.spearman(), (1.5 / 3f64.sqrt() + 1.0) / 2.0);
    let mut flat = Numbers::new(1);
    flat.add(&[0.1, 0.1, 0.1], &[1.0, 2.0, 3.0]);
    assert_eq!((flat.pearson(), flat.spearman()), (None, None));
    assert!(flat.mse().is_some());
}
