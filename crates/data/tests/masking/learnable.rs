//! Synthetic proteins can be learned.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use tenon_data::batch::{Layout, NOT_COUNTED, Order, Redraw};
use tenon_data::source::{ProteinSpec, proteins, unigram_perplexity};
use tenon_data::{Batch, Cursor, Loader, Tokens};

use super::{esm, masked, spec};

/// A model that looks at both neighbours guesses masked residues far better than one that does not.
#[test]
fn masked_residues_of_synthetic_proteins_can_be_learned() {
    let spec_of = |seed| ProteinSpec {
        seed,
        n_proteins: 1500,
        n_families: 4,
    };
    let made = proteins(spec_of(1)).unwrap();
    let (esm, masker) = esm();
    let rows = made.rows().unwrap();
    let tokens = Arc::new(Tokens::of_rows(&rows, &esm, NonZeroUsize::MIN).unwrap());
    let mut counts = BTreeMap::<(u32, u32), [f64; 33]>::new();
    for i in 0..1200 {
        for three in tokens.document(i).windows(3) {
            counts.entry((three[0], three[2])).or_insert([0.02; 33])[three[1] as usize] += 1.0;
        }
    }
    let spec = spec(Layout::OnePerRow, 512, 1, Order::InOrder);
    let objective = masked(&masker, 1, Redraw::Never);
    let mut loader = Loader::with_objective(tokens.clone(), spec, objective).unwrap();
    loader
        .seek(Cursor {
            epoch: 0,
            position: 1200,
        })
        .unwrap();
    let (mut nats, mut n, mut batch) = (0.0, 0.0, Batch::default());
    for i in 1200..1500 {
        loader.next(&mut batch);
        let ids = tokens.document(i);
        for row in 1..ids.len() - 1 {
            if batch.targets[row] == NOT_COUNTED {
                continue;
            }
            let of_pair = counts.get(&(ids[row - 1], ids[row + 1]));
            let p = of_pair.map_or(1.0 / 20.0, |c| c[ids[row] as usize] / c.iter().sum::<f64>());
            nats -= p.ln();
            n += 1.0;
        }
    }
    let perplexity = f64::exp(nats / n);
    let unigram = unigram_perplexity(rows.texts()).unwrap();
    assert!(
        perplexity < 0.75 * unigram,
        "{perplexity} against {unigram}"
    );
}
