//! Learning rates over the steps of a run.

/// The shape of the curve after warm-up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Curve {
    /// The base rate.
    Constant,
    /// A straight line down to the minimum.
    Linear,
    /// Half a cosine down to the minimum (Loshchilov & Hutter 2017).
    Cosine,
    /// Warm-up, stable, decay: the base rate, then a straight line over the last part of the run
    /// (Hu et al. 2024).
    WarmupStableDecay {
        /// The part of the run that decays, in `(0, 1]`.
        decay_fraction: f64,
    },
}

/// A learning-rate schedule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// The curve.
    pub curve: Curve,
    /// The rate at the end of warm-up.
    pub base: f64,
    /// The rate at the end of the run.
    pub min: f64,
    /// Steps of linear warm-up. Step 0 has rate `base / warmup_steps`, never 0.
    pub warmup_steps: u64,
    /// Steps of the run.
    pub total_steps: u64,
}

impl Schedule {
    /// The rate of a step, counted from 0.
    pub fn rate(&self, step: u64) -> f64 {
        if step < self.warmup_steps {
            return self.base * (step + 1) as f64 / self.warmup_steps as f64;
        }
        // The last step of the run has the minimum.
        let span = self
            .total_steps
            .saturating_sub(self.warmup_steps + 1)
            .max(1) as f64;
        let t = ((step - self.warmup_steps) as f64 / span).min(1.0);
        let between = |weight: f64| self.min + (self.base - self.min) * weight;
        match self.curve {
            Curve::Constant => self.base,
            Curve::Linear => between(1.0 - t),
            Curve::Cosine => between(0.5 * (1.0 + (std::f64::consts::PI * t).cos())),
            Curve::WarmupStableDecay { decay_fraction } => {
                between(((1.0 - t) / decay_fraction).min(1.0))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(curve: Curve) -> Schedule {
        Schedule {
            curve,
            base: 1.0,
            min: 0.1,
            warmup_steps: 10,
            total_steps: 111,
        }
    }

    #[test]
    fn warm_up_starts_above_zero_and_ends_at_the_base() {
        for curve in [Curve::Constant, Curve::Linear, Curve::Cosine] {
            let s = schedule(curve);
            assert_eq!(s.rate(0), 0.1);
            assert_eq!(s.rate(9), 1.0);
            assert_eq!(s.rate(10), 1.0);
        }
    }

    #[test]
    fn without_warm_up_the_first_step_has_the_base_rate() {
        let s = Schedule {
            warmup_steps: 0,
            ..schedule(Curve::Cosine)
        };
        assert_eq!(s.rate(0), 1.0);
    }

    #[test]
    fn decaying_curves_end_at_the_minimum() {
        let wsd = Curve::WarmupStableDecay {
            decay_fraction: 0.2,
        };
        for curve in [Curve::Linear, Curve::Cosine, wsd] {
            let s = schedule(curve);
            assert!((s.rate(110) - 0.1).abs() < 1e-12, "{curve:?}");
            assert!((s.rate(10_000) - 0.1).abs() < 1e-12, "{curve:?}");
        }
        assert_eq!(schedule(Curve::Constant).rate(110), 1.0);
    }

    #[test]
    fn middles_are_where_the_curve_says() {
        assert!((schedule(Curve::Linear).rate(60) - 0.55).abs() < 1e-12);
        assert!((schedule(Curve::Cosine).rate(60) - 0.55).abs() < 1e-12);
        let wsd = schedule(Curve::WarmupStableDecay {
            decay_fraction: 0.2,
        });
        assert_eq!(wsd.rate(89), 1.0);
        assert!((wsd.rate(100) - 0.55).abs() < 1e-12);
    }

    #[test]
    fn rates_never_rise_after_warm_up() {
        let wsd = Curve::WarmupStableDecay {
            decay_fraction: 0.3,
        };
        for curve in [Curve::Constant, Curve::Linear, Curve::Cosine, wsd] {
            let s = schedule(curve);
            assert!((10..200).all(|t| s.rate(t + 1) <= s.rate(t)), "{curve:?}");
        }
    }
}
