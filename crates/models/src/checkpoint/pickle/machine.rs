//! The stack machine of pickle.

use std::collections::BTreeMap;
use std::rc::Rc;

use tenon_base::limits::PICKLE_BYTES_MAX;
use tenon_base::{Error, Result};

use super::fault::{Fault, Step, shown};
use super::globals::{Scope, find};
use super::heap::{Heap, Node, Value, pairs};
use super::ops::Op;
use super::reduce;
use super::stack::Stack;
use super::stream::Stream;

/// The newest protocol.
const PROTOCOL_MAX: u8 = 5;

/// What a pickle holds.
#[derive(Debug)]
pub(in crate::checkpoint) struct Loaded {
    pub(in crate::checkpoint) heap: Heap,
    pub(in crate::checkpoint) root: Value,
    /// Bytes of the pickle; what follows is not part of it.
    pub(in crate::checkpoint) n_bytes: usize,
}

/// Reads the pickle at the start of `bytes`, up to its STOP.
///
/// Errors, of kind data, name the opcode and its byte: what is not in the list of known globals,
/// what would call or create something, what is damaged, and what goes beyond a limit.
pub(in crate::checkpoint) fn load(bytes: &[u8], scope: Scope) -> Result<Loaded> {
    let mut machine = Machine {
        scope,
        stream: Stream::new(bytes),
        heap: Heap::default(),
        stack: Stack::default(),
        memo: BTreeMap::new(),
        protocol: None,
    };
    loop {
        let at = machine.stream.at;
        let located = |fault: Fault, op: &str| fault.error(op, at);
        if at as u64 >= PICKLE_BYTES_MAX {
            return Err(located(Fault::Limit("PICKLE_BYTES_MAX"), "opcode"));
        }
        let code = machine
            .stream
            .u8()
            .map_err(|fault| located(fault, "opcode"))?;
        let Some(op) = Op::of(code) else {
            return Err(unknown(code, at));
        };
        let stop = machine
            .step(op, at)
            .map_err(|fault| located(fault, op.name()))?;
        if let Some(root) = stop {
            let n_bytes = machine.stream.at;
            let heap = machine.heap;
            return Ok(Loaded {
                heap,
                root,
                n_bytes,
            });
        }
    }
}

fn unknown(code: u8, at: usize) -> Error {
    let fault = Fault::Broken(format!("{code:#04x} is no opcode"));
    fault.error("opcode", at)
}

struct Machine<'a> {
    scope: Scope,
    stream: Stream<'a>,
    heap: Heap,
    stack: Stack,
    memo: BTreeMap<u32, Value>,
    protocol: Option<u8>,
}

impl Machine<'_> {
    /// One opcode; gives the pickle's value at its end.
    fn step(&mut self, op: Op, at: usize) -> Step<Option<Value>> {
        match op {
            Op::Stop => return self.stop().map(Some),
            Op::Proto => self.proto(at)?,
            Op::Frame => self.frame()?,
            Op::Mark => self.stack.mark()?,
            Op::Pop => self.stack.discard()?,
            Op::PopMark => drop(self.stack.pop_mark()?),
            Op::Dup => {
                let top = self.stack.peek()?;
                self.push(top)?;
            }
            Op::Append
            | Op::Appends
            | Op::SetItem
            | Op::SetItems
            | Op::AddItems
            | Op::Build
            | Op::Put
            | Op::BinPut
            | Op::LongBinPut
            | Op::Memoize => self.change(op)?,
            _ => {
                let value = self.value(op)?;
                self.push(value)?;
            }
        }
        Ok(None)
    }

    /// An opcode that puts a value on the stack.
    fn value(&mut self, op: Op) -> Step<Value> {
        match op {
            Op::None => Ok(Value::None),
            Op::NewTrue => Ok(Value::Bool(true)),
            Op::NewFalse => Ok(Value::Bool(false)),
            Op::Int | Op::Long | Op::Float => self.stream.number_line(op),
            Op::BinInt => Ok(Value::Int(self.stream.i32()?.into())),
            Op::BinInt1 => Ok(Value::Int(self.stream.u8()?.into())),
            Op::BinInt2 => Ok(Value::Int(self.stream.u16()?.into())),
            Op::Long1 => {
                let n = self.stream.u8()?;
                self.stream.long(n.into())
            }
            Op::Long4 => {
                let n = self.stream.length4()?;
                self.stream.long(n)
            }
            Op::BinFloat => Ok(Value::Float(self.stream.f64()?)),
            Op::String => self.stream.quoted_line(),
            Op::Unicode => self.stream.escaped_line(),
            Op::BinString | Op::ShortBinString => {
                let n = match op {
                    Op::BinString => self.stream.length4()?,
                    _ => self.stream.u8()?.into(),
                };
                self.stream.text(n)
            }
            Op::ShortBinUnicode | Op::BinUnicode | Op::BinUnicode8 => {
                let n = self.length(op, Op::ShortBinUnicode, Op::BinUnicode)?;
                self.stream.text(n)
            }
            Op::ShortBinBytes | Op::BinBytes | Op::BinBytes8 | Op::ByteArray8 => {
                let n = self.length(op, Op::ShortBinBytes, Op::BinBytes)?;
                Ok(Value::Bytes(Rc::from(self.stream.blob(n)?)))
            }
            Op::Get | Op::BinGet | Op::LongBinGet => self.recall(op),
            Op::Global | Op::StackGlobal => self.global(op),
            Op::Reduce => {
                let arguments = self.stack.pop()?;
                let callable = self.stack.pop()?;
                reduce::reduce(&mut self.heap, &callable, &arguments)
            }
            Op::BinPersId if self.scope == Scope::Tensors => {
                let id = self.stack.pop()?;
                reduce::storage(&mut self.heap, &id)
            }
            _ if is_container(op) => self.container(op),
            _ => self.refuse(op),
        }
    }

    /// An opcode that makes a container.
    fn container(&mut self, op: Op) -> Step<Value> {
        let items = match op {
            Op::EmptyTuple | Op::EmptyList | Op::EmptyDict | Op::EmptySet => Vec::new(),
            Op::Tuple1 => self.stack.pop_n(1)?,
            Op::Tuple2 => self.stack.pop_n(2)?,
            Op::Tuple3 => self.stack.pop_n(3)?,
            _ => self.stack.pop_mark()?,
        };
        let node = match op {
            Op::EmptyList | Op::List => Node::List(items),
            Op::EmptySet | Op::FrozenSet => Node::Set(items),
            Op::EmptyDict | Op::Dict if items.len().is_multiple_of(2) => Node::Dict {
                items: pairs(items),
                ordered: false,
            },
            Op::EmptyDict | Op::Dict => return Fault::broken("the last key has no value"),
            _ => Node::Tuple(items),
        };
        self.heap.add(node)
    }

    /// An opcode that changes a container or the memo.
    fn change(&mut self, op: Op) -> Step<()> {
        match op {
            Op::Append | Op::SetItem | Op::Build => {
                let new = self.stack.pop_n(if op == Op::SetItem { 2 } else { 1 })?;
                let container = self.stack.peek()?;
                match op {
                    Op::Append => self.heap.append(&container, new),
                    Op::SetItem => self.heap.set_items(&container, new),
                    _ => reduce::build(&mut self.heap, &container, &new[0]),
                }
            }
            Op::Appends | Op::SetItems | Op::AddItems => {
                let new = self.stack.pop_mark()?;
                let container = self.stack.peek()?;
                match op {
                    Op::Appends => self.heap.append(&container, new),
                    Op::SetItems => self.heap.set_items(&container, new),
                    _ => self.heap.insert(&container, new),
                }
            }
            _ => {
                let key = match op {
                    Op::Memoize => u32::try_from(self.memo.len()).unwrap_or(u32::MAX),
                    _ => self.memo_key(op)?,
                };
                let value = self.stack.peek()?;
                self.heap.count(1)?;
                self.memo.insert(key, value);
                Ok(())
            }
        }
    }

    /// What would import, create or call something, or fetch it from elsewhere.
    fn refuse(&mut self, op: Op) -> Step<Value> {
        match op {
            Op::Inst => {
                let (module, name) = (self.stream.line()?, self.stream.line()?);
                let (module, name) = (shown(module), shown(name));
                Fault::refused(format!("creates an object of `{module}.{name}`"))
            }
            Op::Obj | Op::NewObj | Op::NewObjEx => Fault::refused("creates an object of a class"),
            Op::Ext1 | Op::Ext2 | Op::Ext4 => {
                let number = match op {
                    Op::Ext1 => self.stream.u8()?.into(),
                    Op::Ext2 => self.stream.u16()?.into(),
                    _ => self.stream.u32()?,
                };
                Fault::refused(format!(
                    "needs what a program registered under the number {number}"
                ))
            }
            Op::PersId | Op::BinPersId => Fault::refused("refers to an object outside of it"),
            _ => Fault::refused("refers to a buffer outside of it"),
        }
    }

    fn global(&mut self, op: Op) -> Step<Value> {
        let (module, name): (Rc<str>, Rc<str>) = match op {
            Op::Global => (self.stream.line()?.into(), self.stream.line()?.into()),
            _ => match (self.stack.pop()?, self.stack.pop()?) {
                (Value::Text(name), Value::Text(module)) => (module, name),
                _ => return Fault::broken("module and name are no texts"),
            },
        };
        match find(self.scope, &module, &name) {
            Some(global) => Ok(Value::Global(global)),
            None => {
                let (module, name) = (shown(&module), shown(&name));
                Fault::refused(format!("needs `{module}.{name}`"))
            }
        }
    }

    /// A length in one, four or eight bytes.
    fn length(&mut self, op: Op, in_one: Op, in_four: Op) -> Step<u64> {
        match op {
            op if op == in_one => self.stream.u8().map(u64::from),
            op if op == in_four => self.stream.u32().map(u64::from),
            _ => self.stream.u64(),
        }
    }

    fn recall(&mut self, op: Op) -> Step<Value> {
        let key = self.memo_key(op)?;
        match self.memo.get(&key) {
            Some(value) => Ok(value.clone()),
            None => Fault::broken(format!("nothing was kept under {key}")),
        }
    }

    fn memo_key(&mut self, op: Op) -> Step<u32> {
        match op {
            Op::BinGet | Op::BinPut => self.stream.u8().map(u32::from),
            Op::LongBinGet | Op::LongBinPut => self.stream.u32(),
            _ => {
                let line = self.stream.line()?;
                match line.parse() {
                    Ok(key) => Ok(key),
                    Err(_) => Fault::broken(format!("`{}` is no memo key", shown(line))),
                }
            }
        }
    }

    fn proto(&mut self, at: usize) -> Step<()> {
        let version = self.stream.u8()?;
        if at != 0 || self.protocol.is_some() {
            return Fault::broken("the protocol is not at the start");
        }
        if version > PROTOCOL_MAX {
            return Fault::refused(format!("is of the unknown protocol {version}"));
        }
        self.protocol = Some(version);
        Ok(())
    }

    /// Frames only tell how much to read ahead.
    fn frame(&mut self) -> Step<()> {
        let n = self.stream.u64()?;
        let start = self.stream.at;
        self.stream.take(n)?;
        self.stream.at = start;
        Ok(())
    }

    fn stop(&mut self) -> Step<Value> {
        let root = self.stack.pop()?;
        match self.stack.n_left() {
            0 => Ok(root),
            left => Fault::broken(format!("{left} values and marks are left over")),
        }
    }

    fn push(&mut self, value: Value) -> Step<()> {
        self.heap.count(1)?;
        self.stack.push(value);
        Ok(())
    }
}

fn is_container(op: Op) -> bool {
    let makers = [
        Op::EmptyTuple,
        Op::EmptyList,
        Op::EmptyDict,
        Op::EmptySet,
        Op::Tuple,
        Op::Tuple1,
        Op::Tuple2,
        Op::Tuple3,
        Op::List,
        Op::Dict,
        Op::FrozenSet,
    ];
    makers.contains(&op)
}
