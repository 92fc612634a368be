//! The rules of the tree that no compiler and no linter knows.
//!
//! Invariant: a rule is a function from the [`Tree`] that was read once to findings, each with a file, a line and a hint;
//! `tests.rs` holds, for every rule, a tree in which it must fail.
//!
//! Reading order: [`RULES`] lists them; `graph` is the import graph and the package budget, `source` what Rust sources may
//! name, `size` lengths of files, `docs` links, paths and fixtures.

mod docs;
mod graph;
mod size;
mod source;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::metadata::Graph;
use crate::shell;

/// Everything that a rule may look at.
#[derive(Debug, Default)]
struct Tree {
    files: Vec<File>,
    graph: Graph,
    /// Absolute paths of this checkout and its neighbours, which mean nothing on another machine.
    machine_paths: Vec<String>,
}

#[derive(Debug)]
struct File {
    /// Relative to the root, with `/`.
    path: String,
    text: String,
}

/// One broken rule at one place.
#[derive(Debug)]
struct Finding {
    path: String,
    /// Counted from one; none where the whole file is meant.
    line: Option<usize>,
    message: String,
    hint: &'static str,
}

type Rule = fn(&Tree) -> Vec<Finding>;

const RULES: [(&str, Rule); 14] = [
    ("crates depend only along the allowed edges", graph::edges),
    ("pure crates pull in no IO", graph::purity),
    ("sqlx, axum and testkit stay where they belong", graph::owners),
    ("the lock file keeps its package budget", graph::budget),
    ("pure crates read no clock, file or environment", source::clocks),
    ("only nova-upstream opens connections", source::connections),
    ("unsafe code stays in the engine's kernels", source::unsafe_code),
    ("tests are named as sentences and none is ignored", source::tests),
    ("tests wait for conditions, not for time", source::sleeps),
    ("files stay short", size::files),
    ("links in Markdown lead somewhere", docs::links),
    ("nothing names a path of one machine", docs::machine_paths),
    ("nothing names a package registry's host", docs::registry_hosts),
    ("every fixture is read by a test", docs::fixtures),
];

/// The rules, then the freshness of the generated files (which builds the binary).
pub(crate) fn run_all() -> Result<()> {
    run()?;
    crate::generate::run(true)
}

/// The rules alone: reads files, builds nothing.
pub(crate) fn run() -> Result<()> {
    let root = shell::root()?;
    let tree = Tree::read(&root)?;
    for note in size::notes(&tree) {
        println!("note: {note}");
    }
    let mut broken = 0;
    for (name, rule) in RULES {
        let findings = rule(&tree);
        if findings.is_empty() {
            continue;
        }
        broken += findings.len();
        println!("rule: {name}");
        for Finding { path, line, message, hint } in findings {
            let line = line.map(|line| format!(":{line}")).unwrap_or_default();
            println!("  {path}{line}: {message}\n    hint: {hint}");
        }
    }
    if broken > 0 {
        bail!("{broken} places break a rule of the tree");
    }
    println!("{} rules hold over {} files", RULES.len(), tree.files.len());
    Ok(())
}

impl Tree {
    fn read(root: &Path) -> Result<Tree> {
        let mut git = Command::new("git");
        git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(root);
        let listed = shell::output(&mut git)?;
        let mut files = Vec::new();
        for path in listed.split('\0').filter(|path| !path.is_empty()) {
            // A file that git still lists may have been deleted; a binary file reads as text with marks in it.
            if let Ok(bytes) = std::fs::read(root.join(path)) {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                files.push(File { path: path.to_owned(), text });
            }
        }
        Ok(Tree { files, graph: Graph::read(root)?, machine_paths: machine_paths(root) })
    }

    fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    fn rust(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.path.ends_with(".rs"))
    }

    /// Sources that end up in the product, each with its crate.
    fn shipped(&self) -> Vec<(&str, &File)> {
        let tests: Vec<String> = self.rust().flat_map(File::test_modules).collect();
        let of_tests = |path: &str| {
            tests.iter().any(|module| {
                path.strip_prefix(module).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
            })
        };
        let shipped = self.rust().filter(|file| !of_tests(&file.path));
        shipped.filter_map(|file| Some((file.shipped_crate()?, file))).collect()
    }
}

/// The checkout itself and what lies beside it: a path to a neighbour is as useless elsewhere as one to the checkout.
fn machine_paths(root: &Path) -> Vec<String> {
    let mut paths = vec![root.display().to_string()];
    if let Some(parent) = root.parent().filter(|parent| parent.components().count() > 1)
        && let Ok(neighbours) = std::fs::read_dir(parent)
    {
        paths.extend(neighbours.flatten().map(|entry| entry.path().display().to_string()));
    }
    paths
}

impl File {
    /// Modules that this file declares for tests only, as paths without an ending.
    fn test_modules(&self) -> Vec<String> {
        let (folder, name) = self.path.rsplit_once('/').unwrap_or(("", &self.path));
        let folder = match name {
            "mod.rs" | "lib.rs" | "main.rs" => folder.to_owned(),
            _ => self.path.trim_end_matches(".rs").to_owned(),
        };
        let lines: Vec<&str> = self.text.lines().map(str::trim).collect();
        let declared = lines.windows(2).filter(|pair| pair[0] == "#[cfg(test)]");
        let name = |pair: &[&str]| Some(pair[1].split_once("mod ")?.1.strip_suffix(';')?.to_owned());
        declared.filter_map(name).map(|name| format!("{folder}/{name}")).collect()
    }

    /// The crate whose shipped source this is; none for tests, development crates and everything that is no source.
    fn shipped_crate(&self) -> Option<&str> {
        let (name, rest) = self.path.strip_prefix("crates/")?.split_once('/')?;
        let development = matches!(name, "nova-testkit" | "xtask");
        let test = !rest.starts_with("src/") || rest.ends_with("/tests.rs") || rest.contains("/tests/");
        (!development && !test && rest.ends_with(".rs")).then_some(name)
    }

    /// Lines of code with their numbers: comments cut off, the inline test module at the end left out.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines: Vec<&str> = self.text.lines().collect();
        let tests = (0..lines.len()).find(|&at| {
            lines[at].trim() == "#[cfg(test)]"
                && lines.get(at + 1).is_some_and(|next| next.starts_with("mod ") && next.ends_with('{'))
        });
        let end = tests.unwrap_or(lines.len());
        lines.into_iter().take(end).enumerate().map(|(at, line)| (at + 1, without_comment(line)))
    }

    fn finding(&self, line: usize, message: impl Into<String>, hint: &'static str) -> Finding {
        Finding { path: self.path.clone(), line: Some(line), message: message.into(), hint }
    }
}

/// The line up to its comment; `//` inside a string is none.
fn without_comment(line: &str) -> &str {
    let comment = line.match_indices("//").find(|(at, _)| line[..*at].matches('"').count().is_multiple_of(2));
    comment.map_or(line, |(at, _)| &line[..at])
}

/// Whether the text holds the word, with no letter, digit or underscore on either side.
fn has_word(text: &str, word: &str) -> bool {
    let part_of_word = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| {
        !text[..at].ends_with(part_of_word) && !text[at + word.len()..].starts_with(part_of_word)
    })
}
