//! What the known globals would make, worked out without calling anything.

use std::rc::Rc;

use safetensors::Dtype;
use tenon_base::limits::{TENSOR_ELEMENTS_MAX, TENSOR_RANK_MAX};

use super::fault::{Fault, Step, shown};
use super::globals::{Global, Rebuild};
use super::heap::{Heap, Node, Storage, Tensor, Value, pairs};
use super::numpy::NumpyType;

/// The most arguments, or fields of a state, that a known global has.
const ARGUMENTS_MAX: usize = 8;

/// REDUCE: what `callable` gives for `arguments`.
pub(super) fn reduce(heap: &mut Heap, callable: &Value, arguments: &Value) -> Step<Value> {
    let Value::Global(global) = callable else {
        return Fault::refused("calls what is no known global");
    };
    let arguments = match heap.tuple(arguments) {
        Some(arguments) if arguments.len() <= ARGUMENTS_MAX => arguments.to_vec(),
        Some(_) => return Fault::refused("calls with too many arguments"),
        None => return Fault::refused("calls with arguments that are no tuple"),
    };
    match (global, arguments.as_slice()) {
        (Global::OrderedDict, []) => heap.add(Node::Dict {
            items: Vec::new(),
            ordered: true,
        }),
        (Global::OrderedDict, [items]) => {
            let items = item_pairs(heap, items)?;
            heap.count(items.len())?;
            heap.add(Node::Dict {
                items,
                ordered: true,
            })
        }
        (Global::Set | Global::FrozenSet, [items]) => match heap.node(items) {
            Some(Node::List(items) | Node::Tuple(items)) => {
                let items = items.clone();
                heap.count(items.len())?;
                heap.add(Node::Set(items))
            }
            _ => Fault::refused("makes a set of what is no list"),
        },
        (Global::Set | Global::FrozenSet, []) => heap.add(Node::Set(Vec::new())),
        (Global::Size, [items]) => match heap.tuple(items) {
            Some(_) => Ok(items.clone()),
            None => Fault::refused("makes a `torch.Size` of what is no tuple"),
        },
        (Global::Encode, [Value::Text(text), Value::Text(code)]) => latin1(text, code),
        (Global::NumpyType, [Value::Text(name), Value::Bool(false), Value::Bool(true)]) => {
            heap.add(Node::NumpyType(NumpyType::of(name)?))
        }
        (Global::NumpyScalar, [numpy, Value::Bytes(bytes)]) => match heap.node(numpy) {
            Some(Node::NumpyType(numpy)) => numpy.scalar(bytes),
            _ => Fault::refused("makes a numpy number of no numpy type"),
        },
        (Global::Rebuild(rebuild), arguments) => tensor(heap, *rebuild, arguments),
        (global, arguments) => Fault::refused(format!(
            "calls {} with {} arguments of unexpected types",
            called(*global),
            arguments.len()
        )),
    }
}

/// BUILD: gives an object its attributes. Those of an `OrderedDict` that PyTorch writes are left
/// out, since they hold no tensors; nothing else has attributes.
pub(super) fn build(heap: &mut Heap, object: &Value, state: &Value) -> Step<()> {
    match heap.node(object) {
        Some(Node::NumpyType(_)) => {
            let state = match heap.tuple(state) {
                Some(state) if state.len() <= ARGUMENTS_MAX => state.to_vec(),
                _ => Vec::new(),
            };
            let numpy = heap.numpy_type_mut(object);
            numpy.map_or(Ok(()), |numpy| numpy.build(&state))
        }
        Some(Node::Dict { ordered: true, .. }) => match heap.dict(state) {
            Some(attributes) if attributes.len() > 1 => {
                Fault::refused("sets several attributes of an `OrderedDict`")
            }
            Some(attributes) => attributes.iter().try_for_each(|(name, value)| {
                let is_dict = heap.dict(value).is_some();
                match name {
                    Value::Text(name) if &**name == "_metadata" && is_dict => Ok(()),
                    Value::Text(name) => Fault::refused(format!(
                        "sets the attribute `{}` of an `OrderedDict`",
                        shown(name)
                    )),
                    _ => Fault::refused("sets an attribute without a name"),
                }
            }),
            None => Fault::refused("sets attributes that are no dictionary"),
        },
        _ => Fault::refused("sets attributes of what has none"),
    }
}

/// BINPERSID: the storage that `id` describes, a tuple of `storage`, class, key, device, elements,
/// and in the format before PyTorch 1.6 a view, which nobody has written since 0.4.
pub(super) fn storage(heap: &mut Heap, id: &Value) -> Step<Value> {
    let fields = match heap.tuple(id) {
        Some([fields @ .., Value::None]) if fields.len() == 5 => fields,
        Some(fields) => fields,
        None => return Fault::refused("refers to an object outside of it"),
    };
    let [
        Value::Text(kind),
        Value::Global(class),
        Value::Text(key),
        Value::Text(_),
        n,
    ] = fields
    else {
        return Fault::refused("refers to an object that is no storage");
    };
    let dtype = match class {
        Global::Storage(dtype) => Some(*dtype),
        Global::UntypedStorage => None,
        _ => return Fault::refused("has a storage of an unknown class"),
    };
    if &**kind != "storage" {
        return Fault::refused("refers to an object that is no storage");
    }
    let storage = Storage {
        key: Rc::clone(key),
        dtype,
        n: whole(n, "the number of a storage's elements")?,
    };
    heap.add(Node::Storage(storage))
}

fn tensor(heap: &mut Heap, rebuild: Rebuild, arguments: &[Value]) -> Step<Value> {
    let (view, rest) = match (rebuild, arguments) {
        (Rebuild::Parameter, [tensor, Value::Bool(_), hooks]) => {
            return parameter(heap, tensor, hooks);
        }
        (Rebuild::ParameterWithState, [tensor, Value::Bool(_), hooks, state]) => {
            check_state(heap, state)?;
            return parameter(heap, tensor, hooks);
        }
        (Rebuild::V1, [_, _, _, _]) => arguments.split_at(4),
        (Rebuild::V2, [_, _, _, _, Value::Bool(_), _, ..]) if arguments.len() <= 7 => {
            arguments.split_at(4)
        }
        (Rebuild::V3, [_, _, _, _, Value::Bool(_), _, _, ..]) if arguments.len() <= 8 => {
            arguments.split_at(4)
        }
        _ => {
            let n = arguments.len();
            return Fault::refused(format!("makes a tensor of {n} unexpected arguments"));
        }
    };
    let (dtype, metadata) = match (rebuild, rest) {
        (Rebuild::V3, [_, _, Value::Global(Global::ElementType(dtype)), rest @ ..]) => {
            (Some(*dtype), rest.first())
        }
        (Rebuild::V3, _) => return Fault::refused("makes a tensor of an unknown type"),
        (_, rest) => (None, rest.get(2)),
    };
    if let Some(hooks) = rest.get(1) {
        check_hooks(heap, hooks)?;
    }
    // Such a tensor's values are not the storage's: conjugate or negative.
    if let Some(metadata) = metadata
        && *metadata != Value::None
        && heap.dict(metadata).is_none_or(|items| !items.is_empty())
    {
        return Fault::refused("makes a tensor with metadata, which changes its values");
    }
    let tensor = view_of(heap, view, dtype)?;
    heap.add(Node::Tensor(Box::new(tensor)))
}

/// A view of a storage, checked to lie inside it.
fn view_of(heap: &Heap, view: &[Value], dtype: Option<Dtype>) -> Step<Tensor> {
    let [storage, offset, shape, strides] = view else {
        return Fault::refused("makes a tensor of too few arguments");
    };
    let Some(Node::Storage(storage)) = heap.node(storage) else {
        return Fault::refused("makes a tensor of what is no storage");
    };
    let (dtype, n_stored) = match (storage.dtype, dtype) {
        (Some(dtype), None) => (dtype, storage.n),
        (None, Some(dtype)) => (dtype, storage.n / (dtype.bitsize() / 8)),
        (Some(_), Some(_)) => return Fault::refused("gives a typed storage another type"),
        (None, None) => return Fault::refused("makes a tensor of a storage without a type"),
    };
    let tensor = Tensor {
        storage: storage.clone(),
        dtype,
        offset: whole(offset, "a tensor's offset")?,
        shape: whole_list(heap, shape, "a tensor's shape")?,
        strides: whole_list(heap, strides, "a tensor's strides")?,
    };
    check_inside(&tensor, n_stored)?;
    Ok(tensor)
}

fn check_inside(tensor: &Tensor, n_stored: usize) -> Step<()> {
    let Tensor {
        offset,
        shape,
        strides,
        ..
    } = tensor;
    if shape.len() != strides.len() {
        return Fault::broken(format!(
            "a tensor of shape {shape:?} has the strides {strides:?}"
        ));
    }
    // A zero among the dimensions does not excuse the others.
    let mut dims = shape.iter().map(|&dim| dim.max(1));
    let n = dims.try_fold(1usize, |n, dim| n.checked_mul(dim));
    if n.is_none_or(|n| n as u64 > TENSOR_ELEMENTS_MAX) {
        return Err(Fault::Limit("TENSOR_ELEMENTS_MAX"));
    }
    let end = match shape.contains(&0) {
        true => Some(*offset),
        false => end_of(tensor),
    };
    match end.is_some_and(|end| end <= n_stored) {
        true => Ok(()),
        false => Fault::broken(format!(
            "a tensor of shape {shape:?} with strides {strides:?} at element {offset} leaves its \
             storage of {n_stored}"
        )),
    }
}

/// The element after a tensor's last one, when it has elements.
fn end_of(tensor: &Tensor) -> Option<usize> {
    let mut end = tensor.offset.checked_add(1)?;
    for (dim, stride) in tensor.shape.iter().zip(&tensor.strides) {
        end = end.checked_add((dim - 1).checked_mul(*stride)?)?;
    }
    Some(end)
}

fn parameter(heap: &Heap, tensor: &Value, hooks: &Value) -> Step<Value> {
    check_hooks(heap, hooks)?;
    match heap.node(tensor) {
        Some(Node::Tensor(_)) => Ok(tensor.clone()),
        _ => Fault::refused("makes a parameter of what is no tensor"),
    }
}

/// Hooks are code; those of a checkpoint are an empty dictionary.
fn check_hooks(heap: &Heap, hooks: &Value) -> Step<()> {
    match heap.dict(hooks) {
        Some([]) => Ok(()),
        None if *hooks == Value::None => Ok(()),
        _ => Fault::refused("gives a tensor hooks"),
    }
}

/// Attributes of a parameter that are plain marks. An attribute that holds more could stand for the
/// parameter's own data.
fn check_state(heap: &mut Heap, state: &Value) -> Step<()> {
    heap.count(heap.dict(state).map_or(0, <[_]>::len))?;
    let Some(attributes) = heap.dict(state) else {
        return Fault::refused("sets attributes that are no dictionary");
    };
    attributes
        .iter()
        .try_for_each(|(name, value)| match (name, value) {
            (
                Value::Text(_),
                Value::None | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_),
            ) => Ok(()),
            (Value::Text(name), _) => Fault::refused(format!(
                "sets the attribute `{}` of a parameter",
                shown(name)
            )),
            _ => Fault::refused("sets an attribute without a name"),
        })
}

fn item_pairs(heap: &Heap, items: &Value) -> Step<Vec<(Value, Value)>> {
    let pair = |item: &Value| match heap.node(item) {
        Some(Node::List(pair) | Node::Tuple(pair)) if pair.len() == 2 => Ok(pair.clone()),
        _ => Fault::refused("makes an `OrderedDict` of what are no pairs"),
    };
    let Some(Node::List(items) | Node::Tuple(items)) = heap.node(items) else {
        return Fault::refused("makes an `OrderedDict` of what is no list");
    };
    let flat: Vec<Vec<Value>> = items.iter().map(pair).collect::<Step<_>>()?;
    Ok(pairs(flat.concat()))
}

/// Bytes as protocol 2 writes them: text whose characters are the bytes.
fn latin1(text: &str, code: &str) -> Step<Value> {
    let bytes: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(c).ok()).collect();
    match bytes {
        Some(bytes) if code == "latin1" => Ok(Value::Bytes(bytes.into())),
        _ => Fault::refused("encodes a text other than as `latin1`"),
    }
}

fn whole(value: &Value, what: &str) -> Step<usize> {
    let number = match value {
        Value::Int(n) => usize::try_from(*n).ok(),
        _ => None,
    };
    match number {
        Some(n) => Ok(n),
        None => Fault::broken(format!("{what} is no whole number of at least 0")),
    }
}

fn whole_list(heap: &Heap, value: &Value, what: &str) -> Step<Vec<usize>> {
    match heap.node(value) {
        Some(Node::Tuple(items) | Node::List(items)) if items.len() as u64 > TENSOR_RANK_MAX => {
            Err(Fault::Limit("TENSOR_RANK_MAX"))
        }
        Some(Node::Tuple(items) | Node::List(items)) => {
            items.iter().map(|item| whole(item, what)).collect()
        }
        _ => Fault::broken(format!("{what} is no tuple")),
    }
}

fn called(global: Global) -> String {
    match global {
        Global::OrderedDict => "`collections.OrderedDict`".to_owned(),
        Global::Set => "`builtins.set`".to_owned(),
        Global::FrozenSet => "`builtins.frozenset`".to_owned(),
        Global::Encode => "`_codecs.encode`".to_owned(),
        Global::NumpyType => "`numpy.dtype`".to_owned(),
        Global::NumpyScalar => "`numpy.core.multiarray.scalar`".to_owned(),
        Global::Size => "`torch.Size`".to_owned(),
        Global::Rebuild(_) => "a function that makes a tensor".to_owned(),
        Global::Storage(dtype) => format!("the class of storages of {dtype}"),
        Global::UntypedStorage => "`torch.storage.UntypedStorage`".to_owned(),
        Global::ElementType(dtype) => format!("the type {dtype}"),
    }
}
