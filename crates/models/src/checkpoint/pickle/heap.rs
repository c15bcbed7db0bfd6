//! The values of a pickle. Containers lie in one list and refer to each other by number, so that
//! sharing costs nothing, cycles do no harm, and nothing is dropped recursively.

use std::rc::Rc;

use safetensors::Dtype;
use tenon_base::limits::{PICKLE_DEPTH_MAX, PICKLE_VALUES_MAX};

use super::fault::{Fault, Step};
use super::globals::Global;
use super::numpy::NumpyType;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::checkpoint) enum Value {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Rc<str>),
    Bytes(Rc<[u8]>),
    /// A known global: a constant, never something that runs.
    Global(Global),
    /// A container, by its number in the heap.
    Node(u32),
}

/// A container.
#[derive(Debug)]
pub(in crate::checkpoint) enum Node {
    List(Vec<Value>),
    Tuple(Vec<Value>),
    Set(Vec<Value>),
    Dict {
        items: Vec<(Value, Value)>,
        /// Whether it is a `collections.OrderedDict`.
        ordered: bool,
    },
    Storage(Storage),
    Tensor(Box<Tensor>),
    NumpyType(NumpyType),
}

/// The numbers that tensors are views of.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::checkpoint) struct Storage {
    /// Its name in the file.
    pub(in crate::checkpoint) key: Rc<str>,
    /// The type of its elements; bytes without a type when absent.
    pub(in crate::checkpoint) dtype: Option<Dtype>,
    /// Elements, or bytes.
    pub(in crate::checkpoint) n: usize,
}

/// A view of a storage, inside it.
#[derive(Debug)]
pub(in crate::checkpoint) struct Tensor {
    pub(in crate::checkpoint) storage: Storage,
    pub(in crate::checkpoint) dtype: Dtype,
    /// The first element, in elements.
    pub(in crate::checkpoint) offset: usize,
    /// Outermost dimension first.
    pub(in crate::checkpoint) shape: Vec<usize>,
    /// Elements from one index to the next, for each dimension.
    pub(in crate::checkpoint) strides: Vec<usize>,
}

/// All containers of a pickle.
#[derive(Debug, Default)]
pub(in crate::checkpoint) struct Heap {
    nodes: Vec<Node>,
    /// Levels below each container when something was last put into it.
    depths: Vec<u64>,
    n_values: u64,
}

impl Heap {
    /// The container that `value` is, if it is one.
    pub(in crate::checkpoint) fn node(&self, value: &Value) -> Option<&Node> {
        match value {
            Value::Node(i) => self.nodes.get(*i as usize),
            _ => None,
        }
    }

    /// All containers, in the order in which the pickle made them.
    pub(in crate::checkpoint) fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter()
    }

    /// The items of a dictionary.
    pub(in crate::checkpoint) fn dict(&self, value: &Value) -> Option<&[(Value, Value)]> {
        match self.node(value)? {
            Node::Dict { items, .. } => Some(items),
            _ => None,
        }
    }

    pub(super) fn tuple(&self, value: &Value) -> Option<&[Value]> {
        match self.node(value)? {
            Node::Tuple(items) => Some(items),
            _ => None,
        }
    }

    /// Values that the pickle made, kept or had looked at again.
    pub(super) fn n_values(&self) -> u64 {
        self.n_values
    }

    /// Counts values that the pickle makes, keeps or has looked at again.
    pub(super) fn count(&mut self, n: usize) -> Step<()> {
        self.n_values = self.n_values.saturating_add(n as u64);
        match self.n_values > PICKLE_VALUES_MAX {
            true => Err(Fault::Limit("PICKLE_VALUES_MAX")),
            false => Ok(()),
        }
    }

    /// Takes a container.
    pub(super) fn add(&mut self, node: Node) -> Step<Value> {
        self.count(1)?;
        let depth = match &node {
            Node::List(items) | Node::Tuple(items) | Node::Set(items) => self.deepest(items),
            Node::Dict { items, .. } => items.iter().map(|(_, v)| self.depth(v)).max(),
            Node::Storage(_) | Node::Tensor(_) | Node::NumpyType(_) => None,
        };
        let depth = within_limit(depth.unwrap_or(0) + 1)?;
        let i = u32::try_from(self.nodes.len()).map_err(|_| Fault::Limit("PICKLE_VALUES_MAX"))?;
        self.nodes.push(node);
        self.depths.push(depth);
        Ok(Value::Node(i))
    }

    /// Appends to a list.
    pub(super) fn append(&mut self, list: &Value, new: Vec<Value>) -> Step<()> {
        self.deepen(list, self.deepest(&new))?;
        match self.node_mut(list) {
            Some(Node::List(items)) => items.extend(new),
            _ => return Fault::refused("appends to what is no list"),
        }
        Ok(())
    }

    /// Adds to a set.
    pub(super) fn insert(&mut self, set: &Value, new: Vec<Value>) -> Step<()> {
        self.deepen(set, self.deepest(&new))?;
        match self.node_mut(set) {
            Some(Node::Set(items)) => items.extend(new),
            _ => return Fault::refused("adds to what is no set"),
        }
        Ok(())
    }

    /// Sets items of a dictionary, given as keys and values in turn.
    pub(super) fn set_items(&mut self, dict: &Value, new: Vec<Value>) -> Step<()> {
        if !new.len().is_multiple_of(2) {
            return Fault::broken("the last key has no value");
        }
        self.deepen(dict, self.deepest(&new))?;
        let Some(Node::Dict { items, .. }) = self.node_mut(dict) else {
            return Fault::refused("sets items of what is no dictionary");
        };
        items.extend(pairs(new));
        Ok(())
    }

    /// Sets the byte order of a numpy type.
    pub(super) fn numpy_type_mut(&mut self, value: &Value) -> Option<&mut NumpyType> {
        match self.node_mut(value)? {
            Node::NumpyType(numpy) => Some(numpy),
            _ => None,
        }
    }

    fn node_mut(&mut self, value: &Value) -> Option<&mut Node> {
        match value {
            Value::Node(i) => self.nodes.get_mut(*i as usize),
            _ => None,
        }
    }

    fn depth(&self, value: &Value) -> u64 {
        match value {
            Value::Node(i) => self.depths.get(*i as usize).copied().unwrap_or(0),
            _ => 0,
        }
    }

    fn deepest(&self, values: &[Value]) -> Option<u64> {
        values.iter().map(|value| self.depth(value)).max()
    }

    fn deepen(&mut self, container: &Value, below: Option<u64>) -> Step<()> {
        let depth = within_limit(below.unwrap_or(0) + 1)?;
        if let Value::Node(i) = container
            && let Some(old) = self.depths.get_mut(*i as usize)
        {
            *old = depth.max(*old);
        }
        Ok(())
    }
}

/// Keys and values in turn as pairs.
pub(super) fn pairs(flat: Vec<Value>) -> Vec<(Value, Value)> {
    let mut flat = flat.into_iter();
    let mut pairs = Vec::with_capacity(flat.len() / 2);
    while let (Some(key), Some(value)) = (flat.next(), flat.next()) {
        pairs.push((key, value));
    }
    pairs
}

fn within_limit(depth: u64) -> Step<u64> {
    match depth > PICKLE_DEPTH_MAX {
        true => Err(Fault::Limit("PICKLE_DEPTH_MAX")),
        false => Ok(depth),
    }
}
