//! The table of `docs/goldens.md` is that of the tests.

use std::path::Path;

use super::mutants_of;
use super::table::MUTANTS;
use crate::common::{COMMITTED, Golden, committed};

const BEGIN: &str = "<!-- mutants: begin -->\n";
const END: &str = "<!-- mutants: end -->";

/// One row a mutant: what must miss, and the goldens that must notice.
fn table() -> String {
    let goldens = COMMITTED.map(|name| {
        let golden = Golden::open(&committed(name));
        let names: Vec<&str> = mutants_of(&golden).map(|mutant| mutant.name).collect();
        (name.strip_suffix("_small").expect("all are small"), names)
    });
    let mut page = String::from("| mutant | misses in | noticed by |\n|---|---|---|\n");
    for mutant in MUTANTS {
        let has = |(_, names): &&(&str, Vec<&str>)| names.contains(&mutant.name);
        let by = |wanted: bool| -> Vec<&str> {
            let chosen = goldens.iter().filter(|golden| has(golden) == wanted);
            chosen.map(|&(name, _)| name).collect()
        };
        let (noticed, others) = (by(true), by(false));
        let by = match others.len() {
            0 => "all".to_owned(),
            1..=5 => format!("all but {}", others.join(", ")),
            _ => noticed.join(", "),
        };
        let misses = mutant.misses.join(", ");
        page += &format!("| {} | {misses} | {by} |\n", mutant.name);
    }
    page
}

#[test]
fn the_page_of_goldens_has_the_table_of_mutants() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/goldens.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (_, rest) = page.split_once(BEGIN).expect("a mark before the table");
    let (shown, _) = rest.split_once(END).expect("a mark behind the table");
    let table = table();
    assert!(
        shown == table,
        "docs/goldens.md is to have this table:\n{table}"
    );
}
