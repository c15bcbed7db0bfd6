//! The parameters of a model on the host: fresh, read from an executor, or read from a checkpoint.

use crate::checkpoint::Bytes;
use crate::checkpoint::mapping::Target;
use tenon_base::rng::{Key, Stream};
use tenon_engine::{DType, Executor, Graph, Init};

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

impl Weights {
    /// Fresh parameters. Values are drawn in f64 by counter (run seed, parameter, element) and then
    /// rounded, so f32 and f64 models of one seed agree to rounding.
    pub fn init(graph: &Graph, dtype: DType, seed: u64) -> Weights {
        let key = Key::new(seed, Stream::Init);
        let tensors = graph.params.iter().enumerate().map(|(i, p)| {
            let mut rng = key.at(0, i as u64);
            let values = (0..p.len()).map(|_| match p.init {
                Init::Normal(std) => std * rng.normal(),
                Init::Constant(value) => value,
            });
            Weight {
                name: p.name.clone(),
                shape: p.shape.clone(),
                bytes: encode(dtype, values).into(),
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
