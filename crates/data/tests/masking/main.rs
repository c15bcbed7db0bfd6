//! Masks and masked batches: rates, what depends on what, crops, and the form of the batches.

mod batches;
mod learnable;
mod masks;

use tenon_base::rng::{Key, Stream};
use tenon_data::batch::{Layout, LoaderSpec, Masker, Masking, Objective, Order, Partial, Redraw};
use tenon_data::vocab::ResidueTokenizer;

pub(crate) fn esm() -> (ResidueTokenizer, Masker) {
    let esm = ResidueTokenizer::esm();
    let masker = Masker::new(&esm, Masking::STANDARD).unwrap();
    (esm, masker)
}

pub(crate) fn random_ids(n: usize) -> Vec<u32> {
    let mut rng = Key::new(9, Stream::Corpus).at(7, 7);
    (0..n).map(|_| 4 + rng.below(20) as u32).collect()
}

pub(crate) fn masked(masker: &Masker, seed: u64, redraw: Redraw) -> Objective {
    Objective::Masked {
        masker: masker.clone(),
        seed,
        redraw,
    }
}

pub(crate) fn spec(
    layout: Layout,
    length_max: usize,
    batch_size: usize,
    order: Order,
) -> LoaderSpec {
    LoaderSpec {
        layout,
        length_max,
        batch_size,
        order,
        partial: Partial::Keep,
    }
}
