//! Numbers that numpy wrote: a type such as `f8`, and the bytes of one element.

use super::fault::{Fault, Step, shown};
use super::heap::Value;

/// The type of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::checkpoint) struct NumpyType {
    kind: Kind,
    size: usize,
    /// Whether the pickle said the byte order, which it does after naming the type.
    is_ordered: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Bool,
    Int,
    Unsigned,
    Float,
}

impl NumpyType {
    /// The type that numpy writes as `name`.
    pub(super) fn of(name: &str) -> Step<NumpyType> {
        let (kind, size) = match name {
            "b1" => (Kind::Bool, 1),
            "i1" => (Kind::Int, 1),
            "i2" => (Kind::Int, 2),
            "i4" => (Kind::Int, 4),
            "i8" => (Kind::Int, 8),
            "u1" => (Kind::Unsigned, 1),
            "u2" => (Kind::Unsigned, 2),
            "u4" => (Kind::Unsigned, 4),
            "u8" => (Kind::Unsigned, 8),
            "f4" => (Kind::Float, 4),
            "f8" => (Kind::Float, 8),
            _ => {
                return Fault::refused(format!(
                    "needs the type `{}` of numpy, which is no plain number",
                    shown(name)
                ));
            }
        };
        Ok(NumpyType {
            kind,
            size,
            is_ordered: size == 1,
        })
    }

    /// Takes the state that follows: version, byte order, then nothing that a number has.
    pub(super) fn build(&mut self, state: &[Value]) -> Step<()> {
        let nothing = [
            Value::None,
            Value::None,
            Value::None,
            Value::Int(-1),
            Value::Int(-1),
            Value::Int(0),
        ];
        match state {
            [Value::Int(3), Value::Text(order), rest @ ..] if *rest == nothing => match &**order {
                "<" => self.is_ordered = true,
                "|" if self.size == 1 => {}
                _ => return Fault::refused("has a numpy number that is not little-endian"),
            },
            _ => return Fault::refused("has a numpy type with fields or metadata"),
        }
        Ok(())
    }

    /// The number whose bytes these are.
    pub(super) fn scalar(self, bytes: &[u8]) -> Step<Value> {
        if bytes.len() != self.size || !self.is_ordered {
            return Fault::broken(format!(
                "a numpy number of {} bytes has {}, or no byte order",
                self.size,
                bytes.len()
            ));
        }
        let negative = self.kind == Kind::Int && bytes[bytes.len() - 1] >= 0x80;
        let mut wide = [if negative { 0xff } else { 0 }; 8];
        wide[..bytes.len()].copy_from_slice(bytes);
        let bits = u64::from_le_bytes(wide);
        match (self.kind, self.size) {
            (Kind::Bool, _) if bits <= 1 => Ok(Value::Bool(bits == 1)),
            (Kind::Bool, _) => Fault::broken("a truth value is neither 0 nor 1"),
            (Kind::Float, 4) => Ok(Value::Float(f32::from_bits(bits as u32).into())),
            (Kind::Float, _) => Ok(Value::Float(f64::from_bits(bits))),
            (Kind::Int, _) => Ok(Value::Int(i64::from_le_bytes(wide))),
            (Kind::Unsigned, _) => match i64::try_from(bits) {
                Ok(n) => Ok(Value::Int(n)),
                Err(_) => Fault::refused(format!("has the integer {bits}, beyond 63 bits")),
            },
        }
    }
}
