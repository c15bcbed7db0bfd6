//! Train and validation: by the files' own splits or by fraction.

use tenon_base::rng::{Key, Stream};
use tenon_base::{Error, Result};

use crate::source::{DataSet, Rows, Split};

/// Rows to learn from and rows to judge by; neither is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrainValidation {
    /// Learned from.
    pub train: Rows,
    /// Judged by.
    pub validation: Rows,
}

/// Uses the data set's own splits: validation, else test, beside train. What lacks one is divided
/// by `validation_fraction`. The seed decides only the division of rows.
pub fn train_validation(
    mut data: DataSet,
    validation_fraction: f64,
    seed: u64,
) -> Result<TrainValidation> {
    let own = data
        .splits
        .remove(&Split::Validation)
        .or_else(|| data.splits.remove(&Split::Test));
    let train = data.splits.remove(&Split::Train).or(data.unsplit);
    match (train, own) {
        (Some(train), Some(validation)) => Ok(TrainValidation { train, validation }),
        (Some(rows), None) => by_fraction(&rows, validation_fraction, seed),
        (None, _) => Err(Error::data("the data set has no train split")
            .hint("name a file `train.jsonl`, or point to the file to train on")),
    }
}

/// Divides rows: one text gives its tail to validation, several rows are drawn by a hash of seed
/// and row number, `round(fraction · n)` of them and at least one on each side.
pub fn by_fraction(rows: &Rows, validation_fraction: f64, seed: u64) -> Result<TrainValidation> {
    if !(validation_fraction > 0.0 && validation_fraction < 1.0) {
        return Err(Error::usage(format!(
            "a validation fraction of {validation_fraction}; it lies between 0 and 1, both excluded"
        )));
    }
    if rows.len() == 1 {
        by_tail(rows, validation_fraction)
    } else {
        by_hash(rows, validation_fraction, seed)
    }
}

fn by_tail(rows: &Rows, fraction: f64) -> Result<TrainValidation> {
    let text = rows.text(0);
    let wanted = (text.len() as f64 * (1.0 - fraction)).round() as usize;
    let at = text.floor_char_boundary(wanted.min(text.len()));
    if at == 0 || at == text.len() {
        return Err(Error::data(format!(
            "a text of {} bytes is too short to keep {fraction} of it for validation",
            text.len()
        ))
        .at(rows.place(0)));
    }
    let (train, validation) = rows.split_first(at);
    Ok(TrainValidation { train, validation })
}

fn by_hash(rows: &Rows, fraction: f64, seed: u64) -> Result<TrainValidation> {
    let n = rows.len();
    if n < 2 {
        return Err(Error::data(
            "there are no rows to divide into train and validation",
        ));
    }
    let n_validation = ((n as f64 * fraction).round() as usize).clamp(1, n - 1);
    let key = Key::new(seed, Stream::Split);
    let mut hashed: Vec<(u64, u32)> = (0..n as u32)
        .map(|row| (key.at(0, row.into()).next_u64(), row))
        .collect();
    hashed.sort_unstable();
    let sorted = |part: &[(u64, u32)]| {
        let mut indices: Vec<u32> = part.iter().map(|&(_, row)| row).collect();
        indices.sort_unstable();
        indices
    };
    Ok(TrainValidation {
        validation: rows.select(&sorted(&hashed[..n_validation])),
        train: rows.select(&sorted(&hashed[n_validation..])),
    })
}
