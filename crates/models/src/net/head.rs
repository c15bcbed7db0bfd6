//! Where a graph ends: logits, and what is compared with them.

use super::{Logits, LossOptions, Net};
use crate::spec::Experts;
use tenon_engine::exec::COUNTED_ROWS;
use tenon_engine::ops::{
    Linear, LinearXent, RouterBalance, RowValueLoss, SelectRows, WeightLayout,
};
use tenon_engine::table::{ValueLoss, XentSpec};
use tenon_engine::{Dim, Graph, Shape, Ty, ValueId};

impl Net<'_> {
    /// Adds the loss of unevenly used experts.
    fn balance(&mut self, experts: Experts, targets: ValueId) {
        let op = RouterBalance {
            n_experts: experts.count,
            per_token: experts.per_token,
            coefficient: experts.balance,
            n_layers: self.routers.len(),
        };
        let mut ins = vec![targets];
        ins.extend(&self.routers);
        let rows = self.apply("balance", op, &ins);
        self.b.add_loss(rows);
    }

    /// Logits and loss of the final stream, as asked for, where the model tells what comes next:
    /// nearly all tokens count.
    pub(crate) fn head(mut self, x: ValueId, weight: ValueId, layout: WeightLayout) -> Graph {
        self.tell(x, weight, layout, None);
        self.b.finish()
    }

    /// [`Net::head`] with a bias `[V]`, where few tokens may count, such as masked ones, or `x` has
    /// a row for each sequence. A graph that is asked for nothing but the loss of tokens takes the
    /// places of those that count as the input `counted_rows [C]`, and `targets [C]`: what other
    /// tokens alone would need of the last block is not computed.
    pub(crate) fn counted_head(
        mut self,
        x: ValueId,
        weight: ValueId,
        layout: WeightLayout,
        bias: ValueId,
    ) -> Graph {
        let outputs = self.outputs;
        let shows = outputs.logits.is_some() || outputs.hidden_states;
        let x = match (shows, self.b.ty(x).shape.lead()) {
            (false, Dim::Tokens) if outputs.loss.is_some() => {
                let index = self.index_input(COUNTED_ROWS, Dim::Counted);
                self.apply("head.rows", SelectRows, &[x, index])
            }
            _ => x,
        };
        self.tell(x, weight, layout, Some(bias));
        self.b.finish()
    }

    /// A head of numbers `[R, C]`, as the output `logits`, and their loss against the input `given
    /// [R, C]`. Smoothing and z-loss are of classes alone.
    pub(crate) fn value_head(
        mut self,
        x: ValueId,
        [weight, bias]: [ValueId; 2],
        kind: ValueLoss,
    ) -> Graph {
        if self.outputs.logits.is_none() && self.outputs.loss.is_none() {
            return self.b.finish();
        }
        let layout = WeightLayout::OutIn;
        let y = self.apply("head", Linear { layout, bias: true }, &[x, weight, bias]);
        if self.outputs.logits.is_some() {
            self.b.output("logits", y);
        }
        if self.outputs.loss.is_some() {
            let shape = self.b.ty(y).shape.clone();
            let targets = self.index_input("targets", shape.lead());
            let given = self.b.input("given", Ty::float(Shape::new(shape.dims())));
            let loss = self.apply("loss", RowValueLoss { kind }, &[y, given, targets]);
            self.b.set_loss(loss);
        }
        self.b.finish()
    }

    /// [`Net::head`] of a model with experts, whose use the loss balances where they ask for it.
    pub(crate) fn balanced_head(
        mut self,
        x: ValueId,
        weight: ValueId,
        layout: WeightLayout,
        experts: Experts,
    ) -> Graph {
        let targets = self.tell(x, weight, layout, None);
        let wanted = self.outputs.loss.is_some_and(|loss| loss.regularised);
        if let (Some(targets), true, true) = (targets, wanted, experts.balanced) {
            self.balance(experts, targets);
        }
        self.b.finish()
    }

    /// Logits and loss; returns the targets of the loss.
    fn tell(
        &mut self,
        x: ValueId,
        weight: ValueId,
        layout: WeightLayout,
        bias: Option<ValueId>,
    ) -> Option<ValueId> {
        if let Some(rows) = self.outputs.logits {
            let x = match rows {
                Logits::All => x,
                Logits::LastRows => {
                    let index = self.index_input("last_rows", Dim::Seqs);
                    self.apply("head.rows", SelectRows, &[x, index])
                }
            };
            let mut ins = vec![x, weight];
            ins.extend(bias);
            let bias = bias.is_some();
            let logits = self.apply("head", Linear { layout, bias }, &ins);
            self.b.output("logits", logits);
        }
        let LossOptions {
            label_smoothing,
            z_loss,
            rank,
            ..
        } = self.outputs.loss?;
        let rows = self.b.ty(x).shape.lead();
        let targets = self.index_input("targets", rows);
        let op = LinearXent {
            layout,
            bias: bias.is_some(),
            spec: XentSpec {
                label_smoothing,
                z_loss,
            },
            rank,
        };
        let mut ins = vec![x, weight, targets];
        ins.extend(bias);
        let outs = self.b.apply_all("loss", op, &ins);
        self.b.set_loss(outs[0]);
        if rank {
            self.b.output("rank", outs[1]);
        }
        Some(targets)
    }
}
