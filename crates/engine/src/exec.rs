//! The executor: a loop over the plan.

mod given;
mod loss;
mod step;
mod transfer;

pub use given::{COUNTED_ROWS, IGNORE};
pub use loss::LossSum;
pub use step::{CallInfo, Pass};

use crate::graph::{Graph, Origin, ParamId, ValueId};
use crate::plan::{Content, Plan, PlanOptions, Slot, SlotId};
use crate::shape::{DType, Extent};
use crate::table::{AdamW, Buf, Kernels, Panels, Sgd, Target};
use std::sync::Arc;
use tenon_kernels::bytes_of_mut;

/// Graphs of one model with their plans, in one arena of a device.
///
/// All graphs share the parameters; one of them is active at a time. The first one owns gradients
/// and optimiser buffers, and everything transient of the others reuses its transient memory.
pub struct Executor {
    programs: Vec<Program>,
    active: usize,
    device: Box<dyn Kernels>,
    extent: Extent,
    key: [u32; 2],
    ins: Vec<Buf>,
    outs: Vec<Buf>,
    maybe: [Vec<Option<Buf>>; 3],
    targets: Vec<Option<Target>>,
    /// Places of the tokens that count.
    rows: Vec<i32>,
}

struct Program {
    graph: Arc<Graph>,
    plan: Plan,
}

impl Executor {
    /// Plans one graph, allocates its arena and computes the constant tables. Parameters are zero.
    pub fn new(graph: Arc<Graph>, options: PlanOptions, device: Box<dyn Kernels>) -> Executor {
        Self::with_programs(vec![(graph, options)], device)
    }

    /// Plans several graphs of one model; the first one is active.
    ///
    /// # Panics
    /// When the graphs have different parameters or float types, or hold them differently.
    pub fn with_programs(
        graphs: Vec<(Arc<Graph>, PlanOptions)>,
        mut device: Box<dyn Kernels>,
    ) -> Executor {
        let shapes = |g: &Graph| -> Vec<(String, Vec<usize>)> {
            let shape = |p: &crate::graph::Param| (p.name.clone(), p.shape.clone());
            g.params.iter().map(shape).collect()
        };
        for pair in graphs.windows(2) {
            let [(first, a), (second, b)] = pair else {
                continue;
            };
            assert_eq!(shapes(first), shapes(second), "graphs of one model");
            assert_eq!(a.float, b.float, "graphs of one model");
        }
        let wide = |n: &crate::graph::Node| n.ins.len().max(n.outs.len());
        let nodes = graphs.iter().flat_map(|(graph, _)| &graph.nodes);
        let widest = nodes.map(wide).max().unwrap_or(0);
        let plans = Plan::together(&graphs, device.as_ref());
        let panels = |plan: &Plan| -> Vec<Option<Panels>> {
            let of = |s: &SlotId| plan.slots[s.index()].panels;
            plan.params.iter().map(of).collect()
        };
        for pair in plans.windows(2) {
            assert_eq!(panels(&pair[0]), panels(&pair[1]), "graphs of one model");
        }
        let programs: Vec<Program> = graphs
            .into_iter()
            .zip(plans)
            .map(|((graph, _), plan)| Program { graph, plan })
            .collect();
        device.reserve(
            programs
                .iter()
                .map(|p| p.plan.peak_bytes)
                .max()
                .unwrap_or(0),
        );
        let counted = |p: &Program| match find(&p.plan.inputs, COUNTED_ROWS) {
            Some(_) => p.plan.options.capacity.counted,
            None => 0,
        };
        let room_for_rows = programs.iter().map(counted).max().unwrap_or(0);
        let mut exec = Executor {
            extent: programs[0].plan.options.capacity,
            programs,
            active: 0,
            key: [0; 2],
            ins: Vec::with_capacity(widest),
            outs: Vec::with_capacity(widest),
            maybe: std::array::from_fn(|_| Vec::with_capacity(widest)),
            targets: Vec::with_capacity(widest),
            rows: Vec::with_capacity(room_for_rows),
            device,
        };
        exec.write_tables();
        exec
    }

    /// Makes the `i`-th graph the active one. Inputs and state (caches) are to be set anew;
    /// parameters, gradients and optimiser buffers stay.
    pub fn activate(&mut self, i: usize) {
        self.active = i;
        self.extent = self.plan().options.capacity;
        // The tables of a later graph lie where the first one keeps its transient buffers.
        if i > 0 {
            self.write_tables();
        }
    }

    fn write_tables(&mut self) {
        let graph = self.graph().clone();
        for (value, slot) in self.plan().consts.clone() {
            if let Origin::Const(table) = &graph.value(value).origin {
                self.write(self.active_buf(slot), &table.values);
            }
        }
    }

    /// Bytes of the arena: the peak of the largest plan.
    pub fn peak_bytes(&self) -> usize {
        self.programs
            .iter()
            .map(|p| p.plan.peak_bytes)
            .max()
            .unwrap_or(0)
    }

    /// The active graph.
    pub fn graph(&self) -> &Arc<Graph> {
        &self.programs[self.active].graph
    }

    /// The active plan.
    pub fn plan(&self) -> &Plan {
        &self.programs[self.active].plan
    }

    /// The plan that owns gradients and optimiser buffers.
    fn first(&self) -> &Plan {
        &self.programs[0].plan
    }

    /// Numbers of tokens and sequences of the current batch, and of tokens that count.
    pub fn extent(&self) -> Extent {
        self.extent
    }

    /// Values of a named output, `f64` whatever the plan's type.
    pub fn read_output(&mut self, name: &str) -> Option<Vec<f64>> {
        find(&self.plan().outputs, name).map(|slot| self.read(self.active_buf(slot)))
    }

    /// Copies a float output of an f32 plan without conversion or allocation.
    pub fn copy_output_f32(&mut self, name: &str, out: &mut [f32]) {
        let slot = find(&self.plan().outputs, name).unwrap_or_else(|| panic!("no output {name}"));
        let buf = self.active_buf(slot);
        assert!(
            buf.dtype == DType::F32 && buf.len() == out.len(),
            "output {name} is {buf:?}"
        );
        self.device.download(buf, bytes_of_mut(out));
    }

    /// Values of a parameter.
    pub fn read_param(&mut self, p: ParamId) -> Vec<f64> {
        self.read(self.first_buf(self.first().params[p.0 as usize]))
    }

    /// Sets a parameter, rounding to the plan's type.
    pub fn write_param(&mut self, p: ParamId, values: &[f64]) {
        self.write(self.first_buf(self.first().params[p.0 as usize]), values);
    }

    /// The gradient of a parameter; none for frozen ones.
    pub fn read_grad(&mut self, p: ParamId) -> Option<Vec<f64>> {
        self.first().param_grads[p.0 as usize].map(|slot| self.read(self.first_buf(slot)))
    }

    /// The bytes of a parameter in the plan's type.
    pub fn param_bytes(&mut self, p: ParamId) -> Vec<u8> {
        self.bytes(self.first_buf(self.first().params[p.0 as usize]))
    }

    /// Sets the bytes of a parameter in the plan's type.
    pub fn set_param_bytes(&mut self, p: ParamId, bytes: &[u8]) {
        self.set_bytes(self.first_buf(self.first().params[p.0 as usize]), bytes);
    }

    /// The bytes of an optimiser buffer of a parameter.
    pub fn moment_bytes(&mut self, p: ParamId, i: usize) -> Vec<u8> {
        self.bytes(self.first_buf(self.first().moments[p.0 as usize][i]))
    }

    /// Sets the bytes of an optimiser buffer of a parameter.
    pub fn set_moment_bytes(&mut self, p: ParamId, i: usize, bytes: &[u8]) {
        self.set_bytes(self.first_buf(self.first().moments[p.0 as usize][i]), bytes);
    }

    /// Parameters that have a gradient.
    pub fn trainable(&self) -> impl Iterator<Item = ParamId> {
        self.programs[0]
            .graph
            .param_ids()
            .filter(|p| self.first().param_grads[p.0 as usize].is_some())
    }

    /// Optimiser buffers of each trainable parameter.
    pub fn n_moments(&self) -> usize {
        self.first().options.moments
    }

    /// Sets all parameter gradients to zero.
    pub fn zero_grads(&mut self) {
        for slot in self.programs[0].plan.param_grads.iter().flatten() {
            self.device
                .fill(self.programs[0].plan.buf(*slot, self.extent), 0.0);
        }
    }

    /// Sum of squares of all gradients, in the order of the parameters.
    pub fn grad_sum_of_squares(&mut self) -> f64 {
        let Executor {
            programs,
            device,
            extent,
            ..
        } = self;
        let plan = &programs[0].plan;
        plan.param_grads
            .iter()
            .flatten()
            .map(|&s| device.sum_of_squares(plan.buf(s, *extent)))
            .sum()
    }

    /// One AdamW update of a parameter.
    pub fn adamw(&mut self, p: ParamId, spec: &AdamW) {
        let [param, grad] = self.update_bufs(p);
        let [m, v] = [0, 1].map(|i| self.first_buf(self.first().moments[p.0 as usize][i]));
        self.device.adamw(param, grad, m, v, spec);
    }

    /// One SGD update of a parameter; momentum uses the first optimiser buffer when there is one.
    pub fn sgd(&mut self, p: ParamId, spec: &Sgd) {
        let [param, grad] = self.update_bufs(p);
        let moment = self.first().moments[p.0 as usize].first();
        let velocity = moment.map(|&s| self.first().buf(s, self.extent));
        self.device.sgd(param, grad, velocity, spec);
    }

    fn update_bufs(&self, p: ParamId) -> [Buf; 2] {
        let i = p.0 as usize;
        let grad = self.first().param_grads[i].expect("frozen parameters are not updated");
        [self.first().params[i], grad].map(|s| self.first_buf(s))
    }

    /// The gradient of a differentiated input.
    pub fn read_value_grad(&mut self, v: ValueId) -> Option<Vec<f64>> {
        let slot = self.plan().value_grads.iter().find(|(w, _)| *w == v)?.1;
        Some(self.read(self.active_buf(slot)))
    }

    /// Fills every transient buffer that is not read by the backward pass with NaN, to prove that
    /// no derivative reads what it did not declare. Called between the two passes.
    pub fn poison(&mut self) {
        let Executor {
            programs,
            active,
            device,
            ..
        } = self;
        let plan = &programs[*active].plan;
        let at = plan.backward_from;
        let range = |s: &Slot| (s.offset, s.offset + s.bytes);
        let is_live = |s: &&Slot| s.content.is_persistent() || s.last >= at && s.first < at;
        let live: Vec<(usize, usize)> = plan.slots.iter().filter(is_live).map(range).collect();
        for slot in plan
            .slots
            .iter()
            .filter(|s| !is_live(s) && s.last < at && s.dtype != DType::I32)
        {
            let (a, b) = range(slot);
            if live.iter().all(|&(x, y)| b <= x || y <= a) {
                let len = slot.bytes / slot.dtype.bytes();
                device.fill(Buf::matrix(slot.offset, slot.dtype, 1, len), f64::NAN);
            }
        }
    }

    /// Clears the state that lives across runs.
    pub fn clear_state(&mut self) {
        let Executor {
            programs,
            active,
            device,
            extent,
            ..
        } = self;
        let plan = &programs[*active].plan;
        plan.states
            .iter()
            .for_each(|&(_, slot)| device.fill(plan.buf(slot, *extent), 0.0));
    }

    /// Bytes of the parameters, for reports.
    pub fn param_total_bytes(&self) -> usize {
        self.plan().bytes_of(|c| matches!(c, Content::Param(_)))
    }

    /// A buffer of the active plan.
    fn active_buf(&self, slot: SlotId) -> Buf {
        self.plan().buf(slot, self.extent)
    }

    /// A buffer of the plan that owns gradients and optimiser buffers, whichever is active.
    fn first_buf(&self, slot: SlotId) -> Buf {
        self.first().buf(slot, self.extent)
    }

    fn bytes(&mut self, buf: Buf) -> Vec<u8> {
        let mut bytes = vec![0; buf.len() * buf.dtype.bytes()];
        self.device.download(buf, &mut bytes);
        bytes
    }

    fn set_bytes(&mut self, buf: Buf, bytes: &[u8]) {
        self.device.upload(buf, bytes);
    }

    fn read(&mut self, buf: Buf) -> Vec<f64> {
        let bytes = self.bytes(buf);
        match buf.dtype {
            DType::F32 => words(&bytes)
                .map(|b| f64::from(f32::from_le_bytes(b)))
                .collect(),
            DType::F64 => words(&bytes).map(f64::from_le_bytes).collect(),
            DType::I32 => words(&bytes)
                .map(|b| f64::from(i32::from_le_bytes(b)))
                .collect(),
        }
    }

    fn write(&mut self, buf: Buf, values: &[f64]) {
        transfer::upload(self.device.as_mut(), buf, values.iter().copied());
    }
}

fn words<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> {
    bytes
        .chunks_exact(N)
        .map(|c| c.try_into().expect("chunks have this length"))
}

fn find(list: &[(String, SlotId)], name: &str) -> Option<SlotId> {
    list.iter().find(|(n, _)| n == name).map(|&(_, s)| s)
}
