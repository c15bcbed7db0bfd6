//! Stop texts in a stream: nothing of a stop text is ever shown, wherever its tokens begin.

/// Lets text pass until a stop text comes.
#[derive(Debug)]
pub(super) struct StopText<'a> {
    stops: &'a [String],
    /// Text that may be the beginning of a stop text.
    held: String,
    hit: bool,
}

impl<'a> StopText<'a> {
    /// A stream that has shown nothing. The stop texts are not empty.
    pub(super) fn new(stops: &'a [String]) -> Self {
        StopText {
            stops,
            held: String::new(),
            hit: false,
        }
    }

    /// Whether a stop text has come.
    pub(super) fn is_hit(&self) -> bool {
        self.hit
    }

    /// Takes text and returns what may be shown: up to the first stop text, or to what may become
    /// one. After a stop text nothing passes.
    pub(super) fn push(&mut self, text: &str) -> String {
        if self.hit {
            return String::new();
        }
        self.held.push_str(text);
        let found = self
            .stops
            .iter()
            .filter_map(|stop| self.held.find(stop))
            .min();
        self.hit = found.is_some();
        let n_shown = found.unwrap_or_else(|| self.held.len() - self.n_pending());
        let rest = self.held.split_off(n_shown);
        std::mem::replace(&mut self.held, rest)
    }

    /// What is left when no more text comes.
    pub(super) fn finish(self) -> String {
        if self.hit { String::new() } else { self.held }
    }

    /// Bytes of the longest end of the held text that begins a stop text.
    fn n_pending(&self) -> usize {
        let begins = |rest: &str| self.stops.iter().any(|stop| stop.starts_with(rest));
        let ends = self.held.char_indices().map(|(at, _)| &self.held[at..]);
        ends.into_iter()
            .find(|rest| begins(rest))
            .map_or(0, str::len)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(stops: &[&str], pieces: &[&str]) -> (Vec<String>, String, bool) {
        let stops: Vec<String> = stops.iter().map(|s| s.to_string()).collect();
        let mut stream = StopText::new(&stops);
        let passed = pieces.iter().map(|piece| stream.push(piece)).collect();
        let hit = stream.is_hit();
        (passed, stream.finish(), hit)
    }

    #[test]
    fn a_stop_text_over_several_pieces_is_never_shown() {
        let (passed, rest, hit) = shown(&["\n\nQ:"], &["a\n", "\nQ", ": b", "c"]);
        assert_eq!(
            (passed, rest.as_str(), hit),
            (strings(["a", "", "", ""]), "", true)
        );
    }

    #[test]
    fn what_only_began_like_a_stop_text_is_shown_later() {
        let (passed, rest, hit) = shown(&["END"], &["xEN", "EN", "Dx"]);
        assert_eq!(
            (passed, rest.as_str(), hit),
            (strings(["x", "EN", ""]), "", true)
        );
        let (passed, rest, hit) = shown(&["END"], &["aE", "é", "E"]);
        assert_eq!(
            (passed, rest.as_str(), hit),
            (strings(["a", "Eé", ""]), "E", false)
        );
    }

    #[test]
    fn the_first_of_several_stop_texts_counts() {
        let (passed, _, hit) = shown(&["bc", "ab"], &["xabc"]);
        assert_eq!((passed, hit), (strings(["x"]), true));
    }

    fn strings<const N: usize>(texts: [&str; N]) -> Vec<String> {
        texts.map(str::to_owned).into()
    }

    proptest! {
        #[test]
        fn what_passes_is_the_text_before_the_first_stop_text(
            text in "[abé]{0,24}",
            stops in prop::collection::vec("[abé]{1,4}", 0..3),
            cut in 1usize..5,
        ) {
            let chars: Vec<char> = text.chars().collect();
            let pieces: Vec<String> = chars.chunks(cut).map(|c| c.iter().collect()).collect();
            let mut stream = StopText::new(&stops);
            let mut passed: String = pieces.iter().map(|piece| stream.push(piece)).collect();
            prop_assert_eq!(stream.is_hit(), stops.iter().any(|stop| text.contains(stop)));
            if stream.is_hit() {
                // Pieces are looked at as they come: a stop text that ends earlier counts first.
                prop_assert!(text.starts_with(&passed));
                prop_assert!(stops.iter().any(|stop| text[passed.len()..].starts_with(stop)));
                prop_assert!(!stops.iter().any(|stop| passed.contains(stop)));
            } else {
                passed.push_str(&stream.finish());
                prop_assert_eq!(passed, text);
            }
        }
    }
}
