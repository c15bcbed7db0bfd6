//! The rules of the house, as a test.

use tenon_xtask::{tidy, workspace_root};

#[test]
fn the_house_is_tidy() {
    let problems = tidy(&workspace_root()).unwrap();
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert!(
        lines.is_empty(),
        "{} broken rules:\n{}",
        lines.len(),
        lines.join("\n")
    );
}
