//! The globals that a pickle may name. Each is a constant; what it would make when called is worked
//! out in `reduce`, or it is refused there.

use safetensors::Dtype;

/// What a pickle is read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::checkpoint) enum Scope {
    /// Plain data: no tensors.
    Plain,
    /// A PyTorch checkpoint.
    Tensors,
}

/// A known global.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::checkpoint) enum Global {
    /// `collections.OrderedDict`.
    OrderedDict,
    /// `builtins.set`.
    Set,
    /// `builtins.frozenset`.
    FrozenSet,
    /// `_codecs.encode`, by which protocol 2 writes bytes.
    Encode,
    /// `numpy.dtype`.
    NumpyType,
    /// `numpy.core.multiarray.scalar`.
    NumpyScalar,
    /// `torch.Size`.
    Size,
    /// One of the functions that give a tensor.
    Rebuild(Rebuild),
    /// A storage's class, such as `torch.FloatStorage`.
    Storage(Dtype),
    /// `torch.storage.UntypedStorage`.
    UntypedStorage,
    /// A type of elements, such as `torch.float32`.
    ElementType(Dtype),
}

/// The functions of `torch._utils` that give a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::checkpoint) enum Rebuild {
    /// `_rebuild_tensor`: storage, offset, shape, strides.
    V1,
    /// `_rebuild_tensor_v2`: also whether it has a gradient, hooks, metadata.
    V2,
    /// `_rebuild_tensor_v3`: also its type, of an untyped storage.
    V3,
    /// `_rebuild_parameter`: a tensor, whether it has a gradient, hooks.
    Parameter,
    /// `_rebuild_parameter_with_state`: also attributes.
    ParameterWithState,
}

/// The known global of this name.
pub(super) fn find(scope: Scope, module: &str, name: &str) -> Option<Global> {
    match (module, name) {
        ("collections", "OrderedDict") => Some(Global::OrderedDict),
        ("builtins" | "__builtin__", "set") => Some(Global::Set),
        ("builtins" | "__builtin__", "frozenset") => Some(Global::FrozenSet),
        ("_codecs", "encode") => Some(Global::Encode),
        ("numpy", "dtype") => Some(Global::NumpyType),
        ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar") => Some(Global::NumpyScalar),
        _ if scope == Scope::Plain => None,
        ("torch", "Size") => Some(Global::Size),
        ("torch._utils", name) => rebuild(name).map(Global::Rebuild),
        ("torch.storage", "UntypedStorage") | ("torch", "UntypedStorage") => {
            Some(Global::UntypedStorage)
        }
        ("torch" | "torch.cuda", name) if name.ends_with("Storage") => {
            storage(name).map(Global::Storage)
        }
        ("torch", name) => element_type(name).map(Global::ElementType),
        _ => None,
    }
}

fn rebuild(name: &str) -> Option<Rebuild> {
    Some(match name {
        "_rebuild_tensor" => Rebuild::V1,
        "_rebuild_tensor_v2" => Rebuild::V2,
        "_rebuild_tensor_v3" => Rebuild::V3,
        "_rebuild_parameter" => Rebuild::Parameter,
        "_rebuild_parameter_with_state" => Rebuild::ParameterWithState,
        _ => return None,
    })
}

fn storage(name: &str) -> Option<Dtype> {
    Some(match name {
        "FloatStorage" => Dtype::F32,
        "HalfStorage" => Dtype::F16,
        "BFloat16Storage" => Dtype::BF16,
        "DoubleStorage" => Dtype::F64,
        "LongStorage" => Dtype::I64,
        "IntStorage" => Dtype::I32,
        "ShortStorage" => Dtype::I16,
        "CharStorage" => Dtype::I8,
        "ByteStorage" => Dtype::U8,
        "BoolStorage" => Dtype::BOOL,
        _ => return None,
    })
}

fn element_type(name: &str) -> Option<Dtype> {
    Some(match name {
        "float32" | "float" => Dtype::F32,
        "float16" | "half" => Dtype::F16,
        "bfloat16" => Dtype::BF16,
        "float64" | "double" => Dtype::F64,
        "int64" | "long" => Dtype::I64,
        "int32" | "int" => Dtype::I32,
        "int16" | "short" => Dtype::I16,
        "int8" => Dtype::I8,
        "uint8" => Dtype::U8,
        "uint16" => Dtype::U16,
        "uint32" => Dtype::U32,
        "uint64" => Dtype::U64,
        "bool" => Dtype::BOOL,
        "float8_e4m3fn" => Dtype::F8_E4M3,
        "float8_e5m2" => Dtype::F8_E5M2,
        _ => return None,
    })
}
