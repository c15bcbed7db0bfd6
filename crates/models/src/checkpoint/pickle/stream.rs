//! The arguments of opcodes, out of the bytes of a pickle.

use std::rc::Rc;

use tenon_base::limits::PICKLE_TEXT_MAX;

use super::fault::{Fault, Step, shown};
use super::heap::Value;
use super::ops::Op;

/// Bytes of the longest integer that is held.
const INT_BYTES_MAX: usize = 8;

/// Bytes and how far they were read.
pub(super) struct Stream<'a> {
    bytes: &'a [u8],
    /// The next byte's position.
    pub(super) at: usize,
}

impl<'a> Stream<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Stream { bytes, at: 0 }
    }

    /// The next `n` bytes.
    pub(super) fn take(&mut self, n: u64) -> Step<&'a [u8]> {
        let left = &self.bytes[self.at..];
        match usize::try_from(n).ok().and_then(|n| left.get(..n)) {
            Some(taken) => {
                self.at += taken.len();
                Ok(taken)
            }
            None => Fault::broken(format!("{n} bytes should follow, {} are left", left.len())),
        }
    }

    fn array<const N: usize>(&mut self) -> Step<[u8; N]> {
        let taken = self.take(N as u64)?;
        Ok(taken.try_into().expect("as many as were asked for"))
    }

    pub(super) fn u8(&mut self) -> Step<u8> {
        Ok(self.array::<1>()?[0])
    }

    pub(super) fn u16(&mut self) -> Step<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Step<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn i32(&mut self) -> Step<i32> {
        self.array().map(i32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Step<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// A float, in the one big-endian form of the format.
    pub(super) fn f64(&mut self) -> Step<f64> {
        self.array().map(f64::from_be_bytes)
    }

    /// A length in four bytes; the format's is signed.
    pub(super) fn length4(&mut self) -> Step<u64> {
        let n = self.i32()?;
        match u64::try_from(n) {
            Ok(n) => Ok(n),
            Err(_) => Fault::broken(format!("the length {n} is negative")),
        }
    }

    /// Bytes of the given length that become a value.
    pub(super) fn blob(&mut self, n: u64) -> Step<&'a [u8]> {
        match n > PICKLE_TEXT_MAX {
            true => Err(Fault::Limit("PICKLE_TEXT_MAX")),
            false => self.take(n),
        }
    }

    /// UTF-8 text of the given length.
    pub(super) fn text(&mut self, n: u64) -> Step<Value> {
        let bytes = self.blob(n)?;
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Value::Text(Rc::from(text))),
            Err(_) => Fault::broken("a text is not UTF-8"),
        }
    }

    /// A text of protocol 0 up to the end of the line: a byte for each character, or its number in
    /// hexadecimal digits after `\u` or `\U`.
    pub(super) fn escaped_line(&mut self) -> Step<Value> {
        let line = self.line_bytes()?;
        let mut text = String::with_capacity(line.len());
        let mut rest = line.iter();
        while let Some(&byte) = rest.next() {
            if byte != b'\\' {
                text.push(byte.into());
                continue;
            }
            let n_digits = match rest.next() {
                Some(b'u') => 4,
                Some(b'U') => 8,
                other => {
                    text.extend(std::iter::once('\\').chain(other.map(|&byte| byte.into())));
                    continue;
                }
            };
            let digits = rest.as_slice().get(..n_digits).unwrap_or_default();
            let number = std::str::from_utf8(digits).ok();
            let number = number.and_then(|digits| u32::from_str_radix(digits, 16).ok());
            let Some(character) = number.and_then(char::from_u32) else {
                return Fault::broken("an escape in a text stands for no character");
            };
            text.push(character);
            rest = rest.as_slice()[n_digits..].iter();
        }
        Ok(Value::Text(text.into()))
    }

    /// A quoted text of Python 2, which nobody writes with escapes where names are plain.
    pub(super) fn quoted_line(&mut self) -> Step<Value> {
        let line = self.line()?;
        let quoted = |mark: char| line.strip_prefix(mark)?.strip_suffix(mark);
        match quoted('\'').or_else(|| quoted('"')) {
            Some(text) if text.contains('\\') => Fault::refused("has a text with escapes"),
            Some(text) => Ok(Value::Text(text.into())),
            None => Fault::broken("a text has no quotes"),
        }
    }

    /// A number of protocol 0, up to the end of the line. Truth values are the integers `00` and
    /// `01`.
    pub(super) fn number_line(&mut self, op: Op) -> Step<Value> {
        let line = self.line()?;
        let value = match (op, line) {
            (Op::Int, "00") => Some(Value::Bool(false)),
            (Op::Int, "01") => Some(Value::Bool(true)),
            (Op::Int, _) => line.parse().ok().map(Value::Int),
            (Op::Float, _) => line.parse().ok().map(Value::Float),
            _ => line.trim_end_matches('L').parse().ok().map(Value::Int),
        };
        match value {
            Some(value) => Ok(value),
            None => Fault::broken(format!("`{}` is no number of 64 bits", shown(line))),
        }
    }

    /// ASCII text up to the end of the line.
    pub(super) fn line(&mut self) -> Step<&'a str> {
        match std::str::from_utf8(self.line_bytes()?) {
            Ok(text) if text.is_ascii() => Ok(text),
            _ => Fault::broken("a line is not ASCII"),
        }
    }

    fn line_bytes(&mut self) -> Step<&'a [u8]> {
        let left = &self.bytes[self.at..];
        let Some(n) = left.iter().position(|&byte| byte == b'\n') else {
            return Fault::broken("a line has no end");
        };
        let bytes = self.blob(n as u64)?;
        self.at += 1;
        Ok(bytes)
    }

    /// An integer of `n` bytes, two's complement.
    pub(super) fn long(&mut self, n: u64) -> Step<Value> {
        let bytes = self.blob(n)?;
        if bytes.len() > INT_BYTES_MAX {
            return Fault::refused(format!("has an integer of {n} bytes, beyond 64 bits"));
        }
        let fill = match bytes.last() {
            Some(&last) if last >= 0x80 => 0xff,
            _ => 0,
        };
        let mut wide = [fill; INT_BYTES_MAX];
        wide[..bytes.len()].copy_from_slice(bytes);
        Ok(Value::Int(i64::from_le_bytes(wide)))
    }
}
