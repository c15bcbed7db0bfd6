//! What was measured of a step, and what follows from it.

use crate::bench::ops::OpTime;
use crate::bench::{Times, least, median};

/// What was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct StepReport {
    /// Steps.
    pub step: Times,
    /// Forward passes with their loss.
    pub forward: Times,
    /// The arena's size as planned.
    pub planned_peak_bytes: usize,
    /// Most memory that the program has had after the steps; `None` where the system does not tell.
    pub peak_rss_bytes: Option<u64>,
    /// Elements of all parameters.
    pub n_params: usize,
    /// Floating-point operations of a step.
    pub flops: f64,
    /// The best rate of any product of the step alone, in GFLOP/s.
    pub sgemm_gflops: f64,
    /// The best rate to and from main memory, in GB/s.
    pub bandwidth: f64,
    /// All operations at the best rate of a product, and the bytes of the update at the best rate
    /// of main memory: less is hardly possible.
    pub roofline_ms: f64,
    /// What the threads gain; `None` of one thread.
    pub scaling: Option<Scaling>,
    /// Operators, the dearest first.
    pub ops: Vec<OpTime>,
}

/// Speed with all threads over speed with one, at the best of the same run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scaling {
    /// Of the best product.
    pub sgemm: f64,
    /// Of a step.
    pub step: f64,
}

impl StepReport {
    /// Floating-point operations a second at the median step, in GFLOP/s.
    pub fn gflops(&self) -> Option<f64> {
        median(&self.step.wall_ms).map(|step_ms| self.flops / (step_ms * 1e6))
    }

    /// The best step over its floor: time of the processor where one thread works, which other
    /// programs cannot lengthen, and elapsed otherwise. `None` where the system does not tell.
    pub fn step_over_roofline(&self) -> Option<f64> {
        let times = match self.scaling {
            None => &self.step.cpu_ms,
            Some(_) => &self.step.wall_ms,
        };
        least(times).map(|step_ms| step_ms / self.roofline_ms)
    }

    /// The measured peak of memory over the planned one; `None` where the system does not tell.
    pub fn peak_rss_over_plan(&self) -> Option<f64> {
        let planned = self.planned_peak_bytes as f64;
        self.peak_rss_bytes.map(|bytes| bytes as f64 / planned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(threads: usize) -> StepReport {
        StepReport {
            step: Times {
                wall_ms: vec![9.0, 6.0],
                cpu_ms: vec![5.0, 8.0],
            },
            forward: Times::default(),
            planned_peak_bytes: 100,
            peak_rss_bytes: Some(125),
            n_params: 1,
            flops: 1.0,
            sgemm_gflops: 1.0,
            bandwidth: 1.0,
            roofline_ms: 4.0,
            scaling: (threads > 1).then_some(Scaling {
                sgemm: 2.0,
                step: 2.0,
            }),
            ops: Vec::new(),
        }
    }

    #[test]
    fn one_thread_is_judged_by_the_processor_and_more_by_the_wall() {
        assert_eq!(report(1).step_over_roofline(), Some(1.25));
        assert_eq!(report(2).step_over_roofline(), Some(1.5));
        assert_eq!(report(1).peak_rss_over_plan(), Some(1.25));
    }
}
