//! Which files of a repository are loaded.

use tenon_base::{Error, Result, suggest};

use super::names::{Repo, shown};

/// Which files of a repository are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// What a model needs: of the top folder, configuration, tokenizer, card and licence, and the
    /// weights as safetensors; as PyTorch's own files only where there are no others.
    Model,
    /// Every file.
    All,
    /// Files whose whole name fits one of these patterns: `*` is any text, slashes included, `?`
    /// any character, `[ab-d]` one of these, `[!a]` none of these; `folder/` is all below it.
    Include(Vec<String>),
}

impl Selection {
    /// The names that are wanted, sorted.
    ///
    /// # Errors
    /// `Usage` when a pattern fits nothing; `Data` when there is nothing that a model needs.
    pub(super) fn choose<'n>(&self, repo: &Repo, names: &[&'n str]) -> Result<Vec<&'n str>> {
        let mut chosen: Vec<&str> = match self {
            Selection::All => names.to_vec(),
            Selection::Model => model_files(names),
            Selection::Include(patterns) => included(patterns, repo, names)?,
        };
        if chosen.is_empty() {
            let error = Error::data(format!("`{repo}` has no files of a model"));
            return Err(error.hint("`--all` loads every file, `--include` chosen ones"));
        }
        chosen.sort_unstable();
        chosen.dedup();
        Ok(chosen)
    }
}

const TEXT_EXTENSIONS: &[&str] = &["json", "txt", "model", "jinja", "md"];
const LICENCES: &[&str] = &["license", "licence", "notice", "copying"];
/// Lists of the parts of weights in other formats.
const OTHER_INDEXES: &[&str] = &["pytorch_model", "tf_model", "flax_model"];

fn model_files<'n>(names: &[&'n str]) -> Vec<&'n str> {
    let top = || names.iter().copied().filter(|name| !name.contains('/'));
    let is_safetensors = |name: &str| name.ends_with(".safetensors");
    // Some repositories hold the same weights a second time under a name of their author's.
    let is_usual = |name: &str| {
        is_safetensors(name) && (name == "model.safetensors" || name.starts_with("model-"))
    };
    let any_usual = top().any(is_usual);
    let any_safetensors = top().any(is_safetensors);
    let is_wanted = |name: &&str| {
        let lower = name.to_ascii_lowercase();
        let (stem, extension) = lower.rsplit_once('.').unwrap_or((&lower, ""));
        if is_safetensors(name) {
            return is_usual(name) || !any_usual;
        }
        let is_torch = stem.starts_with("pytorch_model");
        if is_torch && (extension == "bin" || lower.ends_with(".bin.index.json")) {
            return !any_safetensors;
        }
        let is_other = OTHER_INDEXES.iter().any(|start| stem.starts_with(start));
        let is_licence = LICENCES.iter().any(|start| stem.starts_with(start));
        is_licence || TEXT_EXTENSIONS.contains(&extension) && !is_other
    };
    top().filter(is_wanted).collect()
}

fn included<'n>(patterns: &[String], repo: &Repo, names: &[&'n str]) -> Result<Vec<&'n str>> {
    let mut chosen = Vec::new();
    for pattern in patterns {
        let whole = match pattern.ends_with('/') {
            true => format!("{pattern}*"),
            false => pattern.clone(),
        };
        let before = chosen.len();
        let fitting = names.iter().filter(|name| fits(&whole, name));
        chosen.extend(fitting.copied());
        if chosen.len() == before {
            let error = Error::usage(format!("no file of `{repo}` fits `{pattern}`"));
            let near = suggest::nearest(pattern, names.iter().copied());
            return Err(match near {
                Some(near) => error.hint(format!("did you mean `{}`?", shown(near))),
                None => error.hint(format!("it has {}", first_names(names))),
            });
        }
    }
    Ok(chosen)
}

fn first_names(names: &[&str]) -> String {
    const MOST: usize = 8;
    let first = names.iter().take(MOST);
    let listed: Vec<String> = first.map(|name| format!("`{}`", shown(name))).collect();
    match names.len().checked_sub(MOST) {
        Some(more) if more > 0 => format!("{} and {more} more", listed.join(", ")),
        _ => listed.join(", "),
    }
}

/// Whether the whole of `name` fits `pattern`, letter by letter, in steps at most the product of
/// their lengths.
fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    // Where to go on when the text of the last `*` has to be one character longer.
    let mut retry = None;
    while n < name.len() {
        if pattern.get(p) == Some(&'*') {
            retry = Some((p + 1, n));
            p += 1;
        } else if let Some(after) = one(&pattern, p, name[n]) {
            (p, n) = (after, n + 1);
        } else if let Some((after_star, from)) = retry {
            retry = Some((after_star, from + 1));
            (p, n) = (after_star, from + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// Where the pattern goes on after it took `c` at place `p`; `None` when it does not take it. A `[`
/// without its `]` stands for itself.
fn one(pattern: &[char], p: usize, c: char) -> Option<usize> {
    match pattern.get(p)? {
        '?' => Some(p + 1),
        '[' => {
            let is_negated = pattern.get(p + 1) == Some(&'!');
            let first = p + 1 + usize::from(is_negated);
            // A `]` that comes first is one of the characters.
            let close = (first + 1..pattern.len()).find(|i| pattern[*i] == ']');
            let Some(close) = close else {
                return (c == '[').then_some(p + 1);
            };
            (is_among(&pattern[first..close], c) != is_negated).then_some(close + 1)
        }
        own => (*own == c).then_some(p + 1),
    }
}

fn is_among(mut set: &[char], c: char) -> bool {
    loop {
        match set {
            [low, '-', high, rest @ ..] => {
                if (*low..=*high).contains(&c) {
                    return true;
                }
                set = rest;
            }
            [own, rest @ ..] => {
                if *own == c {
                    return true;
                }
                set = rest;
            }
            [] => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(names: &[&'static str]) -> Vec<&'static str> {
        let repo = Repo::parse("o/n").unwrap();
        Selection::Model.choose(&repo, names).unwrap()
    }

    #[test]
    fn safetensors_leave_out_the_same_weights_in_other_formats() {
        let names = [
            ".gitattributes",
            "LICENSE",
            "README.md",
            "config.json",
            "flax_model.msgpack",
            "merges.txt",
            "model.safetensors",
            "onnx/model.onnx",
            "onnx/config.json",
            "pytorch_model.bin",
            "rust_model.ot",
            "tf_model.h5",
            "tokenizer.json",
            "vocab.json",
            "modeling_x.py",
            "chat_template.jinja",
            "spiece.model",
        ];
        let expected = [
            "LICENSE",
            "README.md",
            "chat_template.jinja",
            "config.json",
            "merges.txt",
            "model.safetensors",
            "spiece.model",
            "tokenizer.json",
            "vocab.json",
        ];
        assert_eq!(model(&names), expected);
    }

    #[test]
    fn shards_come_with_their_index_and_without_a_second_copy() {
        let names = [
            "consolidated.safetensors",
            "model-00001-of-00002.safetensors",
            "model-00002-of-00002.safetensors",
            "model.safetensors.index.json",
            "pytorch_model-00001-of-00001.bin",
            "pytorch_model.bin.index.json",
        ];
        assert_eq!(model(&names), names[1..4]);
    }

    #[test]
    fn other_names_and_formats_are_taken_where_there_is_nothing_else() {
        let named = ["config.json", "ema.safetensors"];
        assert_eq!(model(&named), named);
        let torch = [
            "config.json",
            "pytorch_model.bin",
            "pytorch_model.bin.index.json",
        ];
        assert_eq!(model(&torch), torch);
        let repo = Repo::parse("o/n").unwrap();
        let none = Selection::Model.choose(&repo, &["a.onnx", "b/config.json"]);
        assert_eq!(none.unwrap_err().kind(), tenon_base::Kind::Data);
    }

    #[test]
    fn patterns_are_those_of_a_shell_over_the_whole_name() {
        for (pattern, name) in [
            ("*.json", "a.json"),
            ("*.json", "sub/a.json"),
            ("a*b*c", "aXbXbc"),
            ("?.txt", "a.txt"),
            ("[a-c]1", "b1"),
            ("[!a-c]1", "d1"),
            ("[]x]", "]"),
            ("[x-]", "-"),
            ("a[", "a["),
            ("*", ""),
            ("**", "x"),
            ("a.json", "a.json"),
        ] {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("*.json", "a.jsonl"),
            ("a", "ab"),
            ("a*b", "a"),
            ("?", ""),
            ("[a-c]", "d"),
            ("[!a]", "a"),
            ("A", "a"),
            ("", "a"),
        ] {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
        // Exponential for a matcher that tries every way.
        assert!(!fits(&"*a".repeat(40), &"a".repeat(39)));
    }

    #[test]
    fn patterns_choose_each_file_once_and_each_has_to_fit() {
        let repo = Repo::parse("o/n").unwrap();
        let names = ["a.json", "onnx/model.onnx", "onnx/x/y.bin"];
        let include = |patterns: &[&str]| {
            let patterns = patterns.iter().map(|p| (*p).to_owned()).collect();
            Selection::Include(patterns).choose(&repo, &names)
        };
        assert_eq!(include(&["onnx/", "*.onnx"]).unwrap(), names[1..]);
        let error = include(&["a.json", "b.jsn", "*.h5"]).unwrap_err();
        assert_eq!(error.kind(), tenon_base::Kind::Usage);
        assert!(error.message().contains("`b.jsn`"), "{error}");
        assert!(error.hint_text().unwrap().contains("a.json"), "{error}");
    }
}
