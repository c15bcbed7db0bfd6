//! The parameters of a model on the host: fresh, read from an executor, or read from a checkpoint.

use crate::checkpoint::Bytes;
use crate::checkpoint::mapping::Target;
use std::io::{self, Write};
use std::ops::Range;
use tenon_base::rng::{Key, Stream};
use tenon_engine::graph::Param;
use tenon_engine::{DType, Executor, Graph, Init, ParamId};

/// A parameter's bytes under our name.
#[derive(Clone, Debug, PartialEq)]
pub struct Weight {
    /// Our name.
    pub name: String,
    /// Outermost dimension first.
    pub shape: Vec<usize>,
    /// Elements in the type of the set, little-endian.
    pub bytes: Bytes,
}

/// All parameters of a model, in the order of its graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    /// The type of every element.
    pub dtype: DType,
    /// One entry a parameter.
    pub tensors: Vec<Weight>,
}

/// Parameters that are written one after the other, wherever they are.
pub trait Source {
    /// The type of every element.
    fn dtype(&self) -> DType;

    /// Names and shapes.
    fn targets(&self) -> Vec<Target>;

    /// Writes the elements of the `i`-th parameter, little-endian.
    ///
    /// # Errors
    /// Those of the sink.
    fn write_to(&mut self, i: usize, sink: &mut dyn Write) -> io::Result<()>;

    /// Writes these bytes of the `i`-th parameter's elements.
    ///
    /// # Errors
    /// Those of the sink.
    fn write_part(&mut self, i: usize, part: Range<usize>, sink: &mut dyn Write) -> io::Result<()> {
        let mut window = Window { part, at: 0, sink };
        self.write_to(i, &mut window)
    }
}

/// Passes a part of all that is written on.
struct Window<'a> {
    part: Range<usize>,
    at: usize,
    sink: &'a mut dyn Write,
}

impl Write for Window<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = bytes.len();
        let start = self.part.start.saturating_sub(self.at).min(n);
        let end = self.part.end.saturating_sub(self.at).min(n);
        self.at += n;
        self.sink.write_all(&bytes[start..end.max(start)])?;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}

impl Source for &Weights {
    fn dtype(&self) -> DType {
        self.dtype
    }

    fn targets(&self) -> Vec<Target> {
        Weights::targets(self)
    }

    fn write_to(&mut self, i: usize, sink: &mut dyn Write) -> io::Result<()> {
        sink.write_all(&self.tensors[i].bytes)
    }
}

impl Source for Executor {
    fn dtype(&self) -> DType {
        self.plan().options.float
    }

    fn targets(&self) -> Vec<Target> {
        let target = |p: &Param| Target {
            name: p.name.clone(),
            shape: p.shape.clone(),
        };
        self.graph().params.iter().map(target).collect()
    }

    fn write_to(&mut self, i: usize, sink: &mut dyn Write) -> io::Result<()> {
        let id = ParamId(u32::try_from(i).expect("a graph has few parameters"));
        self.param_pieces(id, |bytes| sink.write_all(bytes))
    }
}

impl Weights {
    /// Fresh parameters, on the host. Values are drawn in f64 by counter (run seed, parameter,
    /// element) and then rounded, so f32 and f64 models of one seed agree to rounding.
    pub fn init(graph: &Graph, dtype: DType, seed: u64) -> Weights {
        let tensors = graph.param_ids().map(|id| {
            let p = graph.param(id);
            Weight {
                name: p.name.clone(),
                shape: p.shape.clone(),
                bytes: encode(dtype, fresh(graph, id, seed)).into(),
            }
        });
        Weights {
            dtype,
            tensors: tensors.collect(),
        }
    }

    /// Names and shapes.
    pub fn targets(&self) -> Vec<Target> {
        let target = |weight: &Weight| Target {
            name: weight.name.clone(),
            shape: weight.shape.clone(),
        };
        self.tensors.iter().map(target).collect()
    }

    /// The parameters that an executor holds.
    pub fn read(exec: &mut Executor) -> Weights {
        let graph = exec.graph().clone();
        let dtype = exec.plan().options.float;
        let tensors = graph.param_ids().map(|id| {
            let p = graph.param(id);
            Weight {
                name: p.name.clone(),
                shape: p.shape.clone(),
                bytes: exec.param_bytes(id).into(),
            }
        });
        Weights {
            dtype,
            tensors: tensors.collect(),
        }
    }

    /// Gives an executor these parameters, converting when its floats have another type.
    ///
    /// # Panics
    /// When the executor's graph has other parameters.
    pub fn write(&self, exec: &mut Executor) {
        let graph = exec.graph().clone();
        assert_eq!(
            graph.params.len(),
            self.tensors.len(),
            "parameters of another model"
        );
        let same_type = exec.plan().options.float == self.dtype;
        for (id, weight) in graph.param_ids().zip(&self.tensors) {
            let p = graph.param(id);
            assert_eq!(
                (&p.name, &p.shape),
                (&weight.name, &weight.shape),
                "parameters"
            );
            match same_type {
                true => exec.set_param_bytes(id, &weight.bytes),
                false => exec.write_param(id, &decode(self.dtype, &weight.bytes)),
            }
            // The executor has them now: together they would take twice the memory.
            weight.bytes.release();
        }
    }
}

/// Gives an executor the parameters of [`Weights::init`], without a copy on the host.
pub fn init(exec: &mut Executor, seed: u64) {
    let graph = exec.graph().clone();
    for id in graph.param_ids() {
        exec.fill_param(id, fresh(&graph, id, seed));
    }
}

/// The values that a parameter starts with.
fn fresh(graph: &Graph, id: ParamId, seed: u64) -> impl Iterator<Item = f64> + use<> {
    let (init, n) = (graph.param(id).init, graph.param(id).len());
    let mut rng = Key::new(seed, Stream::Init).at(0, u64::from(id.0));
    (0..n).map(move |_| match init {
        Init::Normal(std) => std * rng.normal(),
        Init::Uniform(bound) => bound * (2.0 * rng.uniform_f64() - 1.0),
        Init::Constant(value) => value,
    })
}

/// Numbers as little-endian bytes of the type.
///
/// # Panics
/// When the type is an integer.
pub fn encode(dtype: DType, values: impl Iterator<Item = f64>) -> Vec<u8> {
    match dtype {
        DType::F32 => values.flat_map(|x| (x as f32).to_le_bytes()).collect(),
        DType::F64 => values.flat_map(f64::to_le_bytes).collect(),
        DType::I32 => panic!("parameters are floats"),
    }
}

/// Little-endian bytes of the type as numbers.
///
/// # Panics
/// When the type is an integer.
pub fn decode(dtype: DType, bytes: &[u8]) -> Vec<f64> {
    let narrow = |b: &[u8]| f64::from(f32::from_le_bytes(b.try_into().expect("four bytes")));
    let wide = |b: &[u8]| f64::from_le_bytes(b.try_into().expect("eight bytes"));
    match dtype {
        DType::F32 => bytes.chunks_exact(4).map(narrow).collect(),
        DType::F64 => bytes.chunks_exact(8).map(wide).collect(),
        DType::I32 => panic!("parameters are floats"),
    }
}
