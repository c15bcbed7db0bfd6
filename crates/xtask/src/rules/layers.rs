//! Who may depend on whom, and which crate owns which foreign library.

use tenon_base::Result;

use super::House;
use crate::Problem;
use crate::metadata::{Crate, Dependency};

/// Each crate and the members of the workspace that it may depend on. Tests may use
/// [`TEST_TOOLS`] besides.
const LAYERS: &[(&str, &[&str])] = &[
    ("base", &[]),
    // For the counter-based generator, which dropout masks and their tests share.
    ("kernels", &["base"]),
    ("engine", &["base", "kernels"]),
    ("models", &["base", "engine"]),
    ("data", &["base"]),
    ("train", &["base", "engine", "models", "data"]),
    ("eval", &["base", "engine", "models", "data"]),
    ("export", &["base", "engine", "models"]),
    ("tuners", &["base", "data", "models", "train", "eval"]),
    ("records", &["base"]),
    ("dashboard", &["base", "records"]),
    (
        "lab",
        &[
            "base",
            "kernels",
            "engine",
            "models",
            "data",
            "train",
            "eval",
            "export",
            "tuners",
            "records",
            "dashboard",
        ],
    ),
    ("testkit", &["base"]),
    ("xtask", &["base"]),
];

const TEST_TOOLS: &[&str] = &["testkit", "xtask"];

/// Foreign libraries that stand for a topic, and the only crates that may know of that topic.
const OWNERS: &[(&str, &[&str])] = &[
    ("clap", &["lab"]),
    ("comfy-table", &["lab"]),
    ("ctrlc", &["lab"]),
    ("indicatif", &["lab"]),
    ("memmap2", &["kernels", "models"]),
    ("proc-macro2", &["xtask"]),
    ("rusqlite", &["records"]),
    ("rusqlite_migration", &["records"]),
    ("tokenizers", &["data"]),
    // The network.
    ("ureq", &["data"]),
];

/// Judges every dependency of every crate.
pub(super) fn check(house: &House) -> Result<Vec<Problem>> {
    let crates = house.workspace.crates.iter();
    Ok(crates.flat_map(crate_problems).collect())
}

fn crate_problems(subject: &Crate) -> Vec<Problem> {
    let manifest = format!("crates/{}/Cargo.toml", subject.name);
    let Some((_, may)) = LAYERS.iter().find(|(name, _)| *name == subject.name) else {
        let hint =
            "give it a line in `LAYERS` of the layers rule, and a paragraph in ARCHITECTURE.md";
        return vec![Problem::new(
            manifest,
            0,
            "a crate without a place in the layers",
            hint,
        )];
    };
    let problem = |dependency: &Dependency| {
        let name = dependency.name.as_str();
        let is_tool = dependency.is_dev && TEST_TOOLS.contains(&name);
        if dependency.is_member && !may.contains(&name) && !is_tool {
            let message = format!("`{}` must not depend on `{name}`", subject.name);
            let hint = format!("it may depend on {may:?} (ARCHITECTURE.md, code map)");
            return Some(Problem::new(manifest.clone(), 0, message, hint));
        }
        let (_, owners) = OWNERS.iter().find(|(library, _)| *library == name)?;
        (!owners.contains(&subject.name.as_str())).then(|| {
            let message = format!("`{}` must not know of `{name}`", subject.name);
            Problem::new(
                manifest.clone(),
                0,
                message,
                format!("{owners:?} owns that topic"),
            )
        })
    };
    subject.dependencies.iter().filter_map(problem).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::listed;

    fn dependency(name: &str, is_member: bool, is_dev: bool) -> Dependency {
        Dependency {
            name: name.to_owned(),
            is_member,
            is_dev,
        }
    }

    fn judged(name: &str, dependencies: Vec<Dependency>) -> Vec<String> {
        listed(crate_problems(&Crate {
            name: name.to_owned(),
            dependencies,
        }))
    }

    #[test]
    fn an_arrow_upwards_is_refused() {
        let found = judged("data", vec![dependency("engine", true, false)]);
        let expected = "crates/data/Cargo.toml:0: `data` must not depend on `engine`";
        assert_eq!(found, [expected]);
    }

    #[test]
    fn test_tools_are_for_tests_only() {
        assert_eq!(
            judged("data", vec![dependency("testkit", true, true)]).len(),
            0
        );
        assert_eq!(
            judged("data", vec![dependency("testkit", true, false)]).len(),
            1
        );
        assert_eq!(
            judged("data", vec![dependency("engine", true, true)]).len(),
            1
        );
    }

    #[test]
    fn a_library_of_another_topic_is_refused_in_tests_too() {
        assert_eq!(
            judged("train", vec![dependency("rusqlite", false, true)]).len(),
            1
        );
        assert_eq!(
            judged("records", vec![dependency("rusqlite", false, false)]).len(),
            0
        );
    }

    #[test]
    fn a_new_crate_needs_a_line() {
        assert_eq!(judged("cloud", Vec::new()).len(), 1);
    }

    #[test]
    fn the_table_has_no_cycle() {
        for (at, (name, may)) in LAYERS.iter().enumerate() {
            let above: Vec<&str> = LAYERS[at..].iter().map(|(name, _)| *name).collect();
            let upwards: Vec<_> = may.iter().filter(|m| above.contains(m)).collect();
            assert!(upwards.is_empty(), "`{name}` points upwards to {upwards:?}");
        }
    }
}
