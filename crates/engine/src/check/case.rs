//! What an operator contributes to its own proof.

use crate::op::Op;
use crate::shape::{Extent, Ty};
use std::sync::Arc;

/// An operator's line in the list of operators.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The operator's name.
    pub name: &'static str,
    /// Cases that must hold.
    pub cases: fn() -> Vec<Case>,
    /// Inputs that must be rejected, with the label of the constraint.
    pub rejects: fn() -> Vec<Reject>,
}

/// One application of an operator to inputs that matter.
#[derive(Clone, Debug)]
pub struct Case {
    /// What is special about it.
    pub name: String,
    /// The operator.
    pub op: Arc<dyn Op>,
    /// Its inputs.
    pub ins: Vec<CaseInput>,
    /// Tokens and sequences.
    pub extent: Extent,
}

/// An input of a case.
#[derive(Clone, Debug)]
pub struct CaseInput {
    /// Type.
    pub ty: Ty,
    /// Given values, or normal random ones.
    pub values: Option<Vec<f64>>,
    /// Whether it is state of the executor.
    pub is_state: bool,
}

impl CaseInput {
    /// Random floats.
    pub fn random(ty: Ty) -> Self {
        CaseInput {
            ty,
            values: None,
            is_state: false,
        }
    }

    /// Given values.
    pub fn given(ty: Ty, values: impl IntoIterator<Item = i64>) -> Self {
        let values = values.into_iter().map(|v| v as f64).collect();
        CaseInput::floats(ty, values)
    }

    /// Marks it as state of the executor.
    pub fn state(self) -> Self {
        CaseInput {
            is_state: true,
            ..self
        }
    }

    /// Given floats.
    pub fn floats(ty: Ty, values: Vec<f64>) -> Self {
        CaseInput {
            ty,
            values: Some(values),
            is_state: false,
        }
    }
}

impl Case {
    /// A case on `tokens` rows in one sequence.
    pub fn new(
        name: impl Into<String>,
        op: impl Op + 'static,
        tokens: usize,
        ins: Vec<CaseInput>,
    ) -> Self {
        Case {
            name: name.into(),
            op: Arc::new(op),
            ins,
            extent: Extent::new(tokens, 1),
        }
    }

    /// The same with a number of sequences.
    pub fn seqs(mut self, seqs: usize) -> Self {
        self.extent.seqs = seqs;
        self
    }

    /// The same with a number of tokens that count.
    pub fn counted(mut self, counted: usize) -> Self {
        self.extent.counted = counted;
        self
    }
}

/// Inputs that an operator must reject.
#[derive(Clone, Debug)]
pub struct Reject {
    /// Label of the constraint.
    pub label: &'static str,
    /// The operator.
    pub op: Arc<dyn Op>,
    /// Types of the inputs.
    pub ins: Vec<Ty>,
}

impl Reject {
    /// Inputs of these types violate the constraint.
    pub fn new(label: &'static str, op: impl Op + 'static, ins: Vec<Ty>) -> Self {
        Reject {
            label,
            op: Arc::new(op),
            ins,
        }
    }
}
