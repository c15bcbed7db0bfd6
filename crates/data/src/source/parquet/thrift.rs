//! Thrift's compact protocol, in which a file describes itself and its pages.

/// Deepest nesting of a schema, and of what a description is made of.
pub(super) const DEPTH_MAX: usize = 64;

/// Types of the compact protocol.
const TRUE: u8 = 1;
const FALSE: u8 = 2;
pub(super) const LIST: u8 = 9;
pub(super) const STRUCT: u8 = 12;

/// What is wrong with a description.
pub(super) type Found<T> = Result<T, &'static str>;

/// The bytes that are left.
pub(super) struct Walk<'a>(pub(super) &'a [u8]);

impl<'a> Walk<'a> {
    /// The type of the next member of a struct, whose number becomes `id`; none at its end.
    pub(super) fn member(&mut self, id: &mut i64) -> Found<Option<u8>> {
        let byte = self.byte()?;
        if byte == 0 {
            return Ok(None);
        }
        *id = match byte >> 4 {
            0 => self.signed()?,
            delta => id.saturating_add(delta.into()),
        };
        Ok(Some(byte & 15))
    }

    /// Type and number of the elements of a list.
    pub(super) fn list(&mut self) -> Found<(u8, u64)> {
        let byte = self.byte()?;
        let n = match byte >> 4 {
            15 => self.unsigned()?,
            n => n.into(),
        };
        Ok((byte & 15, n))
    }

    /// Passes over a member of this type.
    pub(super) fn skip(&mut self, kind: u8, depth: usize) -> Found<()> {
        if depth > DEPTH_MAX {
            return Err("its description is nested too deep");
        }
        match kind {
            TRUE | FALSE => Ok(()),
            3 => self.take(1).map(drop),
            4..=6 => self.unsigned().map(drop),
            7 => self.take(8).map(drop),
            8 => {
                let n = self.unsigned()?;
                self.take(n).map(drop)
            }
            LIST | 10 => {
                let (kind, n) = self.list()?;
                (0..n).try_for_each(|_| self.skip_element(kind, depth))
            }
            11 => {
                let n = self.unsigned()?;
                let kinds = if n == 0 { 0 } else { self.byte()? };
                (0..n).try_for_each(|_| {
                    self.skip_element(kinds >> 4, depth)?;
                    self.skip_element(kinds & 15, depth)
                })
            }
            STRUCT => {
                let mut id = 0;
                while let Some(kind) = self.member(&mut id)? {
                    self.skip(kind, depth + 1)?;
                }
                Ok(())
            }
            _ => Err("its description is not in Thrift's compact protocol"),
        }
    }

    /// A boolean in a list is a byte; as a member it is its type.
    fn skip_element(&mut self, kind: u8, depth: usize) -> Found<()> {
        match kind {
            TRUE | FALSE => self.take(1).map(drop),
            _ => self.skip(kind, depth + 1),
        }
    }

    fn byte(&mut self) -> Found<u8> {
        let (first, rest) = self.0.split_first().ok_or(ENDS)?;
        self.0 = rest;
        Ok(*first)
    }

    /// The next `n` bytes.
    pub(super) fn take(&mut self, n: u64) -> Found<&'a [u8]> {
        let n = usize::try_from(n).map_err(|_| ENDS)?;
        let (taken, rest) = self.0.split_at_checked(n).ok_or(ENDS)?;
        self.0 = rest;
        Ok(taken)
    }

    /// A number in groups of seven bits, the lowest first.
    pub(super) fn unsigned(&mut self) -> Found<u64> {
        let mut n = 0;
        for shift in (0..70).step_by(7) {
            let byte = self.byte()?;
            n |= u64::from(byte & 0x7F).checked_shl(shift).unwrap_or(0);
            if byte < 0x80 {
                return Ok(n);
            }
        }
        Err("a number of its description is too long")
    }

    /// A number whose lowest bit is its sign.
    pub(super) fn signed(&mut self) -> Found<i64> {
        let n = self.unsigned()?;
        Ok((n >> 1) as i64 ^ -((n & 1) as i64))
    }
}

const ENDS: &str = "its description ends early";
