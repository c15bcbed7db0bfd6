//! Ranges of numbers that keys may hold.

/// A range of numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// The lower bound; `-inf` for none.
    pub min: f64,
    /// The upper bound; `inf` for none.
    pub max: f64,
    /// Whether the lower bound itself is out.
    pub min_exclusive: bool,
    /// Whether the upper bound itself is out.
    pub max_exclusive: bool,
}

impl Range {
    pub(super) const fn closed(min: f64, max: f64) -> Range {
        Range {
            min,
            max,
            min_exclusive: false,
            max_exclusive: false,
        }
    }

    pub(super) fn contains(self, x: f64) -> bool {
        let above = if self.min_exclusive {
            x > self.min
        } else {
            x >= self.min
        };
        let below = if self.max_exclusive {
            x < self.max
        } else {
            x <= self.max
        };
        x.is_finite() && above && below
    }

    pub(super) fn describe(self) -> String {
        let low = if self.min_exclusive {
            "above"
        } else {
            "of at least"
        };
        let high = if self.max_exclusive {
            "below"
        } else {
            "at most"
        };
        match (self.min.is_finite(), self.max.is_finite()) {
            (false, false) => "a finite number".to_owned(),
            (true, false) => format!("a number {low} {}", self.min),
            (false, true) => format!("a number {high} {}", self.max),
            (true, true) if !self.min_exclusive && !self.max_exclusive => {
                format!("a number from {} to {}", self.min, self.max)
            }
            (true, true) => format!("a number {low} {} and {high} {}", self.min, self.max),
        }
    }
}
