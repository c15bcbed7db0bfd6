//! Everything about a run that is neither weights nor optimiser buffers, and its form on disk.

use crate::event::StepStats;
use serde_json::{Value, json};
use tenon_base::{Error, Result};
use tenon_data::Cursor;
use tenon_engine::LossSum;

/// Version of the form on disk.
const VERSION: u64 = 1;

/// Counters of a run after a step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// Optimiser steps done; the one step counter of the run.
    pub step: u64,
    /// Batches done: the counter of dropout keys.
    pub micro_step: u64,
    /// Updates made, which skipped steps are not: the counter of AdamW's bias correction.
    pub updates: u64,
    /// Where the training data continues.
    pub cursor: Cursor,
    /// Counted tokens so far.
    pub tokens: u64,
    /// Steps skipped because something was not finite.
    pub n_skipped: u32,
    /// Best validation so far: step and loss.
    pub best: Option<(u64, f64)>,
    /// The step after which the split was judged last.
    pub validated_at: Option<u64>,
    /// Validations since the best one.
    pub validations_since_best: u32,
    /// Loss since the last line of metrics.
    pub window: LossSum,
    /// Norm of the last gradient, for the next line of metrics.
    pub grad_norm: f64,
    /// The last rate, likewise.
    pub learning_rate: f64,
    /// Seconds of training in all parts of the run.
    pub seconds: f64,
    /// The instruction set that the last part of the run computed with.
    pub isa: String,
}

impl State {
    /// Numbers for a line of metrics: the window's loss.
    pub(crate) fn window_stats(&self, epoch: f64) -> StepStats {
        StepStats {
            step: self.step,
            epoch,
            loss: self.window,
            learning_rate: self.learning_rate,
            grad_norm: self.grad_norm,
            tokens: self.tokens,
        }
    }

    /// The state as JSON. Floats are written so that they read back to the same bits.
    pub fn to_json(&self) -> Value {
        let bits = |x: f64| format!("{:016x}", x.to_bits());
        json!({
            "version": VERSION,
            "step": self.step,
            "micro_step": self.micro_step,
            "updates": self.updates,
            "cursor": { "epoch": self.cursor.epoch, "position": self.cursor.position },
            "tokens": self.tokens,
            "n_skipped": self.n_skipped,
            "best": self.best.map(|(step, loss)| json!({
                "step": step, "loss": loss, "loss_bits": bits(loss),
            })),
            "validated_at": self.validated_at,
            "validations_since_best": self.validations_since_best,
            "window": { "total_bits": bits(self.window.total), "tokens": self.window.tokens },
            "grad_norm_bits": bits(self.grad_norm),
            "learning_rate_bits": bits(self.learning_rate),
            "seconds": self.seconds,
            "isa": self.isa,
        })
    }

    /// Reads a state; `place` names the file in errors.
    pub fn from_json(value: &Value, place: &str) -> Result<State> {
        let read = Reader { place };
        if read.number(value, "version")? != VERSION {
            return Err(Error::data("the checkpoint was written by another version").at(place));
        }
        let (cursor, window) = (read.field(value, "cursor")?, read.field(value, "window")?);
        let best = match read.field(value, "best")? {
            Value::Null => None,
            best => Some((read.number(best, "step")?, read.float(best, "loss_bits")?)),
        };
        let seconds = read.field(value, "seconds")?.as_f64();
        let isa = read.field(value, "isa")?.as_str();
        Ok(State {
            step: read.number(value, "step")?,
            micro_step: read.number(value, "micro_step")?,
            updates: read.number(value, "updates")?,
            cursor: Cursor {
                epoch: read.number(cursor, "epoch")?,
                position: read.number(cursor, "position")?,
            },
            tokens: read.number(value, "tokens")?,
            n_skipped: read.number(value, "n_skipped")? as u32,
            best,
            validated_at: match read.field(value, "validated_at")? {
                Value::Null => None,
                _ => Some(read.number(value, "validated_at")?),
            },
            validations_since_best: read.number(value, "validations_since_best")? as u32,
            window: LossSum {
                total: read.float(window, "total_bits")?,
                tokens: read.number(window, "tokens")? as usize,
            },
            grad_norm: read.float(value, "grad_norm_bits")?,
            learning_rate: read.float(value, "learning_rate_bits")?,
            seconds: seconds.ok_or_else(|| read.bad("seconds"))?,
            isa: isa.ok_or_else(|| read.bad("isa"))?.to_owned(),
        })
    }
}

struct Reader<'a> {
    place: &'a str,
}

impl Reader<'_> {
    fn bad(&self, key: &str) -> Error {
        Error::data(format!("`{key}` is missing or malformed")).at(self.place)
    }

    fn field<'v>(&self, value: &'v Value, key: &str) -> Result<&'v Value> {
        value.get(key).ok_or_else(|| self.bad(key))
    }

    fn number(&self, value: &Value, key: &str) -> Result<u64> {
        self.field(value, key)?
            .as_u64()
            .ok_or_else(|| self.bad(key))
    }

    fn float(&self, value: &Value, key: &str) -> Result<f64> {
        let text = self
            .field(value, key)?
            .as_str()
            .ok_or_else(|| self.bad(key))?;
        u64::from_str_radix(text, 16)
            .map(f64::from_bits)
            .map_err(|_| self.bad(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> State {
        State {
            step: 7,
            micro_step: 21,
            updates: 6,
            cursor: Cursor {
                epoch: 2,
                position: 5,
            },
            tokens: 12_345,
            n_skipped: 1,
            best: Some((4, 0.1 + 0.2)),
            validated_at: Some(6),
            validations_since_best: 3,
            window: LossSum {
                total: 1.0 / 3.0,
                tokens: 17,
            },
            grad_norm: f64::NAN,
            learning_rate: 1e-3,
            seconds: 1.5,
            isa: "scalar".to_owned(),
        }
    }

    #[test]
    fn reads_back_to_the_same_bits() {
        let text = state().to_json().to_string();
        let back = State::from_json(&serde_json::from_str(&text).unwrap(), "state.json").unwrap();
        assert_eq!(back.to_json(), state().to_json());
        assert!(back.grad_norm.is_nan());
    }

    #[test]
    fn missing_and_malformed_fields_are_named() {
        for key in ["step", "cursor", "best", "window", "grad_norm_bits"] {
            let mut json = state().to_json();
            json.as_object_mut().unwrap().remove(key);
            let error = State::from_json(&json, "state.json").unwrap_err();
            assert!(error.message().contains(key), "{error}");
        }
        let mut json = state().to_json();
        json["version"] = json!(99);
        assert!(State::from_json(&json, "state.json").is_err());
    }
}
