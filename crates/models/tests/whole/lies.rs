//! Inputs that make no sense are refused with their place, and packing never gives an insane batch.

use proptest::prelude::*;
use tenon_base::Kind;
use tenon_models::predict::{Bounds, pack};
use tenon_models::spec::Objective;

use crate::common::Inputs;
use crate::packing::tensor;

const BOUNDS: Bounds = Bounds {
    vocab_size: 10,
    context_len: 6,
    first_position: 0,
    token_types: 0,
    window: None,
    objective: Objective::Causal,
};

/// Name, shape and values.
type Given<'a> = (&'a str, &'a [usize], &'a [i64]);

#[track_caller]
fn rejects(inputs: &[Given<'_>], message: &str) {
    let owned =
        |&(name, shape, values): &Given<'_>| (name.to_owned(), tensor(shape, values.to_vec()));
    let inputs: Inputs = inputs.iter().map(owned).collect();
    let error = pack(&inputs, BOUNDS).expect_err("accepted");
    assert_eq!(error.kind(), Kind::Data);
    assert!(
        error.message().contains(message),
        "`{}` lacks `{message}`",
        error.message()
    );
}

#[test]
fn shapes_and_names() {
    let ids: Given<'_> = ("input_ids", &[1, 2], &[1, 2]);
    rejects(&[], "`input_ids` is missing");
    rejects(&[("input_ids", &[2], &[1, 2])], "`input_ids` has shape [2]");
    rejects(
        &[ids, ("labels", &[2, 1], &[1, 2])],
        "`labels` has shape [2, 1]",
    );
    rejects(
        &[ids, ("token_type_ids", &[1, 2], &[0, 0])],
        "takes no input `token_type_ids`",
    );
}

#[test]
fn values_out_of_range_are_placed() {
    let ids: Given<'_> = ("input_ids", &[2, 2], &[1, 2, 3, 4]);
    let shape: &[usize] = &[2, 2];
    rejects(
        &[("input_ids", shape, &[1, 2, 3, 10])],
        "row 1, column 1 holds 10",
    );
    rejects(
        &[("input_ids", shape, &[1, -2, 3, 1])],
        "row 0, column 1 holds -2",
    );
    rejects(
        &[("input_ids", shape, &[1, i64::MAX, 3, 1])],
        "row 0, column 1",
    );
    rejects(
        &[ids, ("labels", shape, &[1, 2, -1, 3])],
        "`labels` at row 1, column 0 holds -1",
    );
    rejects(
        &[ids, ("attention_mask", shape, &[1, 2, 1, 1])],
        "row 0, column 1 holds 2",
    );
    rejects(
        &[ids, ("position_ids", shape, &[0, 6, 0, 0])],
        "`position_ids` at row 0, column 1",
    );
    rejects(
        &[("input_ids", &[1, 7], &[1; 7])],
        "row 0, column 6 has position 6",
    );
}

#[test]
fn labels_that_padding_cannot_have() {
    let ids: Given<'_> = ("input_ids", &[1, 4], &[1, 2, 3, 4]);
    let mask: Given<'_> = ("attention_mask", &[1, 4], &[1, 0, 1, 1]);
    rejects(
        &[ids, mask, ("labels", &[1, 4], &[1, 5, -100, 4])],
        "row 0, column 1 counts, but its token is masked",
    );
    rejects(
        &[ids, mask, ("labels", &[1, 4], &[1, -100, 3, 4])],
        "row 0, column 2 counts, but the token that would predict it is masked",
    );
}

#[test]
fn bounds_that_lie() {
    let ids: Given<'_> = ("input_ids", &[1, 4], &[1, 2, 3, 4]);
    fn bounds<'a>(shape: &'a [usize], values: &'a [i64]) -> Given<'a> {
        ("cu_seqlens", shape, values)
    }
    rejects(&[ids, bounds(&[0], &[])], "must go from 0 to the 4 tokens");
    rejects(
        &[ids, bounds(&[2], &[0, 3])],
        "must go from 0 to the 4 tokens",
    );
    rejects(
        &[ids, bounds(&[2], &[1, 4])],
        "must go from 0 to the 4 tokens",
    );
    rejects(
        &[ids, bounds(&[4], &[0, 3, 2, 4])],
        "falls after its element 1",
    );
    rejects(
        &[ids, bounds(&[4], &[0, 9, 2, 4])],
        "falls after its element 1",
    );
    rejects(&[ids, bounds(&[1, 2], &[0, 4])], "has shape [1, 2]");
    rejects(
        &[("input_ids", &[2, 2], &[1; 4]), bounds(&[2], &[0, 4])],
        "one row",
    );
    let mask = ("attention_mask", &[1usize, 4][..], &[1i64; 4][..]);
    rejects(&[ids, mask, bounds(&[2], &[0, 4])], "exclude each other");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Whatever the tensors hold, packing refuses them or gives a batch that keeps every promise.
    #[test]
    fn a_packed_batch_is_sane(
        shape in prop::sample::select(vec![[1, 6], [2, 3], [3, 2], [0, 4], [4, 0]]),
        ids in prop::collection::vec(-1i64..11, 6),
        mask in prop::collection::vec(-1i64..3, 6),
        labels in prop::collection::vec(prop_oneof![Just(-100i64), -2i64..11], 6),
        bounds in prop::collection::vec(-1i64..8, 0..5),
        given in prop::array::uniform3(any::<bool>()),
    ) {
        let n = shape[0] * shape[1];
        let t = |values: &Vec<i64>| tensor(&shape, values[..n].to_vec());
        let mut inputs = Inputs::from([("input_ids".to_owned(), t(&ids))]);
        let small = |values: &Vec<i64>| values.iter().map(|&v| i64::from(v > 0)).collect();
        let mask: Vec<i64> = if given[1] { small(&mask) } else { mask };
        if given[0] { inputs.insert("attention_mask".to_owned(), t(&mask)); }
        if given[1] { inputs.insert("labels".to_owned(), t(&labels)); }
        if given[2] { inputs.insert("cu_seqlens".to_owned(), tensor(&[bounds.len()], bounds)); }
        if let Ok(p) = pack(&inputs, BOUNDS) {
            prop_assert_eq!(p.ids.len(), p.places.len());
            prop_assert_eq!(p.positions.len(), p.places.len());
            prop_assert!(p.places.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert!(p.places.iter().all(|&place| place < n));
            prop_assert!(p.ids.iter().all(|&id| (0..10).contains(&id)));
            prop_assert!(p.positions.iter().all(|&at| (0..6).contains(&at)));
            prop_assert!(p.cu_seqlens.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert_eq!(*p.cu_seqlens.last().unwrap() as usize, p.places.len());
            if let Some(targets) = &p.targets {
                prop_assert_eq!(targets.len(), p.places.len());
                for &end in &p.cu_seqlens[1..] {
                    prop_assert_eq!(targets[end as usize - 1], -100);
                }
            }
        }
    }
}
