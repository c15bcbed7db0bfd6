//! Every operator states what it costs at least, forward and in its derivative.

use tenon_base::Result;

use super::House;
use crate::Problem;

const OPERATORS: &str = "crates/engine/src/ops/";
/// What tells a file of an operator.
const IMPL: [&str; 3] = ["impl", "Op", "for"];

/// Judges every file with an operator.
pub(super) fn check(house: &House) -> Result<Vec<Problem>> {
    let mut problems = Vec::new();
    let files = house.tree.rust.iter();
    for (path, source) in files.filter(|(path, _)| path.starts_with(OPERATORS)) {
        let words: Vec<&str> = source.tokens.iter().map(|t| t.text.as_str()).collect();
        let has_operator = words.windows(IMPL.len()).any(|w| w == IMPL);
        let text = house.tree.texts.get(path).map_or("", String::as_str);
        if has_operator && !states_floor(text) {
            let hint = "say in its comment `Floor of an element: forward …; derivative …`";
            problems.push(Problem::new(path, 0, "the operator states no floor", hint));
        }
    }
    Ok(problems)
}

/// Whether a paragraph of a comment begins with the floor and tells both ways.
fn states_floor(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim);
    let Some(first) = lines.find_map(|line| line.strip_prefix("/// Floor of ")) else {
        return false;
    };
    let rest = lines.map_while(|line| line.strip_prefix("/// "));
    let told = rest.fold(first.to_owned(), |told, line| told + " " + line);
    let has_cost = ["byte", "operation"].iter().any(|w| told.contains(w));
    told.contains("forward") && told.contains("derivative") && has_cost
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::problems;

    #[test]
    fn an_operator_without_a_floor_is_seen() {
        let op = |docs: &str| format!("{docs}struct A;\nimpl Op for A {{}}\n");
        let both = "/// Floor of an element: forward 8 bytes;\n/// derivative 12 bytes.\n";
        let files = [
            ("crates/engine/src/ops/a.rs", op(both)),
            ("crates/engine/src/ops/b.rs", op("/// Adds.\n")),
            (
                "crates/engine/src/ops/c.rs",
                op("/// Floor of an element: forward 8 bytes.\n"),
            ),
            (
                "crates/engine/src/ops/d.rs",
                op("/// Floor of an element: forward and derivative little.\n"),
            ),
            ("crates/engine/src/ops/shared.rs", "fn f() {}\n".to_owned()),
            ("crates/engine/src/plan.rs", op("")),
        ];
        let files = files.each_ref().map(|(path, text)| (*path, text.as_str()));
        let expected = ["b", "c", "d"]
            .map(|name| format!("{OPERATORS}{name}.rs:0: the operator states no floor"));
        assert_eq!(problems(check, &files), expected);
    }
}
