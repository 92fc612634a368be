//! Files that the product writes about itself, committed so that they can be read without building anything.
//!
//! One table: what `novastack gen` is asked for, and where the answer goes.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell;

const GENERATED: [(&str, &str); 6] = [
    ("config-schema", "schema/config.schema.json"),
    ("errors", "schema/errors.md"),
    ("metrics", "schema/metrics.md"),
    ("cli", "docs/reference/cli.md"),
    ("config-reference", "docs/reference/configuration.md"),
    ("fidelity", "docs/reference/fidelity.md"),
];

/// Builds the binary, then writes the files, or with `check` compares them.
pub(crate) fn run(check: bool) -> Result<()> {
    let root = shell::root()?;
    shell::run(shell::cargo().args(["build", "--quiet", "--locked", "-p", "novastack"]).current_dir(&root))?;
    let graph = crate::metadata::Graph::read(&root)?;
    run_with(&root, &graph.target_directory.join("debug/novastack"), check)
}

/// As [`run`], with a binary that is already built.
pub(crate) fn run_with(root: &Path, binary: &Path, check: bool) -> Result<()> {
    let mut stale = Vec::new();
    for (what, path) in GENERATED {
        let fresh = shell::output(Command::new(binary).args(["gen", what]).current_dir(root))
            .with_context(|| format!("`{path}` could not be generated"))?;
        let target: PathBuf = root.join(path);
        let committed = std::fs::read_to_string(&target).unwrap_or_default();
        match difference(&committed, &fresh) {
            None => {}
            Some(line) if check => stale.push(format!("{path}:{line}")),
            Some(_) => {
                if let Some(folder) = target.parent() {
                    std::fs::create_dir_all(folder)?;
                }
                std::fs::write(&target, fresh).with_context(|| format!("`{path}` could not be written"))?;
                println!("wrote {path}");
            }
        }
    }
    if !stale.is_empty() {
        bail!(
            "generated files are stale: {}\nhint: run `cargo xtask gen` and commit the result",
            stale.join(", ")
        );
    }
    Ok(())
}

/// The first line that differs, counted from one.
fn difference(committed: &str, fresh: &str) -> Option<usize> {
    if committed == fresh {
        return None;
    }
    let same = committed.lines().zip(fresh.lines()).take_while(|(old, new)| old == new).count();
    Some(same + 1)
}

#[cfg(test)]
mod tests {
    use super::difference;

    #[test]
    fn the_first_stale_line_is_named() {
        for (committed, fresh, expected) in [
            ("", "", None),
            ("a\nb\n", "a\nb\n", None),
            ("a\nb\n", "a\nc\n", Some(2)),
            ("", "a\n", Some(1)),
            ("a\n", "a\nb\n", Some(2)),
            ("a\n", "a", Some(2)),
        ] {
            assert_eq!(difference(committed, fresh), expected, "{committed:?} against {fresh:?}");
        }
    }
}
