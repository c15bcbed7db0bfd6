//! The workspace's packages and what they depend on, as Cargo sees them.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tenon_base::{Error, Result};

/// The prefix of the names of the workspace's packages.
const PREFIX: &str = "tenon-";

/// The members of the workspace, by name.
#[derive(Debug, Default)]
pub struct Workspace {
    /// One entry for each crate.
    pub crates: Vec<Crate>,
}

/// A member of the workspace.
#[derive(Debug)]
pub struct Crate {
    /// The name without the prefix, which is also its folder in `crates/`.
    pub name: String,
    /// What it depends on, in the manifest's order.
    pub dependencies: Vec<Dependency>,
}

/// A direct dependency.
#[derive(Debug, PartialEq, Eq)]
pub struct Dependency {
    /// The name; without the prefix when it is a member of the workspace.
    pub name: String,
    /// Whether it is a member of the workspace.
    pub is_member: bool,
    /// Whether only tests and benchmarks use it.
    pub is_dev: bool,
}

/// Asks Cargo for the workspace at `root`; nothing is downloaded.
pub fn read(root: &Path) -> Result<Workspace> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args([
        "metadata",
        "--no-deps",
        "--offline",
        "--format-version",
        "1",
    ]);
    let output = command
        .current_dir(root)
        .output()
        .map_err(|e| Error::io("cannot run `cargo metadata` in", root, &e))?;
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(Error::data(format!(
            "`cargo metadata` failed: {}",
            reason.trim()
        )));
    }
    let value = serde_json::from_slice(&output.stdout)
        .map_err(|e| Error::data(format!("`cargo metadata` printed no JSON: {e}")))?;
    workspace(&value).ok_or_else(|| Error::data("`cargo metadata` printed an unknown layout"))
}

fn workspace(value: &Value) -> Option<Workspace> {
    let packages = value.get("packages")?.as_array()?.iter();
    let mut crates = packages.map(package).collect::<Option<Vec<Crate>>>()?;
    crates.sort_by(|a, b| a.name.cmp(&b.name));
    Some(Workspace { crates })
}

fn package(value: &Value) -> Option<Crate> {
    let dependencies = value.get("dependencies")?.as_array()?.iter();
    Some(Crate {
        name: unprefixed(value.get("name")?.as_str()?),
        dependencies: dependencies.map(dependency).collect::<Option<_>>()?,
    })
}

fn dependency(value: &Value) -> Option<Dependency> {
    let is_member = value.get("path").is_some_and(Value::is_string);
    let name = value.get("name")?.as_str()?;
    Some(Dependency {
        name: if is_member {
            unprefixed(name)
        } else {
            name.to_owned()
        },
        is_member,
        is_dev: value.get("kind")?.as_str() == Some("dev"),
    })
}

fn unprefixed(name: &str) -> String {
    name.strip_prefix(PREFIX).unwrap_or(name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_lose_the_prefix_and_others_keep_their_name() {
        let value = serde_json::json!({"packages": [{"name": "tenon-a", "dependencies": [
            {"name": "tenon-b", "path": "/x", "kind": null},
            {"name": "tenon-c", "kind": "dev"},
        ]}]});
        let workspace = workspace(&value).unwrap();
        assert_eq!(workspace.crates[0].name, "a");
        let [b, c] = &workspace.crates[0].dependencies[..] else {
            panic!("two dependencies");
        };
        assert_eq!((b.name.as_str(), b.is_member, b.is_dev), ("b", true, false));
        assert_eq!(
            (c.name.as_str(), c.is_member, c.is_dev),
            ("tenon-c", false, true)
        );
    }

    #[test]
    fn this_workspace_has_this_crate() {
        let workspace = read(&crate::workspace_root()).unwrap();
        let this = workspace.crates.iter().find(|a| a.name == "xtask").unwrap();
        assert!(
            this.dependencies
                .iter()
                .any(|d| d.name == "base" && d.is_member)
        );
    }
}
