//! Plain statistics of generated text: how varied and how repetitive it is. They describe and do
//! not judge; compare them with those of the training text.

use std::collections::BTreeMap;

/// Statistics of texts taken together. `None` is what has no value, such as the variety of nothing.
///
/// Words are the longest stretches of letters, digits and apostrophes, in lower case; a word has a
/// letter or a digit. Bigrams are pairs of neighbouring words of one text. Sentences end at `.`, `!`
/// or `?` and at the end of a text, and have at least one word.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SampleStats {
    /// Words of all texts.
    pub n_words: usize,
    /// Different bigrams / bigrams, in (0, 1].
    pub distinct_bigrams: Option<f64>,
    /// Different words / words (type-token ratio), in (0, 1].
    pub vocab_diversity: Option<f64>,
    /// Different bigrams that occur more than once / different bigrams, in [0, 1].
    pub repetition_rate: Option<f64>,
    /// Characters of a word.
    pub avg_word_length: Option<f64>,
    /// Words of a sentence.
    pub avg_sentence_length: Option<f64>,
}

impl SampleStats {
    /// The statistics of texts without their prompts.
    pub fn of<'a>(texts: impl IntoIterator<Item = &'a str>) -> SampleStats {
        let mut words: BTreeMap<String, usize> = BTreeMap::new();
        let mut bigrams: BTreeMap<(String, String), usize> = BTreeMap::new();
        let (mut n_chars, mut n_sentences) = (0, 0);
        for text in texts {
            let mut before: Option<String> = None;
            for sentence in text.split(['.', '!', '?']) {
                let mut is_empty = true;
                for word in words_of(sentence) {
                    is_empty = false;
                    n_chars += word.chars().count();
                    *words.entry(word.clone()).or_default() += 1;
                    if let Some(before) = before.replace(word.clone()) {
                        *bigrams.entry((before, word)).or_default() += 1;
                    }
                }
                n_sentences += usize::from(!is_empty);
            }
        }
        let n_words = words.values().sum();
        let repeated = bigrams.values().filter(|n| **n > 1).count();
        SampleStats {
            n_words,
            distinct_bigrams: ratio(bigrams.len(), bigrams.values().sum()),
            vocab_diversity: ratio(words.len(), n_words),
            repetition_rate: ratio(repeated, bigrams.len()),
            avg_word_length: ratio(n_chars, n_words),
            avg_sentence_length: ratio(n_words, n_sentences),
        }
    }
}

fn words_of(text: &str) -> impl Iterator<Item = String> {
    let parts = text.split(|c: char| !(c.is_alphanumeric() || is_apostrophe(c)));
    let trimmed = parts.map(|part| part.trim_matches(is_apostrophe));
    trimmed
        .filter(|part| !part.is_empty())
        .map(str::to_lowercase)
}

fn is_apostrophe(c: char) -> bool {
    c == '\'' || c == '’'
}

fn ratio(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn counts_are_those_made_by_hand() {
        let stats = SampleStats::of(["The cat sat. The cat didn't!  \n", "\"A dog sat?\""]);
        // 9 words, 6 different; bigrams: the-cat twice, cat-sat, sat-the, cat-didn't, a-dog, dog-sat.
        let expected = SampleStats {
            n_words: 9,
            distinct_bigrams: Some(6.0 / 7.0),
            vocab_diversity: Some(6.0 / 9.0),
            repetition_rate: Some(1.0 / 6.0),
            avg_word_length: Some(28.0 / 9.0),
            avg_sentence_length: Some(3.0),
        };
        assert_eq!(stats, expected);
    }

    #[test]
    fn nothing_has_no_value() {
        let nothing = SampleStats {
            n_words: 0,
            distinct_bigrams: None,
            vocab_diversity: None,
            repetition_rate: None,
            avg_word_length: None,
            avg_sentence_length: None,
        };
        assert_eq!(SampleStats::of([]), nothing);
        assert_eq!(SampleStats::of(["", " \n", "... '' —!"]), nothing);
    }

    #[test]
    fn one_word_has_no_bigram() {
        let stats = SampleStats::of(["Once", "once"]);
        assert_eq!(
            (stats.distinct_bigrams, stats.repetition_rate),
            (None, None)
        );
        assert_eq!(stats.vocab_diversity, Some(0.5));
        assert_eq!(stats.avg_sentence_length, Some(1.0));
    }

    #[test]
    fn a_loop_is_repetitive() {
        let stats = SampleStats::of(["go on go on go on go on"]);
        assert_eq!(stats.repetition_rate, Some(1.0));
        assert_eq!(stats.distinct_bigrams, Some(2.0 / 7.0));
    }

    proptest! {
        #[test]
        fn shares_are_shares(texts in prop::collection::vec("[ab '.!é\\n]{0,40}", 0..4)) {
            let stats = SampleStats::of(texts.iter().map(String::as_str));
            for share in [stats.distinct_bigrams, stats.vocab_diversity, stats.repetition_rate] {
                prop_assert!(share.is_none_or(|share| (0.0..=1.0).contains(&share)));
            }
            prop_assert_eq!(stats.n_words == 0, stats.vocab_diversity.is_none());
            prop_assert!(stats.avg_word_length.is_none_or(|length| length >= 1.0));
            prop_assert!(stats.avg_sentence_length.is_none_or(|length| length >= 1.0));
        }
    }
}
