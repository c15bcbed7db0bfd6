//! "Did you mean": the nearest known name.

/// The candidate nearest to `name`, if one is near enough to be a slip of the hand.
///
/// Distance is Damerau–Levenshtein (optimal string alignment) without regard to case and with `-`
/// equal to `_`; one edit is allowed for each three characters of the longer name, at least one.
/// Ties go to the earlier candidate. A candidate that equals `name` is returned too.
pub fn nearest<'a, I>(name: &str, candidates: I) -> Option<&'a str>
where
    I: IntoIterator<Item = &'a str>,
{
    let name: Vec<char> = normal_form(name);
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let other = normal_form(candidate);
        let longer = name.len().max(other.len());
        let allowed = (longer / 3).max(1);
        if name.len().abs_diff(other.len()) > allowed {
            continue;
        }
        let edits = distance(&name, &other);
        // A name of which nothing is left after the edits is no slip.
        let near = edits <= allowed && edits < longer.max(1);
        if near && best.is_none_or(|(least, _)| edits < least) {
            best = Some((edits, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

fn normal_form(name: &str) -> Vec<char> {
    name.chars()
        .flat_map(char::to_lowercase)
        .map(|c| if c == '-' { '_' } else { c })
        .collect()
}

/// Insertions, deletions, substitutions and swaps of neighbours that turn `a` into `b`.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before_last = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let mut row = vec![0; b.len() + 1];
    for i in 1..=a.len() {
        row[0] = i;
        for j in 1..=b.len() {
            let differs = usize::from(a[i - 1] != b[j - 1]);
            row[j] = (last[j] + 1).min(row[j - 1] + 1).min(last[j - 1] + differs);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before_last[j - 2] + 1);
            }
        }
        std::mem::swap(&mut before_last, &mut last);
        std::mem::swap(&mut last, &mut row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [&str; 6] = [
        "learning_rate",
        "batch_size",
        "lr",
        "seed",
        "max_steps",
        "d_ff",
    ];

    #[track_caller]
    fn check(name: &str, expected: Option<&str>) {
        assert_eq!(nearest(name, KEYS), expected, "for `{name}`");
    }

    #[test]
    fn finds_slips() {
        check("learning_rte", Some("learning_rate"));
        check("laerning_rate", Some("learning_rate"));
        check("Batch-Size", Some("batch_size"));
        check("sede", Some("seed"));
        check("rl", Some("lr"));
        check("maxsteps", Some("max_steps"));
        check("seed", Some("seed"));
    }

    #[test]
    fn keeps_quiet_when_nothing_is_near() {
        check("", None);
        check("xy", None);
        check("optimizer", None);
        check("z", None);
    }

    #[test]
    fn distance_counts_a_swap_once_and_is_symmetric() {
        let d = |a: &str, b: &str| distance(&normal_form(a), &normal_form(b));
        assert_eq!(d("ab", "ba"), 1);
        assert_eq!(d("", "abc"), 3);
        assert_eq!(d("kitten", "sitting"), 3);
        assert_eq!(d("ca", "abc"), 3);
        for (a, b) in [("learning", "leaning"), ("x", ""), ("naïve", "naive")] {
            assert_eq!(d(a, b), d(b, a));
        }
    }
}
