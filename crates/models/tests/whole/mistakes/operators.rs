//! Operators that are wrong.

use std::sync::Arc;

use tenon_engine::meaning::{Build, Val};
use tenon_engine::op::{Cx, Room, Rows, Vjp};
use tenon_engine::ops::{Add, Experts};
use tenon_engine::shape::ShapeError;
use tenon_engine::{Buf, Cost, Extent, Grad, Op, Saves, Ty};
use tenon_models::weights::{decode, encode};

/// Two operators as one: the first's forward with the second's derivative.
#[derive(Debug)]
pub(super) struct Chimera {
    pub(super) forward: Arc<dyn Op>,
    pub(super) vjp: Arc<dyn Op>,
}

/// Forwards what an operator states beside its two passes.
macro_rules! stated_by {
    ($field:ident) => {
        fn name(&self) -> &'static str {
            self.$field.name()
        }
        fn outputs(&self, ins: &[&Ty]) -> Result<Vec<Ty>, ShapeError> {
            self.$field.outputs(ins)
        }
        fn scratch(&self, ins: &[&Ty], room: &Room<'_>) -> usize {
            self.$field.scratch(ins, room)
        }
        fn rows(&self) -> Rows {
            self.$field.rows()
        }
        fn cost(&self, ins: &[&Ty], extent: Extent) -> Cost {
            self.$field.cost(ins, extent)
        }
        fn meaning(&self, b: &mut Build, ins: &[Val]) -> Vec<Val> {
            self.$field.meaning(b, ins)
        }
    };
}

impl Op for Chimera {
    stated_by!(forward);

    fn grads(&self) -> Vec<Grad> {
        self.vjp.grads()
    }

    fn saves(&self) -> Saves {
        self.vjp.saves()
    }

    fn forward(&self, cx: &mut Cx<'_>, ins: &[Buf], outs: &[Buf]) {
        self.forward.forward(cx, ins, outs);
    }

    fn vjp(&self, cx: &mut Cx<'_>, call: &Vjp<'_>) {
        self.vjp.vjp(cx, call);
    }
}

/// `x += branch` as it was written once: the sum also lands in the buffer of `x`, which the
/// derivatives of the operators before still read.
#[derive(Debug)]
pub(super) struct InPlaceAdd {
    pub(super) add: Add,
}

impl Op for InPlaceAdd {
    stated_by!(add);

    fn grads(&self) -> Vec<Grad> {
        self.add.grads()
    }

    fn saves(&self) -> Saves {
        Saves::new(&[], &[])
    }

    fn forward(&self, cx: &mut Cx<'_>, ins: &[Buf], outs: &[Buf]) {
        self.add.forward(cx, ins, outs);
        cx.k.copy(outs[0], ins[0]);
    }

    fn vjp(&self, cx: &mut Cx<'_>, call: &Vjp<'_>) {
        self.add.vjp(cx, call);
    }
}

/// An operator that hands its first input on.
#[derive(Debug)]
pub(super) struct Bypass {
    pub(super) of: Arc<dyn Op>,
}

impl Op for Bypass {
    stated_by!(of);

    fn grads(&self) -> Vec<Grad> {
        let rest = self.of.grads().len() - 1;
        let cut = std::iter::repeat_n(Grad::None("the input is cut off"), rest);
        [Grad::Same].into_iter().chain(cut).collect()
    }

    fn saves(&self) -> Saves {
        Saves::new(&[], &[])
    }

    fn forward(&self, cx: &mut Cx<'_>, ins: &[Buf], outs: &[Buf]) {
        cx.k.copy(ins[0], outs[0]);
    }

    fn vjp(&self, _: &mut Cx<'_>, _: &Vjp<'_>) {
        unreachable!("the plan hands the gradient on")
    }
}

/// Experts weighted by their probabilities among all experts, not among the chosen ones.
#[derive(Debug)]
pub(super) struct Unnormalised {
    pub(super) experts: Experts,
}

impl Op for Unnormalised {
    stated_by!(experts);

    fn grads(&self) -> Vec<Grad> {
        self.experts.grads()
    }

    fn saves(&self) -> Saves {
        self.experts.saves()
    }

    fn forward(&self, cx: &mut Cx<'_>, ins: &[Buf], outs: &[Buf]) {
        self.experts.forward(cx, ins, outs);
        let read = |cx: &mut Cx<'_>, buf: Buf| {
            let mut bytes = vec![0; buf.len() * buf.dtype.bytes()];
            cx.k.download(buf, &mut bytes);
            decode(buf.dtype, &bytes)
        };
        let (logits, mut y) = (read(cx, ins[1]), read(cx, outs[0]));
        let rows = y.chunks_exact_mut(outs[0].cols);
        for (row, logits) in rows.zip(logits.chunks_exact(ins[1].cols)) {
            let mut weights: Vec<f64> = logits.iter().map(|x| x.exp()).collect();
            weights.sort_by(|a, b| b.total_cmp(a));
            let chosen: f64 = weights[..self.experts.per_token].iter().sum();
            let share = chosen / weights.iter().sum::<f64>();
            row.iter_mut().for_each(|x| *x *= share);
        }
        cx.k.upload(outs[0], &encode(outs[0].dtype, y.into_iter()));
    }

    fn vjp(&self, cx: &mut Cx<'_>, call: &Vjp<'_>) {
        self.experts.vjp(cx, call);
    }
}
