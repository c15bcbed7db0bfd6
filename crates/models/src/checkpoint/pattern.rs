//! Name patterns: literal text with `{prefix}` and indices such as `{layer}`.

use std::fmt::Write;

/// The indices that a pattern's placeholders stood for, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Indices(Vec<(&'static str, usize)>);

impl Indices {
    /// The value of `{name}`.
    pub(super) fn get(&self, name: &str) -> Option<usize> {
        self.0
            .iter()
            .find(|(other, _)| *other == name)
            .map(|&(_, index)| index)
    }
}

impl Indices {
    /// The same with one more index.
    pub(super) fn with(&self, name: &'static str, value: usize) -> Indices {
        let mut indices = self.clone();
        indices.0.push((name, value));
        indices
    }
}

enum Piece {
    Text(&'static str),
    Prefix,
    Index(&'static str),
}

fn pieces(mut pattern: &'static str) -> impl Iterator<Item = Piece> {
    std::iter::from_fn(move || {
        if pattern.is_empty() {
            return None;
        }
        let Some(inner) = pattern.strip_prefix('{') else {
            let (text, rest) = pattern.split_at(pattern.find('{').unwrap_or(pattern.len()));
            pattern = rest;
            return Some(Piece::Text(text));
        };
        let (name, rest) = inner.split_once('}').unwrap_or((inner, ""));
        pattern = rest;
        Some(if name == "prefix" {
            Piece::Prefix
        } else {
            Piece::Index(name)
        })
    })
}

/// The indices under which `pattern` gives exactly `name`. An index is written without leading
/// zeros, so that a name has one reading.
pub(super) fn matches(pattern: &'static str, prefix: &str, name: &str) -> Option<Indices> {
    let mut indices = Indices::default();
    let mut rest = name;
    for piece in pieces(pattern) {
        rest = match piece {
            Piece::Text(text) => rest.strip_prefix(text)?,
            Piece::Prefix => rest.strip_prefix(prefix)?,
            Piece::Index(key) => {
                let n = rest.bytes().take_while(u8::is_ascii_digit).count();
                let (digits, after) = rest.split_at(n);
                if digits.is_empty() || digits.len() > 1 && digits.starts_with('0') {
                    return None;
                }
                let index = digits.parse().ok()?;
                if indices.get(key).is_some_and(|before| before != index) {
                    return None;
                }
                indices.0.push((key, index));
                after
            }
        };
    }
    rest.is_empty().then_some(indices)
}

/// The name that `pattern` gives. An index that is not in `indices` stays a placeholder.
pub(super) fn render(pattern: &'static str, prefix: &str, indices: &Indices) -> String {
    let mut name = String::new();
    for piece in pieces(pattern) {
        match piece {
            Piece::Text(text) => name.push_str(text),
            Piece::Prefix => name.push_str(prefix),
            Piece::Index(key) => match indices.get(key) {
                // OK because writing to a string cannot fail.
                Some(index) => write!(name, "{index}").unwrap_or_default(),
                None => write!(name, "{{{key}}}").unwrap_or_default(),
            },
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EXPERT: &str = "{prefix}layers.{layer}.experts.{expert}.w";

    #[test]
    fn indices_are_read_by_name() {
        let indices = matches(EXPERT, "model.", "model.layers.10.experts.0.w").unwrap();
        assert_eq!(
            (indices.get("layer"), indices.get("expert")),
            (Some(10), Some(0))
        );
        assert_eq!(indices.get("head"), None);
    }

    #[test]
    fn near_misses_do_not_match() {
        for name in [
            "layers.1.experts.0.w",
            "model.layers.01.experts.0.w",
            "model.layers..experts.0.w",
            "model.layers.-1.experts.0.w",
            "model.layers.1.experts.0.wx",
            "xmodel.layers.1.experts.0.w",
            "model.layers.1.experts.99999999999999999999999.w",
            "model.layers.1x.experts.0.w",
            "",
        ] {
            assert_eq!(matches(EXPERT, "model.", name), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn what_is_rendered_matches(layer: usize, expert: usize, prefix in "[a-z.]{0,6}") {
            let indices = Indices(vec![("layer", layer), ("expert", expert)]);
            let name = render(EXPERT, &prefix, &indices);
            prop_assert_eq!(matches(EXPERT, &prefix, &name), Some(indices));
        }

        #[test]
        fn what_matches_is_rendered(name in "(model.)?layers.[0-9]{0,3}.experts.[0-9]{1,2}.w?") {
            if let Some(indices) = matches(EXPERT, "model.", &name) {
                prop_assert_eq!(render(EXPERT, "model.", &indices), name);
            }
        }
    }
}
