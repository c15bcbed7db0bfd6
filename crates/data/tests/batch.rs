//! Batches: nothing lost, nothing doubled, nothing seen across a boundary, resume exact.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use proptest::prelude::*;
use tenon_base::Kind;
use tenon_base::rng::{Key, Stream, permutation};
use tenon_data::batch::{
    Batch, Borders, Cursor, Layout, Loader, LoaderSpec, NOT_COUNTED, Order, Partial, Sight, Tokens,
    check_ids,
};
use tenon_data::source::Rows;
use tenon_data::vocab::{ByteTokenizer, CharTokenizer, Eos, Tokenizer};

const EOS: i32 = 256;

fn rows(texts: &[String]) -> Rows {
    let mut rows = Rows::new();
    rows.begin_file(PathBuf::from("a.txt"));
    for (index, text) in texts.iter().enumerate() {
        rows.push(index as u64 + 1, text).unwrap();
    }
    rows
}

fn tokens(texts: &[&str]) -> Arc<Tokens> {
    let texts: Vec<String> = texts.iter().map(|text| text.to_string()).collect();
    Arc::new(Tokens::of_rows(&rows(&texts), &ByteTokenizer, NonZeroUsize::MIN).unwrap())
}

fn packed(sight: Sight, borders: Borders) -> Layout {
    Layout::Packed { sight, borders }
}

const FIXED: Layout = Layout::Packed {
    sight: Sight::Block,
    borders: Borders::Fixed,
};

fn in_order(layout: Layout, length_max: usize, batch_size: usize) -> LoaderSpec {
    LoaderSpec {
        layout,
        length_max,
        batch_size,
        order: Order::InOrder,
        partial: Partial::Keep,
    }
}

fn take(loader: &mut Loader, n: usize) -> Vec<Batch> {
    let fill = |_| {
        let mut batch = Batch::default();
        loader.next(&mut batch);
        batch
    };
    (0..n).map(fill).collect()
}

fn epoch(loader: &mut Loader) -> Vec<Batch> {
    let n = loader.n_batches();
    take(loader, n)
}

fn ids(text: &str) -> Vec<i32> {
    text.bytes()
        .map(|byte| if byte == b'|' { EOS } else { byte.into() })
        .collect()
}

/// Targets of a text in which `|` is eos and `_` is not counted.
fn targets(text: &str) -> Vec<i32> {
    ids(text)
        .into_iter()
        .map(|id| {
            if id == i32::from(b'_') {
                NOT_COUNTED
            } else {
                id
            }
        })
        .collect()
}

#[track_caller]
fn check(batch: &Batch, batch_ids: &str, batch_targets: &str, cu_seqlens: &[i32]) {
    assert_eq!(batch.ids, ids(batch_ids));
    assert_eq!(batch.targets, targets(batch_targets));
    assert_eq!(batch.cu_seqlens, cu_seqlens);
    check_form(batch);
}

/// What holds for every batch.
#[track_caller]
fn check_form(batch: &Batch) {
    assert!(!batch.ids.is_empty() && batch.n_loss_tokens > 0);
    assert_eq!(batch.ids.len(), batch.targets.len());
    let mut positions = Vec::new();
    for bounds in batch.cu_seqlens.windows(2) {
        assert!(bounds[0] < bounds[1], "an empty sequence");
        positions.extend(0..bounds[1] - bounds[0]);
        for row in bounds[0] as usize..bounds[1] as usize - 1 {
            assert!([NOT_COUNTED, batch.ids[row + 1]].contains(&batch.targets[row]));
        }
    }
    assert_eq!(
        (batch.cu_seqlens[0], batch.n_seqs() + 1),
        (0, batch.cu_seqlens.len())
    );
    assert_eq!(batch.positions, positions);
    assert_eq!(*batch.cu_seqlens.last().unwrap() as usize, batch.ids.len());
    let counted: Vec<i32> = batch
        .targets
        .iter()
        .copied()
        .filter(|&t| t != NOT_COUNTED)
        .collect();
    assert_eq!(batch.n_loss_tokens, counted.len());
    let n_bytes = counted.iter().filter(|&&target| target != EOS).count();
    assert_eq!(batch.n_bytes, n_bytes as u64);
}

#[test]
fn packed_blocks_predict_across_documents_and_block_borders() {
    let mut loader = Loader::new(tokens(&["abc", "de", "f"]), in_order(FIXED, 4, 2)).unwrap();
    let batches = epoch(&mut loader);
    check(&batches[0], "abc|de|f", "bc|de|f|", &[0, 4, 8]);
    assert_eq!(batches.len(), 1);
    let mut loader = Loader::new(tokens(&["abc", "de", "f"]), in_order(FIXED, 3, 2)).unwrap();
    let batches = epoch(&mut loader);
    check(&batches[0], "abc|de", "bc|de|", &[0, 3, 6]);
    check(&batches[1], "|f", "f|", &[0, 2]);
}

#[test]
fn document_boundaries_split_sequences_and_hide_the_next_document() {
    let layout = packed(Sight::Document, Borders::Fixed);
    let mut loader = Loader::new(tokens(&["abc", "de", "f"]), in_order(layout, 6, 1)).unwrap();
    let batches = epoch(&mut loader);
    check(&batches[0], "abc|de", "bc|_e|", &[0, 4, 6]);
    check(&batches[1], "|f", "_|", &[0, 1, 2]);
}

#[test]
fn one_document_a_row_is_truncated_without_a_false_eos() {
    let spec = in_order(Layout::OnePerRow, 4, 2);
    let mut loader = Loader::new(tokens(&["abc", "defgh", "i"]), spec).unwrap();
    let batches = epoch(&mut loader);
    check(&batches[0], "abc|defg", "bc|_efg_", &[0, 4, 8]);
    check(&batches[1], "i|", "|_", &[0, 2]);
    let facts = loader.facts();
    assert_eq!(
        (facts.n_documents, facts.n_tokens, facts.n_truncated),
        (3, 10, 1)
    );
    assert_eq!((facts.n_bytes, facts.n_dropped), (9, 0));
}

/// D18: eos was masked because it doubled as padding.
#[test]
fn d18_every_eos_is_a_target() {
    for layout in [
        FIXED,
        packed(Sight::Document, Borders::Fixed),
        Layout::OnePerRow,
    ] {
        let mut loader = Loader::new(tokens(&["abc", "de", "f"]), in_order(layout, 5, 1)).unwrap();
        let n_eos: usize = epoch(&mut loader)
            .iter()
            .map(|batch| {
                batch
                    .targets
                    .iter()
                    .filter(|&&target| target == EOS)
                    .count()
            })
            .sum();
        assert_eq!(n_eos, 3, "{layout:?}");
    }
}

#[test]
fn prompts_are_context_and_not_counted() {
    let mut tokens = Tokens::new(&ByteTokenizer);
    for (text, n_prompt) in [("ab=c|", 3), ("d=e|", 2)] {
        let ids: Vec<u32> = ids(text).into_iter().map(|id| id as u32).collect();
        tokens.push(&ids, n_prompt, text.len() as u64 - 1).unwrap();
    }
    let tokens = Arc::new(tokens);
    let mut loader = Loader::new(tokens.clone(), in_order(Layout::OnePerRow, 9, 2)).unwrap();
    check(&epoch(&mut loader)[0], "ab=c|d=e|", "__c|__e|_", &[0, 5, 9]);
    let mut loader = Loader::new(tokens.clone(), in_order(FIXED, 9, 1)).unwrap();
    check(&epoch(&mut loader)[0], "ab=c|d=e", "__c|__e|", &[0, 8]);
    let loader = Loader::new(tokens, in_order(Layout::OnePerRow, 3, 2)).unwrap();
    assert_eq!(
        (loader.facts().n_dropped, loader.facts().n_documents),
        (1, 1)
    );
}

#[test]
fn documents_without_a_target_are_counted_and_left_out() {
    let tokenizer = CharTokenizer::fit(["ab"], Eos::Absent).unwrap();
    let rows = rows(&["a".into(), "ab".into()]);
    let tokens = Tokens::of_rows(&rows, &tokenizer, NonZeroUsize::MIN).unwrap();
    let facts = tokens.facts();
    assert_eq!(
        (facts.n_documents, facts.n_dropped, facts.n_tokens),
        (1, 1, 2)
    );
}

#[test]
fn a_row_that_cannot_be_tokenized_is_named() {
    let tokenizer = CharTokenizer::fit(["ab"], Eos::Added).unwrap();
    let rows = rows(&["ab".into(), "xb".into(), "yb".into()]);
    for n_threads in 1..5 {
        let n_threads = NonZeroUsize::new(n_threads).unwrap();
        let error = Tokens::of_rows(&rows, &tokenizer, n_threads).unwrap_err();
        assert_eq!(error.place(), Some("a.txt:2"));
        assert!(error.message().contains("'x'"));
    }
}

#[test]
fn an_id_outside_the_vocabulary_is_named() {
    assert!(check_ids(&[0, 9], 10).is_ok() && check_ids(&[], 0).is_ok());
    let error = check_ids(&[3, 10, 2], 10).unwrap_err();
    assert_eq!(error.kind(), Kind::Data);
    assert!(
        error
            .message()
            .contains("token id 10 is outside a vocabulary of 10 ids")
    );
    assert!(
        tokens(&["ab"])
            .check_vocabulary(256)
            .unwrap_err()
            .message()
            .contains("id 256")
    );
    assert!(Tokens::new(&ByteTokenizer).push(&[1, 257], 0, 1).is_err());
}

#[track_caller]
fn rejects(tokens: Arc<Tokens>, spec: LoaderSpec, kind: Kind, message: &str) {
    let error = Loader::new(tokens, spec).unwrap_err();
    assert_eq!(error.kind(), kind);
    assert!(error.message().contains(message), "{error}");
}

#[test]
fn loaders_that_cannot_make_a_batch() {
    let text = || tokens(&["abc"]);
    rejects(
        text(),
        in_order(FIXED, 1, 1),
        Kind::Usage,
        "at most 1 tokens",
    );
    rejects(
        text(),
        in_order(FIXED, 2, 0),
        Kind::Usage,
        "a batch of 0 sequences",
    );
    rejects(
        text(),
        in_order(FIXED, 1 << 20, 1 << 20),
        Kind::Usage,
        "a batch of more than",
    );
    let moved = packed(Sight::Block, Borders::MovedEachEpoch);
    rejects(
        text(),
        in_order(moved, 2, 1),
        Kind::Usage,
        "need a shuffled order",
    );
    rejects(
        tokens(&[]),
        in_order(FIXED, 2, 1),
        Kind::Data,
        "0 documents with 0 tokens",
    );
    rejects(
        tokens(&[]),
        in_order(Layout::OnePerRow, 2, 1),
        Kind::Data,
        "make 0 documents",
    );
    let whole = LoaderSpec {
        partial: Partial::Drop,
        ..in_order(FIXED, 3, 2)
    };
    rejects(
        text(),
        whole,
        Kind::Data,
        "make 1 blocks of 3 tokens, a batch needs 2",
    );
    // However the borders move, a batch must remain.
    let moving = LoaderSpec {
        layout: moved,
        order: Order::Shuffled { seed: 0 },
        ..LoaderSpec {
            batch_size: 2,
            ..whole
        }
    };
    rejects(tokens(&["abcdef"]), moving, Kind::Data, "make 1 blocks");
}

#[test]
fn a_cursor_outside_the_data_is_refused_and_changes_nothing() {
    let mut loader = Loader::new(tokens(&["abc", "de"]), in_order(FIXED, 2, 1)).unwrap();
    take(&mut loader, 1);
    let error = loader
        .seek(Cursor {
            epoch: 3,
            position: 99,
        })
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Data);
    assert!(
        error
            .message()
            .contains("no batch begins at 99 of an epoch of 3 blocks")
    );
    assert_eq!(
        loader.cursor(),
        Cursor {
            epoch: 0,
            position: 1
        }
    );
    check(&take(&mut loader, 1)[0], "c|", "|d", &[0, 2]);
}

#[test]
fn documents_are_shuffled_by_the_shared_permutation() {
    let texts: Vec<String> = (0..20).map(|i| char::from(b'a' + i).to_string()).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let order = Order::Shuffled { seed: 7 };
    let spec = LoaderSpec {
        order,
        ..in_order(Layout::OnePerRow, 4, 1)
    };
    let mut loader = Loader::new(tokens(&texts), spec).unwrap();
    for number in 0..3 {
        let expected = permutation(Key::new(7, Stream::Shuffle), number, 20);
        let drawn: Vec<u32> = epoch(&mut loader)
            .iter()
            .map(|batch| (batch.ids[0] - i32::from(b'a')) as u32)
            .collect();
        assert_eq!(drawn, expected);
        assert_eq!(
            loader.cursor(),
            Cursor {
                epoch: number + 1,
                position: 0
            }
        );
    }
}

#[test]
fn borders_move_from_epoch_to_epoch() {
    let text = "abcdefghijklmnopqrstuvwxyz".repeat(4);
    let layout = packed(Sight::Block, Borders::MovedEachEpoch);
    let spec = LoaderSpec {
        order: Order::Shuffled { seed: 1 },
        ..in_order(layout, 8, 4)
    };
    let mut loader = Loader::new(tokens(&[&text]), spec).unwrap();
    let mut firsts = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let batches = epoch(&mut loader);
        let n_rows: usize = batches.iter().map(|batch| batch.ids.len()).sum();
        assert_eq!(n_rows, text.len());
        let smallest = batches.iter().flat_map(|batch| batch.cu_seqlens.windows(2));
        firsts.insert(smallest.map(|bounds| bounds[1] - bounds[0]).min());
    }
    assert!(firsts.len() > 3, "{firsts:?}");
}

#[test]
fn whole_batches_have_one_shape() {
    let text = "x".repeat(1000);
    let layout = packed(Sight::Block, Borders::MovedEachEpoch);
    let spec = LoaderSpec {
        layout,
        length_max: 16,
        batch_size: 4,
        order: Order::Shuffled { seed: 1 },
        partial: Partial::Drop,
    };
    let mut loader = Loader::new(tokens(&[&text]), spec).unwrap();
    for batch in take(&mut loader, 100) {
        assert_eq!(
            (batch.ids.len(), batch.n_loss_tokens, batch.n_seqs()),
            (64, 64, 4)
        );
    }
}

#[test]
fn a_batch_once_filled_keeps_its_buffers() {
    let texts: Vec<String> = (1..60).map(|n| "y".repeat(n)).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let moved = packed(Sight::Document, Borders::MovedEachEpoch);
    for layout in [FIXED, moved, Layout::OnePerRow] {
        let order = Order::Shuffled { seed: 3 };
        let spec = LoaderSpec {
            order,
            ..in_order(layout, 32, 3)
        };
        let mut loader = Loader::new(tokens(&texts), spec).unwrap();
        let mut batch = Batch::default();
        loader.next(&mut batch);
        let places = |batch: &Batch| {
            [
                batch.ids.as_ptr(),
                batch.targets.as_ptr(),
                batch.positions.as_ptr(),
                batch.cu_seqlens.as_ptr(),
            ]
        };
        let before = places(&batch);
        for _ in 0..200 {
            loader.next(&mut batch);
            assert_eq!(places(&batch), before);
            assert!(batch.ids.len() <= loader.n_rows_max());
        }
    }
}

/// D7: a mean over batches weighted short ones too much; sums must not depend on the batch size.
#[test]
fn d7_sums_do_not_depend_on_the_batch_size() {
    let text = "To be, or not to be, that is the question".repeat(5);
    let sums = |batch_size| {
        let mut loader =
            Loader::new(tokens(&[&text, "short"]), in_order(FIXED, 16, batch_size)).unwrap();
        let batches = epoch(&mut loader);
        let n_tokens: usize = batches.iter().map(|batch| batch.n_loss_tokens).sum();
        (
            n_tokens,
            batches.iter().map(|batch| batch.n_bytes).sum::<u64>(),
        )
    };
    // Every token but the first is a target; two of them are eos and stand for no byte.
    let n_bytes = text.len() + "short".len();
    assert_eq!(sums(1), (n_bytes + 1, n_bytes as u64 - 1));
    assert!((2..20).all(|batch_size| sums(batch_size) == sums(1)));
}

#[test]
fn real_text_is_tokenized_and_covered() {
    let Some(path) = tenon_testkit::shared_data("tinyshakespeare.txt") else {
        return;
    };
    let text = std::fs::read_to_string(path).unwrap();
    let rows = rows(std::slice::from_ref(&text));
    let tokenizer = CharTokenizer::fit(rows.texts(), Eos::Added).unwrap();
    assert_eq!(tokenizer.vocab_size(), 66);
    let tokens = Tokens::of_rows(&rows, &tokenizer, NonZeroUsize::MIN).unwrap();
    let mut loader = Loader::new(Arc::new(tokens), in_order(FIXED, 256, 8)).unwrap();
    let n: usize = epoch(&mut loader)
        .iter()
        .map(|batch| batch.n_loss_tokens)
        .sum();
    assert_eq!(n, text.chars().count());
}

fn any_layout() -> impl Strategy<Value = Layout> {
    prop::sample::select(vec![
        FIXED,
        packed(Sight::Document, Borders::Fixed),
        packed(Sight::Block, Borders::MovedEachEpoch),
        packed(Sight::Document, Borders::MovedEachEpoch),
        Layout::OnePerRow,
    ])
}

fn any_texts() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec("[a-z]{1,12}", 1..20)
}

proptest! {
    #[test]
    fn resuming_anywhere_equals_never_stopping(
        texts in any_texts(), layout in any_layout(), length_max in 2usize..10,
        batch_size in 1usize..5, seed in any::<u64>(),
        n_before in 0usize..40, drop in any::<bool>(),
    ) {
        let tokens = Tokens::of_rows(&rows(&texts), &ByteTokenizer, NonZeroUsize::MIN).unwrap();
        let spec = LoaderSpec {
            layout, length_max, batch_size,
            order: Order::Shuffled { seed },
            partial: if drop { Partial::Drop } else { Partial::Keep },
        };
        if let Ok(mut calm) = Loader::new(Arc::new(tokens), spec) {
            let mut resumed = calm.clone();
            take(&mut calm, n_before);
            take(&mut resumed, 3);
            resumed.seek(calm.cursor()).unwrap();
            for batch in take(&mut calm, 10) {
                check_form(&batch);
                prop_assert_eq!(&take(&mut resumed, 1)[0], &batch);
            }
            prop_assert_eq!(resumed.cursor(), calm.cursor());
        }
    }

    #[test]
    fn an_epoch_counts_every_target_once(
        texts in any_texts(), layout in any_layout(), length_max in 2usize..10,
        batch_size in 1usize..5, seed in any::<u64>(),
    ) {
        let tokens = Tokens::of_rows(&rows(&texts), &ByteTokenizer, NonZeroUsize::MIN).unwrap();
        let order = Order::Shuffled { seed };
        let spec = LoaderSpec { order, ..in_order(layout, length_max, batch_size) };
        let mut expected: Vec<(i32, i32)> = Vec::new();
        let stream: Vec<i32> = texts.iter().flat_map(|text| ids(&format!("{text}|"))).collect();
        match layout {
            Layout::OnePerRow => for text in &texts {
                let document = ids(&format!("{text}|"));
                let kept = &document[..document.len().min(length_max)];
                expected.extend(kept.windows(2).map(|w| (w[0], w[1])));
            },
            Layout::Packed { sight, .. } => expected.extend(
                stream
                    .windows(2)
                    .map(|w| (w[0], w[1]))
                    .filter(|pair| sight == Sight::Block || pair.0 != EOS),
            ),
        }
        let mut loader = Loader::new(Arc::new(tokens), spec).unwrap();
        for _ in 0..3 {
            let batches = epoch(&mut loader);
            let mut pairs: Vec<(i32, i32)> = batches
                .iter()
                .flat_map(|batch| batch.ids.iter().copied().zip(batch.targets.iter().copied()))
                .filter(|pair| pair.1 != NOT_COUNTED)
                .collect();
            pairs.sort_unstable();
            let mut expected = expected.clone();
            expected.sort_unstable();
            prop_assert_eq!(pairs, expected);
            prop_assert_eq!(loader.cursor().position, 0);
        }
    }

    #[test]
    fn in_document_sight_eos_ends_its_sequence(texts in any_texts(), length_max in 2usize..10) {
        let tokens = Tokens::of_rows(&rows(&texts), &ByteTokenizer, NonZeroUsize::MIN).unwrap();
        let layout = packed(Sight::Document, Borders::Fixed);
        let mut loader = Loader::new(Arc::new(tokens), in_order(layout, length_max, 2)).unwrap();
        for batch in epoch(&mut loader) {
            for bounds in batch.cu_seqlens.windows(2) {
                let sequence = &batch.ids[bounds[0] as usize..bounds[1] as usize];
                prop_assert!(!sequence[..sequence.len() - 1].contains(&EOS));
            }
        }
    }

    #[test]
    fn the_number_of_threads_changes_nothing(texts in any_texts(), n_threads in 2usize..9) {
        let rows = rows(&texts);
        let tokens = |n| {
            Tokens::of_rows(&rows, &ByteTokenizer, NonZeroUsize::new(n).unwrap()).unwrap()
        };
        prop_assert_eq!(tokens(1), tokens(n_threads));
    }
}
