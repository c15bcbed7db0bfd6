//! How vocabularies spell bytes: GPT-2's table of visible characters and the pieces of other
//! models.

/// The character that stands for each byte in byte-level BPE vocabularies: printable bytes stand
/// for themselves, the others for U+0100 onwards (Radford et al. 2019, `bytes_to_unicode`).
pub(super) fn byte_symbols() -> [char; 256] {
    let mut next = 256;
    std::array::from_fn(|byte| {
        if is_printable(byte as u8) {
            byte as u8 as char
        } else {
            next += 1;
            char::from_u32(next - 1).unwrap_or(char::REPLACEMENT_CHARACTER)
        }
    })
}

/// Whether GPT-2's table keeps the byte as it is.
pub(super) fn is_printable(byte: u8) -> bool {
    matches!(byte, 33..=126 | 161..=172 | 174..=255)
}

/// How the tokens of a vocabulary spell text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    /// One character per byte.
    ByteLevel,
    /// `▁` for a space, `<0x0A>` for a byte.
    Metaspace,
    /// `##` before a continued word; other tokens follow a space.
    WordPiece,
    /// As it is.
    Plain,
}

impl Spelling {
    /// Bytes of text that a token that is not special stands for.
    pub(super) fn len_bytes(self, token: &str) -> usize {
        match self {
            Spelling::ByteLevel => token.chars().count(),
            Spelling::Metaspace if is_byte_piece(token) => 1,
            Spelling::Metaspace => token
                .chars()
                .map(|c| if c == '▁' { 1 } else { c.len_utf8() })
                .sum(),
            Spelling::WordPiece => match token.strip_prefix("##") {
                Some(rest) => rest.len(),
                None => token.len() + 1,
            },
            Spelling::Plain => token.len(),
        }
    }
}

fn is_byte_piece(token: &str) -> bool {
    let hex = token
        .strip_prefix("<0x")
        .and_then(|rest| rest.strip_suffix('>'));
    hex.is_some_and(|hex| hex.len() == 2 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_symbols_are_distinct_and_visible() {
        let symbols = byte_symbols();
        let mut sorted = symbols.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), 256);
        assert_eq!((symbols[b'A' as usize], symbols[b' ' as usize]), ('A', 'Ġ'));
        assert_eq!(
            (symbols[b'\n' as usize], symbols[0], symbols[173]),
            ('Ċ', 'Ā', 'Ń')
        );
        assert!(
            symbols
                .iter()
                .all(|c| !c.is_whitespace() && !c.is_control())
        );
    }

    #[test]
    fn pieces_stand_for_the_bytes_they_decode_to() {
        assert_eq!(Spelling::ByteLevel.len_bytes("Ġcafé"), 5);
        assert_eq!(Spelling::Metaspace.len_bytes("▁café"), 6);
        assert_eq!(Spelling::Metaspace.len_bytes("<0x0A>"), 1);
        assert_eq!(Spelling::Metaspace.len_bytes("<0xZZ>"), 6);
        assert_eq!(Spelling::WordPiece.len_bytes("##ing"), 3);
        assert_eq!(Spelling::WordPiece.len_bytes("go"), 3);
    }
}
