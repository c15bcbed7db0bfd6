//! Documents that point at things: what they point at is there.

use std::collections::{BTreeMap, BTreeSet};

use tenon_base::Result;

use super::House;
use crate::{Problem, markdown};

const ARCHITECTURE: &str = "ARCHITECTURE.md";
const CHANGELOG: &str = "CHANGELOG.md";
/// Files that every checkout has.
const REQUIRED: &[&str] = &[
    ".ci/run",
    ARCHITECTURE,
    CHANGELOG,
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "deny.toml",
];
/// Documents from which every page in `docs/` must be within reach.
const ENTRANCES: &[&str] = &["README.md", ARCHITECTURE];

/// Judges the documents.
pub(super) fn check(house: &House) -> Result<Vec<Problem>> {
    let mut problems = Vec::new();
    for path in REQUIRED
        .iter()
        .filter(|path| !house.tree.texts.contains_key(**path))
    {
        problems.push(Problem::new(*path, 0, "not there", "every checkout has it"));
    }
    let reached = links(house, &mut problems);
    for page in house
        .tree
        .texts
        .keys()
        .filter(|path| path.starts_with("docs/"))
    {
        if !reached.contains(page) {
            let hint = "link it from README.md or ARCHITECTURE.md, or from a page that is";
            problems.push(Problem::new(page, 0, "no way leads here", hint));
        }
    }
    let architecture = house
        .tree
        .texts
        .get(ARCHITECTURE)
        .map_or("", String::as_str);
    code_map(house, architecture, &mut problems);
    names(house, architecture, &mut problems);
    let changelog = house.tree.texts.get(CHANGELOG).map_or("", String::as_str);
    if !markdown::headings(changelog)
        .iter()
        .any(|h| h.level == 2 && h.title == "[Unreleased]")
    {
        let hint = "add `## [Unreleased]` and say under it what changed for users";
        problems.push(Problem::new(
            CHANGELOG,
            0,
            "no section for what comes next",
            hint,
        ));
    }
    Ok(problems)
}

/// Judges every relative link and returns the files within reach of the entrances.
fn links(house: &House, problems: &mut Vec<Problem>) -> BTreeSet<String> {
    let mut ways: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let pages = house
        .tree
        .texts
        .iter()
        .filter(|(path, _)| path.ends_with(".md"));
    for (page, text) in pages {
        for link in markdown::links(text)
            .into_iter()
            .filter(|link| !link.text.contains("://"))
        {
            let (file, anchor) = link.text.split_once('#').unwrap_or((&link.text, ""));
            let target = if file.is_empty() {
                Some(page.clone())
            } else {
                joined(page, file)
            };
            let there = target.filter(|target| house.tree.has(target));
            if !there
                .as_ref()
                .is_some_and(|file| has_anchor(house, file, anchor))
            {
                let message = format!("`{}` leads nowhere", link.text);
                problems.push(Problem::new(page, link.line, message, "mend the link"));
            }
            ways.entry(page).or_default().extend(there);
        }
    }
    let mut reached: BTreeSet<String> = BTreeSet::new();
    let mut next: Vec<String> = ENTRANCES.iter().map(|path| (*path).to_owned()).collect();
    while let Some(page) = next.pop() {
        next.extend(ways.remove(page.as_str()).unwrap_or_default());
        reached.insert(page);
    }
    reached
}

fn has_anchor(house: &House, file: &str, anchor: &str) -> bool {
    let text = house.tree.texts.get(file).map_or("", String::as_str);
    let headings = markdown::headings(text);
    anchor.is_empty()
        || headings
            .iter()
            .any(|h| markdown::anchor(&h.title) == anchor)
}

/// `link` as seen from `page`; `None` when it leaves the checkout.
fn joined(page: &str, link: &str) -> Option<String> {
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in link.trim_end_matches('/').split('/') {
        match part {
            "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// The code map has a section with an invariant for each crate, and no other.
fn code_map(house: &House, text: &str, problems: &mut Vec<Problem>) {
    let headings = markdown::headings(text);
    let start = headings
        .iter()
        .position(|h| h.title == "Code map")
        .unwrap_or(headings.len());
    let sections = headings.iter().skip(start + 1).take_while(|h| h.level > 2);
    let sections: Vec<_> = sections.filter(|h| h.level == 3).collect();
    let lines: Vec<&str> = text.lines().collect();
    let mut crates: BTreeSet<&str> = house
        .workspace
        .crates
        .iter()
        .map(|c| c.name.as_str())
        .collect();
    for section in sections {
        let name = section.title.trim_matches('`');
        let body = lines[section.line..]
            .iter()
            .take_while(|line| !line.starts_with('#'));
        let mut push = |message: String, hint: &str| {
            problems.push(Problem::new(ARCHITECTURE, section.line, message, hint));
        };
        if !crates.remove(name) {
            push(
                format!("`{name}` is no crate, or is here twice"),
                "remove the section",
            );
        } else if !body.clone().any(|line| line.contains("**Invariant")) {
            push(
                format!("`{name}` has no invariant"),
                "say after `**Invariant**` what holds",
            );
        }
    }
    for name in crates {
        let message = format!("the code map has no section `{name}`");
        let hint = "say what it does, what it must not know, and its invariant";
        problems.push(Problem::new(ARCHITECTURE, 0, message, hint));
    }
}

/// Code spans that name a path (`crates/…`) or an item (`crate::module::Item`) name something.
fn names(house: &House, text: &str, problems: &mut Vec<Problem>) {
    for span in markdown::code_spans(text) {
        let is_path = span.text.starts_with("crates/") && !span.text.contains(['*', '<', '{']);
        if is_path && !house.tree.has(span.text.trim_end_matches('/')) {
            let message = format!("`{}` is not there", span.text);
            problems.push(Problem::new(
                ARCHITECTURE,
                span.line,
                message,
                "name what is",
            ));
        }
        let name = span.text.trim_end_matches("()");
        let mut parts = name.split("::");
        let owner = parts.next().unwrap_or_default();
        if !house.workspace.crates.iter().any(|c| c.name == owner) {
            continue;
        }
        let folder = format!("crates/{owner}/src/");
        for part in parts.filter(|part| !has_name(house, &folder, part)) {
            let message = format!("`{owner}` has no `{part}` for `{}`", span.text);
            problems.push(Problem::new(
                ARCHITECTURE,
                span.line,
                message,
                "name what is there",
            ));
        }
    }
}

/// Whether a word occurs in the code of a crate.
fn has_name(house: &House, folder: &str, name: &str) -> bool {
    let files = house
        .tree
        .rust
        .iter()
        .filter(|(path, _)| path.starts_with(folder));
    files
        .flat_map(|(_, source)| &source.tokens)
        .any(|token| token.text == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::Crate;
    use crate::rules::testing::{house, listed};

    const MAP: &str = "## Code map\n### `base`\n**Invariant:** it is there.\n";
    const LOG: &str = "# Changelog\n## [Unreleased]\n";

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let is_left = |path: &&&str| files.iter().all(|(name, _)| *name != **path);
        let mut all: Vec<(&str, &str)> =
            REQUIRED.iter().filter(is_left).map(|p| (*p, "")).collect();
        for (path, text) in &mut all {
            match *path {
                ARCHITECTURE => *text = MAP,
                CHANGELOG => *text = LOG,
                _ => {}
            }
        }
        all.extend(files);
        let mut house = house(&all);
        let dependencies = Vec::new();
        house.workspace.crates.push(Crate {
            name: "base".to_owned(),
            dependencies,
        });
        listed(check(&house).unwrap())
    }

    #[test]
    fn a_house_in_order_has_no_problem() {
        assert_eq!(found(&[]), [""; 0]);
        let files = [
            ("README.md", "[a](docs/a.md#b-c) [d](https://x.y)\n"),
            ("docs/a.md", "# B c\n"),
        ];
        assert_eq!(found(&files), [""; 0]);
    }

    #[test]
    fn links_lead_somewhere() {
        for link in [
            "gone.md",
            "docs/../gone.md",
            "../out.md",
            "#gone",
            "docs/a.md#gone",
        ] {
            let readme = format!("[a]({link}) [b](docs/a.md)\n");
            let files = [("README.md", readme.as_str()), ("docs/a.md", "# B\n")];
            assert_eq!(
                found(&files),
                [format!("README.md:1: `{link}` leads nowhere")]
            );
        }
    }

    #[test]
    fn every_page_is_within_reach() {
        let files = [
            ("README.md", "[a](docs/a.md)\n"),
            ("docs/a.md", "[b](b.md)\n"),
            ("docs/b.md", "[a](a.md)\n"),
            ("docs/c.md", "[c](c.md)\n"),
        ];
        assert_eq!(found(&files), ["docs/c.md:0: no way leads here"]);
    }

    #[test]
    fn the_code_map_is_that_of_the_workspace() {
        let text = "## Code map\n### `base`\nIt does.\n### `gone`\n**Invariant:** none.\n";
        let expected = [
            "ARCHITECTURE.md:2: `base` has no invariant",
            "ARCHITECTURE.md:4: `gone` is no crate, or is here twice",
        ];
        assert_eq!(found(&[(ARCHITECTURE, text)]), expected);
        let missing = found(&[(ARCHITECTURE, "## Code map\n## Next\n### `base`\n")]);
        assert_eq!(
            missing,
            ["ARCHITECTURE.md:0: the code map has no section `base`"]
        );
    }

    #[test]
    fn names_in_the_architecture_exist() {
        let text =
            format!("{MAP}`base::Clock::now()` `base::Glock` `crates/base/gone.rs` `x::Y`\n");
        let code = "pub struct Clock; impl Clock { pub fn now() {} }\n";
        let files = [
            (ARCHITECTURE, text.as_str()),
            ("crates/base/src/clock.rs", code),
        ];
        let expected = [
            "ARCHITECTURE.md:4: `base` has no `Glock` for `base::Glock`",
            "ARCHITECTURE.md:4: `crates/base/gone.rs` is not there",
        ];
        assert_eq!(found(&files), expected);
    }

    #[test]
    fn the_changelog_has_a_place_for_what_comes_next() {
        assert_eq!(found(&[(CHANGELOG, "## [0.1.0]\n")]).len(), 1);
    }

    #[test]
    fn a_missing_file_is_named() {
        let problems = check(&House::default()).unwrap();
        let missing = problems.iter().filter(|p| p.message == "not there");
        assert_eq!(missing.count(), REQUIRED.len());
    }
}
