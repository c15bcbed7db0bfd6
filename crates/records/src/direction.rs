//! Which way a metric is better. "Best" is only defined for metrics of this table.

use tenon_base::{Error, Result, suggest};

/// Which values of a metric are better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The lower, the better.
    Lower,
    /// The higher, the better.
    Higher,
}

/// Metrics and their direction, by family.
const TABLE: [(&str, Direction); 34] = [
    ("loss", Direction::Lower),
    ("perplexity", Direction::Lower),
    ("bits_per_byte", Direction::Lower),
    ("bits_per_token", Direction::Lower),
    ("mae", Direction::Lower),
    ("mse", Direction::Lower),
    ("rmse", Direction::Lower),
    ("step_ms", Direction::Lower),
    ("step_cpu_ms", Direction::Lower),
    ("peak_rss_mib", Direction::Lower),
    ("accuracy", Direction::Higher),
    ("top1_accuracy", Direction::Higher),
    ("top5_accuracy", Direction::Higher),
    ("exact_match", Direction::Higher),
    ("precision", Direction::Higher),
    ("recall", Direction::Higher),
    ("f1", Direction::Higher),
    ("f1_macro", Direction::Higher),
    ("f1_micro", Direction::Higher),
    ("matthews_corrcoef", Direction::Higher),
    ("pearson", Direction::Higher),
    ("spearman", Direction::Higher),
    ("roc_auc", Direction::Higher),
    ("r2", Direction::Higher),
    ("bleu", Direction::Higher),
    ("chrf", Direction::Higher),
    ("nist", Direction::Higher),
    ("cider", Direction::Higher),
    ("meteor", Direction::Higher),
    ("rouge1", Direction::Higher),
    ("rouge2", Direction::Higher),
    ("rougeL", Direction::Higher),
    ("rougeLsum", Direction::Higher),
    ("tokens_per_second", Direction::Higher),
];

/// Metrics that are recorded but of which no value is better than another.
const UNDIRECTED: [&str; 4] = ["learning_rate", "grad_norm", "tokens", "epoch"];

impl Direction {
    /// The direction of a metric.
    ///
    /// # Errors
    /// `Usage` for a metric without a direction or an unknown one, with the nearest known name.
    pub fn of(metric: &str) -> Result<Direction> {
        if let Some((_, direction)) = TABLE.iter().find(|(name, _)| *name == metric) {
            return Ok(*direction);
        }
        if UNDIRECTED.contains(&metric) {
            let message = format!("no value of `{metric}` is better than another");
            return Err(Error::usage(message).hint("ask for `loss` or another judged metric"));
        }
        let names = || TABLE.iter().map(|(name, _)| *name);
        let hint = match suggest::nearest(metric, names()) {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("known metrics: {}", names().collect::<Vec<_>>().join(", ")),
        };
        let message = format!("unknown metric `{metric}`: it is not known which way it is better");
        Err(Error::usage(message).hint(hint))
    }

    /// Whether `a` is better than `b`. A value that is not finite is never better.
    pub fn better(self, a: f64, b: f64) -> bool {
        match self {
            _ if !a.is_finite() => false,
            _ if !b.is_finite() => true,
            Direction::Lower => a < b,
            Direction::Higher => a > b,
        }
    }

    /// The name used in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Direction::Lower => "lower",
            Direction::Higher => "higher",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The original's regression test took a higher perplexity for an improvement.
    #[test]
    fn perplexity_is_better_lower_and_accuracy_higher() {
        assert_eq!(Direction::of("perplexity").unwrap(), Direction::Lower);
        assert_eq!(Direction::of("loss").unwrap(), Direction::Lower);
        assert_eq!(Direction::of("accuracy").unwrap(), Direction::Higher);
        assert!(Direction::Lower.better(12.4, 13.0));
        assert!(!Direction::Lower.better(13.0, 12.4));
        assert!(Direction::Higher.better(0.9, 0.8));
    }

    #[test]
    fn an_unknown_metric_is_an_error_that_names_the_nearest() {
        let error = Direction::of("perplexty").unwrap_err();
        assert_eq!(error.kind(), tenon_base::Kind::Usage);
        assert_eq!(error.hint_text(), Some("did you mean `perplexity`?"));
        let far = Direction::of("zzzzzzzzzzzz").unwrap_err();
        assert!(far.hint_text().unwrap().contains("loss, perplexity"));
    }

    #[test]
    fn a_learning_rate_has_no_best() {
        let error = Direction::of("learning_rate").unwrap_err();
        assert_eq!(
            error.message(),
            "no value of `learning_rate` is better than another"
        );
    }

    #[test]
    fn no_name_twice() {
        let mut names: Vec<&str> = TABLE.iter().map(|(name, _)| *name).collect();
        names.extend(UNDIRECTED);
        let n = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), n);
    }

    #[test]
    fn what_is_not_finite_is_never_better() {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(!Direction::Lower.better(bad, 1.0));
            assert!(!Direction::Higher.better(bad, 1.0));
            assert!(Direction::Lower.better(1.0, bad));
            assert!(Direction::Higher.better(1.0, bad));
        }
    }
}
