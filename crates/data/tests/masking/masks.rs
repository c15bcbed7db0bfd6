//! Which tokens are guessed and what is shown instead.

use tenon_base::Kind;
use tenon_base::rng::{Key, Stream};
use tenon_data::batch::{Masker, Masking, NOT_COUNTED, Place};
use tenon_data::vocab::{ByteTokenizer, ResidueTokenizer, Tokenizer};

use super::{esm, random_ids};

fn place(seed: u64, epoch: u64, sequence: u64) -> Place {
    Place {
        key: Key::new(seed, Stream::Mask),
        epoch,
        sequence,
    }
}

/// Five standard deviations of a binomial count.
#[track_caller]
fn near(count: usize, n: usize, p: f64) {
    let (mean, sigma) = (n as f64 * p, (n as f64 * p * (1.0 - p)).sqrt());
    assert!(
        (count as f64 - mean).abs() < 5.0 * sigma,
        "{count} of {n}, expected {mean} ± {sigma}"
    );
}

#[test]
fn the_rates_are_those_of_the_paper() {
    let (_, masker) = esm();
    let ids = random_ids(400_000);
    let (inputs, labels) = masker.mask_tokens(&ids, place(1, 0, 0));
    let guessed: Vec<usize> = (0..ids.len())
        .filter(|&i| labels[i] != NOT_COUNTED)
        .collect();
    near(guessed.len(), ids.len(), 0.15);
    let n = guessed.len();
    let masked = guessed.iter().filter(|&&i| inputs[i] == 32).count();
    near(masked, n, 0.8);
    // One in 27 ordinary ids is drawn as itself.
    let kept = guessed.iter().filter(|&&i| inputs[i] == labels[i]).count();
    near(kept, n, 0.1 + 0.1 / 27.0);
    near(n - masked - kept, n, 0.1 * 26.0 / 27.0);
    for i in 0..ids.len() {
        match labels[i] {
            NOT_COUNTED => assert_eq!(inputs[i], ids[i] as i32),
            label => assert_eq!(label, ids[i] as i32),
        }
    }
}

#[test]
fn random_tokens_are_uniform_over_the_ordinary_ids() {
    let esm = ResidueTokenizer::esm();
    let masking = Masking {
        rate: 1.0,
        masked_part: 0.0,
        random_part: 1.0,
    };
    let masker = Masker::new(&esm, masking).unwrap();
    let ids = random_ids(270_000);
    let (inputs, labels) = masker.mask_tokens(&ids, place(3, 0, 0));
    assert!(labels.iter().all(|&label| label != NOT_COUNTED));
    let mut seen = [0usize; 33];
    for input in inputs {
        seen[input as usize] += 1;
    }
    for (id, &n) in seen.iter().enumerate() {
        match (4..=30).contains(&id) {
            true => near(n, 270_000, 1.0 / 27.0),
            false => assert_eq!(n, 0, "special id {id} was drawn"),
        }
    }
}

#[test]
fn special_tokens_are_never_guessed() {
    let (esm, masker) = esm();
    let ids = esm.encode("<null_1><unk><pad><mask><cls><eos>JJ").unwrap();
    for sequence in 0..200 {
        let (inputs, labels) = masker.mask_tokens(&ids, place(1, 0, sequence));
        assert!(labels.iter().all(|&label| label == NOT_COUNTED));
        assert!(inputs.iter().zip(&ids).all(|(&a, &b)| a == b as i32));
    }
    assert_eq!(masker.mask_tokens(&[], place(1, 0, 0)), (vec![], vec![]));
}

#[test]
fn every_sequence_with_an_ordinary_token_has_a_guess() {
    let (esm, masker) = esm();
    let ids = esm.encode("MKT").unwrap();
    let mut only = [0usize; 3];
    for sequence in 0..30_000 {
        let (_, labels) = masker.mask_tokens(&ids, place(5, 2, sequence));
        let guessed: Vec<usize> = (0..5).filter(|&i| labels[i] != NOT_COUNTED).collect();
        assert!(!guessed.is_empty());
        if let [one] = guessed[..] {
            only[one - 1] += 1;
        }
    }
    let n = only.iter().sum();
    for count in only {
        near(count, n, 1.0 / 3.0);
    }
}

/// The draws are part of the reproducibility promise; `golden/masks.py` makes them independently.
#[test]
fn the_masks_of_a_seed_stay_what_they_are() {
    let (esm, masker) = esm();
    let ids = esm.encode("MKTAYIAKQRQISFVKSHFSRQ").unwrap();
    let (inputs, labels) = masker.mask_tokens(&ids, place(42, 3, 11));
    let changed: Vec<(usize, i32, i32)> = (0..ids.len())
        .filter(|&i| labels[i] != NOT_COUNTED)
        .map(|i| (i, inputs[i], labels[i]))
        .collect();
    let recorded = [
        (8, 29, 15),
        (10, 10, 10),
        (12, 32, 12),
        (14, 32, 18),
        (18, 5, 21),
        (19, 32, 18),
    ];
    assert_eq!(changed, recorded);
}

#[test]
fn a_mask_depends_on_seed_stream_epoch_and_sequence() {
    let (_, masker) = esm();
    let ids = random_ids(200);
    let base = masker.mask_tokens(&ids, place(1, 2, 3));
    assert_eq!(base, masker.mask_tokens(&ids, place(1, 2, 3)));
    let validation = Place {
        key: Key::new(1, Stream::MaskValidation),
        ..place(1, 2, 3)
    };
    let others = [
        place(2, 2, 3),
        place(1, 3, 3),
        place(1, 2, 4),
        place(1, 2, 3 + (1 << 32)),
        validation,
    ];
    for other in others {
        assert_ne!(base, masker.mask_tokens(&ids, other), "{other:?}");
    }
}

#[test]
fn a_mask_at_a_position_does_not_depend_on_what_follows() {
    let (_, masker) = esm();
    let ids = random_ids(200);
    let (inputs, labels) = masker.mask_tokens(&ids, place(1, 0, 0));
    let (head, head_labels) = masker.mask_tokens(&ids[..150], place(1, 0, 0));
    assert_eq!(
        (&inputs[..150], &labels[..150]),
        (&head[..], &head_labels[..])
    );
}

#[test]
fn maskings_that_cannot_be() {
    let (esm, _) = esm();
    let with = |rate, masked_part, random_part| {
        let masking = Masking {
            rate,
            masked_part,
            random_part,
        };
        Masker::new(&esm, masking)
    };
    for masking in [
        with(0.0, 0.8, 0.1),
        with(1.1, 0.8, 0.1),
        with(f64::NAN, 0.8, 0.1),
        with(0.15, -0.1, 0.1),
        with(0.15, 0.8, 0.3),
        with(0.15, f64::NAN, 0.1),
    ] {
        assert_eq!(masking.unwrap_err().kind(), Kind::Usage);
    }
    assert!(with(1.0, 0.8, 0.2).is_ok());
    let error = Masker::new(&ByteTokenizer, Masking::STANDARD).unwrap_err();
    assert!(error.message().contains("no mask token"), "{error}");
}
