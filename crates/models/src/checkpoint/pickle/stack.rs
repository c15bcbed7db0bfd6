//! The stack of the machine, and the marks on it.

use tenon_base::limits::PICKLE_DEPTH_MAX;

use super::fault::{Fault, Step};
use super::heap::Value;

/// Values, and marks between them. The values above the last mark are all that an opcode can reach.
#[derive(Debug, Default)]
pub(super) struct Stack {
    values: Vec<Value>,
    /// Heights of the stack at the open marks.
    marks: Vec<usize>,
}

impl Stack {
    /// Values and marks.
    pub(super) fn n_left(&self) -> usize {
        self.values.len() + self.marks.len()
    }

    pub(super) fn push(&mut self, value: Value) {
        self.values.push(value);
    }

    pub(super) fn mark(&mut self) -> Step<()> {
        if self.marks.len() as u64 >= PICKLE_DEPTH_MAX {
            return Err(Fault::Limit("PICKLE_DEPTH_MAX"));
        }
        self.marks.push(self.values.len());
        Ok(())
    }

    pub(super) fn pop(&mut self) -> Step<Value> {
        let is_reachable = self.values.len() > self.floor();
        match self.values.pop() {
            Some(value) if is_reachable => Ok(value),
            _ => too_few(),
        }
    }

    /// The last `n` values, in their order.
    pub(super) fn pop_n(&mut self, n: usize) -> Step<Vec<Value>> {
        match self.values.len().checked_sub(n) {
            Some(rest) if rest >= self.floor() => Ok(self.values.split_off(rest)),
            _ => too_few(),
        }
    }

    /// The last value, which stays.
    pub(super) fn peek(&self) -> Step<Value> {
        match self.values[self.floor()..].last() {
            Some(value) => Ok(value.clone()),
            None => too_few(),
        }
    }

    /// Takes the last mark and the values above it.
    pub(super) fn pop_mark(&mut self) -> Step<Vec<Value>> {
        match self.marks.pop() {
            Some(mark) => Ok(self.values.split_off(mark)),
            None => Fault::broken("there is no mark"),
        }
    }

    /// POP, which takes a mark where one is on top.
    pub(super) fn discard(&mut self) -> Step<()> {
        match self.marks.last() {
            Some(&mark) if mark == self.values.len() => drop(self.marks.pop()),
            _ => drop(self.pop()?),
        }
        Ok(())
    }

    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }
}

fn too_few<T>() -> Step<T> {
    Fault::broken("the stack has too few values")
}
