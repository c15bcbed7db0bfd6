//! Every direct dependency is explained.

use std::collections::BTreeSet;

use tenon_base::Result;

use super::House;
use crate::Problem;

/// The page that says of each dependency what it is for.
const PAGE: &str = "docs/dependencies.md";
/// The cells of a row: name, what for, why this one, licence.
const N_CELLS: usize = 4;

/// Compares the rows of the page with the manifests.
pub(super) fn check(house: &House) -> Result<Vec<Problem>> {
    let crates = house.workspace.crates.iter();
    let all = crates
        .flat_map(|subject| &subject.dependencies)
        .filter(|d| !d.is_member);
    let mut unexplained: BTreeSet<&str> = all.map(|dependency| dependency.name.as_str()).collect();
    let page = house.tree.texts.get(PAGE).map_or("", String::as_str);
    let mut problems = Vec::new();
    for (line, text) in (1..)
        .zip(page.lines())
        .filter(|(_, text)| text.starts_with("| `"))
    {
        let cells: Vec<&str> = text.trim_matches('|').split('|').map(str::trim).collect();
        let name = cells[0].trim_matches('`');
        let mut push = |message: String, hint: &str| {
            problems.push(Problem::new(PAGE, line, message, hint));
        };
        if cells.len() != N_CELLS || cells.iter().any(|cell| cell.is_empty()) {
            let hint = "a row has four cells: name, what for, why this one, licence";
            push(format!("the row of `{name}` is not complete"), hint);
        }
        if !unexplained.remove(name) {
            push(
                format!("no crate depends on `{name}`, or it is here twice"),
                "remove the row",
            );
        }
    }
    for name in unexplained {
        let hint = "add a row: what for, why this one, licence";
        problems.push(Problem::new(
            PAGE,
            0,
            format!("`{name}` is not explained"),
            hint,
        ));
    }
    Ok(problems)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::{Crate, Dependency};
    use crate::rules::testing::{house, listed};

    fn found(page: &str) -> Vec<String> {
        let mut house = house(&[(PAGE, page)]);
        let dependency = |name: &str, is_member| Dependency {
            name: name.to_owned(),
            is_member,
            is_dev: false,
        };
        house.workspace.crates.push(Crate {
            name: "data".to_owned(),
            dependencies: vec![dependency("csv", false), dependency("base", true)],
        });
        listed(check(&house).unwrap())
    }

    #[test]
    fn each_dependency_has_one_row() {
        let row = "| `csv` | a | b | MIT |\n";
        assert_eq!(found(row), [""; 0]);
        assert_eq!(
            found(""),
            ["docs/dependencies.md:0: `csv` is not explained"]
        );
        assert_eq!(found(&row.repeat(2)).len(), 1);
        assert_eq!(found(&format!("{row}| `gone` | a | b | MIT |\n")).len(), 1);
    }

    #[test]
    fn a_row_is_complete() {
        for row in ["| `csv` | a | b |\n", "| `csv` | a | | MIT |\n"] {
            let expected = "docs/dependencies.md:1: the row of `csv` is not complete";
            assert_eq!(found(row), [expected]);
        }
    }
}
