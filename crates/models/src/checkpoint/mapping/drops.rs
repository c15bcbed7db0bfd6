//! What a checkpoint may hold beside parameters.

/// A kind of tensor that may be left out of a checkpoint when the model has no parameter for it.
#[derive(Clone, Copy, Debug)]
pub struct Drop {
    /// Hub name pattern.
    pub hub: &'static str,
    /// Under which condition.
    pub when: When,
}

impl Drop {
    /// What is computed from the config.
    pub const fn always(hub: &'static str) -> Drop {
        let when = When::Always;
        Drop { hub, when }
    }

    /// What repeats the tensor of the name pattern `of`.
    pub const fn same_as(hub: &'static str, of: &'static str) -> Drop {
        let when = When::SameAs(of);
        Drop { hub, when }
    }

    /// What holds zeros alone.
    pub const fn zeros(hub: &'static str) -> Drop {
        let when = When::Zeros;
        Drop { hub, when }
    }
}

/// When a tensor may be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// It is computed from the config.
    Always,
    /// It holds the same dtype, shape and bytes as the tensor with this hub name pattern.
    SameAs(&'static str),
    /// It holds zeros, so that adding it changes nothing.
    Zeros,
}
