//! Where the time of a step goes: each call of the plan at its best, so that what else the machine
//! did falls out, summed by operator.

use std::collections::BTreeMap;

use tenon_base::clock::Clock;
use tenon_engine::{Executor, Pass};

use super::{Times, least, ms};

/// Time of one operator in a step, each call at its best.
#[derive(Clone, Debug, PartialEq)]
pub struct OpTime {
    /// The operator, or `adamw`, or `zero_gradients`.
    pub op: String,
    /// In the forward pass.
    pub forward_ms: f64,
    /// In the backward pass, or in the update.
    pub backward_ms: f64,
    /// Part of the sum of all operators.
    pub share: f64,
}

/// Readings of every call of a step, over several steps.
#[derive(Clone, Debug, Default)]
pub struct Readings {
    calls: Vec<CallTimes>,
}

/// Readings of one call.
#[derive(Clone, Debug)]
struct CallTimes {
    op: &'static str,
    pass: Pass,
    ms: Vec<f64>,
}

impl Readings {
    /// Runs the active plan once, call by call. Every step has the same plan.
    pub fn step(&mut self, exec: &mut Executor, clock: &dyn Clock) {
        let mut before = clock.elapsed();
        exec.step_observed(&mut |call| {
            let taken = clock.elapsed().saturating_sub(before);
            if self.calls.len() == call.index {
                self.calls.push(CallTimes {
                    op: call.operator(),
                    pass: call.pass,
                    ms: Vec::new(),
                });
            }
            self.calls[call.index].ms.push(ms(taken));
            before = clock.elapsed();
        });
    }

    /// Adds work that is done beside the plan, after the backward pass. After all steps.
    pub fn add(&mut self, op: &'static str, times: Times) {
        self.calls.push(CallTimes {
            op,
            pass: Pass::Backward,
            ms: times.wall_ms,
        });
    }

    /// Sums of the best readings, the dearest operator first.
    pub fn by_operator(&self) -> Vec<OpTime> {
        let mut sums: BTreeMap<&str, [f64; 2]> = BTreeMap::new();
        let mut total = 0.0;
        for call in &self.calls {
            let Some(best) = least(&call.ms) else {
                continue;
            };
            sums.entry(call.op).or_default()[call.pass as usize] += best;
            total += best;
        }
        let ops = sums
            .into_iter()
            .map(|(op, [forward_ms, backward_ms])| OpTime {
                op: op.to_owned(),
                forward_ms,
                backward_ms,
                share: (forward_ms + backward_ms) / total,
            });
        let mut ops: Vec<OpTime> = ops.collect();
        ops.sort_by(|a, b| b.share.total_cmp(&a.share));
        ops
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_are_summed_over_their_best_calls() {
        let call = |op, pass, ms: &[f64]| CallTimes {
            op,
            pass,
            ms: ms.to_vec(),
        };
        let calls = vec![
            call("add", Pass::Forward, &[1.0, 3.0]),
            call("linear", Pass::Forward, &[9.0, 2.0]),
            call("linear", Pass::Backward, &[4.0]),
            call("add", Pass::Forward, &[2.0, 1.0]),
            call("adamw", Pass::Backward, &[]),
        ];
        let ops = Readings { calls }.by_operator();
        let [linear, add] = &ops[..] else {
            panic!("{ops:?}")
        };
        assert_eq!((linear.op.as_str(), add.op.as_str()), ("linear", "add"));
        assert_eq!((linear.forward_ms, linear.backward_ms), (2.0, 4.0));
        assert_eq!((add.forward_ms, add.backward_ms), (2.0, 0.0));
        assert_eq!(linear.share + add.share, 1.0);
    }
}
