//! What a loader makes of a masked objective.

use std::sync::Arc;

use proptest::prelude::*;
use tenon_base::Kind;
use tenon_data::batch::{Borders, Layout, NOT_COUNTED, Order, Redraw, Sight};
use tenon_data::vocab::{CodonTokenizer, ResidueTokenizer, Tokenizer};
use tenon_data::{Batch, Cursor, Loader, Tokens};

use super::{esm, masked, random_ids, spec};

fn packed(sight: Sight, borders: Borders) -> Layout {
    Layout::Packed { sight, borders }
}

/// Documents of 10, 26, 5 and 40 residues.
fn tokens() -> Arc<Tokens> {
    let esm = ResidueTokenizer::esm();
    let all = "LAGVSERTIDPKQNFYMHWCLAGVSERTIDPKQNFYMHWC";
    let mut tokens = Tokens::new(&esm);
    for n in [10, 26, 5, 40] {
        tokens
            .push(&esm.encode(&all[..n]).unwrap(), 0, n as u64)
            .unwrap();
    }
    Arc::new(tokens)
}

fn epoch(loader: &mut Loader) -> Vec<Batch> {
    (0..loader.n_batches())
        .map(|_| {
            let mut batch = Batch::default();
            loader.next(&mut batch);
            batch
        })
        .collect()
}

/// Ids and targets of each sequence of the batches.
fn sequences(batches: &[Batch]) -> Vec<(Vec<i32>, Vec<i32>)> {
    let mut all = Vec::new();
    for batch in batches {
        for ends in batch.cu_seqlens.windows(2) {
            let rows = ends[0] as usize..ends[1] as usize;
            all.push((
                batch.ids[rows.clone()].to_vec(),
                batch.targets[rows].to_vec(),
            ));
        }
    }
    all
}

/// What the tokens were before masking, as far as the batch tells.
fn restored(ids: &[i32], targets: &[i32]) -> Vec<i32> {
    let pairs = ids.iter().zip(targets);
    pairs
        .map(|(&id, &target)| if target == NOT_COUNTED { id } else { target })
        .collect()
}

#[test]
fn targets_stand_where_the_tokens_stood() {
    let (_, masker) = esm();
    let tokens = tokens();
    for layout in [
        Layout::OnePerRow,
        packed(Sight::Document, Borders::Fixed),
        packed(Sight::Block, Borders::Fixed),
    ] {
        let spec = spec(layout, 64, 2, Order::InOrder);
        let objective = masked(&masker, 1, Redraw::EachEpoch);
        let mut loader = Loader::with_objective(tokens.clone(), spec, objective).unwrap();
        let batches = epoch(&mut loader);
        let mut rows = Vec::new();
        for batch in &batches {
            rows.extend(restored(&batch.ids, &batch.targets));
            let counted = batch.targets.iter().filter(|&&t| t != NOT_COUNTED).count();
            assert_eq!(
                (counted, counted as u64),
                (batch.n_loss_tokens, batch.n_bytes)
            );
            assert!(counted > 0);
            assert_eq!(batch.ids.len(), batch.positions.len());
        }
        let all: Vec<i32> = (0..4)
            .flat_map(|i| tokens.document(i))
            .map(|&id| id as i32)
            .collect();
        assert_eq!(rows, all, "{layout:?}");
    }
}

#[test]
fn masks_change_in_training_and_stay_in_validation() {
    let (_, masker) = esm();
    let spec = spec(Layout::OnePerRow, 64, 4, Order::InOrder);
    for (redraw, stays) in [(Redraw::EachEpoch, false), (Redraw::Never, true)] {
        let objective = masked(&masker, 1, redraw);
        let mut loader = Loader::with_objective(tokens(), spec, objective).unwrap();
        let (first, second) = (epoch(&mut loader), epoch(&mut loader));
        assert_eq!(first == second, stays, "{redraw:?}");
    }
}

#[test]
fn the_size_and_order_of_batches_change_no_mask() {
    let (_, masker) = esm();
    let sorted = |batch_size, order| {
        let spec = spec(Layout::OnePerRow, 20, batch_size, order);
        let objective = masked(&masker, 1, Redraw::EachEpoch);
        let mut loader = Loader::with_objective(tokens(), spec, objective).unwrap();
        let mut all = sequences(&epoch(&mut loader));
        all.sort();
        all
    };
    let alone = sorted(1, Order::InOrder);
    assert_eq!(alone, sorted(4, Order::InOrder));
    assert_eq!(alone, sorted(3, Order::Shuffled { seed: 8 }));
}

#[test]
fn a_long_document_is_cut_to_a_window_between_its_special_tokens() {
    let (_, masker) = esm();
    let tokens = tokens();
    let spec = spec(Layout::OnePerRow, 12, 4, Order::InOrder);
    let objective = masked(&masker, 1, Redraw::EachEpoch);
    let mut loader = Loader::with_objective(tokens.clone(), spec, objective).unwrap();
    let whole: Vec<i32> = tokens.document(3).iter().map(|&id| id as i32).collect();
    assert_eq!(loader.facts().n_truncated, 2);
    assert_eq!(loader.facts().n_tokens, 12 + 12 + 7 + 12);
    let mut starts = [0usize; 31];
    for _ in 0..6200 {
        let all = sequences(&epoch(&mut loader));
        assert_eq!(restored(&all[0].0, &all[0].1).len(), 12);
        let window = restored(&all[3].0, &all[3].1);
        assert_eq!((window.len(), window[0], window[11]), (12, 0, 2));
        let inner = &window[1..11];
        let found: Vec<usize> = (1..=31)
            .filter(|&from| whole[from..from + 10] == *inner)
            .collect();
        // Twenty letters twice: a window is found again twenty places on.
        starts[found[0] - 1] += 1;
    }
    assert!(starts[..20].iter().all(|&n| n > 100), "{starts:?}");
}

#[test]
fn the_window_of_validation_stays() {
    let (_, masker) = esm();
    let spec = spec(Layout::OnePerRow, 12, 4, Order::InOrder);
    let objective = masked(&masker, 1, Redraw::Never);
    let mut loader = Loader::with_objective(tokens(), spec, objective).unwrap();
    assert_eq!(epoch(&mut loader), epoch(&mut loader));
}

#[test]
fn a_cursor_goes_on_with_the_same_masks() {
    let (_, masker) = esm();
    let spec = spec(
        packed(Sight::Document, Borders::MovedEachEpoch),
        9,
        2,
        Order::Shuffled { seed: 3 },
    );
    let objective = masked(&masker, 3, Redraw::EachEpoch);
    let mut loader = Loader::with_objective(tokens(), spec, objective.clone()).unwrap();
    for _ in 0..7 {
        loader.next(&mut Batch::default());
    }
    let cursor = loader.cursor();
    assert!(cursor > Cursor::default());
    let mut resumed = Loader::with_objective(tokens(), spec, objective).unwrap();
    resumed.seek(cursor).unwrap();
    for _ in 0..20 {
        let (mut a, mut b) = (Batch::default(), Batch::default());
        loader.next(&mut a);
        resumed.next(&mut b);
        assert_eq!(a, b);
    }
}

#[test]
fn prompts_are_context_of_masked_sequences_too() {
    let (esm, masker) = esm();
    let mut tokens = Tokens::new(&esm);
    tokens
        .push(&esm.encode("LAGVSERTIDPKQNFYMHWC").unwrap(), 15, 20)
        .unwrap();
    let spec = spec(Layout::OnePerRow, 64, 1, Order::InOrder);
    let objective = masked(&masker, 1, Redraw::EachEpoch);
    let mut loader = Loader::with_objective(Arc::new(tokens), spec, objective).unwrap();
    for _ in 0..50 {
        let batch = &epoch(&mut loader)[0];
        assert!(batch.targets[..15].iter().all(|&t| t == NOT_COUNTED));
        assert!(batch.n_loss_tokens > 0);
    }
}

#[test]
fn loaders_that_cannot_mask() {
    let (esm, masker) = esm();
    let rejects = |tokens: Tokens, length_max, kind, part: &str| {
        let spec = spec(Layout::OnePerRow, length_max, 1, Order::InOrder);
        let objective = masked(&masker, 1, Redraw::Never);
        let error = Loader::with_objective(Arc::new(tokens), spec, objective).unwrap_err();
        assert_eq!(error.kind(), kind);
        assert!(error.message().contains(part), "{error}");
    };
    let mut only_special = Tokens::new(&esm);
    only_special.push(&esm.encode("JJ").unwrap(), 0, 2).unwrap();
    rejects(only_special, 9, Kind::Data, "no token that could be masked");
    let mut of_codons = Tokens::new(&CodonTokenizer::new());
    of_codons.push(&[0, 68, 1], 0, 3).unwrap();
    rejects(of_codons, 9, Kind::Data, "outside a vocabulary of 33");
    let mut short = Tokens::new(&esm);
    short.push(&esm.encode("MK").unwrap(), 0, 2).unwrap();
    rejects(short, 2, Kind::Usage, "needed are 3");
}

#[test]
fn documents_without_an_ordinary_token_are_left_out() {
    let (esm, masker) = esm();
    let mut tokens = Tokens::new(&esm);
    for text in ["MKT", "JJ", "LLL"] {
        tokens.push(&esm.encode(text).unwrap(), 0, 3).unwrap();
    }
    let spec = spec(Layout::OnePerRow, 9, 8, Order::InOrder);
    let objective = masked(&masker, 1, Redraw::Never);
    let loader = Loader::with_objective(Arc::new(tokens), spec, objective).unwrap();
    let facts = loader.facts();
    assert_eq!((facts.n_documents, facts.n_dropped), (2, 1));
}

#[test]
fn a_batch_once_filled_keeps_its_buffers() {
    let (_, masker) = esm();
    let spec = spec(Layout::OnePerRow, 20, 2, Order::Shuffled { seed: 1 });
    let objective = masked(&masker, 1, Redraw::EachEpoch);
    let mut loader = Loader::with_objective(tokens(), spec, objective).unwrap();
    let mut batch = Batch::default();
    loader.next(&mut batch);
    let (ids, targets) = (batch.ids.as_ptr(), batch.targets.as_ptr());
    for _ in 0..20 {
        loader.next(&mut batch);
        assert_eq!((batch.ids.as_ptr(), batch.targets.as_ptr()), (ids, targets));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn every_row_is_a_real_token(
        lengths in prop::collection::vec(1usize..40, 1..8),
        length_max in 3usize..24,
        batch_size in 1usize..5,
        block in any::<bool>(),
        one_per_row in any::<bool>(),
    ) {
        let (esm, masker) = esm();
        let mut tokens = Tokens::new(&esm);
        for n in lengths {
            let mut ids = random_ids(n);
            ids.insert(0, 0);
            ids.push(2);
            tokens.push(&ids, 0, n as u64).unwrap();
        }
        let n_tokens = tokens.facts().n_tokens;
        let sight = if block { Sight::Block } else { Sight::Document };
        let layout = match one_per_row {
            true => Layout::OnePerRow,
            false => packed(sight, Borders::MovedEachEpoch),
        };
        let spec = spec(layout, length_max, batch_size, Order::Shuffled { seed: 1 });
        let objective = masked(&masker, 1, Redraw::EachEpoch);
        let mut loader = Loader::with_objective(Arc::new(tokens), spec, objective).unwrap();
        let n_expected = match one_per_row {
            true => loader.facts().n_tokens,
            false => n_tokens,
        };
        for _ in 0..2 {
            let batches = epoch(&mut loader);
            let n_rows: usize = batches.iter().map(|batch| batch.ids.len()).sum();
            prop_assert_eq!(n_rows as u64, n_expected);
            for (ids, targets) in sequences(&batches) {
                prop_assert!(ids.len() <= length_max);
                let whole = restored(&ids, &targets);
                for (row, &target) in targets.iter().enumerate() {
                    prop_assert!(target == NOT_COUNTED || masker.is_ordinary(target as u32));
                    prop_assert!(target != NOT_COUNTED || ids[row] == whole[row]);
                }
            }
        }
    }
}
