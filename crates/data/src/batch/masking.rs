//! Masked language modelling: which tokens are guessed, and what stands in their place.

use tenon_base::rng::{Key, philox4x32};
use tenon_base::{Error, Result};

use super::NOT_COUNTED;
use crate::vocab::Tokenizer;

/// How many tokens are guessed and what is shown instead of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Masking {
    /// Probability that a token is guessed; above 0, at most 1.
    pub rate: f64,
    /// Part of the guessed tokens that are shown as the mask token.
    pub masked_part: f64,
    /// Part of the guessed tokens that are shown as a random token; the rest is shown as it is.
    pub random_part: f64,
}

impl Masking {
    /// 15 % of the tokens: 80 % of them masked, 10 % random, 10 % as they are (Devlin et al. 2018;
    /// ESM-2, AMPLIFY, CodonFM and Geneformer are trained so).
    pub const STANDARD: Masking = Masking {
        rate: 0.15,
        masked_part: 0.8,
        random_part: 0.1,
    };
}

/// A point of the counter space from which the draws of one sequence come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Seed and stream.
    pub key: Key,
    /// Epoch; 0 for masks that stay.
    pub epoch: u64,
    /// Number of the sequence in its data set.
    pub sequence: u64,
}

impl Place {
    /// Start of a window of `n_room` of `n_inner` tokens, all equally likely.
    pub(super) fn crop(self, n_inner: usize, n_room: usize) -> usize {
        // The draws for masks have the top bit of the index clear.
        let mut rng = self.key.at(self.epoch, self.sequence | 1 << 63);
        rng.below((n_inner - n_room) as u64 + 1) as usize
    }
}

/// Masks for one vocabulary.
///
/// The draws of a token are block `position` of `key.at(epoch, sequence)`: one Philox block of four
/// words. Word 0 decides whether the token is guessed, word 1 what is shown, words 2 and 3 which
/// random token. So a mask depends on seed, epoch, sequence and position, and neither on the batch
/// nor on what was drawn before. Special tokens are never guessed and never drawn.
///
/// Where the rate leaves a sequence without a guess, the token whose word 0 is smallest is guessed,
/// so that every sequence with an ordinary token counts.
#[derive(Clone, Debug)]
pub struct Masker {
    mask: i32,
    is_ordinary: Vec<bool>,
    ordinary: Vec<u32>,
    below: Thresholds,
}

/// Bounds of 32-bit words.
#[derive(Clone, Copy, Debug)]
struct Thresholds {
    guessed: u64,
    masked: u64,
    random: u64,
}

impl Masker {
    /// Masks in the vocabulary of `tokenizer`. Usage error when it has no mask token or only
    /// special tokens, or when the parts are no parts.
    pub fn new(tokenizer: &dyn Tokenizer, masking: Masking) -> Result<Self> {
        let Masking {
            rate,
            masked_part,
            random_part,
        } = masking;
        let is_part = |part: f64| (0.0..=1.0).contains(&part);
        if !(rate > 0.0 && rate <= 1.0) {
            return Err(Error::usage(format!(
                "a masking rate of {rate}; it is above 0 and at most 1"
            )));
        }
        // 0.8 + 0.1 + 0.1 must pass whatever its last bit.
        if !is_part(masked_part)
            || !is_part(random_part)
            || masked_part + random_part > 1.0 + f64::EPSILON
        {
            return Err(Error::usage(format!(
                "{masked_part} of the guessed tokens masked and {random_part} random; both are \
                 parts of one"
            )));
        }
        let Some(mask) = tokenizer.specials().mask else {
            return Err(Error::usage(format!(
                "the tokenizer `{}` has no mask token",
                tokenizer.spec_name()
            ))
            .hint("masked training needs one: `esm`, `amplify`, `codon`, or that of a BERT"));
        };
        let mut is_ordinary = vec![true; tokenizer.vocab_size()];
        for id in tokenizer.special_ids() {
            if let Some(flag) = is_ordinary.get_mut(id as usize) {
                *flag = false;
            }
        }
        let ids = 0..is_ordinary.len() as u32;
        let ordinary: Vec<u32> = ids.filter(|&id| is_ordinary[id as usize]).collect();
        if ordinary.is_empty() {
            return Err(Error::usage("the vocabulary has only special tokens"));
        }
        let bound = |part: f64| (part.min(1.0) * (1u64 << 32) as f64).round() as u64;
        Ok(Masker {
            mask: mask as i32,
            is_ordinary,
            ordinary,
            below: Thresholds {
                guessed: bound(rate),
                masked: bound(masked_part),
                random: bound(masked_part + random_part),
            },
        })
    }

    /// Whether a token may be guessed; ids outside the vocabulary may not.
    pub fn is_ordinary(&self, id: u32) -> bool {
        self.is_ordinary.get(id as usize).is_some_and(|&flag| flag)
    }

    /// The vocabulary whose ids are masked.
    pub fn vocab_size(&self) -> usize {
        self.is_ordinary.len()
    }

    /// What is shown and what is to be guessed, in place: `[ids.len()]` inputs, and as many labels
    /// that hold the token where it is to be guessed and `NOT_COUNTED` elsewhere.
    pub fn mask_tokens(&self, ids: &[u32], place: Place) -> (Vec<i32>, Vec<i32>) {
        let mut inputs = Vec::with_capacity(ids.len());
        let mut labels = Vec::with_capacity(ids.len());
        self.push(ids, 0, 0, place, &mut inputs, &mut labels);
        (inputs, labels)
    }

    /// Appends inputs and labels of a part of a sequence that begins at `first`. Positions before
    /// `n_fixed` are context. Returns the number of labels that are counted.
    pub(super) fn push(
        &self,
        ids: &[u32],
        first: usize,
        n_fixed: usize,
        place: Place,
        inputs: &mut Vec<i32>,
        labels: &mut Vec<i32>,
    ) -> usize {
        let start = inputs.len();
        let words = place.key.words(place.epoch);
        let [lo, hi] = [place.sequence as u32, (place.sequence >> 32) as u32];
        let (mut n_guessed, mut nearest) = (0, None);
        for (offset, &id) in ids.iter().enumerate() {
            let position = first + offset;
            let (mut input, mut label) = (id as i32, NOT_COUNTED);
            if position >= n_fixed && self.is_ordinary(id) {
                let block = [position as u32, (position as u64 >> 32) as u32];
                let draw = philox4x32([lo, hi, block[0], block[1]], words);
                if u64::from(draw[0]) < self.below.guessed {
                    (input, label) = (self.shown(id, draw), id as i32);
                    n_guessed += 1;
                } else if nearest.is_none_or(|(_, least, _)| draw[0] < least) {
                    nearest = Some((offset, draw[0], draw));
                }
            }
            inputs.push(input);
            labels.push(label);
        }
        if let (0, Some((offset, _, draw))) = (n_guessed, nearest) {
            inputs[start + offset] = self.shown(ids[offset], draw);
            labels[start + offset] = ids[offset] as i32;
            n_guessed = 1;
        }
        n_guessed
    }

    fn shown(&self, id: u32, draw: [u32; 4]) -> i32 {
        let fate = u64::from(draw[1]);
        if fate < self.below.masked {
            self.mask
        } else if fate < self.below.random {
            let wide = u64::from(draw[2]) | u64::from(draw[3]) << 32;
            // Biased by less than the number of ids in 2⁶⁴.
            let index = (u128::from(wide) * self.ordinary.len() as u128) >> 64;
            self.ordinary[index as usize] as i32
        } else {
            id as i32
        }
    }
}

/// Whether masks and crops change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redraw {
    /// Drawn anew each epoch; for training.
    EachEpoch,
    /// The same in every pass, from a stream of its own; for validation.
    Never,
}
