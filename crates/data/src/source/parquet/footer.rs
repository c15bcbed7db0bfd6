//! A first look at the end of a file, before the decoder sees it.
//!
//! The description of a file lies before its last eight bytes, in Thrift's compact protocol. The
//! decoder walks its schema by recursion, which a schema nested deep enough turns into the end of
//! the program, and does not see that the pages of a file with an open description are encrypted.

use std::io::{self, Read, Seek, SeekFrom};

/// Deepest nesting of a schema, and of what its description is made of.
const DEPTH_MAX: usize = 64;

/// Length of the description and `PAR1`.
const TAIL: u64 = 8;

/// Numbers of members of the description of a file and of an element of its schema.
const SCHEMA: i64 = 2;
const ENCRYPTION: i64 = 8;
const N_CHILDREN: i64 = 5;

/// Types of the compact protocol.
const TRUE: u8 = 1;
const FALSE: u8 = 2;
const LIST: u8 = 9;
const STRUCT: u8 = 12;

/// What is wrong with a description.
type Found<T> = Result<T, &'static str>;

/// Whether the file is encrypted behind an open description, or what is wrong with it.
pub(super) fn is_encrypted(file: &mut (impl Read + Seek)) -> io::Result<Found<bool>> {
    let n_bytes = file.seek(SeekFrom::End(0))?;
    let mut tail = [0; TAIL as usize];
    if n_bytes < TAIL {
        return Ok(Err("it is too short"));
    }
    file.seek(SeekFrom::Start(n_bytes - TAIL))?;
    file.read_exact(&mut tail)?;
    let [length @ .., _, _, _, _] = tail;
    let length = u64::from(u32::from_le_bytes(length));
    if &tail[4..] != super::MAGIC {
        return Ok(Err("its end is missing"));
    }
    let Some(start) = (n_bytes - TAIL).checked_sub(length) else {
        return Ok(Err("its description is longer than the file"));
    };
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes)?;
    Ok(Walk(&bytes).description())
}

/// The bytes that are left.
struct Walk<'a>(&'a [u8]);

impl Walk<'_> {
    fn description(&mut self) -> Found<bool> {
        let (mut id, mut is_encrypted) = (0, false);
        while let Some(kind) = self.member(&mut id)? {
            is_encrypted |= id == ENCRYPTION;
            match (id, kind) {
                (SCHEMA, LIST) => self.schema()?,
                _ => self.skip(kind, 0)?,
            }
        }
        Ok(is_encrypted)
    }

    /// The elements come with every parent before its children.
    fn schema(&mut self) -> Found<()> {
        let (kind, n) = self.list()?;
        let mut open: Vec<i64> = Vec::new();
        for _ in 0..n {
            if kind != STRUCT {
                return Err("its schema is no list of elements");
            }
            let mut n_children = 0;
            let mut id = 0;
            while let Some(kind) = self.member(&mut id)? {
                match id {
                    N_CHILDREN => n_children = self.signed()?,
                    _ => self.skip(kind, 0)?,
                }
            }
            if let Some(left) = open.last_mut() {
                *left -= 1;
            }
            open.push(n_children);
            while open.last().is_some_and(|left| *left <= 0) {
                open.pop();
            }
            if open.len() > DEPTH_MAX {
                return Err("its columns are nested more than 64 deep");
            }
        }
        Ok(())
    }

    /// The type of the next member of a struct, whose number becomes `id`; none at its end.
    fn member(&mut self, id: &mut i64) -> Found<Option<u8>> {
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
    fn list(&mut self) -> Found<(u8, u64)> {
        let byte = self.byte()?;
        let n = match byte >> 4 {
            15 => self.unsigned()?,
            n => n.into(),
        };
        Ok((byte & 15, n))
    }

    fn skip(&mut self, kind: u8, depth: usize) -> Found<()> {
        if depth > DEPTH_MAX {
            return Err("its description is nested too deep");
        }
        match kind {
            TRUE | FALSE => Ok(()),
            3 => self.take(1),
            4..=6 => self.unsigned().map(drop),
            7 => self.take(8),
            8 => {
                let n = self.unsigned()?;
                self.take(n)
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
            TRUE | FALSE => self.take(1),
            _ => self.skip(kind, depth + 1),
        }
    }

    fn byte(&mut self) -> Found<u8> {
        let (first, rest) = self.0.split_first().ok_or(ENDS)?;
        self.0 = rest;
        Ok(*first)
    }

    fn take(&mut self, n: u64) -> Found<()> {
        let n = usize::try_from(n).map_err(|_| ENDS)?;
        self.0 = self.0.get(n..).ok_or(ENDS)?;
        Ok(())
    }

    fn unsigned(&mut self) -> Found<u64> {
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

    fn signed(&mut self) -> Found<i64> {
        let n = self.unsigned()?;
        Ok((n >> 1) as i64 ^ -((n & 1) as i64))
    }
}

const ENDS: &str = "its description ends early";
